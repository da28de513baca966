"""The ordeal: scripted agents through a real gateway to providers that misbehave, and a judge of every single request.

`python -m tests.ordeal --help`. A run is repeatable from its seed: what a provider does to a request is drawn from the
seed and the request's marker, not from the order in which requests happen to arrive.
"""
