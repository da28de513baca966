"""What the attempts of a request have used, and what that costs.

Rules that hold here:
- What the provider has told counts, from the start of an answer on; of an answer that was not read to its end, or was
  never counted, the output is the larger of the last count and the estimate of what was streamed, and marked so.
- A failure that the provider itself has reported before any content costs nothing.
"""

from __future__ import annotations

from dataclasses import replace

from msgspec import Raw

from addons.state.attempt import Attempt
from addons.state.exchange import Charge, Exchange
from addons.state.prices import price_of
from addons.wire.answer_reader import AnswerReader
from addons.wire.token_estimate import PER_MESSAGE, estimate_messages, estimate_request
from addons.wire.usage import BYTES_PER_TOKEN, Usage


def charges(exchange: Exchange, at: float) -> list[Charge]:
    """Those of the attempts that a provider has seen, or was meant to. `at`: when, in epoch seconds; prices change."""
    made = []
    for attempt in exchange.sent():
        usage, estimated = used(exchange, attempt)
        price = price_of(exchange.config, attempt.target, usage, at)
        made.append(Charge(attempt, usage, estimated, price.usd, price.budget_usd, price.version))
    return made


def used(exchange: Exchange, attempt: Attempt) -> tuple[Usage, bool]:
    """The tokens of an attempt, and whether some of them are an estimate."""
    answer = attempt.answer
    if answer is None or attempt.instead:
        return Usage(), False
    told, streamed = answer.usage, answer.streamed
    if answer.finished and told.is_final and (told.output_tokens or streamed <= 0) and told.has_input:
        return told, False
    if attempt.outcome and attempt.outcome.kind in ("status", "error event") and not answer.content:
        return Usage(), False
    if not (answer.started or told.has_input):
        return told, False
    usage = replace(told)
    if not (answer.finished and told.is_final and told.output_tokens):
        usage.output_tokens = max(told.output_tokens, output_of(answer))
    if not told.has_input and exchange.body and (usage.output_tokens or answer.content):
        usage.input_tokens = estimate_request(exchange.body.fields)
    return usage, True


def output_of(answer: AnswerReader) -> int:
    """The estimate of the tokens of an answer."""
    if answer.streamed <= 0 and answer.body is not None:
        return estimate_messages([Raw(answer.body)]) - PER_MESSAGE
    return max(-(-answer.streamed // BYTES_PER_TOKEN), 0)
