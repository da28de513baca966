"""What the flow list shows of a request of ours, as plain values for the page's script.

Rules that hold here: a request that has ended is told from the summary that is saved with its flow, so that a flow from
a file has the same row; of one that runs, what is known so far. Every text is freed of secrets; none of it is escaped.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

from mitmproxy import flow, http

from addons.state.exchange import Exchange, exchange_of
from addons.views.bodies import presentable
from addons.views.one_line import hops, one_line
from addons.views.summary import METADATA, AttemptSummary, Summary, from_metadata
from addons.wire.words import in_a_line

NOBODY: Final = ("anyone", "token")
"""Callers that say nothing about who it is."""

LONGEST_ERROR: Final = 300
"""Characters of why a request has failed."""

SESSION: Final = 8
"""Characters of a session that tell it from others."""


def row_of(shown: flow.Flow) -> dict[str, Any] | None:
    """The row of a flow; None for one that isn't the gateway's."""
    if not isinstance(shown, http.HTTPFlow):
        return None
    exchange, saved = exchange_of(shown), shown.metadata.get(METADATA)
    if saved is not None and (summary := from_metadata(saved)):
        return {**ended(summary, purpose(exchange)), "kept": exchange is not None}
    return running(exchange) if exchange else None


def running(exchange: Exchange) -> dict[str, Any]:
    """The row of a request that has not ended."""
    attempts = [
        {"number": one.number, "to": where(f"{one.target.provider.name}/{one.target.model}"), "failed": ""}
        for one in hops(exchange)
        if one.target
    ]
    account = exchange.attempt.choice.account if exchange.attempt else None
    return {
        "state": "running",
        "who": who(exchange.client.caller, exchange.client.session or ""),
        "account": account.name if account else "",
        "asked": presentable(asked(exchange.model, exchange.method, exchange.path), exchange),
        "attempts": attempts,
        "note": purpose(exchange),
        "kept": True,
    }


def ended(summary: Summary, note: str = "") -> dict[str, Any]:
    """The row of a request that has ended."""
    last = summary.attempts[-1] if summary.attempts else None
    end, usage = summary.ending, summary.usage
    error = end.error or end.told or (in_words(last.outcome) if last else "")
    cached = usage.get("cache_read_input_tokens", 0)
    path = summary.path.partition("?")[0]
    return {
        "state": "failed" if error else "elsewhere" if len(summary.attempts) > 1 else "well",
        "who": who(summary.caller, summary.session),
        "account": last.account if last else "",
        "asked": asked(summary.asked, summary.method, summary.path),
        "attempts": [
            {"number": one.number, "to": where(one.target), "failed": why(one)}
            for one in summary.attempts
            if one.target
        ],
        "note": note or ("count_tokens" if path.endswith("/count_tokens") else ""),
        "error": in_a_line(error, LONGEST_ERROR),
        "tokens_in": usage.get("input_tokens", 0) + cached + usage.get("cache_creation_input_tokens", 0),
        "tokens_cached": cached,
        "tokens_out": usage.get("output_tokens", 0),
        "cost": finite(summary.cost),
        "first": finite(summary.first_event),
        "seconds": finite(end.seconds),
    }


def finite(number: float | None) -> float | None:
    """The number, unless JSON has none such: a file may say anything."""
    return number if number is not None and isfinite(number) else None


def who(caller: str, session: str) -> str:
    """The user; of somebody without a name the beginning of the session."""
    if caller not in NOBODY:
        return caller
    return in_a_line(session, SESSION + 1) if session else ""


def asked(model: str, method: str, path: str) -> str:
    """The model that was asked for, or the path where there is none."""
    return one_line(model or f"{method} {path.partition('?')[0]}")


def where(target: str) -> str:
    """The target of an attempt; the gateway where it has answered itself."""
    return "the gateway" if target.startswith("the gateway, ") else target


def why(attempt: AttemptSummary) -> str:
    """Why an attempt has failed, in a word: `429`, `timeout`; empty when it hasn't."""
    if attempt.status is not None and attempt.outcome.startswith(f"{attempt.status} "):
        return str(attempt.status)
    return attempt.outcome.partition(":")[0].partition(",")[0]


def in_words(outcome: str) -> str:
    """Why an attempt has failed, in a sentence."""
    return outcome.partition(": ")[2] or outcome


def purpose(exchange: Exchange | None) -> str:
    """What a request of the gateway's own is for; empty for a client's."""
    return exchange.own.purpose if exchange and exchange.own else ""
