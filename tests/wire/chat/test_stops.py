"""Stop sequences found in any split of an answer's text, and nothing held back that can't be one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.wire.chat.stops import StopFinder


def said(stops: list[str], pieces: list[str]) -> tuple[str, str | None]:
    """(the text that is sent on, the sequence that ended it)."""
    finder = StopFinder(stops)
    text = "".join(map(finder.feed, pieces)) + finder.flush()
    return text, finder.found


@pytest.mark.parametrize(
    ("stops", "text", "sent", "found"),
    [
        ([], "abc", "abc", None),
        ([""], "abc", "abc", None),
        (["END"], "an END, and more", "an ", "END"),
        (["END"], "an EN", "an EN", None),
        (["b", "a"], "xab", "x", "a"),
        (["a.c"], "abc a.c", "abc ", "a.c"),
        (["\n\n"], "one\ntwo\n\nthree", "one\ntwo", "\n\n"),
    ],
)
def test_found(stops: list[str], text: str, sent: str, found: str | None) -> None:
    assert said(stops, [text]) == said(stops, list(text)) == (sent, found)


@given(st.lists(st.text("ab", min_size=1, max_size=3), max_size=3), st.lists(st.text("abc", max_size=4)))
def test_what_is_sent_does_not_contain_one_in_any_split(stops: list[str], pieces: list[str]) -> None:
    sent, found = said(stops, pieces)
    whole = "".join(pieces)
    assert whole.startswith(sent + (found or ""))
    assert not any(stop in sent for stop in stops)
    if found is None:
        assert sent == whole


def test_only_what_may_be_a_beginning_is_held_back() -> None:
    finder = StopFinder(["END"])
    assert [finder.feed(piece) for piece in ("a E", "x EN", "Dx")] == ["a ", "Ex ", ""]
    assert (finder.found, finder.feed("more"), finder.flush()) == ("END", "", "")
