"""Web searches that the gateway makes itself, where the provider that is asked has none."""
