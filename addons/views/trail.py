"""The Trail view: what happened to a request, in order.

One line that says it all, one for each attempt, then the steps of each: when, which addon, what it changed and why.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from addons.state.exchange import Exchange
from addons.views.summary import AttemptSummary, Ending, LineSummary, Summary, ending, summarize
from addons.views.text_layout import fold, indented, rule, seconds, size

UPSTREAM: Final = "the default upstream"
"""Where a relayed request goes."""

LONGEST: Final = 600
"""Characters of one step or error that are shown."""

LONGEST_IN_STORY: Final = 110
"""Characters of a failure, or of what followed it, that are shown in an attempt's one line."""


def render(exchange: Exchange, end: Ending | None = None) -> str:
    """The trail of a request. `end`: how far it has come, when its flow was asked."""
    return render_summary(summarize(exchange, end or ending(exchange)))


def render_summary(summary: Summary) -> str:
    """The trail of a request, from what was saved of it."""
    out = [headline(summary), "", *story(summary), *facts(summary)]
    if summary.steps:
        out += ["", rule("before the first attempt"), *step_lines(summary.steps)]
    for attempt in summary.attempts:
        last = attempt is summary.attempts[-1]
        out += ["", rule(title(attempt)), *attempt_lines(attempt, summary, last=last)]
    if not summary.attempts:
        out += ["", "No provider was asked."]
    return "\n".join(out)


def headline(summary: Summary) -> str:
    """The first line of a trail: `alice · claude-sonnet-5-5 → zai/glm-5 (fallback) · 200 · 4.2 s · 12,400 in (9,800
    cached) / 812 out · $0.01`"""
    end = summary.ending
    asked = summary.asked or f"{summary.method} {summary.path.partition('?')[0]}"
    if summary.answered_by:
        asked += f" → {summary.answered_by}{' (fallback)' if summary.fallback else ''}"
    elif end.over and summary.attempts:
        asked += f" → {by_whom(summary)}"
    parts = [summary.caller, asked]
    if end.status is not None:
        parts.append(str(end.status))
    if end.error:
        parts.append(end.error)
    parts.append(seconds(end.seconds) if end.over else f"still running, {seconds(end.seconds)} so far")
    if tokens := tokens_of(summary.usage):
        parts.append(tokens)
    if summary.cost is not None:
        parts.append(dollars(summary.cost))
    return " · ".join(fold(part, 200) for part in parts)


class Result(NamedTuple):
    """What came of an attempt."""

    mark: str
    """`✓` it answered, `✗` it failed, `…` it runs."""
    failed: str
    """How it failed; empty when it did not."""
    verdict: str
    """What it was followed by, and why."""


def story(summary: Summary) -> list[str]:
    """A line for each attempt, and what the client was told in place of an answer: `✗ 1  anthropic/claude-sonnet-5-5
    after 0.3 s: 429 … → next target`"""
    targets = [attempt.target or UPSTREAM for attempt in summary.attempts]
    width = max(map(len, targets), default=0)
    out = []
    for attempt, target in zip(summary.attempts, targets, strict=True):
        mark, failed, verdict = result(attempt, summary, last=attempt is summary.attempts[-1])
        said = " → ".join(fold(part, LONGEST_IN_STORY) for part in (failed, verdict) if part)
        out.append(f"{mark} {attempt.number}  {target:<{width}}  {said}".rstrip())
    if summary.ending.told:
        out.append(f"✗ the client was told: {fold(summary.ending.told, LONGEST)}")
    return [*out, ""] if out else []


def by_whom(summary: Summary) -> str:
    """Who answered a request that no target did."""
    last = summary.attempts[-1]
    if not last.target and last.status is not None:
        return UPSTREAM
    return "the gateway" if summary.ending.status and summary.ending.status < 400 else "no answer"


def tokens_of(usage: dict[str, int]) -> str:
    """The tokens in words: `12,400 in (9,800 cached) / 812 out`."""
    if not usage:
        return ""
    cached, written = usage.get("cache_read_input_tokens", 0), usage.get("cache_creation_input_tokens", 0)
    total = usage.get("input_tokens", 0) + cached + written
    notes = [f"{cached:,} cached"] * bool(cached) + [f"{written:,} written to the cache"] * bool(written)
    return f"{total:,} in{f' ({", ".join(notes)})' if notes else ''} / {usage.get('output_tokens', 0):,} out"


def dollars(amount: float) -> str:
    """A cost: `$1.20`, `$0.0123`, `$0.000074`."""
    return f"${amount:.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}" if amount >= 0.01 else f"${amount:.6f}"


def facts(summary: Summary) -> list[str]:
    """What identifies the request, a line each."""
    length = "" if summary.bytes_asked is None else f", {size(summary.bytes_asked)}"
    rows = {
        "request": f"{summary.method} {summary.path}{length}",
        "session": summary.session,
        "request id": summary.request_id,
        "first event": "" if summary.first_event is None else f"after {seconds(summary.first_event)}",
        "stop reason": summary.stop_reason,
    }
    return aligned(rows.items())


def title(attempt: AttemptSummary) -> str:
    """The heading of an attempt: `attempt 2 · zai/glm-5, the fallback glm · 200`."""
    target = attempt.target or UPSTREAM
    fallback = f", the fallback {attempt.fallback}" if attempt.fallback else ""
    status = f" · {attempt.status}" if attempt.status is not None else ""
    return f"attempt {attempt.number} · {target}{fallback}{status}"


def attempt_lines(attempt: AttemptSummary, summary: Summary, *, last: bool) -> list[str]:
    """The lines of one attempt: where it went, with what, what came of it, and its steps."""
    rows = [("sent to", attempt.to), *[("credential", line) for line in attempt.credentials]]
    if attempt.first_event is not None:
        rows.append(("first event", f"{seconds(attempt.first_event - attempt.started)} after it was sent"))
    if attempt.bytes_up is not None:
        down = "nothing" if attempt.bytes_down is None else size(attempt.bytes_down)
        rows.append(("bytes", f"{size(attempt.bytes_up)} up, {down} down"))
    came = result(attempt, summary, last=last)
    verdicts = [("failed", came.failed), ("verdict", came.verdict)]
    return [*aligned(rows), *step_lines(attempt.steps), *aligned(verdicts)]


def aligned(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Names and values in lines, those without a value left out."""
    return [f"{name:<12} {fold(value, LONGEST)}" for name, value in rows if value]


def result(attempt: AttemptSummary, summary: Summary, *, last: bool) -> Result:
    """What came of an attempt, and why what came next did."""
    took = "" if attempt.ended is None else f" after {seconds(attempt.ended - attempt.started)}"
    if attempt.outcome:
        failed = f"{took.lstrip()}: {attempt.outcome}".lstrip(": ")
        return Result("✗", failed, attempt.verdict or (summary.verdict if last else ""))
    if attempt.ended is not None or (attempt.status is not None and summary.ending.over and not summary.ending.error):
        mark = "✓" if (attempt.status or 200) < 400 else "✗"  # of a relayed request nobody asks what it means
        return Result(mark, "", f"answered{took}{f': {summary.stop_reason}' if last and summary.stop_reason else ''}")
    if not last or not summary.ending.over:
        return Result("…", "", "still running")
    if summary.ending.error:
        return Result("✗", "", f"given up: {summary.ending.error}")
    return Result("✓", "", f"answered by the gateway{f': {summary.verdict}' if summary.verdict else ''}")


def step_lines(steps: list[LineSummary]) -> list[str]:
    """One step: `+0.002 s  router        glm → zai/glm-5`, what takes several lines indented."""
    width = max((len(step.who) for step in steps), default=0)
    out = []
    for step in steps:
        start = f"{'+' + seconds(step.at):>10}  {step.who:<{width}}  "
        first, *others = fold(step.what, LONGEST).split("\n")
        out += [f"{start}{first}".rstrip(), *indented(others, len(start))]
    return out
