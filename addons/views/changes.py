"""The Changes view: for each attempt, what became of the client's request on its way out, and what became of the
answer on its way back.

`- ` is what came in, `+ ` what went out in its place; what stayed is folded. The body comes before the headers, of
which a client sends two dozen.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final, NamedTuple

from addons.state.attempt import Attempt, Kept
from addons.state.exchange import Exchange
from addons.views.bodies import body_of, events_of, is_stream, presentable, text_of
from addons.views.diff.event_changes import event_changes
from addons.views.diff.json_changes import json_changes
from addons.views.diff.text_changes import text_changes
from addons.views.summary import Ending, ending, failure
from addons.views.text_layout import LONGEST_LINE, counted, fold, rule, size
from addons.wire.messages.assembler import Assembler
from addons.wire.raw_json import dump

MOST: Final = 400
"""Lines of one body's diff."""

FAMILY: Final = re.compile(r"x-[a-z]+-")
MANY: Final = 3
"""Headers with the same beginning that are shown as one."""

NOT_KEPT: Final = (
    "What was sent is kept only while somebody can look (mitmweb, mitmproxy), and is not saved with a flow. "
    "The Trail says what was changed."
)


def render(exchange: Exchange, end: Ending | None = None) -> str:
    """Every attempt, then the answer."""
    end = end or ending(exchange)
    asked = exchange.recorded.request
    if asked is None:
        return NOT_KEPT
    if not exchange.attempts:
        return "No provider was asked: nothing was changed."
    out: list[str] = []
    before = Before({}, set())
    for attempt in exchange.attempts:
        out += [*attempt_lines(exchange, asked, attempt, before), ""]
    return presentable("\n".join([*out, *answer_lines(exchange, end)]), exchange)


class Before(NamedTuple):
    """What earlier attempts of the request have sent: bodies with their attempts, and lines of changed headers."""

    bodies: dict[bytes, int]
    headers: set[str]


def attempt_lines(exchange: Exchange, asked: Kept, attempt: Attempt, before: Before) -> list[str]:
    """What this attempt sent in place of what the client asked."""
    target = attempt.target
    where = f"{target.provider.name}/{target.model}" if target else "the default upstream"
    out = [rule(f"attempt {attempt.number} · request · client → {where}")]
    sent = attempt.recorded.request
    if sent is None:
        instead = ": the gateway answers in its place" if attempt.instead else ""
        why = f": {failure(attempt.outcome)}" if attempt.outcome else instead
        return [*out, fold(f"Nothing was sent{why}", 2 * LONGEST_LINE)]
    body = body_of(sent)
    out += line_changes(asked, sent)
    if body in before.bodies:
        out.append(f"  body: that of attempt {before.bodies[body]}")
    else:
        before.bodies[body] = attempt.number
        out += body_changes(body_of(asked), body)
    title, *headers = header_changes(asked, sent)
    others = [line for line in headers if line not in before.headers]
    known = len(headers) - len(others)
    out += [title, *others, *[f"  … {counted(known, 'line')} as before"] * bool(known)]
    before.headers.update(headers)
    if attempt is not exchange.attempt and attempt.outcome:
        out += ["", fold(f"Its answer was not passed on: {failure(attempt.outcome)}", 2 * LONGEST_LINE)]
    return out


def answer_lines(exchange: Exchange, end: Ending) -> list[str]:
    """What the client was told in place of what the last provider said."""
    last, told = exchange.attempt, exchange.recorded.response
    assert last
    out = [rule(f"answer · {last.target.provider.name if last.target else 'the default upstream'} → client")]
    if last.recorded.response is None or told is None:
        if not end.over:
            return [*out, "Still running: nothing has come yet."]
        return [*out, "The client got nothing." if told is None else "The gateway answered itself."]
    out += [
        *line_changes(last.recorded.response, told),
        *body_changes(body_of(last.recorded.response), body_of(told)),
        *header_changes(last.recorded.response, told),
    ]
    if not end.over:
        out += ["", "Still running: what is not passed on yet counts as removed."]
    return out


def line_changes(old: Kept, new: Kept) -> list[str]:
    """The first line."""
    if old.first_line == new.first_line:
        return [fold(f"  {new.first_line}", LONGEST_LINE)]
    return [fold(f"{mark} {kept.first_line}", LONGEST_LINE) for mark, kept in (("-", old), ("+", new))]


def header_changes(old: Kept, new: Kept) -> list[str]:
    """The headers, in whatever order these came: in one line those that stayed and those that went no further, then
    those that are new or others."""
    before, after = by_name(old), by_name(new)
    same = [name for name in before if before[name] == after.get(name)]
    gone = [name for name in before if name not in after]
    come = [name for name in after if name not in same]
    kinds = [("unchanged", same), ("not passed on", gone), ("new or changed", come)]
    out = [f"  headers: {', '.join(f'{len(names)} {what}' for what, names in kinds if names) or 'none'}"]
    out += [fold(f"  … unchanged: {', '.join(families(same))}", LONGEST_LINE)] * bool(same)
    out += [fold(f"- … not passed on: {', '.join(families(gone))}", LONGEST_LINE)] * bool(gone)
    for name in come:
        out += [fold(f"- {name}: {value}", LONGEST_LINE) for value in before.get(name, [])]
        out += [fold(f"+ {name}: {value}", LONGEST_LINE) for value in after[name]]
    return out


def families(names: list[str]) -> list[str]:
    """Names of headers in few words: `x-stainless-* (9)` for those of which there are many."""
    starts = [FAMILY.match(name) for name in names]
    sizes = Counter(start[0] for start in starts if start)
    out: list[str] = []
    for name, start in zip(names, starts, strict=True):
        many = start is not None and sizes[start[0]] >= MANY
        word = f"{start[0]}* ({sizes[start[0]]})" if start and many else name
        if word not in out:
            out.append(word)
    return out


def by_name(kept: Kept) -> dict[str, list[str]]:
    """The headers' values by lower-case name."""
    values: dict[str, list[str]] = {}
    for name, value in kept.headers:
        values.setdefault(name.lower(), []).append(value)
    return values


def body_changes(old: bytes, new: bytes) -> list[str]:
    """The diff of two bodies, whatever they are, below a line that says how large they are."""
    what = f"{size(len(old))} → {size(len(new))}" if len(old) != len(new) else size(len(old))
    streams = is_stream(old or new), is_stream(new or old)  # nothing yet is the beginning of either
    if old == new:
        events = f", {counted(len(events_of(old)), 'event')}" if streams[0] else ""
        return [f"  body: unchanged, {what}{events}" if old else "  no body"]
    out: list[str] | None
    if all(streams):
        out = event_changes(old, new)
        note = f"{len(events_of(old)):,} → {counted(len(events_of(new)), 'event')}"
    elif any(streams) and old and new:
        out = json_changes(assembled(old) if streams[0] else old, assembled(new) if streams[1] else new)
        note = "a stream became JSON" if streams[0] else "JSON became a stream"
        note += "; both as messages"
    else:
        out, note = json_changes(old, new, MOST) if old and new else None, ""
    if out is None:
        note = "not JSON"
        out = text_changes(text_of(old), text_of(new))
    if not out:
        note = f"{note}, " * bool(note) + "nothing changed but how it is written"
    if len(out) > MOST:  # there may be more than was made
        out = [*out[:MOST], f"  … more: the first {MOST} lines are shown"]
        note = f"{note}, " * bool(note) + f"more than {MOST} lines"
    elif any(line.startswith(("-", "+")) for line in out):
        gone, come = (sum(line.startswith(mark) for line in out) for mark in "-+")
        note = f"{note}, " * bool(note) + f"{counted(gone, 'line')} out, {come:,} in"
    return [f"  body: {what}{f' ({note})' if note else ''}", *out]


def assembled(body: bytes) -> bytes:
    """A stream as the JSON message that it stands for."""
    assembler = Assembler()
    assembler.feed(body)
    return bytes(dump(assembler.message()))
