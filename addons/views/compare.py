"""Two requests side by side: what each was asked, who answered it, in which time, with how many tokens, at what cost.

`compare(side_of(left), side_of(right))` is what a page or a command shows: rows of names and two values each, which of
the two is better where one can be, and both answers as the Answer view has them. Flows of this process and flows from
files can be compared alike. Every text is freed of secrets; none of it is escaped for HTML.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

from mitmproxy import contentviews, http
from msgspec import UNSET

from addons.state.exchange import exchange_of
from addons.views.bodies import body_of, fields_of, presentable
from addons.views.content_views import AnswerContentview, content, is_ours, summary_of
from addons.views.summary import Summary, ending, summarize
from addons.views.text_layout import fold, seconds
from addons.views.trail import dollars
from addons.wire.raw_json import load, split_array

Better = Literal["left", "right", ""]

IN_ONE_PIECE: Final = 0.05
"""The part of a request's time below which its answer has not been streamed."""

LONGEST_QUESTION: Final = 600
"""Characters of a question that are shown."""


SHORTEST: Final = 0.1
"""Seconds of an answer that tell its speed: one that came at once was ready before."""


class Side(NamedTuple):
    """One of the two requests."""

    summary: Summary
    question: str
    """The last text of the request, in one line; empty when there is none."""
    answer: str
    """What the client got: text, thinking, tool calls, or the error; without the lines above it that are rows here."""


class Row(NamedTuple):
    """One thing that is compared."""

    name: str
    left: str
    right: str
    """The values in words; empty where nothing is known."""
    better: Better = ""
    """Which side is faster or cheaper; empty when neither is, when it can't be said, or when one of them failed."""


class Comparison(NamedTuple):
    """Two requests side by side."""

    left: Side
    right: Side
    rows: list[Row]
    same_question: bool
    """Both end in the same words, so that their answers can be compared."""


def side_of(flow: http.HTTPFlow) -> Side | None:
    """One side, from its flow; None for a flow that is none of the gateway's, or whose summary can't be read."""
    if not is_ours(flow):
        return None
    exchange = exchange_of(flow)
    summary = summarize(exchange, ending(exchange, flow)) if exchange else summary_of(flow)
    if summary is None:
        return None
    asked = body_of(exchange.recorded.request) if exchange and exchange.recorded.request else content(flow.request)
    shown = AnswerContentview().prettify(b"", contentviews.Metadata(flow=flow))
    # its first lines, to an empty one, say what is in the rows
    return Side(summary, presentable(question_in(asked), exchange), shown.partition("\n\n")[2])


def question_in(body: bytes) -> str:
    """The last text in the last message, in one line."""
    fields = fields_of(body)
    messages = split_array(fields.get("messages", UNSET)) if isinstance(fields, dict) else None
    last = load(messages[-1]) if messages else None
    said = last.get("content") if isinstance(last, dict) else None
    texts = [said] if isinstance(said, str) else [text_in(block) for block in said] if isinstance(said, list) else []
    return fold(" ".join(next((text for text in reversed(texts) if text), "").split()), LONGEST_QUESTION)


def text_in(block: Any) -> str:
    """The text of a text block, and of a tool result that is one text."""
    text = block.get("text") or block.get("content") if isinstance(block, dict) else None
    return text if isinstance(text, str) else ""


def compare(left: Side, right: Side) -> Comparison:
    """The two, row by row."""
    one, other = left.summary, right.summary
    fair = answered(one) and answered(other)

    def words(name: str, a: str, b: str) -> Row:
        return Row(name, a, b)

    def less(name: str, a: str, b: str, amounts: tuple[float | None, float | None]) -> Row:
        return Row(name, a, b, smaller(*amounts) if fair else "")

    speeds = speed(one), speed(other)
    rows = [
        words("asked for", one.asked, other.asked),
        words("answered by", answerer(one), answerer(other)),
        words("status", status(one), status(other)),
        words("attempts", str(len(one.attempts)), str(len(other.attempts))),
        less("first event", after(one.first_event), after(other.first_event), (one.first_event, other.first_event)),
        less("time", after(took(one)), after(took(other)), (took(one), took(other))),
        less("speed", rate(speeds[0]), rate(speeds[1]), (negative(speeds[0]), negative(speeds[1]))),
        words("tokens in", tokens_in(one.usage), tokens_in(other.usage)),
        words("of these cached", cached(one.usage), cached(other.usage)),
        words("tokens out", count(one.usage, "output_tokens"), count(other.usage, "output_tokens")),
        less("cost", cost(one), cost(other), (one.cost, other.cost)),
        words("stop reason", one.stop_reason, other.stop_reason),
    ]
    same = bool(left.question) and left.question == right.question
    return Comparison(left, right, [row for row in rows if row.left or row.right], same)


def answered(summary: Summary) -> bool:
    """Whether the client got a whole answer: who fails at once is not the faster one."""
    end = summary.ending
    return end.over and not end.error and not end.told and bool(summary.answered_by)


def smaller(a: float | None, b: float | None) -> Better:
    """The side with the smaller amount; neither within a hundredth."""
    if a is None or b is None or abs(a - b) <= 0.01 * max(abs(a), abs(b)):
        return ""
    return "left" if a < b else "right"


def answerer(summary: Summary) -> str:
    return f"{summary.answered_by}{' (fallback)' if summary.fallback else ''}"


def status(summary: Summary) -> str:
    """The status, and why there is no whole answer."""
    end = summary.ending
    parts = ["" if end.status is None else str(end.status), end.error or end.told, "" if end.over else "still running"]
    return fold(": ".join(part for part in parts if part), 200)


def took(summary: Summary) -> float:
    return summary.ending.seconds


def after(duration: float | None) -> str:
    return "" if duration is None else seconds(duration)


def speed(summary: Summary) -> float | None:
    """Tokens a second: from the first event on, or over all of the time for an answer that came in one piece."""
    out, first = summary.usage.get("output_tokens", 0), summary.first_event
    if first is None or not out or took(summary) <= 0:
        return None
    streamed = took(summary) - first
    return out / (streamed if streamed > IN_ONE_PIECE * took(summary) else took(summary))


def rate(tokens: float | None) -> str:
    return "" if tokens is None else f"{tokens:,.0f} tokens/s"


def negative(amount: float | None) -> float | None:
    """The amount with its sign turned, for what is better when there is more of it."""
    return None if amount is None else -amount


def count(usage: dict[str, int], name: str) -> str:
    return f"{usage.get(name, 0):,}" if usage else ""


def tokens_in(usage: dict[str, int]) -> str:
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return f"{sum(usage.get(name, 0) for name in names):,}" if usage else ""


def cached(usage: dict[str, int]) -> str:
    return count(usage, "cache_read_input_tokens") if usage.get("cache_read_input_tokens") else ""


def cost(summary: Summary) -> str:
    return "" if summary.cost is None else dollars(summary.cost)
