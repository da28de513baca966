"""The tokens of an answer, from the usage objects that providers send."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.wire.usage import Usage

NUMBERS = st.one_of(st.none(), st.integers(-5, 10**18), st.floats(), st.text(max_size=3), st.lists(st.integers()))
SPLITS = st.one_of(
    st.none(),
    st.dictionaries(st.sampled_from(["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"]), NUMBERS),
)
NAMES = ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]
OBJECTS = st.one_of(
    NUMBERS,
    st.fixed_dictionaries({}, optional={**dict.fromkeys(NAMES, NUMBERS), "cache_creation": SPLITS, "speed": NUMBERS}),
)


def split(short: int, long: int, total: int | None = None) -> dict[str, Any]:
    """A usage object with what was written for five minutes and for an hour."""
    both = {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long}
    return {"cache_creation_input_tokens": short + long if total is None else total, "cache_creation": both}


def told(*objects: Any) -> Usage:
    """The usage after these objects, the last of which came at the end."""
    usage = Usage()
    for number, one in enumerate(objects, 1):
        usage.update(one, at_end=number == len(objects))
    return usage


@pytest.mark.parametrize(
    ("objects", "written", "for_an_hour"),
    [
        ([split(500, 0)], 500, 0),
        ([split(0, 500)], 500, 500),
        ([split(300, 200)], 500, 200),
        ([split(0, 500), split(500, 0)], 500, 0),
        ([split(500, 0), split(0, 500)], 500, 500),
        ([split(0, 500), {"output_tokens": 9}], 500, 500),
        ([split(0, 500), split(0, 0)], 500, 500),
        ([split(0, 500), {"cache_creation": None}], 500, 500),
        ([split(500, 500, total=500)], 500, 500),
        ([split(300, 200, total=0)], 500, 200),
        ([split(0, 500), {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 500}], 0, 0),
    ],
    ids=[
        "five minutes",
        "an hour",
        "both",
        "corrected to five minutes",
        "corrected to an hour",
        "told at the start only",
        "zeros at the end say nothing",
        "null at the end says nothing",
        "more than was written",
        "without their sum",
        "it was read after all",
    ],
)
def test_cache_writes_are_paid_once(objects: list[Any], written: int, for_an_hour: int) -> None:
    usage = told(*objects)
    assert (usage.cache_creation_input_tokens, usage.cache_creation_1h_input_tokens) == (written, for_an_hour)


def test_searches_and_fast_mode() -> None:
    usage = told({"server_tool_use": {"web_search_requests": 3}, "speed": "fast"}, {"server_tool_use": None})
    assert (usage.web_search_requests, usage.fast) == (3, True)
    assert not told({"speed": "standard"}).fast


def test_the_output_is_final_when_it_is_told_at_the_end() -> None:
    assert told({"output_tokens": 1}, {"output_tokens": 9}).is_final
    assert told({"output_tokens": 1}, {"output_tokens": 0}).is_final
    assert not told({"output_tokens": 1}, {}).is_final
    assert not told({"output_tokens": 1}, None).is_final
    assert not told({"output_tokens": 1}, {"output_tokens": None}).is_final


@given(st.lists(OBJECTS, max_size=4))
def test_whatever_is_told_no_number_is_negative_or_endless(objects: list[Any]) -> None:
    usage = told(*objects)
    for name in (*NAMES, "cache_creation_1h_input_tokens", "web_search_requests"):
        assert 0 <= getattr(usage, name) < 3e15
    assert usage.cache_creation_1h_input_tokens <= usage.cache_creation_input_tokens
