"""Texts cut to what a person will read: long ones folded, with a count of what is not shown.

Rule that holds here: a cut never falls inside a word (up to 512 characters). What is shown is freed of secrets
afterwards, and half a secret would not be recognised as one.
"""

from __future__ import annotations

from typing import Final

LONGEST_WORD: Final = 512
LONGEST_LINE: Final = 400
"""Characters of one line of a diff."""

BREAKS: Final = " \n\t\r\"'"
"""What a word ends with; no credential has any of these in it."""


def word_start(text: str, at: int) -> int:
    """Where the word begins that a cut at `at` would fall into; `at` itself when there is none, or it is too long."""
    if at >= len(text) or text[at] in BREAKS:
        return min(at, len(text))
    earliest = max(0, at - LONGEST_WORD)
    start = max(text.rfind(mark, earliest, at) for mark in BREAKS) + 1
    return start if start or not earliest else at


def word_end(text: str, at: int) -> int:
    """Where the word ends that a cut at `at` would fall into; `at` itself when there is none, or it is too long."""
    at = min(at, len(text))
    if at <= 0 or text[at - 1] in BREAKS:
        return max(at, 0)
    latest = min(len(text), at + LONGEST_WORD)
    ends = [end for mark in BREAKS if (end := text.find(mark, at, latest)) >= 0]
    return min(ends) if ends else latest if latest == len(text) else at


def more(count: int, what: str = "character") -> str:
    """The words for what is folded: `… 12,345 more characters`."""
    return f"… {count:,} more {what}{'' if count == 1 else 's'}"


def fold(text: str, limit: int) -> str:
    """The text in one line, its end folded when it is longer than `limit` characters."""
    if len(text) <= limit + 20:  # the words that say so need room too
        return text
    start = text[: word_start(text, limit)].rstrip()
    words = more(len(text) - len(start))
    return f"{start} {words}" if start else words


def lines(text: str, limit: int) -> list[str]:
    """The lines of a text, its end folded when it is longer than `limit` characters."""
    text = text.replace("\r\n", "\n")
    if len(text) <= limit + 20:
        return text.split("\n")
    start = text[: word_start(text, limit)].rstrip()
    return [*(start.split("\n") if start else []), more(len(text) - len(start))]


def shortened(long: list[str], most: int, pad: str = "") -> list[str]:
    """The first lines, and how many more there are."""
    return long if len(long) <= most + 1 else [*long[:most], pad + more(len(long) - most, "line")]


def indented(inner: list[str], by: int = 2) -> list[str]:
    """The lines, indented."""
    pad = " " * by
    return [pad + line if line else "" for line in inner]


def counted(count: int, what: str) -> str:
    """A number and its noun: `1 block`, `1,204 blocks`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def size(count: int) -> str:
    """A size: `812 bytes`, `12.3 kB`, `1.2 MB`."""
    if count < 1000:
        return counted(count, "byte")
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def seconds(duration: float) -> str:
    """A time: `0.031 s`, `4.2 s`, `312 s`."""
    digits = 3 if duration < 1 else 1 if duration < 100 else 0
    return f"{duration:.{digits}f} s"


def rule(title: str) -> str:
    """A line that begins a section."""
    return f"── {title} ".ljust(72, "─")
