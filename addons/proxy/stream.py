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
from dataclasses import replace

from mitmproxy import connection
from mitmproxy.net.http.http1 import connection_close
from mitmproxy.net.http.validate import validate_headers
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import GetHttpConnectionCompleted
from mitmproxy.proxy.layers.http._events import (
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._hooks import HttpResponseHeadersHook

from addons.proxy.client_answer import PING
from addons.proxy.client_request import ClientStream
from addons.proxy.framing import clean_head, decoded, frame_body, read_status, reason
from addons.proxy.hooks import AttemptHook, Commands, VerdictHook
from addons.proxy.provider_connection import ProviderConnection
from addons.proxy.recorder import NO_RECORDER, Recorder
from addons.proxy.replies import error_response
from addons.proxy.request_head import note_hosts
from addons.proxy.stream_layer import StreamLayer
from addons.state.attempt import Attempt, Outcome, OutcomeKind
from addons.state.exchange import Trying, exchange_of
from addons.wire import limits
from addons.wire.answer_reader import AnswerReader
from addons.wire.errors import ProviderError, error_type
from addons.wire.masking import mask_strings, mask_text

LOOK_AGAIN = 0.05
"""Seconds until an attempt that waits for a credential looks for it again."""


class GatewayStream(ClientStream):
    """One client request and all its attempts."""

    def __init__(
        self, context: Context, stream_id: int, gateway: StreamLayer, recorder: Recorder = NO_RECORDER
    ) -> None:
        super().__init__(context, stream_id, gateway, recorder)
        self.provider = ProviderConnection(gateway)
        self.held = bytearray()
        """Events of the provider that came before any content."""
        self.relayed: AnswerReader | None = None
        """What reads the answer that the client is being sent."""
        self.fed: bytes | None = None
        """What it made of the event that is being handled."""

    # Events

    def handle_event(self, event: events.Event) -> Commands:
        """Events of an answer that is being relayed go right through."""
        if type(event) is ResponseData and self.exchange:
            self.recorder.received(self.exchange, event.data)
            if self.relayed and not self._paused and not self.debug:
                out = self.relayed.feed(event.data)
                if not self.relayed.error and not self.relayed.finished:
                    if out:
                        yield from self.client.say(out)
                    if self.relayed.spoke:
                        self.deadlines.give_up = self.deadlines.after(self.deadlines.answer_timeout)
                    return
                self.fed = out
        yield from super().handle_event(event)

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
            self.client.closes = connection_close(event.request.http_version, event.request.headers)
            yield from super()._handle_event(event)
            if self.client_state == self.state_consume_request_body:
                self.exchange = self.client.exchange = exchange_of(self.flow)
                if self.exchange:
                    settings = self.exchange.config.failover
                    self.deadlines.answer_timeout = settings.answer_timeout
                    self.deadlines.ping_interval = settings.ping_interval
                if self.flow.response:
                    yield from self.answer_at_once()
        else:
            yield from super()._handle_event(event)

    def tick(self) -> Commands:
        """Something that was waited for is due (or was: an alarm can be older than its reason)."""
        deadlines, now = self.deadlines, self.gateway.clock()
        if deadlines.is_due("discard", now):
            self.stop_waiting()
            yield commands.CloseConnection(self.context.client)
            return
        if deadlines.is_due("retry", now):
            yield from self.attempt()
        elif deadlines.is_due("give_up", now):
            if self.server_state == self.state_relay_events:
                yield from self.cut("said nothing for too long")
            else:
                yield from self.failed("timeout", "the provider did not answer in time", status=504)
        if deadlines.is_due("hold", now):
            # Nobody has answered for `hold` seconds. Failover stays possible.
            if not self.client.has_begun and self.server_state not in (self.state_done, self.state_errored):
                yield from self.client.begin_early(self.flow.request)
        elif deadlines.is_due("ping", now):
            yield from self.client.say(PING)
        yield from deadlines.arm()

    def stop_waiting(self) -> None:
        """Expect nothing more of anybody."""
        self.relayed = None
        self.gateway.relaying.discard(self)
        self.deadlines.clear()

    def give_up(self) -> Commands:
        """Nobody is listening: nothing more is sent to anybody, and the provider stops generating."""
        self.stop_waiting()
        yield from self.provider.abandon()

    # Sending

    def attempt(self) -> Commands:
        """Ask the target that is next."""
        exchange = self.exchange
        assert exchange
        attempt = exchange.begin()
        self.server_state = self.state_connecting
        if (yield from self.ends_at(AttemptHook(Trying(self.flow, exchange, attempt)))):
            return
        if attempt.postponed:
            exchange.postpone()
            self.deadlines.retry = self.gateway.clock() + LOOK_AGAIN
            yield from self.deadlines.arm()
            return
        if attempt.outcome:  # this target isn't asked
            yield from self.fail(attempt, attempt.outcome)
            return
        if attempt.target is None and exchange.kind != "relay" and not self.flow.response:
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
        request = self.flow.request
        if attempt.draft is not None:
            request.data.content = attempt.draft.encode()
        request.headers.pop("transfer-encoding", None)
        if request.raw_content or "content-length" in request.headers or request.method == "POST":
            request.headers["content-length"] = str(len(request.raw_content or b""))
        settings = exchange.config.failover
        limit = settings.first_byte_timeout if exchange.stream and not attempt.whole else settings.answer_timeout
        self.deadlines.give_up = self.deadlines.after(limit)
        yield from self.provider.ask_for(self.flow, self)
        yield from self.deadlines.arm()

    def connected(self, event: GetHttpConnectionCompleted) -> Commands:
        """A connection is there, or can't be had: send the request."""
        if event.command is not self.provider.opening:
            return  # of an attempt that was given up
        self.provider.opening = None
        server, error = event.reply
        exchange, attempt = self.current_exchange(), self.current()
        self.recorder.sent(exchange, self.flow.request)
        if error or server is None:
            yield from self.failed("connect", f"could not connect to the provider: {error}", complete=True)
            return
        assert isinstance(server, connection.Server)
        self.context.server = self.flow.server_conn = server
        attempt.reused = self.provider.use(server)
        self.server_state = self.state_wait_for_response_headers
        yield from self.provider.send(self.stream_id, self.flow.request, attempt.credential)

    def state_connecting(self, event: events.Event) -> Commands:
        """Between the attempts, or waiting for a connection: no provider has anything to say. What still comes was in
        the same read of the socket as the end of the last attempt."""
        yield from ()

    def state_done(self, event: events.Event) -> Commands:
        """After the last attempt, what a provider still says is dropped; the base class would raise."""
        yield from ()

    # Receiving

    def state_wait_for_response_headers(self, event: events.Event) -> Commands:
        if not isinstance(event, ResponseHeaders):
            return
        attempt, exchange = self.current(), self.current_exchange()
        response = self.flow.response = event.response
        self.recorder.received(exchange, response)
        attempt.status = response.status_code
        clean_head(response, exchange.secrets())
        if attempt.target and response.status_code < 200:
            yield from self.failed("invalid", f"answered {response.status_code}")  # 101: nobody asked for an upgrade
            return
        try:
            validate_headers(response)
        except ValueError as error:
            yield from self.failed("invalid", f"the provider's response is not valid HTTP: {error}")
            return
        if (yield from self.ends_at(HttpResponseHeadersHook(self.flow))):
            return
        if attempt.target is None:
            self.deadlines.give_up = math.inf
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
            if len(self.response_body_buf) > limits.ERROR_BODY:
                yield from self.failed("invalid", "the provider answered with an endless error")
        elif isinstance(event, ResponseEndOfMessage):
            assert self.flow.response
            body = decoded(self.flow.response, bytes(self.response_body_buf))
            self.flow.response.data.content = mask_strings(body, self.current_exchange().secrets())
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
            yield from self.provider.abandon()
        if len(self.held) > limits.HELD and not (answer.content or answer.error):
            yield from self.failed("invalid", "the provider sent a megabyte before any content")
        elif answer.error and not answer.content:
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
            self.deadlines.give_up = self.deadlines.after(self.deadlines.answer_timeout)

    def state_relay_events(self, event: events.Event) -> Commands:
        """The first content is out: this provider's answer is the client's, to its end."""
        answer = self.current().answer
        assert answer and self.exchange
        if isinstance(event, ResponseData):
            out, self.fed = answer.feed(event.data) if self.fed is None else self.fed, None
            if out:
                yield from self.client.say(out)
            if answer.error:
                yield from self.cut(answer.error.message, answer.error)
            elif answer.spoke:
                yield from self.await_more(answer)
        elif isinstance(event, ResponseEndOfMessage):
            if out := answer.end():
                yield from self.client.say(out)
            if answer.error:
                yield from self.cut(answer.error.message, answer.error, complete=True)
            else:
                yield from self.finish_events()

    # Answering the client

    def finish_body(self, body: bytes) -> Commands:
        """The whole JSON answer is here."""
        assert self.flow.response
        self.stop_waiting()
        self.provider.release()
        self.current().ended = self.gateway.clock()
        self.response_body_buf.clear()
        self.flow.response.data.content = body
        self.flow.response.headers["content-type"] = "application/json"  # also where the provider streamed
        frame_body(self.flow.response)
        yield from self.send_response()

    def start_events(self) -> Commands:
        """The first content: from here on the answer is the client's."""
        assert self.flow.response and self.exchange
        self.deadlines.hold = math.inf
        self.flow.response.stream = True
        self.server_state = self.state_relay_events
        if not self.client.has_begun:
            yield from self.client.begin(self.flow.response, self.flow.request)
        data = bytes(self.held)
        self.held.clear()
        yield from self.client.say(data)
        self.relayed = self.current().answer
        self.gateway.relaying.add(self)

    def await_more(self, answer: AnswerReader) -> Commands:
        """More is to come: another event, or only HTTP's own end."""
        limit = limits.ANSWER_END if answer.finished else self.deadlines.answer_timeout
        self.deadlines.give_up = self.deadlines.after(limit)
        if answer.finished:
            self.deadlines.ping = math.inf  # nothing follows message_stop
        yield from self.deadlines.arm()

    def finish_events(self) -> Commands:
        """The stream is at its end, a good one or one with an error event."""
        assert self.flow.response
        self.stop_waiting()
        self.provider.release()
        self.current().ended = self.gateway.clock()
        if self.client.stored is not None:
            self.flow.response.data.content = bytes(self.client.stored)
        yield from self.send_response(already_streamed=True)

    def cut(self, why: str, error: ProviderError | None = None, *, complete: bool = False) -> Commands:
        """The provider broke off after content went out: no second provider, the client is told and the response
        ends properly. Claude Code repairs it by asking again with `stream: false`."""
        attempt = self.current()
        if not complete:
            yield from self.provider.abandon()
        answer = attempt.answer
        if not error and answer and not answer.finished and (out := answer.end()):
            yield from self.client.say(out)  # all was said, only the end of the stream is missing
        if error or not (answer and answer.finished):  # else only HTTP's own end is missing
            error = self.masked(error or ProviderError(502, "api_error", f"the provider {why}"))
            attempt.outcome = Outcome("dropped", error, complete=complete)
            yield from self.client.say_error(error)
        yield from self.finish_events()

    # Failing

    def failed(self, kind: OutcomeKind, why: str, *, status: int = 502, complete: bool = False) -> Commands:
        """This attempt is over and the client has no content of it."""
        error = ProviderError(status, error_type(status), why)
        yield from self.fail(self.current(), Outcome(kind, error, self.provider_headers(), complete))

    def fail(self, attempt: Attempt, outcome: Outcome) -> Commands:
        """Ask for the verdict on an attempt that failed, and do what it says."""
        exchange = self.current_exchange()
        outcome = replace(outcome, error=self.masked(outcome.error))
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
        """A handler has failed: no provider hears anything more of this request, and the client gets a 500."""
        yield from self.give_up()
        assert self.flow.response
        error = read_status(self.flow.response)
        self.current().outcome = self.current().outcome or Outcome("invalid", error)
        self.current().ended = self.gateway.clock()
        if self.client.has_begun:
            yield from self.fail_early_stream(error)
        else:
            yield from self.send_response()

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

    def masked(self, error: ProviderError) -> ProviderError:
        """The error without anything that is, or looks like, a credential in its words."""
        return replace(error, message=mask_text(error.message, self.current_exchange().secrets()))

    def provider_headers(self) -> dict[str, str]:
        """The provider's response headers, lower-case."""
        response = self.flow.response
        return {k.lower(): v for k, v in response.headers.items()} if response else {}
