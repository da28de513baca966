"""Connection limits: what a connection may cost before a request of it is read, and how many there may be.

Rules that hold in this file:
- when the descriptors are given away, the oldest connection that has said nothing makes room for a newcomer;
- a connection that has sent a byte is `ClientSide`'s business (http1.py), but for a TLS handshake that doesn't end;
- TLS clients are offered HTTP/1.1 only: HTTP/2 has none of the limits of http1.py, and Claude Code doesn't speak it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter

from mitmproxy import connection, ctx, tls
from mitmproxy.addonmanager import Loader
from mitmproxy.exceptions import OptionsError
from mitmproxy.log import ALERT
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import layer

from addons.proxy.client_address import Network, is_within, plain, read_networks
from addons.proxy.connections import descriptors, io_of
from addons.wire import limits

logger = logging.getLogger(__name__)


class ConnectionLimits:
    """The addon that limits connections."""

    def __init__(self) -> None:
        self.clients: dict[str, str] = {}
        """The addresses of the connections that are open, by the ids of their clients."""
        self.by_address: Counter[str] = Counter()
        self.waiting: dict[str, tuple[connection.Client, asyncio.TimerHandle]] = {}
        """Those that haven't sent a byte, or are in a TLS handshake, the oldest first, and when they are closed."""
        self.trusted: tuple[Network, ...] = ()
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
        if "gateway_trusted_proxies" in updated:
            try:
                self.trusted = read_networks(ctx.options.gateway_trusted_proxies)
            except ValueError as error:  # the gate, whose option it is, says so too
                raise OptionsError(f"gateway_trusted_proxies: {error}") from error

    def client_connected(self, client: connection.Client) -> None:
        address = plain(client.peername[0])
        self.clients[client.id] = address
        self.by_address[address] += 1
        limit = ctx.options.gateway_max_per_address
        if limit and self.by_address[address] > limit and not is_within(address, self.trusted):
            client.error = "too many connections from this address"
            self.say(f"{address} has {limit} connections already: another one was refused")
        elif len(self.clients) > descriptors() // limits.DESCRIPTORS_PER_CLIENT and not self.drop_oldest():
            client.error = "too many connections"
            self.say(f"{len(self.clients)} clients are connected: another one was refused")
        else:
            self.wait(client, limits.SILENT)

    def client_disconnected(self, client: connection.Client) -> None:
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
        self.tls_established_client(data)

    def wait(self, client: connection.Client, seconds: float) -> None:
        """Close the connection after that time, unless something is heard of it."""
        timer = asyncio.get_running_loop().call_later(seconds, self.drop, client)
        self.waiting[client.id] = client, timer

    def heard(self, client: connection.Client) -> None:
        if found := self.waiting.pop(client.id, None):
            found[1].cancel()

    def drop(self, client: connection.Client) -> None:
        """Close a connection as mitmproxy closes those that are silent for too long."""
        self.heard(client)
        if (io := io_of(client)) and io.handler:
            io.handler.cancel("the client said nothing")

    def drop_oldest(self) -> bool:
        """Make room for a newcomer. Returns whether there was anybody to close."""
        for client, _ in self.waiting.values():
            self.drop(client)
            return True
        return False

    def say(self, what: str) -> None:
        """Log it, at most once a second."""
        now = time.monotonic()
        if now - self.said >= 1:
            self.said = now
            logger.log(ALERT, "gateway: %s", what)
