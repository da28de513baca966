"""Which items of a new sequence are those of an old one: the work of a diff, in almost linear time.

What is unique on both sides is matched first (patience diff), so that repeated items (a ping, a closing brace) never
pull apart what belongs together; between those, small gaps are compared in full.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Sequence
from difflib import SequenceMatcher
from typing import Final

Pair = tuple[int | None, int | None]
"""A pair of indexes of an item, in the old and in the new sequence; None: not there."""

SMALL: Final = 20_000
"""A gap is compared in full when its two lengths multiplied are at most this."""

DEEPEST: Final = 12


def align(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[Pair]:
    """The items of both sequences, in order; those of a gap first the old ones, then the new."""
    out: list[Pair] = []
    done = (0, 0)
    for i, j in [*matches(old, new, 0, len(old), 0, len(new), 0), (len(old), len(new))]:
        out += [(gone, None) for gone in range(done[0], i)]
        out += [(None, come) for come in range(done[1], j)]
        if i < len(old):
            out.append((i, j))
        done = (i + 1, j + 1)
    return out


def matches(
    old: Sequence[Hashable], new: Sequence[Hashable], i: int, i_end: int, j: int, j_end: int, depth: int
) -> list[tuple[int, int]]:
    """The equal items of old[i:i_end] and new[j:j_end], in order."""
    found = []
    while i < i_end and j < j_end and old[i] == new[j]:
        found.append((i, j))
        i, j = i + 1, j + 1
    last = []
    while i < i_end and j < j_end and old[i_end - 1] == new[j_end - 1]:
        i_end, j_end = i_end - 1, j_end - 1
        last.append((i_end, j_end))
    if i < i_end and j < j_end:
        anchors = unique(old, new, i, i_end, j, j_end) if depth < DEEPEST else []
        if anchors:
            for at_i, at_j in [*anchors, (i_end, j_end)]:
                found += matches(old, new, i, at_i, j, at_j, depth + 1)
                if at_i < i_end:
                    found.append((at_i, at_j))
                i, j = at_i + 1, at_j + 1
        elif (i_end - i) * (j_end - j) <= SMALL:
            blocks = SequenceMatcher(None, old[i:i_end], new[j:j_end], autojunk=False).get_matching_blocks()
            found += [(i + block.a + n, j + block.b + n) for block in blocks for n in range(block.size)]
    return found + last[::-1]


def unique(
    old: Sequence[Hashable], new: Sequence[Hashable], i: int, i_end: int, j: int, j_end: int
) -> list[tuple[int, int]]:
    """The items that occur once on either side, as far as they are in the same order."""
    in_old, in_new = Counter(old[i:i_end]), Counter(new[j:j_end])
    places = {item: at for at, item in enumerate(new[j:j_end], j) if in_new[item] == 1}
    pairs = [(at, places[item]) for at, item in enumerate(old[i:i_end], i) if in_old[item] == 1 and item in places]
    # The longest increasing subsequence of the second numbers.
    ends: list[int] = []
    chain: list[int] = []
    before: list[int | None] = []
    for number, (_, place) in enumerate(pairs):
        at = bisect_left(ends, place)
        ends[at : at + 1] = [place]
        chain[at : at + 1] = [number]
        before.append(chain[at - 1] if at else None)
    out = []
    link: int | None = chain[-1] if chain else None
    while link is not None:
        out.append(pairs[link])
        link = before[link]
    return out[::-1]
