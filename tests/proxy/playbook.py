"""A driver for the attempt loop without sockets, tasks or time: events in, commands out, in any order.

`Playbook` stands where mitmproxy's server stands: it performs the commands as `mitmproxy.proxy.server` does
and hands the layer the events that follow from them. What addons decide is decided by `Playbook.on`, a function
a hook (tests/proxy/stand_ins.py), which a test may replace. Rules of this file, which are the server's:

- an event's commands are all performed before the next event: hooks run, connections open and end after it;
- closing changes a connection's state at once, its end arrives later as an event of its own;
- a wakeup can't be taken back;
- what is written to a closed connection goes nowhere.

Leaving the `with` block hangs up, lets everything that is pending happen and asserts what must hold for every
conversation: see `_check`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from operator import itemgetter
from types import TracebackType
from typing import Any, ClassVar, Self

import h11
from mitmproxy import connection, http
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import ConnectionState
from mitmproxy.options import Options
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.mode_specs import ProxyMode

from addons.proxy.attempt_loop import AttemptLoop
from addons.proxy.layer import GatewayLayer
from addons.proxy.stream import GatewayStream
from addons.state.attempt import Outcome, OutcomeKind
from addons.state.exchange import Exchange, exchange_of
from tests.exchanges import Clock
from tests.proxy.provider_bytes import encode, stream
from tests.proxy.provider_bytes import events as events_of
from tests.proxy.provider_side import LARGEST_HEAD, ProviderSide, plain, read_body
from tests.proxy.stand_ins import SECRET, StandIns
from tests.proxy.transports import Handler
from tests.received import Received


def reraise(error: Exception) -> layer.CommandGenerator[None]:
    """In place of what becomes of an exception in a connection."""
    yield from ()
    raise error


class Playbook:
    """One client connection to the gateway, and everything around it."""

    in_place: ClassVar[bool] = False
    """Hooks are called in place, as in mitmdump, and not by the server. (conftest.py has most tests go both ways.)"""

    short_way: bool = False
    """Running answers go the short way, where they can. (As above: with hooks in place, unless GATEWAY_SHORT_WAY says
    otherwise.)"""

    def __init__(self, *hosts: str, **settings: float) -> None:
        """`hosts`: of the targets, in order, port 80 each. `settings`: of `FailoverSettings`."""
        options = Options()
        Proxyserver().load(options)
        options.update(connection_strategy="lazy")
        self.clock = Clock()
        self.client = connection.Client(
            peername=("127.0.0.1", 50000),
            sockname=("127.0.0.1", 4000),
            proxy_mode=ProxyMode.parse("reverse:http://default.test"),
            state=ConnectionState.OPEN,
        )
        self.context = Context(self.client, options)
        self.handler = Handler(self)
        self.to_client = self.handler.opened(self.client)
        self.stand_ins = StandIns(self.clock, *hosts, **settings)
        self.on: dict[str, Callable[[Any], None]] = self.stand_ins.hooks() | {"next_layer": self._next_layer}
        """What happens in a hook. A test may put its own function there."""

        self.answers_connects = True
        """Connections open by themselves; else when a test says so (`ProviderSide.connects`, `refuses`)."""
        self.ends_promptly = True
        """The end of a closed connection arrives at once; else when a test says so (`ProviderSide.ends`)."""
        self.holds: set[str] = set()
        """Hooks that complete only when a test says so (`complete`)."""
        self.may_fail = False
        """An exception in the loop is what is tested: else it is the test's."""
        self.may_break = False
        """An answer may stop short: there is no other way to tell the client."""

        self.hooks: list[str] = []
        self.held: list[commands.StartHook] = []
        self.flows: list[http.HTTPFlow] = []
        self.ended: list[tuple[str, http.HTTPFlow]] = []
        self.own: list[tuple[str, http.HTTPFlow]] = []
        """The beginnings and the ends of the gateway's own requests."""
        self.servers: list[ProviderSide] = []
        self.sent_to_client = bytearray()
        self.wakeups: list[tuple[float, commands.RequestWakeup]] = []
        self.turns = 0
        """How often a stream has let the event loop do other things first."""
        self.client_is_gone = False
        self.hung_up = False
        """The client went by itself."""
        self.gateway: GatewayLayer
        self._wrongs: list[str] = []
        self._todo: deque[Callable[[], None]] = deque()
        self._settling = False
        self.layer: layer.Layer = modes.ReverseProxy(self.context)
        self.feed(events.Start())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._check()

    # What a test does

    def client_sends(self, *data: bytes) -> None:
        """Each piece arrives by itself."""
        for piece in data:
            self.feed(events.DataReceived(self.client, piece))

    def client_asks(
        self, text: str = "hi", *lines: str, stream: bool = True, path: str = "/v1/messages", version: str = "1.1"
    ) -> None:
        """A whole request, in one read, with these header lines besides the usual."""
        body = encode({"model": "m", "stream": stream, "messages": [{"role": "user", "content": text}]})
        head = (f"POST {path} HTTP/{version}", "Host: gateway", f"Content-Length: {len(body)}", *lines, "", "")
        self.client_sends("\r\n".join(head).encode() + body)

    def client_closes(self) -> None:
        """The client hangs up."""
        self.hung_up = True
        self.client.state &= ~ConnectionState.CAN_READ
        self._client_over()

    def server(self, number: int) -> ProviderSide:
        """The other end of the first, second … connection that the gateway has asked for."""
        return self.servers[number - 1]

    def advance(self, seconds: float, *, early: float = 0.0) -> None:
        """Let time pass. Timers fire `early` seconds too early, as real ones do by a hair."""
        until, woken = self.clock.now + seconds, 0
        while self.wakeups and (first := min(self.wakeups, key=itemgetter(0)))[0] <= until:
            self.wakeups.remove(first)
            woken += 1
            assert woken < 20_000, "a timer that never rests"
            self.clock.now = max(self.clock.now, first[0] - early)
            self.feed(events.Wakeup(first[1]))
        self.clock.now = max(self.clock.now, until)

    def complete(self, name: str) -> None:
        """Let a hook that was held back happen."""
        hook = next(hook for hook in self.held if hook.name == name)
        self.held.remove(hook)
        self._run_hook(hook)

    def succeeds(self, number: int) -> None:
        """The provider at that connection streams an answer, and that is what the client gets."""
        self.server(number).sends(stream(events_of("the answer")))
        assert (self.answers[-1].status, self.answers[-1].body) == (200, events_of("the answer"))

    # What a test looks at

    @property
    def answers(self) -> list[Received]:
        """What the client has got so far. Raises what its parser raises."""
        parser, found = h11.Connection(h11.CLIENT, LARGEST_HEAD), []
        if self.sent_to_client:  # to h11, no bytes are the end
            parser.receive_data(bytes(self.sent_to_client))
        if self.client.state is ConnectionState.CLOSED and not (self.hung_up or self.may_break):
            parser.receive_data(b"")
        for flow in self.flows:
            parser.send(h11.Request(method=flow.request.method, target="/", headers=[("host", "gateway")]))
            parser.send(h11.EndOfMessage())
            while isinstance(response := parser.next_event(), h11.InformationalResponse):
                pass
            if not isinstance(response, h11.Response):
                break
            body, complete = read_body(parser)
            found.append(Received(response.status_code, plain(response.headers), body, complete))
            if (parser.our_state, parser.their_state) != (h11.DONE, h11.DONE):
                break
            parser.start_next_cycle()
        return found

    @property
    def answer(self) -> Received:
        """The only answer."""
        (only,) = self.answers
        return only

    @property
    def under_way(self) -> GatewayStream:
        """The only request that is under way."""
        (only,) = self.gateway.streams.values()
        assert isinstance(only, GatewayStream)
        return only

    @property
    def ends(self) -> list[str]:
        """Which of `response` and `error` fired, in order."""
        return [name for name, _ in self.ended]

    @property
    def exchange(self) -> Exchange:
        """The state of the last request."""
        exchange = exchange_of(self.flows[-1])
        assert exchange
        return exchange

    @property
    def outcomes(self) -> list[OutcomeKind | None]:
        """How the attempts of the last request failed; None for one that didn't (yet)."""
        outcomes = [attempt.outcome for attempt in self.exchange.attempts]
        return [outcome.kind if outcome else None for outcome in outcomes]

    def failure(self, number: int) -> Outcome:
        """How the first, second … attempt of the last request failed."""
        outcome = self.exchange.attempts[number - 1].outcome
        assert outcome
        return outcome

    # What mitmproxy's server does

    def feed(self, event: events.Event) -> None:
        """One event, and everything that follows from it by itself."""
        for command in self.layer.handle_event(event):
            self._perform(command)
        if not self._settling:
            self._settling = True
            while self._todo:
                self._todo.popleft()()
            self._settling = False

    def _next_layer(self, nextlayer: layer.NextLayer) -> None:
        AttemptLoop(call_hook=self.call_in_place).next_layer(nextlayer)
        assert isinstance(nextlayer.layer, GatewayLayer)
        self.gateway = nextlayer.layer
        self.gateway.clock = self.clock
        self.gateway.handlers = lambda client: self.handler if self.short_way else None
        if not self.may_fail:
            self.gateway.failed = reraise  # type: ignore[method-assign]

    def _perform(self, command: commands.Command) -> None:
        match command:
            case commands.StartHook():
                self._start_hook(command)
            case commands.RequestWakeup() if command.blocking:  # a turn of the event loop
                self.turns += 1
                self._todo.append(lambda: self.feed(events.Wakeup(command)))
            case commands.RequestWakeup():
                self.wakeups.append((self.clock.now + command.delay, command))
            case commands.OpenConnection():
                self._never_after_the_client(command)
                server = ProviderSide(self, command)
                self.servers.append(server)
                if self.answers_connects:
                    self._todo.append(lambda: server.connects() if server.opening else None)
            case commands.SendData() if command.connection.state & ConnectionState.CAN_WRITE:
                if command.connection == self.client:
                    self.sent_to_client += command.data
                else:
                    self._never_after_the_client(command)
                    self._side(command).received += command.data
            case commands.CloseTcpConnection(half_close=True):
                command.connection.state &= ~ConnectionState.CAN_WRITE
            case commands.CloseConnection():
                self._close(command)
            case _:
                assert isinstance(command, commands.Log | commands.SendData)

    def call_in_place(self, hook: commands.StartHook) -> bool:
        """Do what a hook does, or leave it to the server."""
        if not self.in_place or hook.name in self.holds:
            return False
        self._note(hook)
        self.on.get(hook.name, lambda _: None)(*hook.args())
        return True

    def _note(self, hook: commands.StartHook) -> None:
        (data,) = hook.args()
        exchange = exchange_of(data) if isinstance(data, http.HTTPFlow) else None
        if exchange and exchange.own:  # the gateway's own request
            if hook.name in ("requestheaders", "response", "error"):
                self.own.append((hook.name, data))
        elif hook.name == "requestheaders":
            self.flows.append(data)
        elif hook.name in ("response", "error"):
            self.ended.append((hook.name, data))
        if hook.name != "next_layer":
            self.hooks.append(hook.name)

    def _start_hook(self, hook: commands.StartHook) -> None:
        self._note(hook)
        if hook.name in self.holds:
            self.held.append(hook)
        else:
            self._todo.append(lambda: self._run_hook(hook))

    def _run_hook(self, hook: commands.StartHook) -> None:
        (data,) = hook.args()
        self.on.get(hook.name, lambda _: None)(data)
        self.feed(events.HookCompleted(hook))

    def _close(self, command: commands.CloseConnection) -> None:
        before, command.connection.state = command.connection.state, ConnectionState.CLOSED
        if command.connection == self.client:
            if before & ConnectionState.CAN_READ:
                self._todo.append(self._client_over)
            return
        server = self._side(command)
        server.given_up = True
        if self.ends_promptly:
            self._todo.append(server.ends)

    def _client_over(self) -> None:
        self.client_is_gone = True
        self.feed(events.ConnectionClosed(self.client))

    def _side(self, command: commands.ConnectionCommand) -> ProviderSide:
        return next(server for server in self.servers if server.connection is command.connection)

    def _never_after_the_client(self, command: commands.ConnectionCommand) -> None:
        if self.client_is_gone:
            self._wrongs.append(f"after the client had gone: {command}")

    # What holds for every conversation

    def _check(self) -> None:
        answers = self.answers
        assert all(answer.complete for answer in answers[:-1]), "an answer inside another"
        over = len(self.ended) == len(self.flows) and not self.held
        if over and not (self.hung_up or self.may_break):
            assert [answer.complete for answer in answers] == [True] * len(self.flows)
        if not self.client_is_gone:
            self.client_closes()
        self.holds.clear()
        while self.held:
            self.complete(self.held[0].name)
        for server in self.servers:
            server.ends()
        self.advance(100_000)

        assert not self._wrongs
        ended = [id(flow) for _, flow in self.ended]
        assert sorted(ended) == sorted(map(id, self.flows)), "each request ends once, by response or error"
        own = [id(flow) for name, flow in self.own if name != "requestheaders"]
        assert sorted(own) == sorted(id(flow) for name, flow in self.own if name == "requestheaders")
        assert not self.gateway.own.sides
        assert not [flow for flow in (*self.flows, *(flow for _, flow in self.own)) if flow.live]
        assert SECRET.encode() not in self.sent_to_client
        assert not [flow for flow in self.flows if SECRET in repr(flow.get_state())], "a secret in a flow"
        assert not self.gateway.streams, "streams that nobody dropped"
        assert not self.gateway.alarms
        assert not self.gateway.waiting_for_establishment
        assert not self.gateway.command_sources
