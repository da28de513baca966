"""YAML whose every value knows its line and its key: what the readers give, and what they say of anything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.config.yaml_reader import ConfigError, Entry, parse, suggestion


def entry(text: str) -> Entry:
    """The value of a key `key`."""
    return parse(f"key: {text}", file="f").mapping()["key"]


def complaint(read: Callable[[], Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        read()
    return str(caught.value)


@given(st.text())
def test_any_text_is_read_or_complained_about_in_one_line(text: str) -> None:
    said = "f:"
    try:
        parse(text, file="f")
    except ConfigError as error:
        said = str(error)
    assert said.startswith("f:") and "\n" not in said


def test_values_know_their_line_and_key() -> None:
    top = parse("a:\n  b:\n    - x\n    - y\n", file="f")
    inner = top.mapping()["a"].mapping()["b"]
    assert (inner.line, inner.key) == (2, "a.b")
    assert [(item.line, item.key, item.text()) for item in inner.items()] == [(3, "a.b[0]", "x"), (4, "a.b[1]", "y")]
    assert str(inner.items()[1].error("is wrong")) == "f:4: a.b[1]: is wrong"


@pytest.mark.parametrize(("text", "read"), [("on", "on"), ("1.10", "1.10"), ("' x '", "x"), ("0o17", "0o17")])
def test_a_text_is_what_the_file_says(text: str, read: str) -> None:
    assert entry(text).text() == read


@pytest.mark.parametrize(
    ("text", "read", "complaint_about"),
    [
        ("", Entry.text, "has no value"),
        ("~", Entry.text, "has no value"),
        ("[a]", Entry.text, "must be a text, not a list"),
        ("!secret a", Entry.text, "the YAML tag !secret has no meaning here"),
        ("a", Entry.items, "must be a list, like [one, two]"),
        ("[a]", Entry.mapping, "must be a mapping, not a list"),
        ("{a: 1}", Entry.number, "must be a number, not a mapping"),
        ("1:30", Entry.number, "must be a number"),
        ("'1'", Entry.number, "must be a number"),
        (".inf", Entry.number, "must be a number"),
        ("inf", Entry.number, "must be a finite number"),
        ("٣", Entry.integer, "must be a whole number"),
        ("1.5", Entry.integer, "must be a whole number"),
        ("-1", Entry.integer, "must be at least 0"),
        ("maybe", Entry.boolean, "must be true or false"),
        ("2026-01-01", Entry.value, "must be something that JSON can hold"),
        ("{a: 1, a: 2}", Entry.mapping, "a: stands here a second time (first in line 1)"),
        ("{[a]: 1}", Entry.mapping, "a key must be a non-empty text"),
    ],
)
def test_anything_else_is_complained_about(text: str, read: Callable[[Entry], Any], complaint_about: str) -> None:
    said = complaint(lambda: read(entry(text)))
    assert said.startswith("f:1: key") and said.endswith(complaint_about)


def test_numbers_and_booleans() -> None:
    assert entry("1e3").number() == 1000
    assert entry("7").integer(minimum=7) == 7
    assert [entry(word).boolean() for word in ("yes", "On", "TRUE", "no", "off")] == [True, True, True, False, False]
    assert entry("{a: [1, null, x]}").value() == {"a": [1, None, "x"]}


def test_words_that_are_close_are_suggested() -> None:
    assert complaint(lambda: entry("{tmeout: 1}").mapping(("timeout", "retries"))) == (
        "f:1: key.tmeout: unknown key (did you mean timeout?)"
    )
    assert complaint(lambda: entry("bear").choice(("bearer", "none"))).endswith(
        "must be one of bearer, none (did you mean bearer?)"
    )
    assert suggestion("xyz", ("bearer",)) == ""


def test_a_value_is_never_quoted() -> None:
    for read in (Entry.number, Entry.boolean, Entry.items, Entry.mapping):
        assert "sk-secret" not in complaint(lambda read=read: read(entry("sk-secret")))  # type: ignore[misc]


def test_one_mapping_over_another() -> None:
    merged = entry("{a: 1, b: 2}").over(entry("{b: 3, c: 4}"))
    assert {name: one.text() for name, one in merged.mapping().items()} == {"a": "1", "b": "2", "c": "4"}
    assert entry("x").over(entry("{a: 1}")).text() == "x"


def test_a_deep_nest_is_complained_about() -> None:
    assert complaint(lambda: parse("[" * 2_000, file="f")) == "f:1: not valid YAML: nested too deeply"
