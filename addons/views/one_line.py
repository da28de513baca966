"""One request's story in one line, and its mark: for the flow list of mitmweb and for the log."""

from __future__ import annotations

from typing import NamedTuple

from mitmproxy import http

from addons.state.attempt import Attempt
from addons.state.exchange import Exchange
from addons.state.result import result_of
from addons.wire.words import in_a_line

LONGEST_NAME = 100


class Story(NamedTuple):
    """What the two lines of a request have in common: the flow list's and the log's."""

    route: str
    """What was asked for, and where it went: `claude-sonnet-5-5 → anthropic 429 → zai/glm-5`."""
    tokens: str
    """`12.4k in (9.8k cached) / 812 out`; empty when none were used."""


def story_of(exchange: Exchange, flow: http.HTTPFlow) -> Story:
    """The story of a request."""
    result = result_of(exchange, flow)
    asked = one_line(result.model or f"{exchange.method} {exchange.path.partition('?')[0]}")
    route = " → ".join([asked, *map(hop, hops(exchange))])
    if exchange.kind == "count_tokens":
        route += " (count_tokens)"
    usage = result.usage
    if not (usage.input_tokens or usage.output_tokens):
        return Story(route, "")
    cached = usage.cache_read_input_tokens
    total = usage.input_tokens + cached + usage.cache_creation_input_tokens
    read = f" ({short(cached)} cached)" if cached else ""
    return Story(route, f"{short(total)} in{read} / {short(usage.output_tokens)} out")


def summary(exchange: Exchange, flow: http.HTTPFlow, story: Story | None = None) -> str:
    """The story of a request in one line: `alice · claude-sonnet-5-5 → anthropic 429 → zai/glm-5 · 3 steps · 12.4k in
    (9.8k cached) / 812 out · 1.9 s`"""
    result, story = result_of(exchange, flow), story or story_of(exchange, flow)
    parts = [result.caller] if result.caller not in ("anyone", "token") else []
    if exchange.own:
        parts.append(f"{exchange.own.purpose} of {exchange.own.of}")
    parts.append(story.route)
    if flow.error:
        parts.append(result.error)
    elif result.status >= 400:
        parts.append(f"answered {result.status}")
    elif result.in_stream:
        parts.append("ended with an error event")
    changes = len([line for line in exchange.trail if line.who not in ("router", "failover")])
    if changes:
        parts.append(f"{changes} step{'s' if changes > 1 else ''}")
    if story.tokens:
        parts.append(story.tokens)
    if result.first_event is not None:
        parts.append(f"{result.first_event:.1f} s to first event")
    parts.append(f"{result.duration:.1f} s")
    return " · ".join(parts)


def mark(exchange: Exchange, flow: http.HTTPFlow) -> str:
    """The marker in the flow list: ended in an error (✖), went somewhere else first (↪), or nothing special. Neither
    needs a font with emoji."""
    result = result_of(exchange, flow)
    if flow.error or result.status >= 400 or result.in_stream:
        return ":heavy_multiplication_x:"
    return ":arrow_right_hook:" if len(exchange.attempts) > 1 else ""


def one_line(name: str) -> str:
    """A name that a client made up, fit for a log: no line breaks or terminal codes, and an end."""
    return in_a_line(name, LONGEST_NAME)


def hops(exchange: Exchange) -> list[Attempt]:
    """The attempts that are worth a word."""
    return [attempt for attempt in exchange.attempts if attempt.target]


def hop(attempt: Attempt) -> str:
    """One attempt: where it went, and how it failed if it did."""
    assert attempt.target
    if attempt.instead:
        return "the gateway"
    provider = attempt.target.provider.name
    if attempt.outcome is None:
        return f"{provider}/{attempt.target.model}"
    return f"{provider} {attempt.status if attempt.outcome.kind == 'status' else attempt.outcome.kind}"


def short(count: int) -> str:
    """A number in few characters: 12,400 is 12.4k."""
    return f"{count / 1000:.1f}k" if count >= 1000 else str(count)
