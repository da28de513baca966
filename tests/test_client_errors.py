"""README's table of the errors that a client shows, compared with the errors that the code tells."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from tests.client_errors import GAP, Told, told

README = Path(__file__).resolve().parents[1] / "README.md"
ROW = re.compile(r"^\| (\d{3}[^|]*) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
CELL = re.compile(r'((?:\d{3}(?:, )?)+)|"([^"]+)"')


@cache
def errors() -> tuple[Told, ...]:
    """The errors that the code tells. Not read when tests are collected: each process would do it."""
    return tuple(sorted(set(told())))


@cache
def listed() -> tuple[tuple[int, str], ...]:
    """The statuses and words of the table."""
    section = README.read_text(encoding="utf-8").partition("### Errors that a client shows")[2].partition("\n## ")[0]
    found = []
    for cell, who, do in ROW.findall(section):
        assert who.strip() and do.strip()
        statuses: list[int] = []
        for numbers, words in CELL.findall(cell):
            statuses = [int(number) for number in re.findall(r"\d{3}", numbers)] or statuses
            found += [(status, words) for status in statuses if words]
    return tuple(found)


def fits(words: str, error: Told) -> bool:
    """Whether the words of the table are those of an error."""
    pieces = [re.escape(piece.strip()) for piece in words.split(GAP) if piece.strip(" :")]
    return re.search(".*".join(pieces), error.words) is not None


def test_the_errors_are_found() -> None:
    assert len(errors()) > 50
    assert {error.status for error in errors()} >= {400, 401, 403, 404, 408, 413, 429, 500, 502, 503, 504, 529}


def test_each_error_is_in_readme() -> None:
    rows = listed()
    lacking = [error for error in errors() if not any(error.status == at and fits(words, error) for at, words in rows)]
    assert lacking == [], "README's table of errors has none for these"


def test_all_that_readme_lists_can_be_told() -> None:
    never = [row for row in listed() if not any(row[0] == error.status and fits(row[1], error) for error in errors())]
    assert never == []
