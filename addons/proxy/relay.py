"""Relayed requests: what passes through to Anthropic (or what stands for it) with the client's own credential.

Rules of this file: pure functions; a request is relayed only because `accepted` has said so, and nothing of the
gateway's own, no key, no token, no header, ever goes with it.
"""

from __future__ import annotations

import re

from mitmproxy import http
from mitmproxy.net.http import url

from addons.config.client_settings import PLACEHOLDER
from addons.config.config import Config, Provider
from addons.proxy.request_head import host_header
from addons.state.exchange import ClientCredential, Exchange
from addons.wire.masking import mask

ANTHROPIC = "api.anthropic.com"
"""There, a credential that can't be Anthropic's is of no use; a company's own upstream takes what it takes."""

CAN_BE_ANTHROPICS = re.compile(r"(?:bearer +)?sk-ant-.", re.IGNORECASE)
"""An API key (`sk-ant-api03-…`), or the token of a login or of `claude setup-token` (`sk-ant-oat01-…`)."""

OF_NOBODY = re.compile(rf"(?:bearer +)?{re.escape(PLACEHOLDER)}", re.IGNORECASE)
"""What stands in the settings that we print, where Claude Code wants to see a credential."""


def upstream(config: Config) -> Provider | None:
    """Where relayed requests go: the provider called `anthropic`; None where routing.yaml has none: the default
    upstream."""
    return config.providers.get("anthropic")


def accepted(own: ClientCredential, host: str) -> dict[str, str]:
    """The credential headers of the client that this host may be sent; with none there is nothing to relay."""
    pattern = CAN_BE_ANTHROPICS if host == ANTHROPIC else None
    return {
        name: value
        for name, value in own.headers().items()
        if (pattern.match(value.strip()) if pattern else not OF_NOBODY.fullmatch(value.strip()))
    }


def may_be_relayed(exchange: Exchange, default_host: str) -> bool:
    """Whether a request for a path that isn't ours is passed on: to where somebody has configured, and for a client
    that has a credential of its own for it."""
    provider = upstream(exchange.config)
    if provider and (not provider.host or provider.format != "anthropic"):
        return False
    is_path = exchange.path.startswith("/")
    return is_path and bool(accepted(exchange.client.credential, provider.host if provider else default_host))


def point_at_upstream(request: http.Request, exchange: Exchange, credential: dict[str, str]) -> None:
    """Make of the request what is sent: the client's own headers and credential (which goes into `credential`)."""
    provider = upstream(exchange.config)
    request.method, request.path = exchange.method, exchange.path
    if provider:
        request.scheme, request.path, request.authority = provider.scheme, provider.path + exchange.path, ""
        request.data.host, request.data.port = provider.host, provider.port  # each setter would write `host` anew
    host = host_header(provider) if provider else url.hostport(request.scheme, request.host, request.port)
    headers = http.Headers(host=host)
    for name, value in exchange.headers:
        headers.add(name, value)
    for name, value in accepted(exchange.client.credential, request.host).items():
        credential[name] = value
        headers[name] = mask(value)
    request.headers = headers
