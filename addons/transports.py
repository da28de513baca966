"""What mitmproxy knows of the connections that are open."""

from __future__ import annotations

from mitmproxy import connection, ctx
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.proxy.server import ConnectionIO


def proxyserver() -> Proxyserver | None:
    """mitmproxy's addon that listens. None where there is none: some tests, and `mitmdump -n`."""
    server = ctx.master.addons.get("proxyserver")
    return server if isinstance(server, Proxyserver) else None


def io_of(client: connection.Client) -> ConnectionIO | None:
    """A client's streams, for as long as it is connected."""
    server = proxyserver()
    handler = server.connections.get(client.id) if server else None
    return handler.transports.get(client) if handler else None
