"""Several processes that serve one port: who is to run, what they inherit, and how they talk to each other."""
