"""Tunnels through egress proxies: which proxy an attempt goes through, and what the proxy is told of who asks.

mitmproxy's own tunnel does the rest: a connection `via` a proxy is two, the inner one to the provider, of which the
streams know, and the proxy's own, which has the socket.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from mitmproxy import connection, http
from mitmproxy.net.server_spec import ServerSpec

from addons.config.egress import EgressProxy
from addons.state.attempt import Attempt
from addons.state.exchange import Exchange

ALPN = (b"http/1.1",)

_authorizations: WeakKeyDictionary[connection.Connection, str] = WeakKeyDictionary()


def proxy_of(exchange: Exchange, attempt: Attempt, request: http.Request) -> EgressProxy | None:
    """The proxy that an attempt goes through; None: none."""
    if attempt.target:
        return attempt.target.provider.proxy
    return exchange.config.proxies.of(request.scheme, request.host, request.port)


def via(proxy: EgressProxy | None) -> ServerSpec | None:
    """A proxy as mitmproxy knows it."""
    return (proxy.scheme, (proxy.host, proxy.port)) if proxy else None


def authorize(tunnel: connection.Connection, proxy: EgressProxy) -> None:
    """Remember what the proxy at the end of this connection is to be told."""
    if proxy.authorization:
        _authorizations[tunnel] = proxy.authorization


def put_authorization(flow: http.HTTPFlow) -> None:
    """Put it on the CONNECT request that goes out, and that nobody sees: it has no flow in any list."""
    if value := _authorizations.get(flow.server_conn):
        flow.request.headers["proxy-authorization"] = value
