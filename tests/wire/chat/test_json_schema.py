"""Schemas of tools: untouched when nothing needs a change, and otherwise without what a provider refuses."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from addons.wire.chat.json_schema import EMPTY, SchemaRules, clean, for_tool, is_strict

NO_RULES = SchemaRules()
WITHOUT_FORMAT = SchemaRules(drop=frozenset({"format", "title"}))

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("type", "properties", "anyOf", "items", "format", "enum", "title", "x")), inner, max_size=4
        )
    ),
    max_leaves=20,
)


def raw(schema: Any) -> Raw:
    return Raw(json.dumps(schema).encode())


def test_a_good_schema_keeps_its_bytes() -> None:
    given = Raw(b'{ "type": "object",  "properties": {"a": {"type": "string"}} }')
    assert for_tool(given, WITHOUT_FORMAT) is given


@pytest.mark.parametrize("schema", [None, True, 5, "object", []])
def test_no_schema_is_an_empty_object(schema: Any) -> None:
    assert for_tool(raw(schema), NO_RULES) == EMPTY


@pytest.mark.parametrize("schema", [{}, {"type": "string"}, {"type": "object"}, {"properties": []}])
def test_parameters_are_an_object_with_properties(schema: Any) -> None:
    assert json.loads(bytes(for_tool(raw(schema), NO_RULES))) == {"type": "object", "properties": {}}


def test_a_keyword_is_dropped_at_any_depth_but_not_a_parameter_of_that_name() -> None:
    schema = {
        "type": "object",
        "title": "T",
        "properties": {"format": {"type": "string", "format": "uri"}, "title": {"items": {"title": "x"}}},
        "required": ["format", "title"],
        "$defs": {"title": {"anyOf": [{"format": "date"}]}},
    }
    assert clean(schema, WITHOUT_FORMAT) == {
        "type": "object",
        "properties": {"format": {"type": "string"}, "title": {"items": {}}},
        "required": ["format", "title"],
        "$defs": {"title": {"anyOf": [{}]}},
    }


@pytest.mark.parametrize("keyword", ["const", "default", "enum", "example", "examples"])
def test_values_are_no_schemas(keyword: str) -> None:
    schema = {keyword: [{"format": "uri", "type": "array"}]}
    assert clean(schema, WITHOUT_FORMAT) == schema


def test_an_array_has_items() -> None:
    assert clean({"type": "array"}, NO_RULES) == {"type": "array", "items": {}}
    assert clean({"type": "array", "prefixItems": []}, NO_RULES) == {"type": "array", "prefixItems": []}


def test_a_type_moves_into_the_branches() -> None:
    schema = {"type": "string", "anyOf": [{"enum": ["a"]}, {"type": "null"}]}
    assert clean(schema, NO_RULES) == schema
    cleaned = clean(schema, SchemaRules(type_beside_any_of=False))
    assert cleaned == {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]}


@given(values)
def test_cleaning_twice_changes_nothing_more(schema: Any) -> None:
    once = clean(schema, WITHOUT_FORMAT)
    assert clean(once, WITHOUT_FORMAT) == once
    tool = json.loads(bytes(for_tool(raw(schema), WITHOUT_FORMAT)))
    assert tool["type"] == "object"
    assert isinstance(tool["properties"], dict)


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}, True),
        ({"type": "object", "properties": {"a": {}}, "required": ["a"]}, False),
        ({"type": "object", "properties": {"a": {}}, "required": [], "additionalProperties": False}, False),
        ({"properties": {"a": {"type": "object"}}, "required": ["a"], "additionalProperties": False}, False),
        ({"type": "string", "default": {"type": "object"}}, True),
        ({"anyOf": [{"type": "string"}, {"type": "object"}]}, False),
    ],
)
def test_strict(schema: Any, strict: bool) -> None:
    assert is_strict(schema) is strict
