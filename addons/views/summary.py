"""The trail of an exchange as plain data: what the Trail view shows, and what of it is saved with a flow.

Rule that holds here: no bodies, no credentials; every text is freed of secrets before it is put in, because what is
saved with a flow is read where nobody knows them.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from mitmproxy import http

from addons.state.attempt import Attempt, Kept, Outcome, describe
from addons.state.exchange import Exchange, TrailLine
from addons.state.result import compute, since
from addons.views.bodies import body_of, header, presentable
from addons.wire.error_reading import read_error
from addons.wire.masking import is_credential_header
from addons.wire.usage import COUNTS

VERDICT: Final = "failover"
"""The addon whose lines in the trail are verdicts."""

METADATA: Final = "gateway"
"""The key in `flow.metadata` under which the summary is saved with a flow."""


class Ending(msgspec.Struct, frozen=True):
    """How far an exchange has come. That it is over only its flow knows."""

    over: bool
    status: int | None
    """What the client got, or is getting."""
    error: str
    """What ended the flow before its time: `client disconnected`."""
    told: str
    """What the client was told in place of an answer; empty when it got one."""
    seconds: float
    """Seconds from the first header to the end, or to now."""


class LineSummary(msgspec.Struct):
    """One line of the trail."""

    at: float
    """Seconds since the request came."""
    who: str
    what: str


class AttemptSummary(msgspec.Struct):
    """One try at one target."""

    number: int
    target: str
    """The target: `zai/glm-5`; empty for a relayed request."""
    fallback: str
    """The alias of the fallback that this target is; empty for what was asked for."""
    to: str
    """The request line that was sent: `POST https://api.z.ai/api/anthropic/v1/messages`; empty when nobody watched, or
    nothing
    was sent."""
    credentials: list[str]
    """Header lines, masked."""
    status: int | None
    outcome: str
    """The failure of this attempt; empty while it runs and after success."""
    started: float
    first_event: float | None
    ended: float | None
    """Seconds since the request came."""
    bytes_up: int | None
    bytes_down: int | None
    verdict: str
    """What was done next, and why; empty while the attempt runs and after success."""
    steps: list[LineSummary]
    """The steps that were taken for this attempt."""
    account: str = ""
    """The account that it went out with: `claude:2`; empty where the provider has none."""


class Summary(msgspec.Struct):
    """What happened to one client request.

    Seventeen fields: the keys under which it is saved with a flow, for views and exports.
    """

    caller: str
    asked: str
    """The model that was asked for; empty when there was none."""
    method: str
    path: str
    session: str
    request_id: str
    bytes_asked: int | None
    answered_by: str
    """Who answered: `zai/glm-5`; empty for the gateway itself, or nobody yet."""
    fallback: bool
    ending: Ending
    first_event: float | None
    stop_reason: str
    usage: dict[str, int]
    """The tokens as the provider counts them: `input_tokens`, `cache_read_input_tokens` …; empty when it has not
    said."""
    cost: float | None
    """The cost in US dollars; None without a price."""
    verdict: str
    """Why the last failure was the last; empty after success."""
    steps: list[LineSummary]
    """The steps before the first attempt."""
    attempts: list[AttemptSummary]


def to_metadata(exchange: Exchange, flow: http.HTTPFlow | None = None) -> dict[str, Any]:
    """The summary for `flow.metadata["gateway"]`, plain values only. To be made when the flow has ended."""
    found = ending(exchange, flow)
    seconds = found.seconds if found.over else exchange.clock() - exchange.started
    made = summarize(exchange, msgspec.structs.replace(found, over=True, seconds=seconds))
    plain: dict[str, Any] = msgspec.to_builtins(made)
    return plain


def from_metadata(saved: object) -> Summary | None:
    """The summary that `to_metadata` wrote; None for what is no summary (of another version, or of somebody else)."""
    try:
        return msgspec.convert(saved, Summary)
    except (msgspec.ValidationError, RecursionError):
        return None


def ending(exchange: Exchange, flow: http.HTTPFlow | None = None) -> Ending:
    """How far the exchange has come, as far as it and its flow tell. Without a flow, an exchange is over when its last
    attempt has ended for good."""
    last = exchange.attempt
    if flow is None:
        over, error = exchange.recorded.response is not None, ""
        if last:
            over = last.ended is not None and (answers(last) or not will_retry(exchange))
    else:
        error = flow.error.msg if flow.error else ""
        over = bool(error) or not flow.live or bool(flow.response and flow.response.timestamp_end)
    status = status_told(exchange.recorded.response)
    if status is None and over and not error:
        status = flow.response.status_code if flow and flow.response else last.status if last else None
    if not over:
        seconds = exchange.clock() - exchange.started
    elif last and last.ended is not None:
        seconds = last.ended - exchange.started
    else:
        seconds = by_the_wall(flow)
    return Ending(over, status, error, error_told(status, exchange.recorded.response, flow), seconds)


def will_retry(exchange: Exchange) -> bool:
    """Whether the last failure is not the end, or nobody has decided yet."""
    return exchange.verdict is None or exchange.verdict.again


def status_told(told: Kept | None) -> int | None:
    """The status of what the client got."""
    code = told.first_line.partition(" ")[0] if told else ""
    return int(code) if code.isascii() and code.isdigit() else None


def error_told(status: int | None, told: Kept | None, flow: http.HTTPFlow | None) -> str:
    """The words of an HTTP error that the client got."""
    if status is None or status < 400:
        return ""
    if told:
        return read_error(status, header(told, "content-type"), body_of(told)).message
    if flow and flow.response:
        body = flow.response.get_content(strict=False) or b""
        return read_error(status, flow.response.headers.get("content-type", ""), body).message
    return ""


def by_the_wall(flow: http.HTTPFlow | None) -> float:
    """How long a flow took that ended without an answer."""
    if flow is None:
        return 0.0
    end = flow.response.timestamp_end if flow.response else None
    end = end or (flow.error.timestamp if flow.error else None)
    return max(0.0, end - flow.request.timestamp_start) if end else 0.0


def summarize(exchange: Exchange, end: Ending) -> Summary:
    """What happened, from the state of the exchange."""

    def clean(text: str) -> str:
        return presentable(text, exchange)

    last, result = exchange.attempt, exchange.result or compute(exchange)
    target = last.asked if last and answers(last) else None
    usage = result.usage
    answer = last.answer if last else None
    return Summary(
        caller=clean(result.caller),
        asked=clean(result.model),
        method=clean(exchange.method),
        path=clean(exchange.path),
        session=clean(result.session or ""),
        request_id=exchange.request_id,
        bytes_asked=len(exchange.recorded.request.body)
        if exchange.recorded.request
        else len(exchange.body.raw)
        if exchange.body
        else None,
        answered_by=clean(f"{target.provider.name}/{target.model}") if target else "",
        fallback=bool(target and target.fallback),
        ending=msgspec.structs.replace(end, error=clean(end.error), told=clean(end.told)),
        first_event=result.first_event,
        stop_reason=clean((answer.stop_reason if answer else None) or ""),
        usage={name: count for name in COUNTS if (count := getattr(usage, name))},
        cost=result.cost if target else None,
        verdict=clean(exchange.verdict.reason) if exchange.verdict and not exchange.verdict.again else "",
        steps=[line_summary(line, clean(line.what)) for line in exchange.trail if line.attempt == 0],
        attempts=[attempt_summary(exchange, attempt) for attempt in exchange.attempts],
    )


def answers(attempt: Attempt) -> bool:
    """Whether what this attempt brought is (the beginning of) what the client gets."""
    if attempt.outcome is not None:
        return bool(attempt.answer and attempt.answer.content)
    return attempt.status is not None or attempt.answer is not None


def attempt_summary(exchange: Exchange, attempt: Attempt) -> AttemptSummary:
    """The summary of one attempt."""
    target, sent = attempt.target, attempt.recorded.request
    instead = "the gateway, in place of " if attempt.instead else ""
    account = attempt.choice.account
    token = f"account {account.name} ({account.masked})" if account else ""
    lines = [line for line in exchange.trail if line.attempt == attempt.number]
    verdicts = [presentable(verdict_of(line, attempt), exchange) for line in lines if line.who == VERDICT]
    credentials = [f"{name}: {value}" for name, value in sent.headers if is_credential_header(name)] if sent else []
    return AttemptSummary(
        number=attempt.number,
        target=presentable(f"{instead}{target.provider.name}/{target.model}", exchange) if target else "",
        fallback=presentable(target.alias, exchange) if target and target.fallback else "",
        to=presentable(sent.first_line, exchange) if sent else "",
        credentials=[presentable(line, exchange) for line in credentials] or [token] * bool(token),
        status=attempt.status,
        outcome=presentable(failure(attempt.outcome), exchange) if attempt.outcome else "",
        started=attempt.started - exchange.started,
        first_event=since(exchange, attempt.first_event),
        ended=since(exchange, attempt.ended),
        bytes_up=len(sent.body) if sent else None,
        bytes_down=len(attempt.recorded.response.body) if attempt.recorded.response else None,
        verdict="; ".join(verdicts),
        steps=[line_summary(line, presentable(line.what, exchange)) for line in lines if line.who != VERDICT],
        account=account.name if account else "",
    )


def verdict_of(line: TrailLine, attempt: Attempt) -> str:
    """The reason in one of failover's lines, which begin with the failure."""
    before = describe(attempt.outcome) if attempt.outcome else ""
    if before and line.what.startswith(before):
        return line.what.removeprefix(before).partition(": ")[2]
    return line.what


def line_summary(line: TrailLine, what: str) -> LineSummary:
    return LineSummary(line.at, line.who, what)


def failure(outcome: Outcome) -> str:
    """How an attempt failed: `429 rate_limit_error: so it says`, `timeout: the provider did not answer in time`."""
    error = outcome.error
    words = {"status": f"{error.status} {error.type}", "error event": f"error event, {error.type}"}
    return f"{words.get(outcome.kind, outcome.kind)}: {error.message}"
