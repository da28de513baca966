"""A finished request in the log: one line for a person, and the fields of a line for a machine.

Rules of this file: the fields are made only when somebody wants them (`gateway_log=json`); who writes them masks them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from mitmproxy import http

from addons.proxy.framing import read_status
from addons.state.exchange import Exchange, Result
from addons.state.result import result_of
from addons.views.one_line import Story, one_line, story_of
from addons.views.trail import dollars
from addons.wire.words import in_a_line

LONGEST_REASON: Final = 300
"""Characters of why a request has failed that a line has."""

Value = str | int | float | None


class LoggedRequest(msgspec.Struct, frozen=True, eq=False):
    """What a log record of a finished request knows besides its line."""

    exchange: Exchange
    flow: http.HTTPFlow

    @property
    def ended(self) -> Literal["well", "elsewhere", "failed"]:
        """How: `elsewhere` is a good answer that was not the first try's."""
        if result_of(self.exchange, self.flow).failed:
            return "failed"
        return "elsewhere" if len(self.exchange.attempts) > 1 else "well"

    def fields(self) -> Mapping[str, Value]:
        """The keys of a request in the JSON log, behind time, level and event; what is not known is null."""
        exchange, result = self.exchange, result_of(self.exchange, self.flow)
        used = [charge.usage for charge in result.charges]
        account = result.charges[-1].attempt.choice.account if result.charges else None
        first = result.first_event
        return {
            "request_id": exchange.request_id,
            "user": exchange.client.billed,
            "session": result.session,
            "class": exchange.facts.request_class if exchange.facts else None,
            "model": one_line(result.model) or None,
            "provider": result.target.provider.name if result.target else None,
            "target_model": one_line(result.target.model) if result.target else None,
            "account": account.name if account else None,
            "attempts": result.attempts,
            "status": result.status or None,
            "input_tokens": sum(one.input_tokens for one in used),
            "output_tokens": sum(one.output_tokens for one in used),
            "cache_read_tokens": sum(one.cache_read_input_tokens for one in used),
            "cache_write_tokens": sum(one.cache_creation_input_tokens for one in used),
            "cost_usd": result.cost,
            "first_event_s": None if first is None else round(first, 3),
            "duration_s": round(result.duration, 3),
            "error": why(result, self.flow) or None,
        }


def log_line(exchange: Exchange, flow: http.HTTPFlow, story: Story | None = None) -> str:
    """A finished request as a person reads it: `alice · glm → zai/glm-5 · 200 · 12.4k in (9.8k cached) / 812 out ·
    $0.0123 · 1.9 s`; without a user, the beginning of the session stands first."""
    result, story = result_of(exchange, flow), story or story_of(exchange, flow)
    parts = []
    if result.caller not in ("anyone", "token"):
        parts.append(result.caller)
    elif result.session:
        parts.append(in_a_line(result.session, 9))
    if exchange.own:
        parts.append(f"{exchange.own.purpose} of {exchange.own.of}")
    parts += [story.route, outcome(result, flow)]
    if story.tokens:
        parts.append(story.tokens)
    if result.cost:
        parts.append(dollars(result.cost))
    parts.append(f"{result.duration:.1f} s")
    return " · ".join(parts)


def outcome(result: Result, flow: http.HTTPFlow) -> str:
    """The status, with the reason where it is a failure: `401: token expired or incorrect`."""
    reason = why(result, flow)
    if flow.error or not reason:
        return reason or str(result.status)
    return f"{result.status}{', then' if result.in_stream else ''}: {reason}"


def why(result: Result, flow: http.HTTPFlow) -> str:
    """Why a request has failed, in the words of who has refused it; empty where it has not."""
    reason = result.error
    if reason and not flow.error and flow.response and reason == f"answered {result.status}":
        reason = read_status(flow.response).message
    return in_a_line(reason, LONGEST_REASON)
