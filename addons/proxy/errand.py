"""The part of a stream that runs errands: requests of the gateway's own, for the client's request.

Rules that hold in this file:
- an errand is a state of the stream, never a paused hook: pings and limits go on, and a client that hangs up ends it;
- one errand at a time, and of it one request at a time, while no provider of the stream has anything to say: the
  connection that a provider has just been released from may serve the errand;
- what an errand is for is decided by the addons: `attempt.instead` in place of asking the provider, `attempt.check`
  when its answer is whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mitmproxy import http
from mitmproxy.proxy import events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._events import ResponseData, ResponseEndOfMessage
from mitmproxy.proxy.layers.http._hooks import HttpResponseHeadersHook

from addons.proxy.hooks import Commands
from addons.proxy.own_requests import OwnAnswered
from addons.proxy.provider_answer import ProviderStream
from addons.proxy.recorder import NO_RECORDER, Recorder
from addons.proxy.stream_layer import StreamLayer
from addons.state.attempt import Outcome
from addons.state.exchange import Exchange
from addons.state.result import compute
from addons.wire.answer_reader import AnswerReader
from addons.wire.errands import Errand, Reply
from addons.wire.errors import ProviderError
from addons.wire.messages.answer import MessagesAnswer, Rewrite, rewrite_message
from addons.wire.safeguards.held_answer import HeldAnswer
from addons.wire.safeguards.question import RESULTS
from addons.wire.safeguards.verdicts import Judgement, put_into_message

OWN_ANSWER = Rewrite(provider="gateway", is_anthropic=True, strip_thinking=False)
"""An answer that the gateway has made is Anthropic's format already."""


class ErrandStream(ProviderStream):
    """A stream that can run an errand; which provider is asked, and what a failure leads to, is its subclass's."""

    def __init__(
        self, context: Context, stream_id: int, gateway: StreamLayer, recorder: Recorder = NO_RECORDER
    ) -> None:
        super().__init__(context, stream_id, gateway, recorder)
        self.errand: Errand[Any] | None = None
        self.asked: int | None = None
        """The number of the own request that is under way."""
        self.then: Callable[[Any], Commands]
        """What is done with what the errand returns."""

    def start_errand(self, errand: Errand[Any], then: Callable[[Any], Commands]) -> Commands:
        """Run an errand; `then` gets what it returns."""
        self.errand, self.then = errand, then
        self.server_state = self.state_errand
        yield from self.send_errand(None)

    def send_errand(self, reply: Reply | None) -> Commands:
        """Let the errand go on with the reply to its last request."""
        assert self.errand
        try:
            asked = next(self.errand) if reply is None else self.errand.send(reply)
        except StopIteration as end:
            self.errand = None
            yield from self.then(end.value)
            return
        self.asked = self.gateway.ask(asked, self.current_exchange(), self)
        self.deadlines.give_up = self.deadlines.after(asked.timeout)
        yield from self.deadlines.arm()

    def own_answered(self, event: OwnAnswered) -> Commands:
        """Take the answer to an own request."""
        if event.number != self.asked:
            return  # it came too late
        self.asked = None
        self.deadlines.give_up = float("inf")
        self.note_own(event.exchange, event.reply)
        yield from self.send_errand(event.reply)

    def own_timed_out(self) -> Commands:
        """Go on without an answer."""
        self.end_own("it took too long")
        yield from self.send_errand(Reply(status=0, timed_out=True))

    def note_own(self, own: Exchange, reply: Reply) -> None:
        """Say in the trail what was asked of whom, and what it cost."""
        exchange, result = self.current_exchange(), compute(own)
        assert own.own
        target = result.target
        whom = f"{target.provider.name}/{target.model}" if target else own.path.partition("?")[0]
        took = f"{reply.status or 'no answer'} after {result.duration:.1f} s"
        tokens = f", {reply.usage.input_tokens} in / {reply.usage.output_tokens} out" if target else ""
        cost = f", ${result.cost:.6f}" if result.cost is not None else ""
        exchange.note(own.own.purpose, f"asked {whom} ({own.request_id}): {took}{tokens}{cost}")

    def end_own(self, why: str) -> None:
        """End the own request that is under way."""
        if self.asked is not None:
            self.gateway.end_own(self.asked, why)
            self.asked = None

    def give_up(self) -> Commands:
        self.end_own("the client's request has ended")
        if self.errand:
            self.errand.close()
            self.errand = None
        yield from super().give_up()

    def state_errand(self, event: events.Event) -> Commands:
        """Drop what a provider still says; the errand has the word."""
        yield from ()

    # In place of a provider

    def answered_instead(self, found: bytes | ProviderError) -> Commands:
        """Take what an errand has found in place of a provider's answer: a whole message, or why there is none."""
        attempt = self.current()
        if isinstance(found, ProviderError):
            yield from self.fail(attempt, Outcome("status", found, complete=True))
            return
        attempt.answer = (HeldAnswer if attempt.check else AnswerReader)(
            stream=self.current_exchange().stream,
            events=MessagesAnswer(OWN_ANSWER),
            complete=lambda body: rewrite_message(body, OWN_ANSWER),
        )
        attempt.status = 200
        self.flow.response = http.Response.make(200, b"", {"content-type": "application/json"})
        if (yield from self.ends_at(HttpResponseHeadersHook(self.flow))):
            return
        self.server_state = self.state_read_answer
        yield from self.state_read_answer(ResponseData(self.stream_id, found))
        yield from self.state_read_answer(ResponseEndOfMessage(self.stream_id))

    # When the answer is whole

    def finish_events(self) -> Commands:
        if answer := self.to_be_judged():
            yield from self.judge(answer)
        else:
            yield from super().finish_events()

    def finish_body(self, body: bytes) -> Commands:
        if answer := self.to_be_judged():
            yield from self.judge(answer)
        else:
            yield from super().finish_body(body)

    def to_be_judged(self) -> HeldAnswer | None:
        """The answer, when it has come to a good end and waits for its verdicts."""
        attempt = self.exchange.attempt if self.exchange else None
        held = attempt.answer if attempt and attempt.check and attempt.outcome is None else None
        return held if isinstance(held, HeldAnswer) and held.is_held and not held.error else None

    def judge(self, answer: HeldAnswer) -> Commands:
        """Have the answer's tool calls judged; the provider is done, and its connection free."""
        attempt = self.current()
        assert attempt.check
        check, attempt.check = attempt.check, None
        attempt.ended = self.gateway.clock()
        self.stop_relaying()
        self.provider.release()
        yield from self.start_errand(check.judge(answer), self.judged)

    def judged(self, judgement: Judgement) -> Commands:
        """End the answer with the verdicts."""
        answer, exchange = self.current().answer, self.current_exchange()
        assert isinstance(answer, HeldAnswer)
        exchange.note("safeguard", judgement.note)
        if exchange.stream:
            yield from self.client.say(answer.ending(judgement.results))
            yield from super().finish_events()
        else:
            yield from super().finish_body(put_into_message(answer.body or b"", judgement.results, RESULTS))
