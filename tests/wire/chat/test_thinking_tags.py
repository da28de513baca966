"""Thinking between tags at the start of an answer's text, taken out in any split."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.wire.chat.thinking_tags import LONGEST_BLANK, TAGS, TagReader, half_of


def read(pieces: list[str], *, inside: bool = False) -> list[tuple[str, str]]:
    """What is read, with neighbours of one kind put together."""
    reader = TagReader(inside=inside)
    found: list[tuple[str, str]] = []
    for kind, text in [item for piece in pieces for item in reader.feed(piece)] + reader.flush():
        assert text
        if found and found[-1][0] == kind:
            found[-1] = kind, found[-1][1] + text
        else:
            found.append((kind, text))
    return found


@pytest.mark.parametrize("tag", TAGS)
def test_every_tag(tag: str) -> None:
    opening, closing = TAGS[tag]
    text = f"\n{opening}so{closing}yes"
    assert read([text]) == read(list(text)) == [(tag, "so"), ("", "yes")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("no tags", [("", "no tags")]),
        ("use <think> here", [("", "use <think> here")]),
        ("<thin", [("", "<thin")]),
        ("<think>cut of", [("think", "cut of")]),
        ("<think>cut of</thi", [("think", "cut of</thi")]),
        ("<think></think>yes", [("", "yes")]),
        ("<think>a</think>b<think>c</think>", [("think", "a"), ("", "b<think>c</think>")]),
        ("  <think>a</thinking></think>b", [("think", "a</thinking>"), ("", "b")]),
    ],
)
def test_read(text: str, found: list[tuple[str, str]]) -> None:
    assert read([text]) == read(list(text)) == found


def test_a_tag_that_the_template_opened() -> None:
    assert read(["so</th", "ink>yes"], inside=True) == [("think", "so"), ("", "yes")]
    assert read(["<think>so</think>yes"], inside=True) == [("think", "so"), ("", "yes")]


def test_white_space_is_not_waited_behind_for_ever() -> None:
    blank = " " * LONGEST_BLANK
    assert read([blank, "<think>a</think>"]) == [("", blank + "<think>a</think>")]


@given(st.lists(st.sampled_from(("<think>", "</think>", "<thi", "nk>", "</", " ", "a", "[THINK]", "[/THINK]"))))
def test_nothing_is_lost_in_any_split(pieces: list[str]) -> None:
    whole = "".join(pieces)
    found = read(pieces)
    assert found == read([whole]) == read(list(whole))
    left = whole
    for _, text in found:
        assert text in left
        left = left[left.index(text) + len(text) :]


@pytest.mark.parametrize(("text", "length"), [("", 0), ("a<", 1), ("</thin", 6), ("</think>", 0), ("<<", 1), ("x", 0)])
def test_half_of_a_word(text: str, length: int) -> None:
    assert half_of(text, "</think>") == length
