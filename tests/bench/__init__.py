"""A tool, not a test: the benchmark, `./run.sh bench`. It measures and never fails; `__main__.py` says what.

What is named `test_…` here tests the tool.
"""
