"""What a client wants to be searched for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.wire.messages.body import RequestBody
from addons.wire.search.question import PHRASE, Question, lone_search, search_tool

TOOL: dict[str, Any] = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
BASH = {"name": "Bash", "input_schema": {"type": "object"}}
ASKED = {"role": "user", "content": [{"type": "text", "text": f"{PHRASE}mitmproxy  12\nrelease"}]}
AGENT = "claude-cli/2.1.332 (external, sdk-cli)"


def body(*messages: Any, tools: Any = (TOOL,), **fields: Any) -> RequestBody:
    whole = {"model": "m", "messages": messages or [ASKED], "tools": tools, **fields}
    return RequestBody.parse(json.dumps(whole).encode())


def found(request: RequestBody, agent: str = "") -> str | None:
    tool = search_tool(request)
    question = lone_search(request, tool, agent) if tool else None
    return question.text if question else None


def test_what_claude_code_asks() -> None:
    assert found(body()) == "mitmproxy 12 release"
    assert found(body({"role": "user", "content": "weather"}), AGENT) == "weather"
    assert found(body({"role": "user", "content": "weather"}, tool_choice={"type": "any"})) == "weather"
    forced = {"type": "tool", "name": "web_search"}
    assert found(body({"role": "system", "content": "x"}, ASKED, tool_choice=forced)) == "mitmproxy 12 release"


@pytest.mark.parametrize(
    "request_body",
    [
        body({"role": "user", "content": "weather"}),
        body(tools=[TOOL, BASH]),
        body(tools=[BASH]),
        body(tools=[{"name": "web_search", "input_schema": {"type": "object"}}]),
        body(tools=[{"type": "web_fetch_20250910", "name": "web_search_2"}]),
        body(ASKED, {"role": "assistant", "content": "found"}, ASKED),
        body(ASKED, ASKED),
        body({"role": "assistant", "content": "found"}),
    ],
)
def test_what_is_no_search_and_nothing_else(request_body: RequestBody) -> None:
    assert found(request_body) is None


def test_what_its_tool_allows() -> None:
    tool = {**TOOL, "allowed_domains": ["a.org"], "user_location": {"type": "approximate", "country": "de"}}
    question = search_tool(body(tools=[BASH, tool]))
    assert question
    assert (question.uses, question.country, question.domains.hosts()) == (8, "DE", (["a.org"], []))


@pytest.mark.parametrize(
    "odd", [{"max_uses": True}, {"max_uses": "8"}, {"user_location": "DE"}, {"user_location": {"country": "Germany"}}]
)
def test_what_can_not_be_read_says_nothing(odd: dict[str, Any]) -> None:
    question = search_tool(body(tools=[{**TOOL, "max_uses": None, **odd}]))
    assert question == Question()


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_nothing_raises(value: Any) -> None:
    tool = {"type": "web_search_20250305", "max_uses": value, "allowed_domains": value, "user_location": value}
    found(body(tools=[tool]))
