"""What mitmproxy knows of the connections that are open."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mitmproxy import connection, ctx
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.proxy.server import ConnectionHandler, ConnectionIO

EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104  # what is listened on, not where
"""The hosts by which a socket says that it listens on every address."""


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


def own_address() -> tuple[str, int]:
    """Where this gateway listens, as seen from this machine; where it would, when it only shows flows from a file."""
    addresses = sorted(ctx.master.addons.get("proxyserver").listen_addrs(), key=lambda address: ":" in address[0])
    host, port, *_ = addresses[0] if addresses else (ctx.options.listen_host, ctx.options.listen_port or 4000)
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104


def read_client(client: connection.Client, reads: bool) -> None:
    """Read what a client sends, or leave it in its socket."""
    io = io_of(client)
    transport = io.writer.transport if io and isinstance(io.writer, asyncio.StreamWriter) else None
    if isinstance(transport, asyncio.Transport):
        if reads:
            transport.resume_reading()
        else:
            transport.pause_reading()


@contextmanager
def unread(client: connection.Client) -> Iterator[None]:
    """Leaves what a client sends in its socket. mitmproxy expects nothing to have come when it begins to read: who has
    asked and gone by then crashes it (it reads, answers and closes before it has noted who is reading)."""
    read_client(client, False)
    try:
        yield
    finally:
        read_client(client, True)


def descriptors() -> int:
    """How many files and sockets this process may have open; a large number where the system doesn't say."""
    if sys.platform == "win32":
        return 1 << 20
    import resource  # Windows has none

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if 0 < soft < 1 << 20 else 1 << 20
