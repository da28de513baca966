"""What became of a provider's event stream on its way to the client, event by event.

What passed unchanged is folded; what was dropped, put in, renumbered or rewritten is shown, equal changes in a row as
one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from addons.views.bodies import events_of
from addons.views.diff.alignment import align
from addons.views.diff.json_changes import json_changes
from addons.views.diff.text_changes import folded_runs
from addons.views.text_layout import counted, fold
from addons.wire.raw_json import load
from addons.wire.sse import parse, read_object

KEYS: Final = ("type", "index", "delta", "content_block")
"""The fields of an event that tell what it is."""

EXCERPT: Final = 120
"""Characters of what dropped or added deltas said, together."""

_INDEX: Final = re.compile(rb'("index": ?)\d+')


class EventWords(NamedTuple):
    """An event in a few words. `title` says what it is, `excerpt` is the text that it carries."""

    title: str
    number: int | None
    """The index of the event's block; None when it has none."""
    excerpt: str


def event_changes(old: bytes, new: bytes) -> list[str]:
    """The diff of two streams; empty when they are the same."""
    before, after = events_of(old), events_of(new)
    if before == after:
        return []
    out: list[str] = []
    for same, steps in groupby(matched(before, after), lambda step: step[0] is not None and step[0] == step[1]):
        if same:
            out.append(f"  … {counted(len(list(steps)), 'unchanged event')}")
        else:
            out += changed(steps)
    return out


def matched(before: Sequence[bytes], after: Sequence[bytes]) -> Iterator[tuple[bytes | None, bytes | None]]:
    """The pairs of events that became each other: those that differ in their number only, between them those of the
    same kind."""
    numberless = [[_INDEX.sub(rb"\1", event, count=1) for event in events] for events in (before, after)]
    for same, run in groupby(align(*numberless), lambda pair: None not in pair):
        gap = list(run)
        gone = [before[i] for i, _ in gap if i is not None]
        come = [after[j] for _, j in gap if j is not None]
        if same:
            yield from zip(gone, come, strict=True)
            continue
        for a, b in align([words_of(event).title for event in gone], [words_of(event).title for event in come]):
            yield None if a is None else gone[a], None if b is None else come[b]


def changed(steps: Iterator[tuple[bytes | None, bytes | None]]) -> list[str]:
    """The lines for events in a row that did not pass as they were."""
    out: list[str] = []
    for mark, run in groupby(steps, lambda step: "-" if step[1] is None else "+" if step[0] is None else "~"):
        if mark == "~":
            out += folded_runs([line for old, new in run if old and new for line in rewritten(old, new)])
            continue
        events = [words_of(old or new or b"") for old, new in run]
        for (title, index), group in groupby(events, lambda event: event[:2]):
            out.append(f"{mark} {named(title, index)}{said([event.excerpt for event in group])}")
    return out


def rewritten(old: bytes, new: bytes) -> list[str]:
    """An event that another one stands for: only renumbered, or changed in itself."""
    before, after = words_of(old), words_of(new)
    moved = before.number != after.number
    where = f"{before.title} [{before.number} → {after.number}]" if moved else named(before.title, before.number)
    if _INDEX.sub(rb"\1", old, count=1) == _INDEX.sub(rb"\1", new, count=1):
        return [f"~ {where}"]
    inner = json_changes(parse(old).data, parse(new).data)
    if inner is None:
        inner = [f"- {fold(before.excerpt, EXCERPT)}", f"+ {fold(after.excerpt, EXCERPT)}"]
    marks = [(line[0], line[2:].strip()) for line in inner if line.startswith(("-", "+"))]
    if moved:
        numbers = ("-", f'"index": {before.number}'), ("+", f'"index": {after.number}')
        marks = [pair for pair in marks if pair not in numbers]
    same = "" if inner else ", only written differently"
    return [f"~ {where}{same}", *(f"{mark}     {line}" for mark, line in marks)]


def words_of(raw: bytes) -> EventWords:
    """An event in a few words, read as far as it can be."""
    event = parse(raw)
    fields = read_object(event.data)
    if fields is None:
        words = (event.data or event.other).decode("utf-8", "replace").strip()
        return EventWords(event.type or ("data" if event.data else "comment"), None, words)
    value: dict[str, Any] = {key: load(fields[key]) for key in KEYS if key in fields}
    title, index = value.get("type") or event.type or "data", value.get("index")
    inner = value.get("delta") or value.get("content_block")
    excerpt = ""
    if isinstance(inner, dict):
        if isinstance(inner.get("type"), str):
            title = f"{title} {inner['type']}"
        keys = ("text", "thinking", "partial_json", "signature")
        excerpt = next((inner[key] for key in keys if isinstance(inner.get(key), str)), "")
    if title == "data":  # a dialect that has no types
        excerpt = event.data.decode("utf-8", "replace") + " "
    return EventWords(fold(str(title), 100), index if isinstance(index, int) else None, excerpt)


def named(title: str, index: int | None) -> str:
    """The name of an event: `content_block_start text [1]`."""
    return title if index is None else f"{title} [{index}]"


def said(excerpts: list[str]) -> str:
    """How many events there were, and what they said."""
    count = f"  × {len(excerpts):,}" if len(excerpts) > 1 else ""
    text = fold(" ".join("".join(excerpts).split()), EXCERPT)
    return f"{count}: {text}" if text else count
