"""The attempt loop: a stream layer that can ask another provider before the client has been sent a byte of content.

Plain addon hooks can't try again with streaming kept, can't speak in silence and can't tell a client about a cut, so
`GatewayStream` takes the place of mitmproxy's `HttpStream` (layer.py puts it there). It owns when something is sent,
waited for, given up and closed. It decides nothing else: what is sent is decided by the addons in the `attempt` hook,
what happens after a failure by the `verdict` hook. The client's side of a stream is in client_request.py, the reading
of an answer in provider_answer.py, requests of the gateway's own in errand.py.

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

import msgspec
from mitmproxy import connection
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layers.http import GetHttpConnectionCompleted
from mitmproxy.proxy.layers.http._events import (
    RequestHeaders,
    RequestProtocolError,
    ResponseProtocolError,
)

from addons.proxy.client_answer import PING
from addons.proxy.client_request import announced
from addons.proxy.dismissal import Dismissal
from addons.proxy.egress import egress_of, in_words
from addons.proxy.errand import ErrandStream
from addons.proxy.framing import frame_body, read_status, reason
from addons.proxy.header_lines import is_last, put, value_of, without
from addons.proxy.hooks import AttemptHook, Commands, VerdictHook
from addons.proxy.own_requests import OwnAnswered
from addons.proxy.replies import error_response, refused
from addons.proxy.request_head import note_hosts
from addons.proxy.waking import Awake
from addons.state.attempt import Attempt, Outcome
from addons.state.exchange import Trying, exchange_of
from addons.wire.errors import ProviderError


class GatewayStream(ErrandStream):
    """One client request and all its attempts."""

    is_postponed = False
    """The attempt waits for something outside, and begins anew when that has come."""

    # Events

    def _handle_event(self, event: events.Event) -> Commands:
        if self.over:
            return  # it was queued while the last hook ran
        if isinstance(event, events.Wakeup):
            yield from self.tick()
        elif isinstance(event, GetHttpConnectionCompleted):
            yield from self.connected(event)
        elif isinstance(event, RequestHeaders):
            # Asked now: no header of the client's stays on the flow.
            note_hosts(event.request)
            self.client.closes = is_last(event.request)
            yield from super()._handle_event(event)
            if self.client_state == self.state_consume_request_body:
                self.exchange = self.client.exchange = exchange_of(self.flow)
                if self.exchange:
                    settings = self.exchange.config.failover
                    self.deadlines.answer_timeout = settings.answer_timeout
                    self.deadlines.ping_interval = settings.ping_interval
                if self.flow.response and self.exchange and self.exchange.client.slowed:
                    yield from self.answer_later(self.exchange.client.slowed)
                elif self.flow.response:
                    yield from self.answer_at_once()
                else:
                    yield from self.expect_body(announced(event.request))
        elif isinstance(event, OwnAnswered):
            yield from self.own_answered(event)
        elif isinstance(event, Awake):
            if self.is_postponed and event.exchange is self.exchange:
                self.deadlines.retry = self.gateway.clock()
                yield from self.tick()
        elif isinstance(event, Dismissal):
            if self.exchange and not self.exchange.own and event.concerns(self.exchange.client):
                yield from self.dismiss(event.error)
        else:
            yield from super()._handle_event(event)

    def tick(self) -> Commands:
        """Do what is due now; maybe nothing, as an alarm can be older than its reason."""
        deadlines, now = self.deadlines, self.gateway.clock()
        if deadlines.is_due("discard", now):
            self.stop_waiting()
            yield commands.CloseConnection(self.context.client)
            return
        if deadlines.is_due("refusal", now):
            yield from self.answer_refused()
        if deadlines.is_due("room", now):
            yield from self.find_room()
        if deadlines.is_due("retry", now):
            yield from self.attempt()
        elif deadlines.is_due("give_up", now):
            if self.asked is not None:
                yield from self.own_timed_out()
            elif self.server_state == self.state_relay_events:
                yield from self.cut("timeout", "said nothing for too long")
            else:
                yield from self.failed("timeout", "the provider did not answer in time", status=504)
        if deadlines.is_due("hold", now):
            # Nobody has answered for `hold` seconds. Failover stays possible.
            if not self.client.has_begun and self.server_state not in (self.state_done, self.state_errored):
                yield from self.client.begin_early(self.flow.request)
        elif deadlines.is_due("ping", now):
            yield from self.client.say(PING)
        yield from deadlines.arm()

    # Sending

    def attempt(self) -> Commands:
        """Ask the target that is next."""
        exchange = self.exchange
        assert exchange
        attempt = exchange.begin()
        self.server_state = self.state_connecting
        self.is_postponed = False
        if (yield from self.ends_at(AttemptHook(Trying(self.flow, exchange, attempt)))):
            return
        if attempt.postponed:
            exchange.postpone()
            self.is_postponed = True
            self.deadlines.retry = self.gateway.clock() + attempt.postponed
            yield from self.deadlines.arm()
            return
        if attempt.outcome:  # this target isn't asked
            yield from self.fail(attempt, attempt.outcome)
            return
        if attempt.target is None and exchange.kind not in ("relay", "fetch") and not self.flow.response:
            self.flow.response = error_response(
                500, "the gateway does not know where to send this request, see its log", exchange.request_id
            )
        if self.flow.response:  # an addon knows the answer
            self.stop_waiting()
            if self.client.has_begun:
                yield from self.fail_early_stream(read_status(self.flow.response))
            else:
                yield from self.send_response()
            return
        if attempt.instead:
            yield from self.start_errand(attempt.instead, self.answered_instead)
            return
        request = self.flow.request
        if attempt.draft is not None:
            request.data.content = attempt.draft.encode()
        without(request.headers, (b"transfer-encoding",))
        length = len(request.raw_content or b"")
        if length or request.data.method == b"POST" or value_of(request.headers, b"content-length"):
            put(request.headers, b"content-length", b"%d" % length)
        settings = exchange.config.failover
        limit = settings.first_byte_timeout if exchange.stream and not attempt.whole else settings.answer_timeout
        self.deadlines.give_up = self.deadlines.after(limit)
        yield from self.provider.ask_for(self.flow, self, egress_of(exchange, attempt, request))
        yield from self.deadlines.arm()

    def connected(self, event: GetHttpConnectionCompleted) -> Commands:
        """Send the request on the connection that was asked for, or fail when there is none."""
        if event.command is not self.provider.opening:
            return  # of an attempt that was given up
        self.provider.opening = None
        server, error = event.reply
        exchange, attempt = self.current_exchange(), self.current()
        self.recorder.sent(exchange, self.flow.request)
        if error or server is None:
            why = in_words(str(error), egress_of(exchange, attempt, self.flow.request).proxy)
            yield from self.failed("connect", f"could not connect to the provider: {why}", complete=True)
            return
        assert isinstance(server, connection.Server)
        self.context.server = self.flow.server_conn = server
        attempt.reused = self.provider.use(server)
        self.server_state = self.state_wait_for_response_headers
        yield from self.provider.send(self.stream_id, self.flow.request, attempt.credential)

    def state_connecting(self, event: events.Event) -> Commands:
        """Drop what comes between the attempts, or while a connection is waited for: no provider has anything to say.
        What still comes was in the same read of the socket as the end of the last attempt."""
        yield from ()

    def state_done(self, event: events.Event) -> Commands:
        """Drop what a provider still says after the last attempt; the base class would raise."""
        yield from ()

    # Failing

    def fail(self, attempt: Attempt, outcome: Outcome) -> Commands:
        """Ask for the verdict on an attempt that failed, and do what it says."""
        exchange = self.current_exchange()
        outcome = msgspec.structs.replace(outcome, error=self.masked(outcome.error))
        attempt.outcome = outcome
        attempt.ended = self.gateway.clock()
        self.deadlines.give_up = math.inf
        self.server_state = self.state_connecting
        if outcome.complete:
            self.provider.release()
        else:
            yield from self.provider.abandon()
        self.held.clear()
        self.response_body_buf.clear()
        if outcome.kind != "status":
            self.flow.response = None  # at most the head of something that never came
        if (yield from self.ends_at(VerdictHook(Trying(self.flow, exchange, attempt)))):
            return
        verdict = exchange.verdict
        if verdict and verdict.again:
            self.flow.response = self.flow.error = None
            self.deadlines.retry = self.gateway.clock() + verdict.delay
            yield from self.deadlines.arm()
            return
        error = verdict.error if verdict and verdict.error else outcome.error
        if self.client.has_begun:
            yield from self.fail_early_stream(error)
            return
        self.stop_waiting()
        if self.flow.response is None or verdict is None:
            self.flow.response = error_response(error.status, error.message, exchange.request_id)
        frame_body(self.flow.response)
        yield from self.send_response()

    def fail_early_stream(self, error: ProviderError) -> Commands:
        """Tell a client in the stream that has got its 200 already."""
        self.flow.response = self.client.early_head
        yield from self.client.say_error(error)
        yield from self.finish_events()

    def break_off(self) -> Commands:
        """End a request of which a handler has failed: no provider hears more of it, and the client gets a 500."""
        yield from self.give_up()
        assert self.flow.response
        error = read_status(self.flow.response)
        self.current().outcome = self.current().outcome or Outcome("invalid", error)
        self.current().ended = self.gateway.clock()
        if self.client.has_begun:
            yield from self.fail_early_stream(error)
        else:
            yield from self.send_response()

    def dismiss(self, error: ProviderError) -> Commands:
        """End the request, whose user is not let in any more. Whoever has an answer already keeps it."""
        exchange = self.current_exchange()
        over = (self.state_done, self.state_errored)
        if self.server_state in over or self.client_state == self.state_discard_request_body:
            return
        exchange.note("gate", f"ended: {error.message}")
        if self.client_state == self.state_consume_request_body:
            self.flow.response = refused(error, exchange.request_id)
            yield from self.answer_at_once()
        elif self.server_state == self.state_relay_events:
            yield from self.cut("error event", "", error)
        elif exchange.attempt and exchange.attempt.target is None and self.flow.response:  # relayed, as it comes
            yield from self.give_up()
            yield commands.CloseConnection(self.context.client)
        else:
            yield from self.give_up()
            if (attempt := exchange.attempt) and attempt.outcome is None:
                attempt.outcome, attempt.ended = Outcome("error event", error), self.gateway.clock()
            if self.client.has_begun:
                self.flow.response = self.client.early_head or self.flow.response
                yield from self.client.say_error(error)
                yield from self.finish_events()
            else:
                self.flow.response = refused(error, exchange.request_id)
                yield from self.send_response()

    def handle_protocol_error(self, event: RequestProtocolError | ResponseProtocolError) -> Commands:
        if isinstance(event, RequestProtocolError):
            yield from self.client_hung_up(event)
        elif self.server_state == self.state_relay_events:
            yield from self.cut("dropped", "broke off in the middle of its answer")
        elif self.server_state in (
            self.state_wait_for_response_headers,
            self.state_read_error,
            self.state_read_answer,
        ):
            yield from self.failed("dropped", f"the provider's connection broke: {reason(event.message)}")
        elif self.server_state in (self.state_consume_response_body, self.state_stream_response_body):  # relayed
            yield from super().handle_protocol_error(event)
