"""Credentials of tests: who comes in with which, and what a client has of its own."""

TOKEN = "gateway-token-0123456789"
"""PROXY_STATIC_TOKEN."""

ADMIN = "admin-key-0123456789"
"""LITELLM_MASTER_KEY."""

OWN = "sk-ant-oat01-the-clients-own-0123456789"
"""The client's own login."""

OWN_LOGIN = {"authorization": f"Bearer {OWN}"}
"""The header with it."""
