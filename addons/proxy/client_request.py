"""The client's side of a stream: its request is read, refused or handed on, its answer is ended, and it may hang up.

Rules that hold in this file:
- a body is kept as it came, up to `limits.BODY` bytes; what comes of a refused one is thrown away;
- exactly one of `response` and `error` fires for a request;
- a stream that is over holds nothing of its request.
"""

from __future__ import annotations

import math
import time

from mitmproxy import flow, http
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import DropStream, SendHttp
from mitmproxy.proxy.layers.http._events import (
    RequestData,
    RequestEndOfMessage,
    RequestProtocolError,
    ResponseData,
    ResponseHeaders,
)
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook, HttpRequestHook, HttpResponseHeadersHook

from addons.proxy.client_answer import ClientAnswer
from addons.proxy.deadlines import Deadlines
from addons.proxy.fail_closed import is_broken
from addons.proxy.header_lines import value_of
from addons.proxy.hooked_stream import HookedStream
from addons.proxy.hooks import Commands
from addons.proxy.recorder import Recorder
from addons.proxy.replies import error_response, no_room, too_large, too_slow, with_cookie
from addons.proxy.stream_layer import StreamLayer
from addons.state.attempt import Attempt
from addons.state.exchange import Exchange
from addons.wire import limits
from addons.wire.masking import mask

LOOK_FOR_ROOM = 0.1
"""Seconds between looks at whether there is room for a body."""

LOOK_AT_PACE = 1.0
"""Seconds between looks at whether a large body comes fast enough."""

MOST_PARTS = 1000
"""Pieces of a body that are kept as they came: those of a large one are up to 64 KB each, but some clients trickle."""


class ClientStream(HookedStream):
    """A stream that reads a client's request and ends its answer; what happens in between is its subclass's."""

    def __init__(self, context: Context, stream_id: int, gateway: StreamLayer, recorder: Recorder) -> None:
        super().__init__(context, stream_id, gateway)
        self.recorder = recorder
        self.deadlines = Deadlines(gateway.clock, gateway.alarm)
        self.client = ClientAnswer(context, stream_id, self.deadlines, recorder)
        self.exchange: Exchange | None = None
        self.over = False
        self.body_parts: list[bytes] = []
        """What has come of the client's body, and how many bytes that is."""
        self.body_size = 0
        self.room_due = math.inf
        """When a client that waits for room for its body is told that there is none."""
        self.room_since = -math.inf
        """When a large body got its room."""

    def attempt(self) -> Commands:
        """Ask a provider: the request is whole, and no addon has answered it."""
        raise NotImplementedError

    def give_up(self) -> Commands:
        """Wait for nothing any more, and let go of the provider: nobody wants an answer."""
        raise NotImplementedError

    def break_off(self) -> Commands:
        """Give up, and tell the client: a handler of ours has failed."""
        raise NotImplementedError

    def ends_at(self, hook: commands.StartHook) -> layer.CommandGenerator[bool]:
        """Call a hook. Returns whether it was the end of this request."""
        yield hook
        if (yield from self.check_killed(True)):
            return True
        if is_broken(self.flow):
            yield from self.break_off()
            return True
        return False

    def state_consume_request_body(self, event: events.Event) -> Commands:
        if isinstance(event, RequestEndOfMessage):
            self.flow.request.timestamp_end = time.time()
            self.flow.request.data.content = b"".join(self.body_parts)
            self.body_parts.clear()
            self.client_state = self.state_done
            self.deadlines.room = math.inf
            if self.exchange:
                self.recorder.begin(self.exchange, self.flow.request)
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
                self.deadlines.hold = self.gateway.clock() + self.exchange.config.failover.hold
            yield from self.attempt()
        elif isinstance(event, RequestData):
            self.body_parts.append(event.data)
            self.body_size += len(event.data)
            if self.room_due < math.inf:
                self.gateway.read_client(False)  # asyncio reads again once what has come is taken
            if len(self.body_parts) > MOST_PARTS:
                self.body_parts = [b"".join(self.body_parts)]
            if self.body_size > limits.BODY:
                self.flow.response = too_large(self.client.request_id)
                yield from self.answer_at_once()
            elif self.body_size > limits.SMALL_BODY and self.room_due == math.inf and self.room_since == -math.inf:
                yield from self.expect_body(limits.BODY)  # it wasn't announced
        else:
            yield from super().state_consume_request_body(event)

    def expect_body(self, size: int) -> Commands:
        """Read a body of that size when there is room for it."""
        if size <= limits.SMALL_BODY:
            return
        now = self.gateway.clock()
        if self.gateway.bodies.take(self, size):
            self.room_since, self.deadlines.room = now, now + LOOK_AT_PACE
        else:
            self.gateway.read_client(False)
            self.deadlines.room, self.room_due = now + LOOK_FOR_ROOM, now + limits.ROOM_WITHIN
        yield from self.deadlines.arm()

    def find_room(self) -> Commands:
        """Look again whether there is room for the body; after a while say that there is none. Who has room loses it
        when the body comes too slowly for those that wait."""
        if self.client_state != self.state_consume_request_body:
            return
        now = self.gateway.clock()
        if self.gateway.bodies.take(self, limits.BODY):
            self.deadlines.room = now + LOOK_AT_PACE
            if self.room_due < math.inf:
                self.room_since, self.room_due = now, math.inf
                self.gateway.read_client(True)
            elif self.gateway.bodies.is_too_slow(self.body_size, now - self.room_since):
                self.flow.response = too_slow(self.client.request_id)
                yield from self.answer_at_once()
        elif now >= self.room_due:
            self.flow.response = no_room(self.client.request_id)
            yield from self.answer_at_once()
        else:
            self.deadlines.room = now + LOOK_FOR_ROOM

    def hold_nothing(self) -> None:
        """The body is gone, or isn't wanted."""
        self.body_parts.clear()
        self.gateway.bodies.give_back(self)
        self.deadlines.room = math.inf
        if self.room_due < math.inf:
            self.room_due = math.inf
            self.gateway.read_client(True)

    def answer_at_once(self) -> Commands:
        """Answer before the body was read. What comes of the body is thrown away as it comes, so that the client,
        which may still be writing, gets to read the answer."""
        assert self.flow.response
        self.hold_nothing()
        self.flow.request.data.content = b""
        self.flow.response.timestamp_start = time.time()
        self.client_state = self.state_discard_request_body
        self.deadlines.discard = self.gateway.clock() + limits.DISCARDED
        if self.exchange:
            self.recorder.begin(self.exchange, self.flow.request)
        yield from self.send_response()
        yield from self.deadlines.arm()

    def answer_later(self, wait: float) -> Commands:
        """Have a refused client wait for its answer. What comes of the body is thrown away."""
        self.hold_nothing()
        self.flow.request.data.content = b""
        self.client_state = self.state_discard_request_body
        self.deadlines.refusal = self.gateway.clock() + wait
        yield from self.deadlines.arm()

    def answer_refused(self) -> Commands:
        """Answer a client that was refused, and had to wait for it."""
        if self.client_state == self.state_discard_request_body:
            yield from self.answer_at_once()
            return
        assert self.flow.response
        self.flow.response.timestamp_start = time.time()
        if self.exchange:
            self.recorder.begin(self.exchange, self.flow.request)
        yield from self.send_response()

    def state_discard_request_body(self, event: events.Event) -> Commands:
        if isinstance(event, RequestEndOfMessage):
            self.deadlines.discard = math.inf
            self.client_state = self.state_done
            if self.server_state == self.state_done:
                yield from self.flow_done()

    def flow_done(self) -> Commands:
        yield from super().flow_done()
        if self.child_layer is None:
            self.let_go()

    def let_go(self) -> None:
        """Hold nothing of the request any more: it is over. A stream is a cycle of references (its states are methods
        of it): with its flow still in it, whole conversations would wait for the garbage collector."""
        self.over = True
        self.hold_nothing()
        self.exchange = None
        self.client.let_go()
        del self.flow

    def check_body_size(self, request: bool) -> layer.CommandGenerator[bool]:
        """Switch mitmproxy's own limits off: they send a body on before the plan is known. `limits.BODY` takes their
        place."""
        yield from ()
        return False

    def check_killed(self, emit_error_hook: bool) -> layer.CommandGenerator[bool]:
        """Whether the flow is over: somebody has killed it, or the client hung up while this stream was paused (the
        event that says so is in the queue): then this was the last that was done for it."""
        killed = yield from super().check_killed(emit_error_hook)
        if killed:
            yield from self.give_up()
            yield DropStream(self.stream_id)
            self.let_go()
        return killed

    def send_response(self, already_streamed: bool = False) -> Commands:
        """Send a whole answer, or end one that was streamed."""
        response = self.flow.response
        assert response
        if self.flow.request.data.method == b"HEAD":
            response.data.content = b""  # mitmproxy sends the body of an answer that an addon has made all the same
        self.client.finish_head(response, sent=already_streamed)
        body = response.data.content
        cookie = self.exchange.set_cookie if self.exchange else ""
        if cookie:
            response.headers["set-cookie"] = mask(cookie)
        if self.exchange:
            self.recorder.ended(self.exchange, response, streamed=already_streamed)
        shown = response.data.content
        for command in super().send_response(already_streamed):
            event = command.event if isinstance(command, SendHttp) else None
            if isinstance(event, ResponseData) and event.data is shown:
                event.data = body or b""
            elif cookie and isinstance(event, ResponseHeaders):
                event.response = with_cookie(event.response, cookie)
            yield command

    def client_hung_up(self, event: RequestProtocolError) -> Commands:
        """End a request whose client has gone: nothing more is sent to anybody, and the provider stops generating."""
        yield from self.give_up()
        over = (self.state_done, self.state_errored)
        if self.server_state not in over and self.client_state != self.state_errored:
            self.flow.error = flow.Error(event.message)
            yield HttpErrorHook(self.flow)
        self.client_state = self.server_state = self.state_errored
        self.flow.live = False
        yield DropStream(self.stream_id)
        self.let_go()

    def current_exchange(self) -> Exchange:
        assert self.exchange
        return self.exchange

    def current(self) -> Attempt:
        """The running attempt."""
        assert self.exchange and self.exchange.attempts
        return self.exchange.attempts[-1]


def announced(request: http.Request) -> int:
    """The bytes that a request's head says its body has; 0 where it says nothing. One that is packed may stand for as
    much as is taken."""
    if value_of(request.headers, b"content-encoding").lower() not in ("", "identity"):
        return limits.BODY
    length = value_of(request.headers, b"content-length")
    return int(length) if length.isdecimal() and len(length) < 20 else 0
