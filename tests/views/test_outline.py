"""JSON values as a person would write them down, and how much of them is shown."""

from typing import Any

import pytest

from addons.views.outline import DEEPEST, MOST_ITEMS, SHORT, compact, field, fits, folded, outline, pretty


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ({"command": "ls -l", "timeout": 5}, ["command: ls -l", "timeout: 5"]),
        ({"text": "one\ntwo"}, ["text: |", "  one", "  two"]),
        ({"list": [1, 2], "deep": {"a": {"b": 1}}}, ["list: [1, 2]", "deep:", '  a: {"b": 1}']),
        ([{"a": 1}, "x", None], ['- {"a": 1}', "- x", "- null"]),
        ({"empty": "", "none": {}}, ["empty:", "none: {}"]),
        ("plain\ntext", ["plain", "text"]),
        (True, ["true"]),
        ([], ["[]"]),
    ],
)
def test_outline(value: Any, lines: list[str]) -> None:
    assert outline(value, 1000) == lines


def test_a_long_text_is_folded() -> None:
    head, start, left = outline({"text": "word " * 1000}, 100)
    assert (head, left) == ("text: |", "  … 4,901 more characters")
    assert start == "  " + "word " * 19 + "word"


def test_a_deep_value_ends() -> None:
    value: Any = "bottom"
    for _ in range(DEEPEST + 10):
        value = {"a": [value]}
    shown = "\n".join(outline(value, 100))
    assert "… nested deeper" in shown
    assert "bottom" not in shown + compact(value, 100_000)


def test_only_so_many_items_are_shown() -> None:
    many = MOST_ITEMS + 5
    assert outline([["x"]] * many, 10)[-1] == "… 5 more items"
    assert outline({str(number): [["x"]] for number in range(many)}, 10)[-1] == "… 5 more fields"
    assert folded(list(range(many)))[-1] == "… 5 more items"
    assert len(folded(dict.fromkeys(range(many)))) == MOST_ITEMS + 1


def test_one_line() -> None:
    assert field("path", "/tmp/a b") == "path: /tmp/a b"
    assert field("text", "a\nb") == 'text: "a\\nb"'
    assert field("size", {"a": "ü"}) == 'size: {"a": "ü"}'
    assert len(compact("x" * 10_000)) < 800
    assert pretty({"a": [1]}) == ["{", '  "a": [', "    1", "  ]", "}"]
    assert pretty(list(range(100)), 3) == ["[", "  0,", "  1,", "… 99 more lines"]


def test_what_fits_into_a_line() -> None:
    assert fits([1, "a"]) and fits({"a": None})
    assert not fits([[1]])
    assert not fits(["x" * SHORT])
