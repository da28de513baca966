"""What is asked of a body without decoding all of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from addons.wire.messages.body import RequestBody
from addons.wire.messages.questions import has_image, is_web_search, opening, tool_names

IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
BASH = {"name": "Bash", "input_schema": {"type": "object", "properties": {"image": {"type": "string"}}}}


def body(*contents: Any, **fields: Any) -> RequestBody:
    """A request with one message of the user for each content."""
    messages = [{"role": "user", "content": content} for content in contents or ("hi",)]
    return RequestBody.parse(json.dumps({"model": "m", "messages": messages, **fields}).encode())


@pytest.mark.parametrize(
    ("tools", "names"),
    [
        (None, set()),
        ([], set()),
        ([BASH, {"type": "custom", "name": "mcp__x"}], {"Bash", "mcp__x"}),
        ([SEARCH], {"web_search", "web_search_20250305"}),
        (["text", 1, {"name": 5}, {}], set()),
    ],
)
def test_the_names_of_tools(tools: Any, names: set[str]) -> None:
    assert tool_names(body(tools=tools)) == names


def test_a_request_without_tools_has_none() -> None:
    assert tool_names(body()) == set()
    assert not is_web_search(body())


@pytest.mark.parametrize(
    ("tools", "is_search"),
    [([SEARCH], True), ([SEARCH, BASH], False), ([BASH], False), ([{"name": "web_search"}], False), ([1], False)],
)
def test_a_lone_web_search(tools: Any, is_search: bool) -> None:
    assert is_web_search(body(tools=tools)) == is_search


@pytest.mark.parametrize(
    "content",
    [
        [IMAGE],
        [{"type": "text", "text": "see"}, IMAGE],
        [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "x"}, IMAGE]}],
        [{"type": "document", "source": {"type": "content", "content": [IMAGE]}}],
    ],
)
def test_an_image_is_found_wherever_it_is(content: Any) -> None:
    assert has_image(body("hi", content, "and?"))


@pytest.mark.parametrize(
    "content",
    [
        "an image",
        '{"type": "image"}',
        [{"type": "text", "text": '{"type": "image"}'}],
        [{"type": "tool_use", "id": "t", "name": "x", "input": {"type": "image"}}],
        [{"type": "tool_result", "tool_use_id": "t", "content": "image"}],
    ],
)
def test_what_only_speaks_of_an_image_is_none(content: Any) -> None:
    assert not has_image(body(content, tools=[BASH]))


def test_an_opening_stays_while_the_conversation_grows() -> None:
    first = body([{"type": "text", "text": "be brief"}, {"type": "text", "text": "hi"}])
    moved = [
        {"type": "text", "text": "be brief"},
        {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}},
    ]
    assert opening(first) == opening(body(moved, "more", "and more"))
    assert opening(body("hi")) == opening(body([{"type": "text", "text": "hi"}]))


def test_openings_differ() -> None:
    texts = [
        body("hi"),
        body("ho"),
        body([{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]),
        body("\ud83d"),
    ]
    assert len({opening(one) for one in texts}) == len(texts)
    assert opening(RequestBody.parse(b'{"model": "m", "messages": []}'))
