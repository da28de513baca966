"""The benchmark: `./run.sh bench`. It measures and never fails; `__main__.py` says what is measured."""
