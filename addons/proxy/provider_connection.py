"""The running attempt's connection to its provider: asked for, used, given up.

Rule that holds in this file: a connection that is given up is closed and forgotten by the layer, so that nothing that
still comes of it reaches another attempt.
"""

from __future__ import annotations

from mitmproxy import connection, http
from mitmproxy.proxy.layers.http import GetHttpConnection, HttpStream, SendHttp
from mitmproxy.proxy.layers.http._events import RequestData, RequestEndOfMessage, RequestHeaders

from addons.config.egress import DIRECT, Egress
from addons.proxy.egress import via
from addons.proxy.hooks import Commands
from addons.proxy.request_head import on_the_wire
from addons.proxy.stream_layer import StreamLayer


class ProviderConnection:
    """At most one connection at a time, which is being opened or is open."""

    def __init__(self, gateway: StreamLayer) -> None:
        self.gateway = gateway
        self.opening: GetHttpConnection | None = None
        self.open: connection.Server | None = None

    def ask_for(self, flow: http.HTTPFlow, stream: HttpStream, egress: Egress = DIRECT) -> Commands:
        """Have a connection opened, or taken from those that are open; the stream is told by an event. `egress`: the
        way that it takes."""
        proxy = egress.proxy
        self.gateway.forget_closed()
        request, server = flow.request, flow.server_conn
        self.opening = opening = GetHttpConnection(
            (request.host, request.port), request.scheme == "https", via(proxy), server.transport_protocol
        )
        if proxy:
            yield from self.gateway.make_room(opening)
        # Only `True` pauses a layer; any other true value asks for the reply as an event.
        opening.blocking = stream  # type: ignore[assignment]  # declared so by Command, narrowed by mistake
        yield opening
        if proxy or egress.ca_bundle:
            self.gateway.prepare(opening, egress)

    def use(self, server: connection.Server) -> bool:
        """Take this connection for the attempt. Returns whether it has served an earlier request."""
        self.open = server
        is_reused = server in self.gateway.used
        self.gateway.used.add(server)
        return is_reused

    def send(self, stream_id: int, request: http.Request, credential: dict[str, str]) -> Commands:
        """Send a whole request, with its real credential."""
        assert self.open
        content = request.raw_content
        yield SendHttp(RequestHeaders(stream_id, on_the_wire(request, credential), not content), self.open)
        if content:
            yield SendHttp(RequestData(stream_id, content), self.open)
        yield SendHttp(RequestEndOfMessage(stream_id), self.open)

    def release(self) -> None:
        """Let go of the connection after a whole answer: it may serve the next request."""
        self.open = None

    def abandon(self) -> Commands:
        """Give the connection up, established or not."""
        server: connection.Connection | None = self.open
        if self.opening:
            server = self.gateway.forget_pending(self.opening)
            self.opening = None
        self.open = None
        if server:
            yield from self.gateway.let_go(server)
