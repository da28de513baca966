"""The diff of two texts."""

from hypothesis import given
from hypothesis import strategies as st

from addons.views.diff.text_changes import text_changes

TEXTS = st.lists(st.sampled_from(["a", "b", "c", "", "a long line of words"]), max_size=12).map("\n".join)


def test_equal_texts_have_no_diff():
    assert text_changes("a\nb", "a\nb") == []


def test_what_changed_stands_between_what_stayed():
    old = "\n".join(["a", "b", "c", "d", "old", "e", "f", "g", "h"])
    assert text_changes(old, old.replace("old", "new")) == [
        "  … 2 unchanged lines",
        "  c",
        "  d",
        "- old",
        "+ new",
        "  e",
        "  f",
        "  … 2 unchanged lines",
    ]


def test_one_line_is_shown_rather_than_folded():
    assert text_changes("a\nb\nc\nold", "a\nb\nc\nnew") == ["  a", "  b", "  c", "- old", "+ new"]


def test_long_lines_are_shown_around_their_difference():
    same = "word " * 1000
    old, new = text_changes(f"{same}old {same}", f"{same}new {same}")
    assert old.startswith("- … 4,940 equal characters … word word ")
    assert "word old word" in old
    assert "word new word" in new
    assert old.endswith("word … 4,941 equal characters …")


def test_long_rows_are_folded():
    shown = text_changes("keep", "keep\n" + "\n".join(map(str, range(500))))
    assert shown[:3] == ["  keep", "+ 0", "+ 1"]
    assert shown[-1] == "+ … 440 more lines"


@given(TEXTS, TEXTS)
def test_a_diff_says_everything_that_went_and_came(old, new):
    shown = text_changes(old, new)
    gone = [line[2:] for line in shown if line.startswith("-")]
    come = [line[2:] for line in shown if line.startswith("+")]
    lengths = [len(text.split("\n")) if text else 0 for text in (old, new)]
    assert bool(shown) == (old != new)
    if shown:
        assert lengths[0] - len(gone) == lengths[1] - len(come)
        assert all(line[:1] in "-+ " for line in shown)
