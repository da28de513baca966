"""llama.cpp's server with a model whose words are scripted: its template, parsers and stream are the real ones."""

from __future__ import annotations

from typing import Any

import anthropic as sdk
import pytest

from tests.client_messages import user
from tests.e2e.gateway import Gateway
from tests.real.conftest import CONTEXT, MODEL
from tests.real.tiny_model import SCRIPTS

BASH = {
    "name": "Bash",
    "description": "Runs a command",
    "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
}
either_way = pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])


@pytest.fixture
def client(gateway: Gateway) -> sdk.Anthropic:
    return sdk.Anthropic(base_url=gateway.url, api_key="any", max_retries=0, timeout=60)


def ask(client: sdk.Anthropic, *messages: Any, stream: bool, **fields: Any) -> sdk.types.Message:
    body = {"model": MODEL, "max_tokens": 200, "messages": messages, **fields}
    if not stream:
        made: sdk.types.Message = client.messages.create(**body)
        return made
    with client.messages.stream(**body) as events:
        return events.get_final_message()


def said(message: sdk.types.Message, kind: str, field: str) -> str:
    return "".join(getattr(block, field) for block in message.content if block.type == kind)


@either_way
def test_text(client: sdk.Anthropic, stream: bool) -> None:
    message = ask(client, user("SCRIPT text"), stream=stream)
    assert said(message, "text", "text") == SCRIPTS["text"]
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0) > 5
    assert message.usage.output_tokens > 5


@either_way
def test_max_tokens_and_stop_sequences(client: sdk.Anthropic, stream: bool) -> None:
    assert ask(client, user("SCRIPT text"), stream=stream, max_tokens=3).stop_reason == "max_tokens"
    message = ask(client, user("SCRIPT text"), stream=stream, stop_sequences=["the tiny"])
    assert said(message, "text", "text") == "Hello there, this is what "
    assert message.stop_reason in ("stop_sequence", "end_turn")


@either_way
def test_reasoning(client: sdk.Anthropic, stream: bool) -> None:
    message = ask(client, user("SCRIPT reasoning"), stream=stream)
    assert "think about it" in said(message, "thinking", "thinking")
    assert said(message, "text", "text").strip() == "Forty-two."


@either_way
@pytest.mark.parametrize("name", ["one", "two"])
def test_calls(client: sdk.Anthropic, stream: bool, name: str) -> None:
    message = ask(client, user(f"SCRIPT {name}"), stream=stream, tools=[BASH])
    calls = [block for block in message.content if block.type == "tool_use"]
    expected = [{"command": "echo one"}, {"command": "echo two"}][: 2 if name == "two" else 1]
    assert [(call.name, call.input) for call in calls] == [("Bash", arguments) for arguments in expected]
    assert message.stop_reason == "tool_use"
    assert len({call.id for call in calls}) == len(calls)


@either_way
def test_a_tool_loop(client: sdk.Anthropic, stream: bool) -> None:
    asked = user("SCRIPT two")
    message = ask(client, asked, stream=stream, tools=[BASH])
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "done"}
        for block in message.content
        if block.type == "tool_use"
    ]
    answered = {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in message.content]}
    message = ask(client, asked, answered, user(*results), stream=stream, tools=[BASH])
    assert said(message, "text", "text") == SCRIPTS["done"]


@either_way
def test_an_overflow_is_told_so_that_claude_code_compacts(client: sdk.Anthropic, stream: bool) -> None:
    # (As an error event, where the server took longer to count than the gateway holds an answer back.)
    with pytest.raises(sdk.APIStatusError, match=rf"prompt is too long: \d+ tokens > {CONTEXT} maximum"):
        ask(client, user("word " * (CONTEXT // 3)), stream=stream)


def test_one_tool_can_be_forced(client: sdk.Anthropic) -> None:
    """The server ignores the object form of tool_choice; the preset says `required` with only that tool."""
    other = BASH | {"name": "Other"}
    choice = {"type": "tool", "name": "Bash"}
    message = ask(client, user("SCRIPT one"), stream=False, tools=[other, BASH], tool_choice=choice)
    assert [block.name for block in message.content if block.type == "tool_use"] == ["Bash"]


def test_thinking_can_be_turned_off(client: sdk.Anthropic) -> None:
    message = ask(client, user("SCRIPT text"), stream=False, thinking={"type": "disabled"})
    assert said(message, "text", "text") == SCRIPTS["text"]
