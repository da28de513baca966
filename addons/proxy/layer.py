"""The HTTP layer of one client connection: makes `GatewayStream`s, keeps their time and their provider connections.

`AttemptLoop` puts it under every client of a reverse proxy, through `next_layer`, which runs for scripts before
mitmproxy's own choice. What this file knows of mitmproxy's insides is tested by name in test_mitmproxy_internals.py.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from weakref import WeakSet

from mitmproxy import connection
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import (
    GetHttpConnection,
    HttpClient,
    HttpLayer,
    HTTPMode,
    HttpStream,
    RegisterHttpConnection,
)
from mitmproxy.proxy.layers.http._http1 import Http1Client
from mitmproxy.proxy.layers.tls import ServerTLSLayer

from addons.config.egress import Egress
from addons.proxy.body_budget import BodyBudget
from addons.proxy.body_reading import PieceRead
from addons.proxy.connections import read_client
from addons.proxy.dismissal import Dismissal
from addons.proxy.egress import ALPN, authorize, bound_answer, trust_too
from addons.proxy.fail_closed import place
from addons.proxy.hook_dispatch import CallHook
from addons.proxy.hooks import Commands
from addons.proxy.http1 import ClientSide, ProviderSide
from addons.proxy.own_requests import OwnRequests
from addons.proxy.provider_answer import nowhere
from addons.proxy.provider_tls import ProviderTls
from addons.proxy.recorder import NO_RECORDER, Recorder
from addons.proxy.short_way import Handlers, Raised, shorten
from addons.proxy.stream import GatewayStream
from addons.proxy.waking import Awake
from addons.state.exchange import Exchange
from addons.wire.errands import Ask, Fetch

logger = logging.getLogger(__name__)

MOST_TUNNELS = 4
"""Connections of one client through one proxy that are kept, as long as some of them are idle."""


class GatewayLayer(HttpLayer):
    """The HTTP layer of one client connection. To its streams it is a `StreamLayer`."""

    clock: Callable[[], float] = staticmethod(time.monotonic)

    def __init__(
        self,
        context: Context,
        mode: HTTPMode = HTTPMode.transparent,
        recorder: Recorder = NO_RECORDER,
        call_hook: CallHook = lambda hook: False,
        relaying: WeakSet[HttpStream] | None = None,
        handlers: Handlers = lambda client: None,
        bodies: BodyBudget | None = None,
    ) -> None:
        super().__init__(context, mode)
        self.recorder = recorder
        self.call_hook = call_hook
        self.relaying = WeakSet[HttpStream]() if relaying is None else relaying
        """The streams of all clients whose answers are running."""
        self.handlers = handlers
        self.bodies = bodies or BodyBudget()
        """The large bodies of all clients."""
        self.alarms: dict[commands.Command, float] = {}
        self.used: set[connection.Connection] = set()
        """Provider connections that have served a request."""
        self.own = OwnRequests()

    def handle_event(self, event: events.Event) -> Commands:
        """Take what has been received right to its connection, where it would go in the end."""
        try:
            if (
                type(event) is events.DataReceived
                and not self.debug
                and (side := self.connections.get(event.connection))
            ):
                yield from self.event_to_child(side, event)
            elif isinstance(event, PieceRead):
                if not self.is_forgotten(event.side.conn):
                    yield from self.event_to_child(event.side, event)
            elif isinstance(event, Raised):
                yield from self.failed(event.error)
            else:
                yield from super().handle_event(event)
            while self.own.later:
                yield from self.event_to_child(*self.own.later.popleft())
        except Exception as error:  # noqa: BLE001
            yield from self.failed(error)

    def failed(self, error: Exception) -> Commands:
        """End everything as if the client had gone. mitmproxy would log the words of the exception, which may be a
        client's, and leave everybody waiting."""
        logger.error("gateway: %s in a connection (%s)", type(error).__name__, place(error))
        yield commands.CloseConnection(self.context.client)

    def _handle_event(self, event: events.Event) -> Commands:
        client = self.context.client
        if isinstance(event, events.Start):
            self.connections.setdefault(client, ClientSide(self.context.fork(), self.clock, self.alarm))
        if isinstance(event, events.Wakeup) and self.alarms.pop(event.command, None) is not None:
            self.command_sources.pop(event.command, None)
            if isinstance(side := self.connections.get(client), ClientSide):
                yield from self.event_to_child(side, event)
            for stream in list(self.streams.values()):
                if stream.child_layer is None:  # else it has become a WebSocket, or just bytes
                    yield from self.event_to_child(stream, event)
        elif isinstance(event, events.ConnectionEvent) and self.is_forgotten(event.connection):
            return
        elif isinstance(event, Dismissal | Awake):
            for stream in list(self.streams.values()):
                if stream.child_layer is None:
                    yield from self.event_to_child(stream, event)
        else:
            yield from super()._handle_event(event)

    def alarm(self, due: float) -> commands.RequestWakeup | None:
        """The command that wakes every stream at `due`; None when an alarm that is at least as early is pending.

        mitmproxy has no way to take a wakeup back, and each is a task: so the streams of a connection share them.
        """
        if any(at <= due for at in self.alarms.values()):
            return None
        command = commands.RequestWakeup(max(0.0, due - self.clock()))
        self.alarms[command] = due
        return command

    def read_client(self, reads: bool) -> None:
        """Read what the client sends, or leave it in its socket."""
        read_client(self.context.client, reads)

    def make_stream(self, stream_id: int) -> Commands:
        context = self.context.fork()
        if side := self.own.sides.get(stream_id):
            context.client, context.server = side.context.client, side.context.server
        self.streams[stream_id] = GatewayStream(context, stream_id, self, self.recorder)
        yield from self.event_to_child(self.streams[stream_id], events.Start())

    def ask(self, asked: Ask | Fetch, of: Exchange, asker: HttpStream) -> int:
        """Start a request of the gateway's own for this stream, which is told by an event. Returns its number."""
        return self.own.begin(asked, of, asker, self.context, self.connections)

    def end_own(self, number: int, why: str) -> None:
        """End a request of the gateway's own whose answer nobody wants any more."""
        self.own.end(number, why, self.connections)

    def shorten(self, stream: HttpStream, server: connection.Server) -> Callable[[], None]:
        """Have the running answer of this stream go the short way, if it can. Returns what ends that."""
        handler = self.handlers(self.context.client)
        if handler and not self.debug and isinstance(stream, GatewayStream) and (side := self.connections.get(server)):
            return shorten(handler, side, stream) or nowhere
        return nowhere

    def forget_closed(self) -> None:
        """Drop provider connections that are closed: where one could not be opened, mitmproxy would answer all requests
        to its address with that error, for ever."""
        for server in list(self.connections):
            closed = server.state is connection.ConnectionState.CLOSED
            if closed and server is not self.context.client and server not in self.waiting_for_establishment:
                del self.connections[server]
        self.used.intersection_update(self.connections)

    def let_go(self, server: connection.Connection) -> Commands:
        """Close a connection, and forget it. Of one through a proxy the tunnel's own has the socket: to close the inner
        one would close nothing, and what still came would be taken for the next attempt's."""
        if server not in self.connections:
            return
        if tunnel := self.tunnel_of(server):
            del self.connections[tunnel]
            server.state = connection.ConnectionState.CLOSED
        del self.connections[server]
        yield commands.CloseConnection(tunnel or server)

    def tunnel_of(self, server: connection.Connection) -> connection.Connection | None:
        """A connection's own one to its proxy; None where there is none."""
        side = self.connections[server]
        return next((one for one, other in self.connections.items() if other is side and one is not server), None)

    def make_room(self, command: GetHttpConnection) -> Commands:
        """Close tunnels that nobody uses before there are five to one proxy: mitmproxy has the next one wait then."""
        if any(command.connection_spec_matches(server) for server in self.connections):
            return
        tunnels = [one for one in self.connections if isinstance(one, connection.Server) and one.via == command.via]
        used = {stream.provider.open for stream in self.streams.values() if isinstance(stream, GatewayStream)}
        idle = [one for one in tunnels if one not in used and one not in self.waiting_for_establishment]
        for server in idle[: max(0, len(tunnels) + 1 - MOST_TUNNELS)]:
            yield from self.let_go(server)

    def prepare(self, command: GetHttpConnection, egress: Egress) -> None:
        """Have the connection that is being opened for this command trust the certificates of its way, its tunnel say
        who asks, and the provider behind that speak HTTP/1.1 (as `AttemptLoop` has it for those that are reached
        directly)."""
        for server, waiting in self.waiting_for_establishment.items():
            if any(one is command for one in waiting) and isinstance(server, connection.Server):
                tunnel = self.tunnel_of(server)
                if egress.ca_bundle:
                    trust_too(server, egress.ca_bundle)
                    if tunnel:
                        trust_too(tunnel, egress.ca_bundle)
                if egress.proxy:
                    server.alpn_offers = ALPN
                    bound_answer(self.connections[server])
                    if tunnel:
                        authorize(tunnel, egress.proxy)

    def is_forgotten(self, server: connection.Connection) -> bool:
        """Whether this connection was given up: nobody wants to hear of it any more."""
        return server not in self.connections and server is not self.context.server

    def forget_pending(self, command: GetHttpConnection) -> connection.Connection | None:
        """Forget a connection that nobody waits for any more. Returns the connection that is being opened for it."""
        self.command_sources.pop(command, None)
        for server, waiting in self.waiting_for_establishment.items():
            others = [other for other in waiting if other is not command]  # equal they are when their addresses are
            if len(others) < len(waiting):
                if others:
                    self.waiting_for_establishment[server] = others
                    return None  # another stream of this client waits for it too
                del self.waiting_for_establishment[server]
                return server
        return None

    def register_connection(self, command: RegisterHttpConnection) -> Commands:
        if command.connection in self.waiting_for_establishment:
            outermost = self.connections[command.connection]
            for tls in outermost.context.layers:
                if type(tls) is ServerTLSLayer:
                    tls.__class__ = ProviderTls
            *_, client, side = outermost.context.layers
            if isinstance(client, HttpClient) and isinstance(side, Http1Client):
                side.__class__ = ProviderSide  # mitmproxy has no place where a layer's class could be chosen
                side.state = side.read_headers  # methods that were taken from what it was before
                client._handle_event = side.handle_event  # noqa: SLF001  # as it does itself
                if outermost is client:
                    self.connections[command.connection] = side
            yield from super().register_connection(command)
