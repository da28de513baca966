"""The arguments of a call: an object comes out whatever comes in, and what was one comes out as it was."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.wire.chat.tool_arguments import INVALID_JSON, Arguments

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=6), VALUES, max_size=4)
SPELLINGS = st.sampled_from([{}, {"ensure_ascii": False}, {"indent": 1}, {"separators": (",", ":")}])


@st.composite
def split(draw: Any, text: str) -> list[str]:
    edges = [0, *sorted(draw(st.lists(st.integers(0, len(text)), max_size=6))), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def read(*parts: str) -> tuple[dict[str, Any], Arguments]:
    """What a client has at the end. Before that it always has the start of it."""
    arguments = Arguments()
    out = "".join(arguments.feed(part) for part in parts) + arguments.close()
    value = json.loads(out)
    assert isinstance(value, dict)
    return value, arguments


@given(OBJECTS, SPELLINGS, st.data())
def test_an_object_comes_out_as_it_went_in(value: dict[str, Any], spelling: dict[str, Any], data: st.DataObject):
    text = json.dumps(value, **spelling)
    arguments = Arguments()
    out = "".join(arguments.feed(part) for part in data.draw(split(text)))
    assert arguments.complete
    assert out + arguments.close() == (text if value else "{}")
    assert not arguments.problem


@given(OBJECTS, SPELLINGS, st.data())
def test_wherever_it_is_cut_what_came_is_the_start_of_an_object(
    value: dict[str, Any], spelling: dict[str, Any], data: st.DataObject
):
    text = json.dumps(value, **spelling)
    cut = text[: data.draw(st.integers(1, len(text) - 1))]
    found, arguments = read(*data.draw(split(cut)))
    assert not arguments.complete
    assert INVALID_JSON in found and arguments.problem == "end too early"
    assert found.keys() <= value.keys() | {INVALID_JSON}


@given(st.text(st.sampled_from("{}[]\":,\\ \n01.-eEtrufalsn'ab"), max_size=30), st.data())
def test_anything_becomes_an_object_in_any_split(text: str, data: st.DataObject):
    whole, first = read(text)
    parts, second = read(*data.draw(split(text)))
    assert (whole, first.problem) == (parts, second.problem)
    try:
        value = json.loads(text)
    except ValueError:
        return
    if isinstance(value, dict):
        assert whole == value and first.complete and not first.problem


@pytest.mark.parametrize(
    ("text", "value", "problem"),
    [
        ("", {}, ""),
        (" \n", {}, ""),
        ("{}", {}, ""),
        ("null", {}, ""),
        ('""', {}, ""),
        ('{}{"a":1}', {"a": 1}, ""),
        ('{} {"a":[1,{}]}', {"a": [1, {}]}, ""),
        ('"{\\"a\\":1}"', {"a": 1}, ""),
        ('{"a":"x\ty\nz"}', {"a": "x\ty\nz"}, ""),
        ('{"a":"\\d+"}', {"a": "\\d+"}, ""),
        ('{"a":[1 , ] , }', {"a": [1]}, "have a comma too many"),
        ('{,"a":1}', {INVALID_JSON: ',"a":1}'}, "are no JSON (a key, or the end of the object was expected)"),
        ('{"a":1}}', {"a": 1}, "go on behind their end"),
        ('{"a":1}{"b":2}', {"a": 1}, "go on behind their end"),
        ("ls -la", {INVALID_JSON: "ls -la"}, "are no JSON object"),
        ("[1]", {INVALID_JSON: "[1]"}, "are no JSON object"),
        ("{'a':1}", {INVALID_JSON: "'a':1}"}, "are no JSON (a key, or the end of the object was expected)"),
        ('{"a":NaN}', {"a": None, INVALID_JSON: "NaN}"}, "are no JSON (a value was expected)"),
        ('{"a":[1}', {"a": [1], INVALID_JSON: "}"}, "are no JSON (a comma, or an end was expected)"),
        ('{"a":{"b":"c', {"a": {"b": "c"}, INVALID_JSON: "end too early"}, "end too early"),
        ('{"a":tr', {"a": None, INVALID_JSON: "tr"}, "end too early"),
        ('{"a":1,', {"a": 1, INVALID_JSON: "end too early"}, "end too early"),
    ],
)
def test_what_models_and_servers_send(text: str, value: dict[str, Any], problem: str):
    for size in (1, 3, len(text) or 1):
        found, arguments = read(*[text[at : at + size] for at in range(0, len(text), size)])
        assert (found, arguments.problem) == (value, problem)


def test_it_flows():
    """A value is shown while it grows."""
    arguments = Arguments()
    assert [arguments.feed(part) for part in ('{"co', 'mmand": "l', "s \\", "n-la", '", "t": 1', "2}")] == [
        "",
        '{"command": "l',
        "s ",
        "\\n-la",
        '", "t"',
        ": 12}",
    ]


def test_long_strings_in_small_pieces_cost_what_they_weigh():
    parts = ['{"content":"', *["x" * 4] * 50_000, '"}']
    arguments = Arguments()
    assert sum(len(arguments.feed(part)) for part in parts) == sum(map(len, parts))
