"""The configuration: routing.yaml, .env and the environment in, typed and validated values out; and their reload."""
