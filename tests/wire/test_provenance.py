import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.wire.provenance import (
    decode_tool_id,
    encode_tool_id,
    unwrap_signature,
    valid_tool_id,
    wrap_signature,
)

PROVIDERS = st.from_regex(r"[a-z0-9_]+(-[a-z0-9_]+)*", fullmatch=True)
# Lone surrogates too: JSON can spell them.
TEXTS = st.text(st.characters(exclude_categories=()))


@given(PROVIDERS, TEXTS)
def test_a_signature_comes_back(provider, original):
    assert unwrap_signature(wrap_signature(provider, original)) == (provider, original)


@given(PROVIDERS, PROVIDERS, TEXTS)
def test_a_gateway_behind_a_gateway_nests(outer, inner, original):
    assert unwrap_signature(wrap_signature(outer, wrap_signature(inner, original))) == (
        outer,
        wrap_signature(inner, original),
    )


@pytest.mark.parametrize(
    "signature",
    ["", "EqQBCkYICxgCKkAxyz==", "gw1", "gw1.", "gw1..x", "gw1.zai", "gw2.zai.x", "gw1.Zai.x", " gw1.zai.x"],
)
def test_what_is_no_wrapped_signature(signature):
    assert unwrap_signature(signature) is None


def test_the_wrapped_form_is_the_documented_one():
    assert wrap_signature("zai", "abc") == "gw1.zai.abc"
    assert wrap_signature("zai", "") == "gw1.zai."


@given(PROVIDERS, TEXTS)
def test_a_tool_id_comes_back_and_is_valid(provider, original):
    encoded = encode_tool_id(provider, original)
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", encoded)
    assert valid_tool_id(encoded)
    assert decode_tool_id(encoded) == decode_tool_id(original) or decode_tool_id(encoded) == (provider, original)


@given(PROVIDERS, PROVIDERS, TEXTS)
def test_a_tool_id_is_encoded_once(first, second, original):
    encoded = encode_tool_id(first, original)
    assert encode_tool_id(second, encoded) == encoded


@given(PROVIDERS, TEXTS, PROVIDERS, TEXTS)
def test_different_ids_stay_different(provider, original, other_provider, other):
    if (provider, original) != (other_provider, other):
        assert encode_tool_id(provider, original) != encode_tool_id(other_provider, other)


@given(st.text("gw1-abAB_", max_size=30).map("gw1-a--".__add__))
def test_only_what_encoding_makes_is_decoded(tool_id):
    decoded = decode_tool_id(tool_id)
    if decoded and not decode_tool_id(decoded[1]):
        assert encode_tool_id(*decoded) == tool_id


@pytest.mark.parametrize(
    "tool_id",
    [
        "",
        "toolu_01A",
        "gw1-zai-x",
        "gw1-zai--!",
        "gw1-zai--A",
        "gw1-zai--QR",  # "A" with a spare bit set
        "gw1---QQ",
        "gw1-zai--QQ\n",
        "gw1-zai--_w",  # not UTF-8
    ],
)
def test_what_is_no_encoded_tool_id(tool_id):
    assert decode_tool_id(tool_id) is None


def test_a_dash_at_the_start_of_the_text_is_the_texts():
    encoded = encode_tool_id("my-own", "\u0f80")
    assert encoded.startswith("gw1-my-own--")
    assert decode_tool_id("gw1-a-b--Zm9v") == ("a-b", "foo")
    assert decode_tool_id(encode_tool_id("a", "\u03e0x")) == ("a", "\u03e0x")


def test_kimis_ids():
    assert encode_tool_id("kimi", "functions.Bash:0") == "gw1-kimi--ZnVuY3Rpb25zLkJhc2g6MA"
    assert not valid_tool_id("functions.Bash:0")
    assert not valid_tool_id("")
    assert not valid_tool_id("toolu_1\n")
    assert not valid_tool_id("toolu_é")
