"""The provider's side of a stream: its answer is read, held back until its first content, relayed, ended or cut.

Rules that hold in this file:
- nothing of a success goes to the client before its first content: until then the attempt may still fail (`fail`);
- after that no second provider is asked: a provider that breaks off is reported to the client by an `error` event, and
  the response ends properly;
- how an answer is read is decided by `AnswerReader`, what a failure leads to by the attempt loop (stream.py).
"""

from __future__ import annotations

import math

import msgspec
from mitmproxy.net.http.validate import validate_headers
from mitmproxy.proxy import events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._events import (
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
)
from mitmproxy.proxy.layers.http._hooks import HttpResponseHeadersHook

from addons.proxy.client_request import ClientStream
from addons.proxy.framing import clean_head, decoded, frame_body, read_status
from addons.proxy.header_lines import put
from addons.proxy.hooks import Commands
from addons.proxy.provider_connection import ProviderConnection
from addons.proxy.recorder import NO_RECORDER, Recorder
from addons.proxy.stream_layer import StreamLayer
from addons.state.attempt import Attempt, Outcome, OutcomeKind
from addons.wire import limits
from addons.wire.answer_reader import AnswerReader
from addons.wire.errors import ProviderError, error_type
from addons.wire.masking import mask_strings, mask_text


def nothing() -> Commands:
    yield from ()


NOTHING = nothing()
"""No commands. A generator that has ended may be asked again."""


def nowhere() -> None:
    """What leaves the short way where none was taken."""


class ProviderStream(ClientStream):
    """A stream that reads one provider's answer; which provider is asked, and what a failure leads to, is its
    subclass's."""

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
        self.leave_short_way = nowhere

    def fail(self, attempt: Attempt, outcome: Outcome) -> Commands:
        """End an attempt that failed before the client had content of it."""
        raise NotImplementedError

    def stop_relaying(self) -> None:
        """Let what a provider still says not go to the client."""
        self.relayed = None
        self.leave_short_way()
        self.gateway.relaying.discard(self)

    def stop_waiting(self) -> None:
        """Wait for nothing any more, neither of the client nor of a provider."""
        self.stop_relaying()
        self.deadlines.clear()

    def give_up(self) -> Commands:
        """Wait for nothing, and close the provider's connection, so that it stops generating: nobody is listening."""
        self.stop_waiting()
        yield from self.provider.abandon()

    # Receiving

    def handle_event(self, event: events.Event) -> Commands:
        """Handle an event; the pieces of an answer that is being relayed go right through. (No generator itself: each
        level of them costs every event.)"""
        if type(event) is ResponseData and self.exchange and self.fed is None:
            out = self.relay(event.data)
            if out is not None:
                return self.client.say(out) if out else NOTHING
        return super().handle_event(event)

    def relay(self, data: bytes) -> bytes | None:
        """What the client is to be sent for a piece of an answer. None where more has to be done about it: it is an
        event then, and `fed` is what the reader has made of it, if it has."""
        answer = self.relayed
        if self.exchange:
            self.recorder.received(self.exchange, data)
        if answer is None or self._paused or self.debug:
            return None
        out = answer.feed(data)
        if answer.error or answer.finished:
            self.fed = out
            return None
        if answer.spoke:
            self.deadlines.give_up = self.deadlines.after(self.deadlines.answer_timeout)
        return out

    def state_wait_for_response_headers(self, event: events.Event) -> Commands:
        if not isinstance(event, ResponseHeaders):
            return
        attempt, exchange = self.current(), self.current_exchange()
        response = self.flow.response = event.response
        self.recorder.received(exchange, response)
        attempt.status = response.status_code
        clean_head(response, exchange.secrets())
        if response.status_code < 200 and (attempt.target or exchange.own):
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
        """Read the body of an HTTP error to its end, for the verdict."""
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
        """Hold a success back until there is content: it may still turn out to be none."""
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
            yield from self.fail(
                attempt, Outcome(kind_of(answer.error), answer.error, self.provider_headers(), complete=ended)
            )
        elif answer.body is not None and not self.exchange.stream:
            yield from self.finish_body(answer.body)
        elif answer.content and self.exchange.stream:
            yield from self.start_events()
            if answer.error:
                yield from self.cut(kind_of(answer.error), answer.error.message, answer.error)
            elif ended:
                yield from self.finish_events()
            else:
                yield from self.await_more(answer)
        elif answer.started and self.exchange.stream and isinstance(event, ResponseData) and answer.spoke:
            self.deadlines.give_up = self.deadlines.after(self.deadlines.answer_timeout)

    def state_relay_events(self, event: events.Event) -> Commands:
        """Relay the answer to its end: its first content is out, so nobody else is asked."""
        answer = self.current().answer
        assert answer and self.exchange
        if isinstance(event, ResponseData):
            out, self.fed = answer.feed(event.data) if self.fed is None else self.fed, None
            if out:
                yield from self.client.say(out)
            if answer.error:
                yield from self.cut(kind_of(answer.error), answer.error.message, answer.error)
            elif answer.spoke:
                yield from self.await_more(answer)
        elif isinstance(event, ResponseEndOfMessage):
            if out := answer.end():
                yield from self.client.say(out)
            if answer.error:
                kind: OutcomeKind = "dropped" if answer.error.status == 502 else "error event"
                yield from self.cut(kind, answer.error.message, answer.error, complete=True)
            else:
                yield from self.finish_events()

    # Answering the client

    def finish_body(self, body: bytes) -> Commands:
        """Send the client the whole JSON answer."""
        assert self.flow.response
        self.stop_waiting()
        self.provider.release()
        self.current().ended = self.current().ended or self.gateway.clock()
        self.response_body_buf.clear()
        self.flow.response.data.content = body
        put(self.flow.response.headers, b"content-type", b"application/json")  # also where the provider streamed
        frame_body(self.flow.response)
        self.client.tell(self.flow.response)
        yield from self.send_response()

    def start_events(self) -> Commands:
        """Send the client the first content, and what was held back before it."""
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
        if self.provider.open and self.client.chunked:
            self.leave_short_way = self.gateway.shorten(self, self.provider.open)

    def await_more(self, answer: AnswerReader) -> Commands:
        """Set the time limit for what is still to come: another event, or only HTTP's own end."""
        limit = limits.ANSWER_END if answer.finished else self.deadlines.answer_timeout
        self.deadlines.give_up = self.deadlines.after(limit)
        if answer.finished and not self.current().check:
            self.deadlines.ping = math.inf  # nothing follows message_stop
        yield from self.deadlines.arm()

    def finish_events(self) -> Commands:
        """End the client's stream, which has come to a good end or to an error event."""
        assert self.flow.response
        self.stop_waiting()
        self.provider.release()
        self.current().ended = self.current().ended or self.gateway.clock()
        if self.client.stored is not None:
            self.flow.response.data.content = bytes(self.client.stored)
        yield from self.send_response(already_streamed=True)

    def cut(
        self, kind: OutcomeKind, why: str, error: ProviderError | None = None, *, complete: bool = False
    ) -> Commands:
        """End a stream that the provider broke off after content went out: the client is told, and the response ends
        properly. Claude Code repairs it by asking again with `stream: false`."""
        attempt = self.current()
        if not complete:
            yield from self.provider.abandon()
        answer = attempt.answer
        if self.fed:  # by the short way, when this was on its way already
            yield from self.client.say(self.fed)
        if not error and answer and not answer.finished and (out := answer.end()):
            yield from self.client.say(out)  # all was said, only the end of the stream is missing
        if error or not (answer and answer.finished):  # else only HTTP's own end is missing
            error = self.masked(error or ProviderError(502, "api_error", f"the provider {why}"))
            attempt.outcome = Outcome(kind, error, complete=complete)
            yield from self.client.say_error(error)
        yield from self.finish_events()

    # Failing

    def failed(self, kind: OutcomeKind, why: str, *, status: int = 502, complete: bool = False) -> Commands:
        """End an attempt that failed for this reason before the client had content of it."""
        error = ProviderError(status, error_type(status), why)
        yield from self.fail(self.current(), Outcome(kind, error, self.provider_headers(), complete))

    def masked(self, error: ProviderError) -> ProviderError:
        """The error without anything that is, or looks like, a credential in its words."""
        return msgspec.structs.replace(error, message=mask_text(error.message, self.current_exchange().secrets()))

    def provider_headers(self) -> dict[str, str]:
        """The provider's response headers, lower-case."""
        response = self.flow.response
        return {k.lower(): v for k, v in response.headers.items()} if response else {}


def kind_of(error: ProviderError) -> OutcomeKind:
    """How an attempt failed whose answer holds this error: the provider told it, or what it sent can't be read."""
    return "invalid" if error.status == 502 else "error event"
