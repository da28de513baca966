"""What changed in a text, line by line, unchanged lines folded.

Lines of every diff here begin with two characters: `- ` was there, `+ ` came in its place, two spaces for what stayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from addons.views.diff.alignment import align
from addons.views.text_layout import LONGEST_LINE, counted, fold, shortened, word_end, word_start

CONTEXT: Final = 2
"""Unchanged lines that are shown on either side of a change."""

MOST: Final = 60
"""Lines in a row that are shown of what was removed or added."""

AROUND: Final = 60
"""Characters that are shown on either side of a change within a line."""


def text_changes(old: str, new: str) -> list[str]:
    """The diff of two texts; empty when they are equal."""
    if old == new:
        return []
    before, after = (text.split("\n") if text else [] for text in (old, new))
    if len(before) == len(after) == 1:
        return one_line(old, new)
    pairs = align(before, after)
    out: list[str] = []
    runs = [(same, list(run)) for same, run in groupby(pairs, lambda pair: None not in pair)]
    for number, (same, run) in enumerate(runs):
        if same:
            context = [before[i] for i, _ in run if i is not None]
            out += unchanged(context, first=number == 0, last=number == len(runs) - 1)
            continue
        gone = [before[i] for i, _ in run if i is not None]
        come = [after[j] for _, j in run if j is not None]
        if len(gone) == len(come) == 1:
            out += one_line(gone[0], come[0])
        else:
            out += [*marked("-", gone), *marked("+", come)]
    return out


def unchanged(context: Sequence[str], *, first: bool, last: bool) -> list[str]:
    """Lines that stayed: those near a change, and how many there are between."""
    before = 0 if first else CONTEXT
    after = 0 if last else CONTEXT
    folded = len(context) - before - after
    if folded < 2:
        return marked(" ", context)
    return [
        *marked(" ", context[:before]),
        f"  … {counted(folded, 'unchanged line')}",
        *marked(" ", context[len(context) - after :]),
    ]


def marked(mark: str, texts: Sequence[str]) -> list[str]:
    """The lines behind their mark, the end of each folded, and that of a long row."""
    return [f"{mark} {fold(text, LONGEST_LINE)}".rstrip() for text in shortened(list(texts), MOST)]


def one_line(old: str, new: str) -> list[str]:
    """A line and the one in its place, with what they have in common folded when they are long."""
    before, after = around(old, new)
    return [f"- {fold(before, 2 * LONGEST_LINE)}", f"+ {fold(after, 2 * LONGEST_LINE)}"]


def around(old: str, new: str) -> tuple[str, str]:
    """Two texts, the long parts that they have in common at their start and end folded."""
    if max(len(old), len(new)) <= LONGEST_LINE:
        return old, new
    same = common(old, new)
    after = common(old[same:][::-1], new[same:][::-1])
    start = word_start(old, max(0, same - AROUND))
    end = len(old) - word_end(old, min(len(old), len(old) - after + AROUND))
    lead = f"… {counted(start, 'equal character')} … " if start else ""
    rest = f" … {counted(end, 'equal character')} …" if end else ""
    return lead + old[start : len(old) - end] + rest, lead + new[start : len(new) - end] + rest


def common(old: str, new: str) -> int:
    """How many characters are the same at the start of both."""
    low, high = 0, min(len(old), len(new))
    while low < high:  # by halves: comparing slices is fast, comparing characters is not
        middle = (low + high + 1) // 2
        if old[low:middle] == new[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def folded_runs(texts: Sequence[str]) -> list[str]:
    """Equal lines in a row as one, with how many there were."""
    out = []
    for text, run in groupby(texts):
        count = len(list(run))
        out.append(text if count == 1 else f"{text}  × {count:,}")
    return out
