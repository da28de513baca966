"""The gateway's mitmproxy addons, one noun a file; `addons/gateway.py` is the chain that mitmdump loads."""
