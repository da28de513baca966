"""The attempt loop: a stream layer that can ask another provider before the client has been sent a byte of content.

Plain addon hooks can't try again with streaming kept, can't speak in silence and can't tell a client about a cut, so
`GatewayStream` takes the place of mitmproxy's `HttpStream` (layer.py puts it there). It owns when something is sent,
waited for, given up and closed. It decides nothing else: what is sent is decided by the addons in the `attempt` hook,
what happens after a failure by the `verdict` hook, how an answer is read by `AnswerReader`.

Rules that hold in this file:
- the client gets exactly one answer; exactly one of `response` and `error` fires for it;
- nothing is sent again from inside the event that ended the last response (the HTTP/1 connection is not reset yet at
  that point): a retry always starts at a `Wakeup`;
- a provider's connection that is given up is closed and forgotten, and what still comes of it is dropped, else its
  end would arrive as a protocol error of the next attempt;
- waiting for a connection doesn't pause the stream, so that time limits and pings work while it is opened;
- no task and no timer of its own: one pending `RequestWakeup` a client connection is (nearly always) enough.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from mitmproxy import connection, flow, http
from mitmproxy.net.http.http1 import connection_close
from mitmproxy.net.http.validate import validate_headers
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import (
    DropStream,
    GetHttpConnection,
    GetHttpConnectionCompleted,
    HttpStream,
    SendHttp,
)
from mitmproxy.proxy.layers.http._events import (
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook, HttpRequestHook, HttpResponseHeadersHook

from addons.proxy.framing import MAX_ERROR_BODY, decoded, frame_body, frame_stream, read_status, reason
from addons.proxy.hooks import AttemptHook, Commands, ResumeHook, VerdictHook
from addons.proxy.replies import MAX_REQUEST, error_response, too_large
from addons.proxy.request_head import on_the_wire
from addons.state.exchange import Attempt, Exchange, Outcome, OutcomeKind, Trying, exchange_of
from addons.wire.answer_reader import AnswerReader
from addons.wire.errors import ProviderError, error_event, error_type
from addons.wire.masking import mask_bytes, mask_text

if TYPE_CHECKING:
    from addons.proxy.layer import GatewayLayer

DISCARD_SECONDS = 10.0
"""How long the rest of a refused request's body is read and thrown away before the connection is closed."""

MOST_PARTS = 1000
"""Pieces of a body that are kept as they came: those of a large one are up to 256 KB each, but some clients trickle."""

AWAIT_END = 2.0
"""Seconds that a provider has, after its last event, to end the response and so keep its connection."""

PING = b'event: ping\ndata: {"type": "ping"}\n\n'


class GatewayStream(HttpStream):
    """One client request and all its attempts."""

    def __init__(self, context: Context, stream_id: int, gateway: GatewayLayer) -> None:
        super().__init__(context, stream_id)
        self.gateway = gateway
        self.exchange: Exchange | None = None
        self.over = False
        self.body_parts: list[bytes] = []
        """What has come of the client's body, and how many bytes that is."""
        self.body_size = 0
        self.connecting: GetHttpConnection | None = None
        self.provider: connection.Connection | None = None
        """The connection of the running attempt."""
        self.held = bytearray()
        """Events of the provider that came before any content."""
        self.early_head: http.Response | None = None
        """The 200 that was sent to the client before any provider had answered."""
        self.streaming = False
        """The client has the head of a stream."""
        self.relayed: AnswerReader | None = None
        """What reads the answer that the client is being sent."""
        self.fed: bytes | None = None
        """What it made of the event that is being handled."""
        self.chunked = False
        """What the client is sent goes into chunks of HTTP/1.1."""
        self.closes = False
        """The client wants its connection closed after this answer."""
        self.stores: bool = context.options.store_streamed_bodies
        self.answer_timeout = self.ping_interval = 0.0
        """Of the configuration, for every event of an answer."""
        # What this stream waits for, in monotonic seconds; infinite: nothing.
        self.retry_at = math.inf
        self.give_up_at = math.inf
        self.hold_until = math.inf
        self.ping_at = math.inf
        self.discard_until = math.inf

    # Events

    def handle_event(self, event: events.Event) -> Commands:
        """Events of an answer go right through. Hooks are called where they are raised, as far as they can be."""
        if self.relayed and type(event) is ResponseData and not self._paused and not self.debug:
            out = self.relayed.feed(event.data)
            if not self.relayed.error and not self.relayed.finished:
                if out:
                    yield from self.say(out)
                if self.relayed.spoke:
                    self.give_up_at = self.in_seconds(self.answer_timeout)
                return
            self.fed = out
        if self._paused and isinstance(event, events.Wakeup) and event.command is self._paused.command:
            event.reply = None
        for command in super().handle_event(event):
            # (Hooks of a child layer, a WebSocket's, are waited for by that layer.)
            is_own = self.child_layer is None
            if is_own and isinstance(command, commands.StartHook) and self.gateway.call_hook(command):
                yield from self.hook_called(command)
            else:
                yield command

    def hook_called(self, hook: commands.StartHook) -> Commands:
        """Go on behind the hook."""
        assert self._paused
        wait: commands.Command
        if self.flow.intercepted:
            wait = ResumeHook(self.flow)
        elif isinstance(hook, HttpRequestHook) and self.gateway.relaying:
            # The one long stretch of a request's life: what has come for running answers in the meantime goes first.
            wait = commands.RequestWakeup(0)
        else:
            yield from self.handle_event(events.HookCompleted(hook))
            return
        wait.blocking = self  # as mitmproxy's `Layer.handle_event` does
        self._paused = self._paused._replace(command=wait)
        yield wait

    def _handle_event(self, event: events.Event) -> Commands:
        if self.over:
            return  # it was queued while the last hook ran
        if isinstance(event, events.Wakeup):
            yield from self.tick()
        elif isinstance(event, GetHttpConnectionCompleted):
            yield from self.connected(event)
        elif isinstance(event, RequestHeaders):
            # Asked now: no header of the client's stays on the flow.
            self.closes = connection_close(event.request.http_version, event.request.headers)
            yield from super()._handle_event(event)
            if self.client_state == self.state_consume_request_body:
                self.exchange = exchange_of(self.flow)
                if self.exchange:
                    settings = self.exchange.config.failover
                    self.answer_timeout, self.ping_interval = settings.answer_timeout, settings.ping_interval
                if self.flow.response:
                    yield from self.answer_at_once()
        else:
            yield from super()._handle_event(event)

    def tick(self) -> Commands:
        """Something that was waited for is due (or was: an alarm can be older than its reason)."""
        now = self.gateway.clock() + 0.001  # a timer may fire a hair early
        if now >= self.discard_until:
            self.rest()
            yield commands.CloseConnection(self.context.client)
            return
        if now >= self.retry_at:
            self.retry_at = math.inf
            yield from self.attempt()
        elif now >= self.give_up_at:
            self.give_up_at = math.inf
            if self.server_state == self.state_relay_events:
                yield from self.cut("said nothing for too long")
            else:
                yield from self.failed("timeout", "the provider did not answer in time", status=504)
        if now >= self.hold_until:
            self.hold_until = math.inf
            yield from self.start_early()
        elif now >= self.ping_at:
            yield from self.say(PING)
        yield from self.arm()

    def arm(self) -> Commands:
        """See to it that `tick` is called when the next thing is due."""
        due = min(self.retry_at, self.give_up_at, self.hold_until, self.ping_at, self.discard_until)
        if due < math.inf and (alarm := self.gateway.alarm(due)):
            yield alarm

    def in_seconds(self, limit: float) -> float:
        """The time at which a limit is over; 0 is no limit."""
        return self.gateway.clock() + limit if limit else math.inf

    def rest(self) -> None:
        """Nothing more is waited for."""
        self.relayed = None
        self.gateway.relaying.discard(self)
        self.retry_at = self.give_up_at = self.hold_until = self.ping_at = self.discard_until = math.inf

    # The client's side

    def state_consume_request_body(self, event: events.Event) -> Commands:
        if isinstance(event, RequestEndOfMessage):
            self.flow.request.timestamp_end = time.time()
            self.flow.request.data.content = b"".join(self.body_parts)
            self.body_parts.clear()
            self.client_state = self.state_done
            yield HttpRequestHook(self.flow)
            if (yield from self.check_killed(True)):
                return
            if self.exchange is None and self.flow.response is None:
                self.flow.response = error_response(500, "the gateway lost track of this request, see its log")
            if self.flow.response:
                self.flow.response.timestamp_start = time.time()
                yield HttpResponseHeadersHook(self.flow)
                if (yield from self.check_killed(True)):
                    return
                yield from self.send_response()
                return
            if self.exchange and self.exchange.stream and not self.flow.request.http_version.startswith("HTTP/1.0"):
                self.hold_until = self.gateway.clock() + self.exchange.config.failover.hold
            yield from self.attempt()
        elif isinstance(event, RequestData):
            self.body_parts.append(event.data)
            self.body_size += len(event.data)
            if len(self.body_parts) > MOST_PARTS:
                self.body_parts = [b"".join(self.body_parts)]
            if self.body_size > MAX_REQUEST:
                self.body_parts.clear()
                self.flow.response = too_large(self.exchange.request_id if self.exchange else None)
                yield from self.answer_at_once()
        else:
            yield from super().state_consume_request_body(event)

    def answer_at_once(self) -> Commands:
        """Answer before the body was read. What comes of the body is thrown away as it comes, so that the client,
        which may still be writing, gets to read the answer."""
        assert self.flow.response
        self.flow.request.data.content = b""
        self.flow.response.timestamp_start = time.time()
        self.client_state = self.state_discard_request_body
        self.discard_until = self.gateway.clock() + DISCARD_SECONDS
        yield from self.send_response()
        yield from self.arm()

    def state_discard_request_body(self, event: events.Event) -> Commands:
        if isinstance(event, RequestEndOfMessage):
            self.discard_until = math.inf
            self.client_state = self.state_done
            if self.server_state == self.state_done:
                yield from self.flow_done()

    def flow_done(self) -> Commands:
        yield from super().flow_done()
        if self.child_layer is None:
            self.let_go()

    def let_go(self) -> None:
        """This was the last of it. A stream is a cycle of references (its states are methods of it): with its flow
        still in it, whole conversations would wait for the garbage collector."""
        self.over = True
        self.exchange = None
        del self.flow

    def check_body_size(self, request: bool) -> layer.CommandGenerator[bool]:
        """mitmproxy's own limits send a body on before the plan is known; `MAX_REQUEST` takes their place."""
        yield from ()
        return False

    def check_killed(self, emit_error_hook: bool) -> layer.CommandGenerator[bool]:
        """Somebody has killed the flow, or the client hung up while this stream was paused (the event that says so is
        in the queue): then this was the last that was done for it."""
        killed = yield from super().check_killed(emit_error_hook)
        if killed:
            self.rest()
            yield from self.abandon()
            yield DropStream(self.stream_id)
            self.let_go()
        return killed

    def client_hung_up(self, event: RequestProtocolError) -> Commands:
        """Nobody is listening: nothing more is sent to anybody, and the provider stops generating."""
        self.rest()
        yield from self.abandon()
        over = (self.state_done, self.state_errored)
        if self.server_state not in over and self.client_state != self.state_errored:
            self.flow.error = flow.Error(event.message)
            yield HttpErrorHook(self.flow)
        self.client_state = self.server_state = self.state_errored
        self.flow.live = False
        yield DropStream(self.stream_id)
        self.let_go()

    # Sending

    def attempt(self) -> Commands:
        """Ask the target that is next."""
        exchange = self.exchange
        assert exchange
        attempt = exchange.begin()
        self.server_state = self.state_connecting
        yield AttemptHook(Trying(self.flow, exchange, attempt))
        if (yield from self.check_killed(True)):
            return
        if attempt.skip:
            yield from self.fail(attempt, Outcome("skipped", attempt.skip, complete=True))
            return
        if self.flow.response:  # an addon knows the answer
            self.rest()
            if self.streaming:
                yield from self.fail_early_stream(read_status(self.flow.response))
            else:
                yield from self.send_response()
            return
        request = self.flow.request
        if attempt.draft is not None:
            request.data.content = attempt.draft.encode()
        request.headers.pop("transfer-encoding", None)
        if request.raw_content or "content-length" in request.headers or request.method == "POST":
            request.headers["content-length"] = str(len(request.raw_content or b""))
        settings = exchange.config.failover
        self.give_up_at = self.in_seconds(settings.first_byte_timeout if exchange.stream else settings.answer_timeout)
        self.gateway.forget_closed()
        self.connecting = GetHttpConnection(
            (request.host, request.port),
            request.scheme == "https",
            self.flow.server_conn.via,
            self.flow.server_conn.transport_protocol,
        )
        # Only `True` pauses a layer; any other true value asks for the reply as an event.
        self.connecting.blocking = self  # type: ignore[assignment]  # declared so by Command, narrowed by mistake
        yield self.connecting
        yield from self.arm()

    def connected(self, event: GetHttpConnectionCompleted) -> Commands:
        """A connection is there, or can't be had: send the request."""
        if event.command is not self.connecting:
            return  # of an attempt that was given up
        self.connecting = None
        server, error = event.reply
        if error or server is None:
            yield from self.failed("connect", f"could not connect to the provider: {error}", complete=True)
            return
        exchange, attempt, request = self.exchange, self.current(), self.flow.request
        assert exchange and isinstance(server, connection.Server)
        self.context.server = self.flow.server_conn = server
        self.provider = server
        attempt.reused = server in self.gateway.used
        self.gateway.used.add(server)
        self.server_state = self.state_wait_for_response_headers
        content = request.raw_content
        head = on_the_wire(request, attempt.credential)
        yield SendHttp(RequestHeaders(self.stream_id, head, not content), server)
        if content:
            yield SendHttp(RequestData(self.stream_id, content), server)
        yield SendHttp(RequestEndOfMessage(self.stream_id), server)

    def state_connecting(self, event: events.Event) -> Commands:
        """Between the attempts, or waiting for a connection: no provider has anything to say. What still comes was in
        the same read of the socket as the end of the last attempt."""
        yield from ()

    def state_done(self, event: events.Event) -> Commands:
        """The same after the last attempt; the base class would raise."""
        yield from ()

    # Receiving

    def state_wait_for_response_headers(self, event: events.Event) -> Commands:
        if not isinstance(event, ResponseHeaders):
            return
        attempt = self.current()
        response = self.flow.response = event.response
        attempt.status = response.status_code
        self.free_head(response)
        if attempt.target and response.status_code < 200:
            yield from self.failed("invalid", f"answered {response.status_code}")  # 101: nobody asked for an upgrade
            return
        try:
            validate_headers(response)
        except ValueError as error:
            yield from self.failed("invalid", f"the provider's response is not valid HTTP: {error}")
            return
        yield HttpResponseHeadersHook(self.flow)
        if (yield from self.check_killed(True)):
            return
        if attempt.target is None:
            self.give_up_at = math.inf
            if event.end_stream:
                self.server_state = self.state_consume_response_body
            else:
                response.stream = True
                yield from self.start_response_stream()
        elif attempt.answer:
            self.server_state = self.state_read_answer
        elif attempt.outcome:
            yield from self.fail(attempt, attempt.outcome)
        else:
            self.server_state = self.state_read_error

    def state_read_error(self, event: events.Event) -> Commands:
        """A status that is no success: the verdict sees the whole error."""
        if isinstance(event, ResponseData):
            self.response_body_buf += event.data
            if len(self.response_body_buf) > MAX_ERROR_BODY:
                yield from self.failed("invalid", "the provider answered with an endless error")
        elif isinstance(event, ResponseEndOfMessage):
            assert self.flow.response
            body = decoded(self.flow.response, bytes(self.response_body_buf))
            self.flow.response.data.content = mask_bytes(body, self.current_exchange().secrets())
            self.response_body_buf.clear()
            error = read_status(self.flow.response)
            yield from self.fail(self.current(), Outcome("status", error, self.provider_headers(), complete=True))

    def state_read_answer(self, event: events.Event) -> Commands:
        """A success that may still turn out to be none: hold it back until there is content."""
        attempt, answer = self.current(), self.current().answer
        assert answer and self.exchange
        if isinstance(event, ResponseData):
            self.held += answer.feed(event.data)
        elif isinstance(event, ResponseEndOfMessage):
            self.held += answer.end()
        else:
            return
        if attempt.first_event is None and answer.started:
            attempt.first_event = self.gateway.clock()
        ended = isinstance(event, ResponseEndOfMessage)
        if answer.finished and not answer.error and not self.exchange.stream and not ended:
            self.held += answer.end()  # a stream, for a client that wants JSON: HTTP's own end may be long in coming
            yield from self.abandon()
        if answer.error and not answer.content:
            kind: OutcomeKind = "invalid" if answer.error.status == 502 else "error event"
            yield from self.fail(attempt, Outcome(kind, answer.error, self.provider_headers(), complete=ended))
        elif answer.body is not None and not self.exchange.stream:
            yield from self.finish_body(answer.body)
        elif answer.content and self.exchange.stream:
            yield from self.start_events()
            if answer.error:
                yield from self.cut(answer.error.message, answer.error)
            elif ended:
                yield from self.finish_events()
            else:
                yield from self.await_more(answer)
        elif answer.started and self.exchange.stream and isinstance(event, ResponseData) and answer.spoke:
            self.give_up_at = self.in_seconds(self.answer_timeout)

    def state_relay_events(self, event: events.Event) -> Commands:
        """The first content is out: this provider's answer is the client's, to its end."""
        answer = self.current().answer
        assert answer and self.exchange
        if isinstance(event, ResponseData):
            out, self.fed = answer.feed(event.data) if self.fed is None else self.fed, None
            if out:
                yield from self.say(out)
            if answer.error:
                yield from self.cut(answer.error.message, answer.error)
            elif answer.spoke:
                yield from self.await_more(answer)
        elif isinstance(event, ResponseEndOfMessage):
            if out := answer.end():
                yield from self.say(out)
            if answer.error:
                yield from self.cut(answer.error.message, answer.error, complete=True)
            else:
                yield from self.finish_events()

    # Answering the client

    def finish_body(self, body: bytes) -> Commands:
        """The whole JSON answer is here."""
        assert self.flow.response
        self.rest()
        self.provider = None
        self.current().ended = self.gateway.clock()
        self.response_body_buf.clear()
        self.flow.response.data.content = body
        self.flow.response.headers["content-type"] = "application/json"  # also where the provider streamed
        frame_body(self.flow.response)
        yield from self.send_response()

    def send_response(self, already_streamed: bool = False) -> Commands:
        """mitmproxy sends the body of an answer that an addon has made also when HEAD asked for none."""
        assert self.flow.response
        if self.flow.request.method == "HEAD":
            self.flow.response.data.content = b""
        if self.closes:
            self.flow.response.headers["connection"] = "close"
        yield from super().send_response(already_streamed)

    def start_early(self) -> Commands:
        """Nobody has answered for `hold` seconds: give the client its 200 and a ping. Failover stays possible."""
        if self.streaming or self.server_state in (self.state_done, self.state_errored):
            return
        self.early_head = http.Response.make(200, b"", {"content-type": "text/event-stream; charset=utf-8"})
        self.early_head.headers["cache-control"] = "no-cache"
        if self.exchange and self.exchange.request_id:
            self.early_head.headers["request-id"] = self.exchange.request_id
        yield from self.start_stream(self.early_head)
        yield from self.say(PING)

    def start_stream(self, head: http.Response) -> Commands:
        self.streaming = True
        frame_stream(head, self.flow.request)
        self.chunked = "transfer-encoding" in head.headers
        if self.closes:
            head.headers["connection"] = "close"
        yield SendHttp(ResponseHeaders(self.stream_id, head, end_stream=False), self.context.client)

    def start_events(self) -> Commands:
        """The first content: from here on the answer is the client's."""
        assert self.flow.response and self.exchange
        self.hold_until = math.inf
        self.flow.response.stream = True
        self.server_state = self.state_relay_events
        if not self.streaming:
            yield from self.start_stream(self.flow.response)
        data = bytes(self.held)
        self.held.clear()
        yield from self.say(data)
        self.relayed = self.current().answer
        self.gateway.relaying.add(self)

    def await_more(self, answer: AnswerReader) -> Commands:
        """More is to come: another event, or only HTTP's own end."""
        self.give_up_at = self.in_seconds(AWAIT_END if answer.finished else self.answer_timeout)
        if answer.finished:
            self.ping_at = math.inf  # nothing follows message_stop
        yield from self.arm()

    def say(self, data: bytes) -> Commands:
        """Send the client whole events."""
        self.ping_at = self.in_seconds(self.ping_interval)
        if self.stores:
            self.response_body_buf += data
        if data and self.chunked:  # what the client's side would make of it, in one layer less
            yield commands.SendData(self.context.client, b"%x\r\n%b\r\n" % (len(data), data))
        elif data:
            yield SendHttp(ResponseData(self.stream_id, data), self.context.client)

    def finish_events(self) -> Commands:
        """The stream is at its end, a good one or one with an error event."""
        assert self.flow.response
        self.rest()
        self.provider = None
        self.current().ended = self.gateway.clock()
        if self.stores:
            self.flow.response.data.content = bytes(self.response_body_buf)
            self.response_body_buf.clear()
        yield from self.send_response(already_streamed=True)

    def cut(self, why: str, error: ProviderError | None = None, *, complete: bool = False) -> Commands:
        """The provider broke off after content went out: no second provider, the client is told and the response
        ends properly. Claude Code repairs it by asking again with `stream: false`."""
        attempt = self.current()
        if not complete:
            yield from self.abandon()
        answer = attempt.answer
        if not error and answer and not answer.finished and (out := answer.end()):
            yield from self.say(out)  # all was said, only the end of the stream is missing
        if error or not (answer and answer.finished):  # else only HTTP's own end is missing
            error = self.freed(error or ProviderError(502, "api_error", f"the provider {why}"))
            attempt.outcome = Outcome("dropped", error, complete=complete)
            yield from self.say(error_event(error, self.exchange.request_id if self.exchange else None))
        yield from self.finish_events()

    # Failing

    def failed(self, kind: OutcomeKind, why: str, *, status: int = 502, complete: bool = False) -> Commands:
        """This attempt is over and the client has no content of it."""
        error = ProviderError(status, error_type(status), why)
        yield from self.fail(self.current(), Outcome(kind, error, self.provider_headers(), complete))

    def fail(self, attempt: Attempt, outcome: Outcome) -> Commands:
        exchange = self.exchange
        assert exchange
        outcome = replace(outcome, error=self.freed(outcome.error))
        attempt.outcome = outcome
        attempt.ended = self.gateway.clock()
        self.give_up_at = math.inf
        self.server_state = self.state_connecting
        if outcome.complete:
            self.provider = None
        else:
            yield from self.abandon()
        self.held.clear()
        self.response_body_buf.clear()
        if outcome.kind != "status":
            self.flow.response = None  # at most the head of something that never came
        yield VerdictHook(Trying(self.flow, exchange, attempt))
        if (yield from self.check_killed(True)):
            return
        verdict = exchange.verdict
        if verdict and verdict.again:
            self.flow.response = self.flow.error = None
            self.retry_at = self.gateway.clock() + verdict.delay
            yield from self.arm()
            return
        error = verdict.error if verdict and verdict.error else outcome.error
        if self.streaming:
            yield from self.fail_early_stream(error)
            return
        self.rest()
        if self.flow.response is None or verdict is None:
            self.flow.response = error_response(error.status, error.message, exchange.request_id)
        frame_body(self.flow.response)
        yield from self.send_response()

    def fail_early_stream(self, error: ProviderError) -> Commands:
        """The client has got its 200 already: tell it in the stream."""
        self.flow.response = self.early_head
        yield from self.say(error_event(error, self.exchange.request_id if self.exchange else None))
        yield from self.finish_events()

    def handle_protocol_error(self, event: RequestProtocolError | ResponseProtocolError) -> Commands:
        if isinstance(event, RequestProtocolError):
            yield from self.client_hung_up(event)
        elif self.server_state == self.state_relay_events:
            yield from self.cut("broke off in the middle of its answer")
        elif self.server_state in (
            self.state_wait_for_response_headers,
            self.state_read_error,
            self.state_read_answer,
        ):
            yield from self.failed("dropped", f"the provider's connection broke: {reason(event.message)}")
        elif self.server_state in (self.state_consume_response_body, self.state_stream_response_body):  # relayed
            yield from super().handle_protocol_error(event)

    def abandon(self) -> Commands:
        """Give up the running attempt's connection, established or not."""
        server = self.provider
        if self.connecting:
            server = self.gateway.forget_pending(self.connecting)
            self.connecting = None
        self.provider = None
        if server and self.gateway.connections.pop(server, None):
            yield commands.CloseConnection(server)

    # What a provider repeats of a credential goes no further

    def free_head(self, response: http.Response) -> None:
        """Mask secrets in the reason and the header values."""
        secrets, data = self.current_exchange().secrets(), response.data
        data.reason = mask_bytes(data.reason, secrets)
        whole = b"\n".join(value for _, value in data.headers.fields)
        if mask_bytes(whole, secrets) != whole:
            data.headers.fields = tuple((name, mask_bytes(value, secrets)) for name, value in data.headers.fields)

    def freed(self, error: ProviderError) -> ProviderError:
        """The error without anything that is, or looks like, a credential in its words."""
        return replace(error, message=mask_text(error.message, self.current_exchange().secrets()))

    def current_exchange(self) -> Exchange:
        assert self.exchange
        return self.exchange

    def current(self) -> Attempt:
        assert self.exchange and self.exchange.attempts
        return self.exchange.attempts[-1]

    def provider_headers(self) -> dict[str, str]:
        """The provider's response headers, lower-case."""
        response = self.flow.response
        return {k.lower(): v for k, v in response.headers.items()} if response else {}
