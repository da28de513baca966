"""A tool, not a test: the ordeal, `./run.sh ordeal`. Scripted agents send through a real gateway to providers that
misbehave, and every single request is judged.

`python -m tests.ordeal --help`. A run is repeatable from its seed: what a provider does to a request is drawn from the
seed and the request's marker, not from the order in which requests happen to arrive.
"""
