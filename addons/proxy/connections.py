"""What mitmproxy knows of the connections that are open."""

from __future__ import annotations

from mitmproxy import connection, ctx
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.proxy.server import ConnectionHandler, ConnectionIO


def proxyserver() -> Proxyserver | None:
    """mitmproxy's addon that listens. None where there is none: some tests, and `mitmdump -n`."""
    server = ctx.master.addons.get("proxyserver")
    return server if isinstance(server, Proxyserver) else None


def handler_of(client: connection.Client) -> ConnectionHandler | None:
    """What serves a client, for as long as it is connected."""
    server = proxyserver()
    return server.connections.get(client.id) if server else None


def io_of(client: connection.Client) -> ConnectionIO | None:
    """A client's streams, for as long as it is connected."""
    handler = handler_of(client)
    return handler.transports.get(client) if handler else None
