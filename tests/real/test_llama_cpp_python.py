"""llama-cpp-python's server, which has its own templates and its own form of calls (`function_call` beside them)."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic as sdk
import pytest

from tests.client_messages import user
from tests.e2e.gateway import Gateway
from tests.real.conftest import MODEL
from tests.real.test_llama_server import BASH, ask, either_way, said
from tests.real.tiny_model import SCRIPTS


@pytest.fixture(scope="module")
def gateway(llama_cpp_python: str) -> Iterator[Gateway]:
    provider = {"base_url": llama_cpp_python, "format": "openai-chat", "auth": "none"}
    routing = {
        "providers": {"llama": provider | {"chat": {"calls_in_text": "hermes"}}},
        "models": {MODEL: "llama/tiny"},
    }
    with Gateway(routing) as gateway:
        yield gateway


@pytest.fixture
def client(gateway: Gateway) -> sdk.Anthropic:
    return sdk.Anthropic(base_url=gateway.url, api_key="any", max_retries=0, timeout=60)


@either_way
def test_text(client: sdk.Anthropic, stream: bool) -> None:
    assert said(ask(client, user("SCRIPT text"), stream=stream), "text", "text").strip() == SCRIPTS["text"]


@either_way
def test_a_call(client: sdk.Anthropic, stream: bool) -> None:
    message = ask(client, user("SCRIPT one"), stream=stream, tools=[BASH])
    calls = [(block.name, block.input) for block in message.content if block.type == "tool_use"]
    assert calls == [("Bash", {"command": "echo one"})]
    assert message.stop_reason == "tool_use"
