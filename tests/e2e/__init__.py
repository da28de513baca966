"""End-to-end tests: a real mitmdump with the gateway's addons between a client and scripted providers."""
