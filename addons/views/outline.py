"""JSON values as a person would write them down: short ones in a line, others one field a line, long texts folded."""

from __future__ import annotations

import json
from typing import Any, Final

from addons.views.text_layout import fold, indented, lines, more, shortened

DEEPEST: Final = 30
"""Levels of nesting that are shown."""

SHORT: Final = 100
"""Characters of a value that is still written in one line."""

LONGEST_TEXT: Final = 400
"""Characters of a string inside a value that is written as JSON."""

MOST_ITEMS: Final = 100
"""Items of an array, or fields of an object, that are shown."""


def compact(value: Any, limit: int = 200) -> str:
    """The value as JSON in one line."""
    return fold(json.dumps(folded(value), ensure_ascii=False), limit)


def field(key: str, value: Any) -> str:
    """`key: value` in one line, a text without its quotes."""
    plain = isinstance(value, str) and "\n" not in value
    return f"{fold(key, SHORT)}: {fold(value, 200) if plain else compact(value)}"


def pretty(value: Any, most: int = 60) -> list[str]:
    """The value as JSON, indented, its long strings and arrays folded, and its end when it has more lines."""
    return shortened(json.dumps(folded(value), indent=2, ensure_ascii=False).split("\n"), most)


def folded(value: Any, depth: int = 0) -> Any:
    """The value with nothing in it that is too long or too deep to be read."""
    match value:
        case str():
            return fold(value, LONGEST_TEXT)
        case dict() | list() if value and depth >= DEEPEST:
            return "… nested deeper"
        case dict():
            kept = {fold(str(key), SHORT): folded(item, depth + 1) for key, item in first(value.items())}
            return kept if len(kept) >= len(value) else {**kept, more(len(value) - len(kept), "field"): ""}
        case list():
            items = [folded(item, depth + 1) for item in first(value)]
            return items if len(items) == len(value) else [*items, more(len(value) - len(items), "item")]
    return value


def first(items: Any) -> list[Any]:
    """As many of the items as are shown."""
    return [item for _, item in zip(range(MOST_ITEMS), items, strict=False)]


def outline(value: Any, limit: int, depth: int = 0) -> list[str]:
    """The value without JSON's quotes: `command: ls -l`, a text of several lines below its name.

    `limit`: characters of each text.
    """
    if depth >= DEEPEST:
        return ["… nested deeper"]
    if isinstance(value, str):
        return lines(value, limit)
    if not value or not isinstance(value, dict | list):
        return [compact(value)]
    out = []
    named = isinstance(value, dict)
    for key, item in first(value.items() if isinstance(value, dict) else enumerate(value)):
        name = f"{fold(str(key), SHORT)}:" if named else "-"
        inner = outline(item, limit, depth + 1)
        if isinstance(item, dict | list) and item:
            out += [f"{name} {compact(item)}"] if fits(item) else [name, *indented(inner)]
        elif len(inner) == 1:
            out.append(f"{name} {inner[0]}".rstrip())
        else:
            out += [f"{name} |", *indented(inner)]
    left = len(value) - MOST_ITEMS
    return out if left <= 0 else [*out, more(left, "field" if named else "item")]


def fits(value: dict[str, Any] | list[Any]) -> bool:
    """Whether it is a short object or array of plain values, which reads best in one line."""
    items = value.values() if isinstance(value, dict) else value
    return all(not isinstance(item, dict | list) for item in items) and len(compact(value, SHORT + 1)) <= SHORT
