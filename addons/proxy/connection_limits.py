"""Connection limits: what a connection may cost before a request of it is read, and how many there may be.

Rules that hold in this file:
- when the descriptors are given away, a connection that has said nothing makes room for a newcomer: the oldest of the
  newcomer's own address, else the oldest;
- a connection that is being closed counts no more, though its end takes mitmproxy a few turns of the event loop;
- a connection that has sent a byte is `ClientSide`'s business (http1.py), but for a TLS handshake that doesn't end;
- TLS clients are offered HTTP/1.1 only: HTTP/2 has none of the limits of http1.py, and Claude Code doesn't speak it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Collection

from mitmproxy import connection, ctx, tls
from mitmproxy.addonmanager import Loader
from mitmproxy.log import ALERT
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import layer

from addons.proxy import accepting
from addons.proxy.client_address import plain
from addons.proxy.connections import descriptors, io_of
from addons.proxy.trusted_proxies import TrustedProxies
from addons.wire import limits

logger = logging.getLogger(__name__)


class ConnectionLimits:
    """The addon that limits connections."""

    def __init__(self, trusted: TrustedProxies | None = None) -> None:
        self.trusted = trusted or TrustedProxies()
        self.most = limits.CONNECTIONS_PER_ADDRESS
        self.clients: dict[str, str] = {}
        """The addresses of the connections that are open, by the ids of their clients."""
        self.by_address: Counter[str] = Counter()
        self.waiting: dict[str, tuple[connection.Client, asyncio.TimerHandle]] = {}
        """Those that haven't sent a byte, or are in a TLS handshake, the oldest first, and when they are closed."""
        self.waiting_at: defaultdict[str, dict[str, connection.Client]] = defaultdict(dict)
        """The same by their addresses."""
        self.said = -1.0
        """When the log was last told of a connection that was refused."""

    def load(self, loader: Loader) -> None:
        loader.add_option(
            "gateway_max_per_address",
            int,
            limits.CONNECTIONS_PER_ADDRESS,
            "Connections that one address may have at once; 0: any number.",
        )

    def configure(self, updated: set[str]) -> None:
        self.most = ctx.options.gateway_max_per_address  # each look at an option costs two copies of its value

    def running(self) -> None:
        accepting.refuse_at_the_door(self.refuses)
        accepting.widen_the_door()

    def has_all(self, address: str, others: int) -> bool:
        """Whether an address with that many other connections may have no more."""
        return bool(self.most) and others >= self.most and address not in self.trusted

    def refuses(self, host: str) -> bool:
        """Whether a connection that comes now has no use: its address has all that it may have."""
        address = plain(host)
        others = self.by_address.get(address, 0)
        if self.has_all(address, others):
            self.say(f"{address} has {others} connections already: another one was refused")
            return True
        return False

    def client_connected(self, client: connection.Client) -> None:
        address = plain(client.peername[0])
        others = self.by_address[address]
        self.clients[client.id] = address
        self.by_address[address] += 1
        if self.has_all(address, others):
            client.error = "too many connections from this address"
            self.say(f"{address} has {others} connections already: another one was refused")
        elif len(self.clients) > descriptors() // limits.DESCRIPTORS_PER_CLIENT and not self.make_room(address):
            client.error = "too many connections"
            self.say(f"{len(self.clients) - 1} clients are connected: another one was refused")
        else:
            self.wait(client, limits.SILENT)
        if client.error:
            self.forget(client)

    def client_disconnected(self, client: connection.Client) -> None:
        self.forget(client)

    def forget(self, client: connection.Client) -> None:
        """Count a connection no more."""
        self.heard(client)
        if address := self.clients.pop(client.id, None):
            self.by_address[address] -= 1
            if not self.by_address[address]:
                del self.by_address[address]

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        client = nextlayer.context.client
        if client.id in self.waiting and (data := nextlayer.data_client()):
            self.heard(client)
            if starts_like_tls_record(data):
                self.wait(client, limits.HANDSHAKE)

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        data.context.client.alpn = b"http/1.1"  # the only protocol that is offered

    def tls_established_client(self, data: tls.TlsData) -> None:
        if isinstance(data.conn, connection.Client):
            self.heard(data.conn)

    def tls_failed_client(self, data: tls.TlsData) -> None:
        if isinstance(data.conn, connection.Client):
            self.forget(data.conn)

    def wait(self, client: connection.Client, seconds: float) -> None:
        """Close the connection after that time, unless something is heard of it."""
        timer = asyncio.get_running_loop().call_later(seconds, self.drop, client)
        self.waiting[client.id] = client, timer
        self.waiting_at[self.clients[client.id]][client.id] = client

    def heard(self, client: connection.Client) -> None:
        if found := self.waiting.pop(client.id, None):
            found[1].cancel()
            address = self.clients[client.id]
            del self.waiting_at[address][client.id]
            if not self.waiting_at[address]:
                del self.waiting_at[address]

    def drop(self, client: connection.Client) -> None:
        """Close a connection as mitmproxy closes those that are silent for too long."""
        self.forget(client)
        if io := io_of(client):
            if io.handler:
                io.handler.cancel("the client said nothing")
            if isinstance(io.writer, asyncio.StreamWriter):
                io.writer.close()  # a task that is cancelled before its first step closes nothing
        client.error = client.error or "the client said nothing"  # for one that mitmproxy hasn't begun with

    def make_room(self, address: str) -> bool:
        """Close a silent connection for a newcomer from that address. Returns whether there was any."""
        return self.drop_oldest(self.waiting_at.get(address, {})) or self.drop_oldest(self.waiting)

    def drop_oldest(self, among: Collection[str]) -> bool:
        """Close the first of these (ids of clients) that is silent."""
        while among:
            client, _ = self.waiting[next(iter(among))]
            if has_spoken(client):
                self.heard(client)
            else:
                self.drop(client)
                return True
        return False

    def say(self, what: str) -> None:
        """Log it, at most once a second."""
        now = time.monotonic()
        if now - self.said >= 1:
            self.said = now
            logger.log(ALERT, "gateway: %s", what)


def has_spoken(client: connection.Client) -> bool:
    """Whether something has come of a client that nobody has read yet; the begin of a handshake says nothing."""
    io = io_of(client)
    if not io or not isinstance(io.writer, asyncio.StreamWriter):
        return False
    read = bytes(getattr(io.reader, "_buffer", b"")[:3])
    data = read or accepting.first_bytes(io.writer.get_extra_info("socket"))
    return bool(data) and not starts_like_tls_record(data)
