"""Texts cut to what is read, and never inside a word."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.views.diff.text_changes import around
from addons.views.text_layout import LONGEST_WORD, fold, lines, shortened, size, word_end, word_start

FOLDED = re.compile(r"^… [\d,]+ equal characters … | … [\d,]+ equal characters …$")
WORDS = st.lists(st.text("ab", min_size=1, max_size=40), max_size=30).map(" ".join)


def test_a_short_text_stays():
    assert fold("one two", 7) == "one two"


def test_a_long_text_says_how_much_is_missing():
    text = "word " * 1000
    assert fold(text, 12) == "word word … 4,991 more characters"


def test_a_text_a_little_longer_stays_too():
    assert fold("x " * 15, 20) == "x " * 15


@given(WORDS, st.integers(0, 200))
def test_no_cut_falls_inside_a_word(text, limit):
    shown = fold(text, limit).partition("…")[0].split()
    assert shown == text.split()[: len(shown)]


@given(WORDS, st.integers(0, 600))
def test_a_cut_is_moved_to_the_edges_of_its_word(text, at):
    start, end = word_start(text, at), word_end(text, at)
    assert start <= at
    assert end >= min(at, len(text)) or end == len(text)
    for edge in (start, end):
        assert edge in (0, len(text)) or text[edge] == " " or text[edge - 1] == " "


def test_a_word_that_is_too_long_is_cut():
    text = "x" * (4 * LONGEST_WORD)
    assert word_start(text, 2 * LONGEST_WORD) == word_end(text, 2 * LONGEST_WORD) == 2 * LONGEST_WORD


@given(WORDS, WORDS, WORDS, WORDS)
def test_folding_what_two_texts_share_cuts_no_word(head, old, new, tail):
    pad = "word " * 80
    before, after = f"{pad}{head}{old}{tail}{pad}", f"{pad}{head}{new}{tail}{pad}"
    for text, shown in zip((before, after), around(before, after), strict=True):
        part = FOLDED.sub("", shown)
        assert part in text
        assert set(part.split()) <= set(text.split())


def test_lines_of_a_text():
    assert lines("a\r\nb\nc", 100) == ["a", "b", "c"]
    assert lines("line\n" * 100, 11) == ["line", "line", "… 491 more characters"]


def test_more_lines_than_are_shown():
    assert shortened(["a"] * 3, 2) == ["a"] * 3
    assert shortened(["a"] * 4, 2, pad="  ") == ["a", "a", "  … 2 more lines"]


@pytest.mark.parametrize(("count", "shown"), [(1, "1 byte"), (999, "999 bytes"), (12345, "12.3 kB"), (1.2e6, "1.2 MB")])
def test_sizes(count, shown):
    assert size(count) == shown


def test_folding_keeps_the_indentation():
    assert fold("    " + "word " * 1000, 12).startswith("    word … ")
    assert fold("x" * 600, 0) == "… 600 more characters"
