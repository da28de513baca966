"""What a tool call's input means that is no object."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from addons.wire.messages.tool_input import INVALID_JSON, as_object, is_object, object_in_text

LS = {"command": "ls"}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (LS, LS),
        ([LS], LS),
        ([[LS]], LS),
        (json.dumps(LS), LS),
        (json.dumps([LS]), LS),
        (json.dumps(json.dumps(LS)), LS),
        ("", {}),
        (" \n", {}),
        (None, {}),
        ([], {}),
        ("null", {}),
        ([LS, LS], {INVALID_JSON: '[{"command": "ls"}, {"command": "ls"}]'}),
        ("ls -l", {INVALID_JSON: '"ls -l"'}),
        (3, {INVALID_JSON: "3"}),
        (True, {INVALID_JSON: "true"}),
        ('{"command": "ls', {INVALID_JSON: '"{\\"command\\": \\"ls"'}),
    ],
)
def test_what_is_meant(given: object, meant: object) -> None:
    assert json.loads(bytes(as_object(Raw(json.dumps(given).encode())))) == meant


def test_an_object_keeps_its_bytes() -> None:
    piece = Raw(b'{ "a":1.0}')
    assert as_object(piece) is piece
    assert bytes(as_object(UNSET)) == b"{}"


@pytest.mark.parametrize(
    ("text", "meant"),
    [("", {}), ("[" + json.dumps(LS) + "]", LS), (json.dumps(json.dumps(LS)), LS), ("ls -l", {INVALID_JSON: "ls -l"})],
)
def test_streamed_text(text: str, meant: object) -> None:
    assert json.loads(bytes(object_in_text(text))) == meant


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
)


@given(json_values)
def test_it_is_always_an_object(value: object) -> None:
    assert is_object(as_object(Raw(json.dumps(value).encode())))


@given(st.text(max_size=20))
def test_any_text_is_always_an_object(text: str) -> None:
    assert is_object(object_in_text(text))
