"""What `addons/proxy/` relies on inside mitmproxy, one test each: an upgrade that moves something fails by name.

Nothing of ours is tested here. The stream below is mitmproxy's own, with only a hole where a test looks in.
`./run.sh test --upstream` runs these tests with the newest mitmproxy there is.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock
from weakref import WeakKeyDictionary

import h11
import pytest
from h11._readers import Http10Reader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy import connection, flow, http, tls
from mitmproxy.addons.errorcheck import ErrorCheck
from mitmproxy.addons.maplocal import MapLocal
from mitmproxy.addons.mapremote import MapRemote
from mitmproxy.addons.modifybody import ModifyBody
from mitmproxy.addons.modifyheaders import ModifyHeaders
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.connection import ConnectionState
from mitmproxy.master import Master
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.options import Options
from mitmproxy.proxy import commands, events, layer, server, tunnel
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.layers.http import (
    DropStream,
    GetHttpConnection,
    GetHttpConnectionCompleted,
    HttpClient,
    HttpLayer,
    HTTPMode,
    HttpStream,
    SendHttp,
    _events,
)
from mitmproxy.proxy.layers.http._hooks import HttpRequestHook
from mitmproxy.proxy.layers.http._http1 import Http1Client, Http1Server
from mitmproxy.proxy.layers.http._upstream_proxy import HttpUpstreamProxy
from mitmproxy.proxy.layers.tls import ClientTLSLayer
from mitmproxy.proxy.mode_specs import ProxyMode, ReverseMode
from mitmproxy.test import taddons, tflow
from OpenSSL import SSL

from addons.proxy.hooks import AttemptHook, VerdictHook
from addons.state.exchange import Trying
from tests.proxy.playbook import Playbook
from tests.proxy.provider_bytes import LAST_CHUNK, STREAM_HEAD, chunk, error, head, stream
from tests.proxy.provider_bytes import events as event_bytes
from tests.proxy.stand_ins import StandIns, known

pytestmark = pytest.mark.upstream


class Plain(Playbook):
    """The driver with mitmproxy's own HTTP layer, or a subclass with a hole in its stream."""

    def __init__(self, make: Callable[[Context, int], HttpStream] = HttpStream) -> None:
        super().__init__()
        self.http: HttpLayer
        self.make = make
        self.on.clear()
        self.on["next_layer"] = self._install

    def _install(self, nextlayer: layer.NextLayer) -> None:
        make = self.make

        class Layer(HttpLayer):
            def make_stream(self, stream_id: int) -> layer.CommandGenerator[None]:
                self.streams[stream_id] = make(self.context.fork(), stream_id)
                yield from self.event_to_child(self.streams[stream_id], events.Start())

        nextlayer.layer = self.http = Layer(nextlayer.context, HTTPMode.transparent)

    @property
    def stream(self) -> HttpStream:
        (only,) = self.http.streams.values()
        return only


def context() -> Context:
    return Playbook().context


def trying() -> Trying:
    made = tflow.tflow()
    StandIns(time.monotonic).requestheaders(made)
    return Trying(made, known(made), known(made).begin())


class TestLayer:
    def test_a_command_whose_blocking_is_not_true_does_not_pause(self):
        """So a stream can wait for a connection by an event, while time limits go on."""
        heard: list[events.Event] = []

        class Waiting(layer.Layer):
            def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
                heard.append(event)
                if isinstance(event, events.Start):
                    command = GetHttpConnection(("one.test", 80), False, None)
                    command.blocking = self  # type: ignore[assignment]
                    yield command

        waiting = Waiting(context())
        assert len(list(waiting.handle_event(events.Start()))) == 1
        list(waiting.handle_event(events.Wakeup(commands.RequestWakeup(0))))
        assert len(heard) == 2
        assert GetHttpConnection.blocking is True

    def test_a_hook_pauses_and_what_comes_meanwhile_can_be_looked_at(self):
        class Asking(layer.Layer):
            def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
                yield AttemptHook(trying())

        asking = Asking(context())
        (hook,) = asking.handle_event(events.Start())
        late = events.Wakeup(commands.RequestWakeup(0))
        assert list(asking.handle_event(late)) == []
        assert list(asking._paused_event_queue) == [late]
        assert isinstance(hook, AttemptHook)
        (again,) = asking.handle_event(events.HookCompleted(hook))
        assert isinstance(again, AttemptHook), "the queue is worked off after the reply"

    def test_a_wakeup_is_a_reply_to_its_command(self):
        command = commands.RequestWakeup(3)
        assert events.Wakeup(command).command is command
        assert isinstance(events.Wakeup(command), events.CommandCompleted)
        assert {command: 1}[command] == 1

    def test_layers_stack_and_learn_their_place(self):
        where = context()
        stack = tunnel.LayerStack()
        stack /= ClientTLSLayer(where)
        stack /= (inner := HttpLayer(where, HTTPMode.transparent))
        outer = stack[0]
        assert isinstance(outer, ClientTLSLayer)
        assert outer.child_layer is inner
        assert where.fork().layers == where.layers
        assert where.fork().layers is not where.layers

    def test_next_layer_is_asked_with_the_first_bytes_and_one_layer_in_place(self):
        seen = []

        def next_layer(nextlayer: layer.NextLayer) -> None:
            seen.append((nextlayer.layer, nextlayer.data_client(), [*map(type, nextlayer.context.layers)]))
            nextlayer.layer = HttpLayer(nextlayer.context, HTTPMode.transparent)

        play = Playbook()
        play.on["next_layer"] = next_layer
        play.client_sends(b"GET ")
        assert seen == [(None, b"GET ", [modes.ReverseProxy])]
        assert starts_like_tls_record(b"\x16\x03\x01")
        mode = ProxyMode.parse("reverse:https://one.test")
        assert isinstance(mode, ReverseMode)
        assert mode.scheme == "https"

    def test_what_a_paused_layer_waits_for_can_be_another_command(self):
        """A stream whose hook was called in place goes on by a command of its own."""

        class Asking(layer.Layer):
            is_behind = False

            def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
                yield AttemptHook(trying())
                self.is_behind = True

        asking = Asking(context())
        list(asking.handle_event(events.Start()))
        assert asking._paused
        wait = commands.RequestWakeup(0)
        wait.blocking = asking
        asking._paused = asking._paused._replace(command=wait)
        woken = events.Wakeup(wait)
        woken.reply = None
        list(asking.handle_event(woken))
        assert asking.is_behind


class TestHooks:
    def test_a_hook_is_called_by_the_name_of_its_class(self):
        assert AttemptHook.name == "attempt"
        assert VerdictHook.name == "verdict"
        assert AttemptHook.blocking is True

    def test_any_addon_may_implement_it_async_too(self):
        called = []

        class Plainly:
            def attempt(self, data):
                called.append(("plainly", data))

        class Slowly:
            async def attempt(self, data):
                await asyncio.sleep(0)
                called.append(("slowly", data))

        async def run():
            with taddons.context(Plainly(), Slowly()) as tctx:
                await tctx.master.addons.handle_lifecycle(AttemptHook(data))

        data = trying()
        asyncio.run(run())
        assert called == [("plainly", data), ("slowly", data)]

    def test_a_new_hook_is_hashable_by_identity(self):
        """`command_sources` is keyed by commands."""
        data = trying()
        one, other = AttemptHook(data), AttemptHook(data)
        assert len({one, other}) == 2


class TestHttpLayer:
    def test_a_wakeup_goes_back_to_the_stream_that_asked_for_it(self):
        class Sleeping(HttpStream):
            woken = False

            def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
                if isinstance(event, events.Wakeup):
                    Sleeping.woken = True
                else:
                    yield from super()._handle_event(event)
                    if isinstance(event, _events.RequestEndOfMessage):
                        yield commands.RequestWakeup(5)

        play = Plain(Sleeping)
        play.client_asks()
        ((_, command),) = play.wakeups
        assert play.http.command_sources[command] is play.stream
        play.advance(5)
        assert Sleeping.woken
        assert command not in play.http.command_sources

    def test_streams_that_wait_for_a_connection_are_listed_by_it(self):
        play = Plain()
        play.answers_connects = False
        play.client_asks()
        ((opening, (command,)),) = play.http.waiting_for_establishment.items()
        assert opening is play.server(1).connection
        assert isinstance(command, GetHttpConnection)
        assert play.http.command_sources[command] is play.stream
        assert opening in play.http.connections
        play.server(1).connects()
        assert not play.http.waiting_for_establishment
        assert command not in play.http.command_sources

    def test_requests_for_a_connection_are_equal_by_value_and_hashed_by_identity(self):
        one, other = (GetHttpConnection(("one.test", 80), False, None) for _ in range(2))
        assert one == other
        assert len({one, other}) == 2

    def test_a_connection_is_answered_by_an_event_with_the_command_and_a_pair(self):
        seen: list[GetHttpConnectionCompleted] = []

        class Watching(HttpStream):
            def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
                if isinstance(event, GetHttpConnectionCompleted):
                    seen.append(event)
                yield from super().handle_event(event)

        play = Plain(Watching)
        play.client_asks()
        (event,) = seen
        assert isinstance(event.command, GetHttpConnection)
        assert event.reply == (play.server(1).connection, None)

    def test_a_connection_that_can_not_be_had_is_remembered(self):
        """Why `forget_closed` is there."""
        seen: list[object] = []

        class Insisting(HttpStream):
            def handle_protocol_error(self, event):
                seen.append(event.message)
                if len(seen) == 1:
                    yield from self.make_server_connection()

        play = Plain(Insisting)
        play.answers_connects = False
        play.client_asks()
        play.server(1).refuses()
        assert seen == ["Connection refused"] * 2
        assert len(play.servers) == 1

    def test_an_open_connection_to_the_same_address_is_used_again(self):
        play = Plain()
        for _ in range(2):
            play.client_asks()
            play.server(1).sends(error(500))
        assert len(play.servers) == 1
        assert list(play.http.connections) == [play.client, play.server(1).connection]

    def test_a_dropped_stream_is_forgotten_and_its_events_are_ignored(self):
        class Dropping(HttpStream):
            def state_wait_for_response_headers(self, event):
                yield DropStream(self.stream_id)

        play = Plain(Dropping)
        play.client_asks()
        play.server(1).sends(stream(event_bytes()))
        assert not play.http.streams

    def test_a_stream_is_made_here(self):
        assert list(inspect.signature(HttpLayer.make_stream).parameters) == ["self", "stream_id"]
        assert list(inspect.signature(HttpStream.__init__).parameters) == ["self", "context", "stream_id"]
        assert list(inspect.signature(HttpLayer.__init__).parameters) == ["self", "context", "mode"]
        play = Plain()
        play.client_asks()
        assert play.stream.mode is HTTPMode.transparent, "found in the context, one above the stream"

    def test_registering_a_connection_is_a_step_of_its_own(self):
        assert list(inspect.signature(HttpLayer.register_connection).parameters) == ["self", "command"]
        assert {"connection", "err"} <= {*http_layers.RegisterHttpConnection.__dataclass_fields__}


class TestTunnels:
    """Connections `via` a proxy, and TLS with other certificates (addons/proxy/egress.py)."""

    def through(self, host: str = "one.test") -> tuple[Plain, list[http.HTTPFlow]]:
        class Through(HttpStream):
            def make_server_connection(self):
                self.flow.request.host = host
                self.flow.server_conn.via = ("http", ("proxy.test", 3128))
                return (yield from super().make_server_connection())

        play, seen = Plain(Through), list[http.HTTPFlow]()
        play.on["http_connect_upstream"] = seen.append
        play.client_asks()
        return play, seen

    def test_a_connection_via_a_proxy_is_two_of_one_layer(self):
        play, _ = self.through()
        tunnel_connection, (inner,) = play.server(1).connection, play.http.waiting_for_establishment
        assert tunnel_connection.address == ("proxy.test", 3128)
        assert isinstance(inner, connection.Server)
        assert (inner.address, inner.via) == (("one.test", 80), ("http", ("proxy.test", 3128)))
        assert isinstance(side := play.http.connections[inner], HttpUpstreamProxy)
        assert play.http.connections[tunnel_connection] is side
        assert (len(side.buf), side.conn, side.tunnel_connection) == (0, inner, tunnel_connection)
        play.server(1).sends(b"HTTP/1.1 200 OK\r\n\r\n")
        assert inner.connected
        assert not play.http.waiting_for_establishment

    def test_the_connect_request_can_be_changed_before_it_is_sent(self):
        play, (flow,) = self.through()
        assert flow.server_conn is play.server(1).connection
        assert play.server(1).received.startswith(b"CONNECT one.test:80 HTTP/1.1\r\n")

    def test_an_address_of_ipv6_is_known_there(self):
        """mitmproxy 12.2 writes `::1:80`, 12.3 `[::1]:80`: `put_authorization` writes it anew."""
        _, (flow,) = self.through("::1")
        assert (flow.request.host, flow.request.port) == ("::1", 80)

    def test_an_addon_before_mitmproxys_may_begin_tls(self):
        own = TlsConfig()
        server_side = connection.Server(address=("one.test", 443))
        with taddons.context(own) as tctx:
            assert tctx.master.addons.get("tlsconfig") is own
            data = tls.TlsData(server_side, Context(tflow.tclient_conn(), tctx.options))
            own.tls_start_server(data)
            begun = data.ssl_conn
            assert begun
            begun.set_context(SSL.Context(SSL.TLS_CLIENT_METHOD))
            assert begun.get_verify_mode() == SSL.VERIFY_PEER, "what it has verified stays"
            own.tls_start_server(data)
            assert data.ssl_conn is begun, "a connection that is there is left alone"


class TestHttpStream:
    @pytest.mark.parametrize(
        "name",
        [
            "state_wait_for_request_headers",
            "state_consume_request_body",
            "state_wait_for_response_headers",
            "state_consume_response_body",
            "state_stream_response_body",
            "state_done",
            "state_errored",
            "start_response_stream",
            "send_response",
            "flow_done",
            "handle_protocol_error",
            "check_killed",
            "check_body_size",
        ],
    )
    def test_a_name_that_is_used_or_overridden(self, name):
        assert callable(getattr(HttpStream, name))

    def test_states_are_told_apart_by_equality(self):
        made = HttpStream(context(), 1)
        assert made.client_state == made.state_uninitialized
        assert made.server_state == made.state_uninitialized
        assert made.state_done != made.state_errored

    def test_after_the_request_head_the_body_is_awaited(self):
        play = Plain()
        play.client_sends(b"POST / HTTP/1.1\r\nHost: g\r\nContent-Length: 5\r\n\r\n")
        assert play.stream.client_state == play.stream.state_consume_request_body
        assert play.stream.server_state == play.stream.state_wait_for_response_headers
        assert play.stream.flow is play.flows[0]
        play.client_sends(b"abc")
        assert bytes(play.stream.request_body_buf) == b"abc"

    def test_one_hook_of_each_kind(self):
        play = Plain()
        play.client_asks()
        play.server(1).sends(error(500))
        assert play.hooks == ["requestheaders", "request", "responseheaders", "response"]

    def test_an_answer_is_sent_after_its_hook_and_ends_when_the_request_has(self):
        seen = []

        class Early(HttpStream):
            def state_consume_request_body(self, event):
                if isinstance(event, _events.RequestData):
                    self.flow.response = http.Response.make(401, b"no")
                    yield from self.send_response()
                    seen.append(self.server_state == self.state_done)
                else:
                    self.client_state = self.state_done
                    yield from self.flow_done()

        play = Plain(Early)
        play.client_sends(b"POST / HTTP/1.1\r\nHost: g\r\nContent-Length: 6\r\n\r\n", b"abc")
        assert seen == [True]
        assert play.hooks[-1] == "response"
        assert play.answers[0].status == 401
        assert play.http.streams
        play.client_sends(b"abc")
        assert not play.http.streams
        play.client_sends(b"POST / HTTP/1.1\r\nHost: g\r\nContent-Length: 6\r\n\r\n")
        assert len(play.flows) == 2

    def test_the_end_of_a_client_shows_in_the_queue_of_a_paused_stream(self):
        play = Plain()
        play.holds.add("request")
        play.client_asks()
        play.client_closes()
        assert [type(event) for event in play.stream._paused_event_queue] == [_events.RequestProtocolError]
        play.complete("request")
        assert play.ends == ["error"], "check_killed looks there"
        assert not play.servers

    def test_a_killed_flow_ends_at_the_next_look(self):
        play = Plain()
        play.on["request"] = lambda data: setattr(data, "error", flow.Error(flow.Error.KILLED_MESSAGE))
        play.client_asks()
        assert play.ends == ["error"]
        assert play.client_is_gone

    def test_the_last_state_takes_no_events(self):
        """Why `state_done` is overridden."""
        made = HttpStream(context(), 1)
        with pytest.raises(AssertionError, match="Unexpected event type"):
            list(made.state_done(_events.ResponseEndOfMessage(1)))

    def test_the_next_request_can_not_be_sent_while_the_last_response_ends(self):
        """Why every retry starts at a `Wakeup`."""

        class Hasty(HttpStream):
            def state_consume_response_body(self, event):
                if isinstance(event, _events.ResponseEndOfMessage):
                    server = self.context.server
                    yield SendHttp(_events.RequestHeaders(self.stream_id, self.flow.request, True), server)
                    yield SendHttp(_events.RequestEndOfMessage(self.stream_id), server)

        play = Plain(Hasty)
        play.client_asks()
        play.server(1).sends(error(429)[:-1], error(429)[-1:])
        assert play.server(1).received.count(b"POST ") == 2
        play.server(1).sends(error(429))
        assert play.server(1).given_up, "data from nowhere, mitmproxy thinks"

    def test_an_end_of_a_connection_is_a_protocol_error_of_its_stream(self):
        """Why connections that are given up are forgotten."""
        seen = []

        class Watching(HttpStream):
            def handle_protocol_error(self, event):
                seen.append(type(event))
                yield from ()

        play = Plain(Watching)
        play.client_asks()
        play.server(1).closes()
        assert seen == [_events.ResponseProtocolError]


class TestHttp1:
    def test_a_body_is_chunked_when_the_head_says_so(self):
        play = Plain()
        play.on["responseheaders"] = lambda flow: setattr(flow.response, "stream", True)
        play.client_asks()
        play.server(1).sends(STREAM_HEAD + chunk(b"abc"))
        assert play.sent_to_client.endswith(chunk(b"abc"))
        play.server(1).sends(LAST_CHUNK)
        assert play.sent_to_client.endswith(LAST_CHUNK)

    def test_a_connection_for_an_http_2_request_closes_after_it(self):
        class Claiming(HttpStream):
            def make_server_connection(self):
                self.flow.request.http_version = "HTTP/2.0"
                return (yield from super().make_server_connection())

        play = Plain(Claiming)
        play.client_asks()
        assert play.server(1).received.startswith(b"POST /v1/messages HTTP/1.1\r\n")
        play.server(1).sends(error(500))
        assert play.server(1).given_up

    def test_a_response_without_a_length_ends_with_its_connection(self):
        play = Plain()
        play.client_asks()
        play.server(1).sends(head(200) + b"abc")
        assert play.ends == []
        play.server(1).closes()
        assert play.answer.body == b"abc"

    def test_a_client_that_hangs_up_is_a_protocol_error_of_its_stream(self):
        seen = []

        class Watching(HttpStream):
            def handle_protocol_error(self, event):
                seen.append(type(event))
                yield from super().handle_protocol_error(event)

        play = Plain(Watching)
        play.client_asks()
        play.client_closes()
        assert seen[0] is _events.RequestProtocolError


def sides(play: Plain) -> tuple[HttpClient, Http1Client]:
    """mitmproxy's layers of the only provider connection."""
    client = play.http.connections[play.server(1).connection]
    assert isinstance(client, HttpClient)
    side = client.context.layers[-1]
    assert isinstance(side, Http1Client)
    return client, side


class TestHttp1Connection:
    """What addons/proxy/http1.py overrides and uses."""

    def test_the_class_of_a_provider_connection_can_be_changed(self, monkeypatch):
        """mitmproxy has no place where it could be chosen: `register_connection` changes it."""

        class Another(Http1Client):
            pass

        def register(self: HttpLayer, command: http_layers.RegisterHttpConnection) -> layer.CommandGenerator[None]:
            *_, client, side = self.connections[command.connection].context.layers
            assert isinstance(client, HttpClient)
            assert type(side) is Http1Client
            side.__class__ = Another
            side.state = side.read_headers
            client._handle_event = side.handle_event
            yield from original(self, command)

        original = HttpLayer.register_connection
        monkeypatch.setattr(HttpLayer, "register_connection", register)
        play = Plain()
        play.client_asks()
        assert type(sides(play)[1]) is Another
        play.server(1).sends(error(500))
        assert play.ends == ["response"]

    def test_a_provider_connection_handles_events_in_place_of_the_layer_around_it(self):
        play = Plain()
        play.client_asks()
        client, side = sides(play)
        assert client._handle_event == side.handle_event

    def test_what_has_come_is_in_a_buffer(self):
        play = Plain()
        play.client_asks()
        _, side = sides(play)
        play.server(1).sends(b"HTTP/1.1 200")
        assert isinstance(side.buf, ReceiveBuffer)
        assert (len(side.buf), bytes(side.buf)) == (12, b"HTTP/1.1 200")
        assert bytes(side.buf.maybe_extract_at_most(4) or b"") == b"HTTP"
        assert bytes(side.buf) == b"/1.1 200"
        assert side.state == side.read_headers

    def test_a_reader_of_h11_takes_a_body_from_the_buffer(self):
        play = Plain()
        play.client_asks()
        _, side = sides(play)
        play.server(1).sends(head(200, "content-length: 9") + b"abc")
        assert side.state == side.read_body
        side.buf += b"def"
        part = side.body_reader(side.buf)
        assert isinstance(part, h11.Data)
        assert part.data == b"def"
        with pytest.raises(h11.RemoteProtocolError):
            side.body_reader.read_eof()

    def test_a_body_without_a_length_has_a_reader_of_its_own(self):
        play = Plain()
        play.client_asks()
        _, side = sides(play)
        play.server(1).sends(head(200) + b"abc")
        assert isinstance(side.body_reader, Http10Reader)
        assert isinstance(side.body_reader.read_eof(), h11.EndOfMessage)

    def test_the_ends_of_request_and_response_are_marked(self):
        parameters = inspect.signature(Http1Client.mark_done).parameters
        assert {name: one.kind for name, one in parameters.items() if name != "self"} == {
            "request": inspect.Parameter.KEYWORD_ONLY,
            "response": inspect.Parameter.KEYWORD_ONLY,
        }
        play = Plain()
        play.client_asks()
        _, side = sides(play)
        assert (side.request_done, side.response_done) == (True, False)
        play.server(1).sends(error(500))
        assert (side.request_done, side.response_done) == (False, False)
        assert (side.request, side.response, side.stream_id) == (None, None, None)

    def test_a_client_connection_numbers_its_streams(self):
        play = Plain()
        side = Http1Server(play.context)
        assert side.stream_id == 1
        assert side.state == side.start

    @pytest.mark.parametrize("name", ["_handle_event", "read_headers", "read_body", "send", "done", "mark_done"])
    def test_a_name_that_is_used_or_overridden(self, name):
        assert callable(getattr(Http1Client, name))
        assert callable(getattr(Http1Server, name))


class Listening(server.SimpleConnectionHandler):
    """mitmproxy's server with a layer that only listens."""

    def __init__(self) -> None:
        writer = Mock(get_extra_info=lambda name, default=None: default)
        mode = ProxyMode.parse("reverse:http://one.test")
        super().__init__(Mock(), writer, context().options, mode, {})
        self.heard: list[events.Event] = []
        self.layer = Mock(handle_event=self.hear)

    def hear(self, event: events.Event) -> list[commands.Command]:
        self.heard.append(event)
        return []


class TestServer:
    """What the driver in tests/proxy/playbook.py copies."""

    def test_five_connections_to_an_address_and_no_more(self):
        assert Listening().max_conns["one.test", 80]._value == 5

    def test_a_closed_connection_is_closed_in_its_state_at_once(self):
        handler, task = Listening(), Mock()
        conn = connection.Server(address=("one.test", 80))
        conn.state = ConnectionState.OPEN
        handler.transports[conn] = server.ConnectionIO(handler=task)
        handler.close_connection(conn)
        assert conn.state is ConnectionState.CLOSED
        task.cancel.assert_called_once()

    def test_a_connect_that_is_cancelled_is_reported(self, monkeypatch):
        async def never(*args, **kwargs):
            await asyncio.Event().wait()

        async def run():
            task = asyncio.create_task(handler.open_connection(command))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

        monkeypatch.setattr(asyncio, "open_connection", never)
        handler = Listening()
        command = commands.OpenConnection(connection.Server(address=("one.test", 80)))
        asyncio.run(run())
        (event,) = handler.heard
        assert isinstance(event, events.OpenConnectionCompleted)
        assert event.reply == command.connection.error == "connection cancelled"
        assert command.connection.state is ConnectionState.CLOSED

    def test_protocols_that_are_set_before_are_offered(self):
        """Why `server_connect` has the last word about HTTP/2."""
        where = context()
        where.client.alpn_offers = (b"h2", b"http/1.1")
        conn = connection.Server(address=("one.test", 443), tls=True, alpn_offers=(b"http/1.1",))
        addon = TlsConfig()
        with taddons.context(addon) as tctx:
            tctx.configure(addon)
            addon.tls_start_server(data := tls.TlsData(conn, where))
        assert data.ssl_conn is not None
        assert conn.alpn_offers == (b"http/1.1",)

    def test_a_flow_can_be_a_weak_key(self):
        one, other = tflow.tflow(), tflow.tflow()
        assert len(WeakKeyDictionary({one: 1, other: 2})) == 2

    def test_the_listening_sockets_can_be_closed_while_connections_go_on(self):
        """Why nobody is let in at the end of a drain."""
        assert inspect.iscoroutinefunction(Proxyserver().servers.update)
        assert list(inspect.signature(Proxyserver().servers.update).parameters) == ["modes"]

    def test_events_of_a_client_take_turns_by_a_lock(self):
        handler = Listening()
        assert isinstance(handler._server_event_lock, asyncio.Lock)
        assert "_server_event_lock" in inspect.getsource(server.ConnectionHandler.server_event)

    def test_connections_are_known_by_the_ids_of_their_clients(self):
        proxyserver = Proxyserver()
        handler = Listening()
        proxyserver.connections[handler.client.id] = handler  # type: ignore[assignment]
        assert handler.transports == {} or set(handler.transports) == {handler.client}
        assert {"handler", "reader", "writer"} <= {*server.ConnectionIO.__dataclass_fields__}


class TestWhatIsSwitchedOff:
    """What addons/process/ knows of mitmproxy."""

    def test_the_types_of_a_messages_fields_are_checked(self):
        assert callable(http.MessageData.__post_init__)
        with pytest.raises(TypeError, match="Expected"):
            http.Response(b"HTTP/1.1", 200, b"OK", http.Headers(), None, None, "now", None)  # type: ignore[arg-type]

    def test_log_lines_go_to_the_addons(self):
        async def run() -> bool:
            master = Master(Options(), asyncio.get_running_loop())
            here = master._legacy_log_events in logging.getLogger().handlers
            master._legacy_log_events.uninstall()
            return here and master._legacy_log_events not in logging.getLogger().handlers

        assert asyncio.run(run())

    def test_an_error_that_is_logged_at_the_start_ends_the_process(self):
        """Why nobody is served before it no longer does."""
        check = ErrorCheck()
        assert isinstance(check.logger, logging.Handler)
        assert asyncio.iscoroutinefunction(check.shutdown_if_errored)
        check.finish()
        assert check.logger not in logging.getLogger().handlers

    def test_a_mode_is_one_object_for_one_text(self):
        """Why `transport_protocol` can be set on it: mitmproxy listens by the same object."""
        mode = ProxyMode.parse("reverse:https://one.test:1")
        assert mode is ProxyMode.parse("reverse:https://one.test:1")
        assert mode.transport_protocol == "both"

    def test_a_stream_reader_keeps_what_has_come_in_a_buffer(self):
        """Of asyncio: `LargeReads` takes the place of this class."""

        async def run() -> tuple[object, object, bytes]:
            reader: Any = asyncio.StreamReader()
            before = bytearray(reader._buffer), reader._eof
            for name in ("_wakeup_waiter", "_wait_for_data", "_maybe_resume_transport"):
                assert callable(getattr(reader, name))
            reader.__class__ = type("Other", (asyncio.StreamReader,), {})
            reader.feed_data(b"one")
            return *before, bytes(reader._buffer)

        assert asyncio.run(run()) == (bytearray(), False, b"one")


class TestHooksInPlace:
    """What addons/proxy/hook_dispatch.py knows of mitmproxy."""

    def test_the_addons_are_known_by_name_and_in_order(self):
        async def run() -> bool:
            addons = Master(Options(), asyncio.get_running_loop()).addons
            addons.add(addon := ErrorCheck())
            return addons.lookup["errorcheck"] is addon and addons.chain[-1] is addon

        assert asyncio.run(run())

    @pytest.mark.parametrize("addon", [MapLocal, MapRemote, ModifyBody, ModifyHeaders])
    def test_addons_that_replace_nothing_have_no_replacements(self, addon):
        assert addon().replacements == []

    def test_a_hook_has_its_argument_in_its_only_field(self):
        flow = tflow.tflow()
        assert list(vars(HttpRequestHook(flow)).values()) == HttpRequestHook(flow).args() == [flow]
