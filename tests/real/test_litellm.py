"""A LiteLLM proxy between the gateway and a scripted Anthropic: what it makes of thinking, calls and errors."""

from __future__ import annotations

import json
from collections.abc import Iterator

import anthropic as sdk
import pytest

from tests.client_messages import user
from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import message, say, text, thinking, tool_use
from tests.real.conftest import MODEL
from tests.real.test_llama_server import BASH, ask, either_way, said


@pytest.fixture(scope="module")
def gateway(litellm: tuple[str, Provider]) -> Iterator[Gateway]:
    url, _ = litellm
    routing = {
        "providers": {"litellm": {"preset": "litellm", "base_url": url, "api_key": "any"}},
        "models": {MODEL: f"litellm/{MODEL}"},
    }
    with Gateway(routing) as gateway:
        yield gateway


@pytest.fixture
def client(gateway: Gateway) -> sdk.Anthropic:
    return sdk.Anthropic(base_url=gateway.url, api_key="any", max_retries=0, timeout=60)


@pytest.fixture
def provider(litellm: tuple[str, Provider]) -> Provider:
    litellm[1].reset()
    return litellm[1]


@either_way
def test_text(client: sdk.Anthropic, provider: Provider, stream: bool) -> None:
    provider.always(say("Hello there"))
    assert said(ask(client, user("hi"), stream=stream), "text", "text") == "Hello there"


@either_way
def test_signed_thinking_comes_back_in_a_tool_loop(client: sdk.Anthropic, provider: Provider, stream: bool) -> None:
    signed = thinking("Let me look", signature="U0lHTkVE" * 8)
    provider.script(message(signed, text("I look."), tool_use("Bash", {"command": "ls"})), say("Done"))
    asks = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4000, "tools": [BASH]}
    first = ask(client, user("go"), stream=stream, **asks)
    (call,) = [block for block in first.content if block.type == "tool_use"]
    assert (call.name, call.input, first.stop_reason) == ("Bash", {"command": "ls"}, "tool_use")
    answered = {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]}
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "x"}
    second = ask(client, user("go"), answered, user(result), stream=stream, **asks)
    assert said(second, "text", "text") == "Done"
    arrived = json.dumps(json.loads(provider.last.body)["messages"])
    assert "U0lHTkVE" * 8 in arrived and "Let me look" in arrived
