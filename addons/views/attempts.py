"""The Attempts view: what each provider answered and what it was sent, head and body as they were on the wire.

The answers come first: they are short where they matter, and a request of a long conversation is not. JSON is indented,
its values keep the bytes that they had; of a long body the beginning and the end are shown.
"""

from __future__ import annotations

from typing import Final

import msgspec

from addons.state.attempt import Attempt, Kept
from addons.state.exchange import Exchange
from addons.views.bodies import body_of, header, presentable, text_of
from addons.views.summary import failure
from addons.views.text_layout import LONGEST_LINE, fold, more, rule, size, word_end, word_start

BUDGET: Final = 160_000
"""Characters of bodies that are shown, shared out among them."""

LEAST: Final = 8_000
MOST: Final = 40_000
"""Characters of one body that are shown at least and at most."""

NOT_KEPT: Final = (
    "What was sent and answered is kept only while somebody can look (mitmweb, mitmproxy), and is not saved with a "
    "flow. The Trail says what happened."
)


def render(exchange: Exchange) -> str:
    """All answers, then all requests."""
    if exchange.recorded.request is None:
        return NOT_KEPT
    if not exchange.attempts:
        return "No provider was asked."
    limit = min(MOST, max(LEAST, BUDGET // (2 * len(exchange.attempts))))
    out: list[str] = []
    for attempt in exchange.attempts:
        out += [rule(f"{name_of(attempt)} · answer"), *answer_lines(attempt, limit), ""]
    bodies: dict[bytes, int] = {}
    for attempt in exchange.attempts:
        out += [rule(f"{name_of(attempt)} · request"), *request_lines(attempt, limit, bodies), ""]
    return presentable("\n".join(out[:-1]), exchange)


def name_of(attempt: Attempt) -> str:
    """The attempt's number and target."""
    target = attempt.target
    to = f"{target.provider.name}/{target.model}" if target else "the default upstream"
    return f"attempt {attempt.number} · {'the gateway, in place of ' if attempt.instead else ''}{to}"


def answer_lines(attempt: Attempt, limit: int) -> list[str]:
    """What the provider answered, and how the attempt failed where that is not to be seen in it."""
    kept, outcome = attempt.recorded.response, attempt.outcome
    why = [fold(f"Failed: {failure(outcome)}", 2 * LONGEST_LINE)] if outcome and outcome.kind != "status" else []
    if kept is None and attempt.instead and not why:
        return ["The gateway's own: see Answer."]
    if kept is None:
        return why or ["Nothing has come yet." if attempt.ended is None else "No answer was kept."]
    return [*why, *head_lines(kept), "", *body_lines(kept, body_of(kept), limit)]


def request_lines(attempt: Attempt, limit: int, bodies: dict[bytes, int]) -> list[str]:
    """What was sent. `bodies`: those sent before, with their attempts."""
    kept = attempt.recorded.request
    if kept is None:
        return ["Nothing was sent."]
    body = body_of(kept)
    if body and body in bodies:
        return [*head_lines(kept), "", f"(the body is that of attempt {bodies[body]})"]
    bodies[body] = attempt.number
    return [*head_lines(kept), "", *body_lines(kept, body, limit)]


def head_lines(kept: Kept) -> list[str]:
    """The first line and the headers, as they were."""
    return [
        fold(line, LONGEST_LINE) for line in (kept.first_line, *(f"{name}: {value}" for name, value in kept.headers))
    ]


def body_lines(kept: Kept, body: bytes, limit: int) -> list[str]:
    """The body: JSON indented, any other text as it is."""
    if not body:
        return ["(no body)"]
    try:
        text = msgspec.json.format(body, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = text_of(body)
    if "\0" in text:
        return [f"({size(len(body))} of {header(kept, 'content-type') or 'something'}, not text)"]
    return ends_of(text.replace("\r\n", "\n").rstrip("\n"), limit)


def ends_of(text: str, limit: int) -> list[str]:
    """The lines of a text; of one that is longer than `limit` characters the first half of these and the last."""
    if len(text) <= limit:
        return text.split("\n")
    start, end = word_start(text, limit // 2), word_end(text, len(text) - limit // 2)
    left = more(end - start).replace("more characters", "characters that an export has")
    return [*text[:start].split("\n"), left, *text[end:].split("\n")]
