"""ThinkingStripper: which thinking blocks may travel where, in both directions, and what else a target can't take.

On the way out it takes from the body what this target must not see; on the way back it installs the reader that wraps
the provider's thinking in its provenance, or strips it. The rules are `wire/thinking.py`, `wire/steps.py` and
`wire/answer.py`.
"""

from __future__ import annotations

import msgspec
from mitmproxy import http

from addons.config.config import Provider, Target
from addons.proxy.header_lines import value_of
from addons.state.attempt import Outcome
from addons.state.exchange import Exchange, Trying, exchange_of
from addons.wire.answer_reader import AnswerReader
from addons.wire.claude_models import claude_of
from addons.wire.error_reading import read_error
from addons.wire.errors import ProviderError
from addons.wire.messages.answer import MessagesAnswer, Rewrite, rewrite_message
from addons.wire.safeguards.held_answer import HeldAnswer
from addons.wire.steps.table import Context, apply
from addons.wire.usage import Usage


class ThinkingStripper:
    """Body surgery for targets that speak Anthropic Messages."""

    def attempt(self, trying: Trying) -> None:
        attempt, target, exchange = trying.attempt, trying.target, trying.exchange
        if attempt.draft is None or target is None or target.provider.format != "anthropic" or attempt.instead:
            return
        dialect = target.provider.dialect(target.model)
        context = Context(
            provider=target.provider.name,
            is_anthropic=target.provider.is_anthropic,
            claude=claude_of(target.model) if is_other_model(exchange, target) else None,
            max_output_tokens=target.max_output_tokens,
            rules=dialect.thinking_rules,
            output_config=dialect.output_config,
            web_search=target.provider.web_search,
            drop_all_thinking=exchange.plan.drop_thinking,
        )
        for step, line in apply(attempt.draft, context, target.provider.steps):
            exchange.note(step, line)
        for name, value in target.body.items() if exchange.kind == "messages" else ():
            attempt.draft.set(name, value)  # (counting tokens takes fewer fields)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        attempt = exchange.attempt if exchange else None
        if exchange is None or attempt is None or attempt.target is None or flow.response is None or attempt.instead:
            return
        if not 200 <= flow.response.status_code < 300 or attempt.target.provider.format != "anthropic":
            return
        try:
            attempt.answer = reader(exchange, attempt.target.provider, flow.response)
        except ValueError as error:
            attempt.outcome = Outcome("invalid", ProviderError(502, "api_error", str(error)))


def is_other_model(exchange: Exchange, target: Target) -> bool:
    """Whether the request may not have the shape that the target's model takes: the client asked for another, or not
    by this API's own names."""
    return not target.provider.is_anthropic or exchange.model.rpartition("/")[2] != target.model


def reader(exchange: Exchange, provider: Provider, response: http.Response) -> AnswerReader:
    """The reader for a 2xx of this provider. Raises ValueError for a content-encoding nobody can read."""
    rewrite = Rewrite(
        provider=provider.name,
        is_anthropic=provider.is_anthropic,
        strip_thinking=provider.thinking == "strip",
    )
    counts = exchange.kind == "count_tokens"
    held = exchange.attempts[-1].check is not None
    return (HeldAnswer if held else AnswerReader)(
        stream=exchange.stream,
        events=MessagesAnswer(rewrite),
        complete=read_count if counts else lambda body: rewrite_message(body, rewrite),
        content_encoding=value_of(response.headers, b"content-encoding"),
    )


def read_count(body: bytes) -> tuple[bytes, Usage, str | None] | ProviderError:
    """The answer to count_tokens: an object with `input_tokens`."""
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError:
        answer = None
    if isinstance(answer, dict) and isinstance(answer.get("input_tokens"), int):
        return body, Usage(), None
    return read_error(200, "application/json", body)
