"""What changed in a JSON body, as its pretty text with the unchanged parts folded.

Nothing is decoded, let alone printed, where the bytes are the same: a body is taken apart only along the way to what
differs, level by level and no further than somebody reads, so that a large one costs little more than a comparison of
its bytes. Two values that are only written differently (white space, escapes, the order of keys) are the same.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import groupby
from typing import Any, Final

import msgspec

from addons.views.bodies import text_of, value_of
from addons.views.diff.alignment import Pair, align
from addons.views.diff.text_changes import MOST, around, text_changes
from addons.views.outline import pretty
from addons.views.text_layout import fold, shortened
from addons.wire import raw_json
from addons.wire.raw_json import Raw

DEEPEST: Final = 40
"""Levels of nesting that are gone into."""

MANY: Final = 5_000
"""Items of an array, or fields of an object, that are compared one by one. No conversation has as many messages."""

NAMES: Final = ("role", "type", "id", "tool_use_id", "name")
"""Short fields that say what an object is: shown although they did not change."""

SHORT: Final = 12
"""Bytes of a value that says nothing, because it could be in any item."""

KIND: Final = ("role", "type")
"""The first of these fields tells which two objects of a changed list are the same one."""


class Room(msgspec.Struct):
    """How many more lines are worth making."""

    left: int


def json_changes(old: bytes, new: bytes, most: int = 400) -> list[str] | None:
    """The diff of two JSON texts, empty when they say the same; None when one of them is no JSON. What differs beyond
    `most` lines or so is not looked at."""
    before, after = value_of(old), value_of(new)
    return None if isinstance(before, str) or isinstance(after, str) else changes("", before, after, 0, Room(most))


def changes(label: str, old: Raw, new: Raw, depth: int, room: Room) -> list[str]:
    """The diff of two values. `label`: what stands before them."""
    if old == new:
        return []
    kinds, pad = (raw_json.first(old), raw_json.first(new)), "  " * depth
    inner: list[str] | None = None
    if depth < DEEPEST and kinds == ("[", "["):
        inner = list_changes(old, new, depth + 1, room)
    elif depth < DEEPEST and kinds == ("{", "{"):
        inner = object_changes(old, new, depth + 1, room)
    if inner is not None:
        closing = "]" if kinds[0] == "[" else "}"
        return [f"  {pad}{label}{kinds[0]}", *inner, f"  {pad}{closing}"] if inner else []
    before, after = raw_json.load(old), raw_json.load(new)
    if before == after and before is not None and isinstance(before, bool) == isinstance(after, bool):
        return []
    if isinstance(before, str) and isinstance(after, str):
        if "\n" in before or "\n" in after:
            inner = [f"{line[:2]}{pad}  {line[2:]}".rstrip() for line in text_changes(before, after)]
            room.left -= len(inner)
            return [f"  {pad}{label}text, line by line", *inner]
        before, after = around(before, after)
        return [*written("-", label, before, depth, room), *written("+", label, after, depth, room)]
    return [*whole("-", label, old, depth, room), *whole("+", label, new, depth, room)]


def object_changes(old: Raw, new: Raw, depth: int, room: Room) -> list[str] | None:
    """The fields that differ, in the old order, new ones last; None when there are too many."""
    before, after = raw_json.split_object(old) or {}, raw_json.split_object(new) or {}
    if len(before) + len(after) > 2 * MANY:
        return None
    pad, changed = "  " * depth, False
    out: list[str] = []
    same: list[str] = []
    for key in [*before, *(key for key in after if key not in before)]:
        if room.left < 0:
            break
        label = f'"{fold(key, 100)}": '
        if key not in after:
            lines = whole("-", label, before[key], depth, room)
        elif key not in before:
            lines = whole("+", label, after[key], depth, room)
        else:
            lines = changes(label, before[key], after[key], depth, room)
        changed = changed or bool(lines)
        if not lines and key in NAMES and len(memoryview(after[key])) < 80:
            lines = written(" ", label, raw_json.load(after[key]), depth, room)
        if lines:
            out += [*unchanged_fields(same, pad), *lines]
            same = []
        else:
            same.append(key)
    return [*out, *unchanged_fields(same, pad)] if changed else []


def unchanged_fields(keys: list[str], pad: str) -> list[str]:
    """One line for fields in a row that stayed."""
    return [fold(f"  {pad}… unchanged: {', '.join(keys)}", 200)] if keys else []


def list_changes(old: Raw, new: Raw, depth: int, room: Room) -> list[str] | None:
    """The items that differ, with their numbers (of one in both lists the old one); None when there are too many."""
    before, after = raw_json.split_array(old) or [], raw_json.split_array(new) or []
    if len(before) + len(after) > 2 * MANY:
        return None
    pad, changed = "  " * depth, False
    out: list[str] = []
    same: list[int] = []
    for i, j in pairs(before, after):
        if room.left < 0:
            break
        if j is None:
            assert i is not None
            lines = whole("-", f"[{i}] ", before[i], depth, room)
        elif i is None:
            lines = whole("+", f"[{j}] ", after[j], depth, room)
        else:
            lines = changes(f"[{i}] ", before[i], after[j], depth, room)
            if not lines:
                same.append(i)
        if lines:
            changed = True
            out += [*unchanged_items(same, pad), *lines]
            same = []
    return [*out, *unchanged_items(same, pad)] if changed else []


def unchanged_items(numbers: list[int], pad: str) -> list[str]:
    """One line for items in a row that stayed."""
    if not numbers:
        return []
    which = f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]}–{numbers[-1]}"
    return [f"  {pad}… {len(numbers):,} unchanged: [{which}]"]


def pairs(old: Sequence[Raw], new: Sequence[Raw]) -> list[Pair]:
    """The pairs of items that became each other: first those with the same bytes, of the others those that have most in
    common."""
    found: list[Pair] = [*[(i, None) for i in range(len(old))], *[(None, j) for j in range(len(new))]]
    for key in (bytes, core, kind):
        if all(i is not None for i, _ in found) or all(j is not None for _, j in found):
            break  # on one side all have found theirs
        out: list[Pair] = []
        for matched, run in groupby(found, lambda pair: None not in pair):
            gap = list(run)
            gone = [i for i, _ in gap if i is not None]
            come = [j for _, j in gap if j is not None]
            alone = len(gone) == len(come) == 1 and key is core  # nothing to choose between
            if matched or alone or not gone or not come:
                out += gap
                continue
            for a, b in align([key(old[i]) for i in gone], [key(new[j]) for j in come]):
                out.append((None if a is None else gone[a], None if b is None else come[b]))
        found = out
    return found


def core(item: Raw) -> Hashable:
    """The largest plain value in an item: two texts that differ in their cache mark are the same text."""
    for _ in range(DEEPEST):
        fields, items = raw_json.split_object(item), raw_json.split_array(item)
        inside = [value for key, value in fields.items() if key != "cache_control"] if fields else items
        if not inside:
            break
        item = max(inside, key=lambda piece: len(memoryview(piece)))
    # A short one is in many items, and tells nothing.
    return bytes(item) if len(memoryview(item)) > SHORT else object()


def kind(item: Raw) -> Hashable:
    """What an item must have in common with another to be a changed form of it."""
    fields = raw_json.split_object(item)
    if fields is None:
        return raw_json.first(item)
    what = next((bytes(fields[key]) for key in KIND if key in fields), b"")
    return what, *(bytes(fields[key]) for key in ("id", "name", "tool_use_id") if key in fields)


def whole(mark: str, label: str, piece: Raw, depth: int, room: Room) -> list[str]:
    """A value that was removed or added, folded."""
    value = raw_json.load(piece)
    if value is None and bytes(piece) != b"null":  # valid JSON, and too large or too deep for Python
        value = fold(text_of(bytes(piece)), 200)
    return written(mark, label, value, depth, room)


def written(mark: str, label: str, value: Any, depth: int, room: Room) -> list[str]:
    """A value behind its mark and label. Its long strings are folded already, inside their quotes."""
    first, *others = pretty(value)
    out = [f"{mark} {'  ' * depth}{line}".rstrip() for line in shortened([label + first, *others], MOST)]
    room.left -= len(out)
    return out
