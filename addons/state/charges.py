"""What the attempts of a request have used, and what that costs.

Rules that hold here:
- What the provider has told counts, from the start of an answer on; of an answer that was not read to its end, or was
  never counted, the output is the larger of the last count and the estimate of what was streamed, and marked so.
- A failure that the provider itself has reported before any content costs nothing.
"""

from __future__ import annotations

from dataclasses import replace

from msgspec import Raw

from addons.config.config import Price
from addons.state.attempt import Attempt
from addons.state.exchange import Charge, Exchange
from addons.wire.answer_reader import AnswerReader
from addons.wire.token_estimate import PER_MESSAGE, estimate_messages, estimate_request
from addons.wire.usage import BYTES_PER_TOKEN, Usage


def charges(exchange: Exchange) -> list[Charge]:
    """Those of the attempts that a provider has seen, or was meant to."""
    return [charge(exchange, attempt) for attempt in exchange.sent()]


def charge(exchange: Exchange, attempt: Attempt) -> Charge:
    """What one attempt has used, as far as it is known now."""
    usage, estimated = used(exchange, attempt)
    return Charge(attempt, usage, estimated, cost(usage, attempt.target.price if attempt.target else None))


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


def cost(usage: Usage, price: Price | None) -> float | None:
    """US dollars; None when the target has no price."""
    if price is None:
        return None
    return (
        usage.input_tokens * price.input
        + usage.output_tokens * price.output
        + usage.cache_read_input_tokens * price.cache_read
        + usage.cache_creation_input_tokens * price.cache_write
    ) / 1e6
