"""What the attempts of a request have used: as told, or estimated where nobody has counted to the end."""

from __future__ import annotations

from typing import Any

import pytest

from addons.config.config import Price
from addons.state.attempt import Attempt, Outcome
from addons.state.charges import charges
from addons.state.exchange import Charge, Exchange
from addons.wire.answer_reader import AnswerReader
from addons.wire.chat.answer import ChatAnswer
from addons.wire.chat.answer_content import Asked
from addons.wire.messages.answer import MessagesAnswer, Rewrite, rewrite_message
from addons.wire.messages.body import RequestBody
from addons.wire.sse import frame
from tests.exchanges import DROPPED, exchange, failed, failure, status, target, targets
from tests.finished import NOW

PRICE = Price(input=3, output=15, cache_read=0.3, cache_write=3.75)
SAID = "four letters are a token, more or less, " * 10
START = {"input_tokens": 100, "cache_read_input_tokens": 7, "output_tokens": 1}
ZAI = Rewrite(provider="zai", is_anthropic=False, strip_thinking=False)


def start(usage: Any = START) -> bytes:
    return frame("message_start", {"type": "message_start", "message": {"content": [], "usage": usage}})


def text(said: str = SAID) -> bytes:
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    deltas = b"".join(
        frame(
            "content_block_delta",
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}},
        )
        for word in said.split(" ")
    )
    return frame("content_block_start", block) + deltas


def end(usage: Any = None) -> bytes:
    stop = frame("content_block_stop", {"type": "content_block_stop", "index": 0})
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, **({"usage": usage} if usage else {})}
    return stop + frame("message_delta", delta) + frame("message_stop", {"type": "message_stop"})


def asked(*names: str) -> Exchange:
    made = exchange(*targets(*(names or ("zai",))))
    made.body = RequestBody.parse(
        b'{"model": "asked", "messages": [{"role": "user", "content": "%s"}]}' % (b"word " * 50)
    )
    return made


def read(attempt: Attempt, *pieces: bytes, stream: bool = True) -> AnswerReader:
    """The attempt's answer, as far as these pieces go."""
    reader = AnswerReader(stream=stream, events=MessagesAnswer(ZAI), complete=lambda body: rewrite_message(body, ZAI))
    attempt.answer = reader
    for piece in pieces:
        reader.feed(piece)
    return reader


def only(made: Exchange) -> Charge:
    [charge] = charges(made, NOW)
    return charge


def test_of_a_whole_answer_is_what_was_told() -> None:
    made = asked()
    read(made.begin(), start(), text(), end({"output_tokens": 80})).end()
    charge = only(made)
    assert (charge.usage.input_tokens, charge.usage.output_tokens, charge.estimated) == (100, 80, False)


@pytest.mark.parametrize("cut", [True, False], ids=["cut by the provider", "the client hung up"])
def test_of_a_cut_answer_the_output_is_estimated_and_the_input_kept(cut: bool) -> None:
    made = asked()
    read(made.begin(), start(), text())
    if cut:
        failed(made.attempts[0], DROPPED)
    charge = only(made)
    assert charge.estimated
    assert (charge.usage.input_tokens, charge.usage.cache_read_input_tokens) == (100, 7)
    assert len(SAID) / 6 < charge.usage.output_tokens < len(SAID) / 3


def test_of_a_cut_answer_what_was_told_counts_when_it_is_more() -> None:
    made = asked()
    read(made.begin(), start({**START, "output_tokens": 5000}), text())
    assert only(made).usage.output_tokens == 5000


def test_of_an_answer_that_was_left_before_any_content() -> None:
    made = asked()
    read(made.begin(), start())
    charge = only(made)
    assert (charge.usage.input_tokens, charge.usage.output_tokens, charge.estimated) == (100, 1, True)


def test_of_nothing_is_nothing() -> None:
    made = asked()
    made.begin()
    assert only(made).usage.has_any is False
    read(made.attempts[0])
    assert (only(made).usage.has_any, only(made).estimated) == (False, False)


def test_of_usage_that_is_told_at_the_start_only() -> None:
    made = asked()
    read(made.begin(), start(), text(), end()).end()
    charge = only(made)
    assert (charge.usage.input_tokens, charge.estimated) == (100, True)
    assert charge.usage.output_tokens > len(SAID) / 6


def test_of_usage_that_is_told_at_the_end_only() -> None:
    made = asked()
    read(
        made.begin(),
        start({"input_tokens": 0, "output_tokens": 0}),
        text(),
        end({"input_tokens": 9, "output_tokens": 8}),
    ).end()
    charge = only(made)
    assert (charge.usage.input_tokens, charge.usage.output_tokens, charge.estimated) == (9, 8, False)


@pytest.mark.parametrize("stream", [True, False])
def test_of_usage_that_is_told_nowhere(stream: bool) -> None:
    made = asked()
    attempt = made.begin()
    if stream:
        read(attempt, start(None), text(), end()).end()
    else:
        body = b'{"type": "message", "content": [{"type": "text", "text": "%s"}]}' % SAID.encode()
        read(attempt, body, stream=False).end()
    charge = only(made)
    assert charge.estimated
    assert 40 < charge.usage.input_tokens < 80
    assert len(SAID) / 8 < charge.usage.output_tokens < len(SAID) / 3


def test_of_deltas_that_are_spelt_unusually_and_split_anywhere() -> None:
    whole = start() + text().replace(b'"index":0', b'"index":   0')
    counts = set()
    for size in (1, 7, 64, len(whole)):
        made = asked()
        read(made.begin(), *(whole[at : at + size] for at in range(0, len(whole), size)))
        counts.add(only(made).usage.output_tokens)
    assert len(counts) == 1
    assert 0 < counts.pop() < len(SAID) / 2


@pytest.mark.parametrize(
    ("outcome", "costs"),
    [(failure("error event", 529), False), (failure("timeout", 504), True), (DROPPED, True)],
    ids=["reported by the provider", "timeout", "dropped"],
)
def test_of_a_failure_before_any_content(outcome: Outcome, costs: bool) -> None:
    """What was told of the input may well be paid for, unless the provider itself says that it has failed."""
    made = asked("zai", "kimi")
    read(made.begin(), start())
    failed(made.attempts[0], outcome)
    made.plan.cursor = 1
    read(made.begin(), start(), text(), end({"output_tokens": 80})).end()
    first, second = charges(made, NOW)
    assert (first.usage.input_tokens, first.estimated) == ((100, True) if costs else (0, False))
    assert (second.usage.output_tokens, second.estimated) == (80, False)


def test_of_an_error_after_content() -> None:
    made = asked()
    read(
        made.begin(),
        start(),
        text(),
        frame("error", {"type": "error", "error": {"type": "overloaded_error", "message": "m"}}),
    )
    failed(made.attempts[0], failure("error event", 529))
    charge = only(made)
    assert (charge.usage.input_tokens, charge.estimated) == (100, True)
    assert charge.usage.output_tokens > 1


def test_of_a_provider_that_was_never_asked_there_is_none() -> None:
    made = asked("zai", "kimi")
    failed(made.begin(), failure("skipped", 429))
    made.plan.cursor = 1
    read(made.begin(), start(), text(), end({"output_tokens": 80})).end()
    assert [charge.attempt.number for charge in charges(made, NOW)] == [2]


def test_of_a_refusal_is_nothing() -> None:
    made = asked()
    failed(made.begin(), status(429))
    assert only(made).usage.has_any is False


class TestTranslated:
    def chunk(self, **fields: Any) -> bytes:
        return frame("", {"object": "chat.completion.chunk", **fields}).replace(b"event: \n", b"")

    def told(self, *chunks: bytes) -> Charge:
        made = exchange(target("zai", price=PRICE))
        made.body = RequestBody.parse(
            b'{"model": "asked", "messages": [{"role": "user", "content": "%s"}]}' % (b"word " * 50)
        )
        answer = ChatAnswer(Asked(provider="zai", tools={}), model="m", seed="s", input_estimate=60)
        reader = AnswerReader(stream=True, events=answer, complete=lambda _: (b"", answer.usage, None))
        made.begin().answer = reader
        for chunk in chunks:
            reader.feed(chunk)
        return only(made)

    def said(self, text: str = SAID) -> bytes:
        return self.chunk(choices=[{"index": 0, "delta": {"content": text}}])

    def test_cached_tokens_are_a_part_of_the_prompt(self) -> None:
        usage = {"prompt_tokens": 1000, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 900}}
        stop = self.chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
        charge = self.told(self.said(), stop, self.chunk(choices=[], usage=usage), b"data: [DONE]\n\n")
        assert (charge.usage.input_tokens, charge.usage.cache_read_input_tokens) == (100, 900)
        assert (charge.usage.output_tokens, charge.estimated) == (50, False)
        assert charge.cost == pytest.approx((100 * 3 + 900 * 0.3 + 50 * 15) / 1e6)

    def test_a_cut_before_any_usage(self) -> None:
        charge = self.told(self.said())
        assert charge.estimated
        assert 40 < charge.usage.input_tokens < 80
        assert len(SAID) / 6 < charge.usage.output_tokens < len(SAID) / 3

    def test_usage_nowhere(self) -> None:
        stop = self.chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
        charge = self.told(self.said(), stop, b"data: [DONE]\n\n")
        assert charge.estimated
        assert charge.usage.output_tokens > len(SAID) / 6
