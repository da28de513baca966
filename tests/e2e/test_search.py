"""Web searches of the gateway's own: Claude Code's WebSearch on models whose providers have none."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Providers
from tests.e2e.gateway import Gateway
from tests.fakes.answers import Answer, Reply
from tests.fakes.messages import message, say, text, tool_use
from tests.fakes.provider import Provider
from tests.fakes.request import Request
from tests.fakes.scripts import error, hang
from tests.fakes.search import Hit, brave

KEY = "brave-key-0123456789abcdef"
TOOL: dict[str, Any] = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
SEARCH: dict[str, Any] = {"text": "Perform a web search for the query: mitmproxy 12", "tools": [TOOL]}
HITS = [Hit("https://mitmproxy.org/posts", "mitmproxy 12", "It is out."), Hit("https://example.com/a")]
BASH = {"name": "Bash", "input_schema": {"type": "object"}}


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any], providers: Providers) -> dict[str, Any]:
    zai = routing["providers"]["zai"]
    local = {"base_url": f"{providers.zai.url}/v1", "format": "openai-chat", "auth": "none"}
    more = {"local": local, "foundry": {**zai, "web_search": True}}
    search = {"provider": "brave", "url": providers.openrouter.url, "api_key": "${SEARCH_KEY}"}
    return {
        **routing,
        "providers": {**routing["providers"], **more},
        "models": {**routing["models"], "local": "local/qwen", "foundry": "foundry/claude-haiku-5-5"},
        "search": search,
        "failover": {**routing["failover"], "hold": 0.2},
    }


@pytest.fixture(scope="module")
def env(env: dict[str, str]) -> dict[str, str]:
    return {**env, "SEARCH_KEY": KEY}


@pytest.fixture
def engine(openrouter: Provider) -> Provider:
    """The search service."""
    openrouter.always(brave(HITS))
    return openrouter


@pytest.fixture(params=["stream", "whole"])
def searched(request: pytest.FixtureRequest, gateway: Gateway) -> Callable[..., list[Any]]:
    """Asks, and returns the content of the answer."""

    def ask(model: str = "glm", **body: Any) -> list[Any]:
        whole = {**SEARCH, **body}
        messages = [{"role": "user", "content": whole.pop("text")}]
        call = {"model": model, "max_tokens": 100, "messages": messages, **whole}
        client = gateway.anthropic()
        if request.param == "whole":
            message = client.messages.create(**call)
        else:
            with client.messages.stream(**call) as stream:
                message = stream.get_final_message()
        found: list[Any] = message.model_dump(mode="json")["content"]
        return found

    return ask


@pytest.mark.parametrize("model", ["glm", "local"])
def test_the_gateway_searches(
    searched: Callable[..., list[Any]], gateway: Gateway, engine: Provider, zai: Provider, model: str
) -> None:
    call, result, text = searched(model)
    assert (call["type"], call["name"], call["input"]) == ("server_tool_use", "web_search", {"query": "mitmproxy 12"})
    assert (result["type"], result["tool_use_id"]) == ("web_search_tool_result", call["id"])
    assert [(one["url"], one["title"]) for one in result["content"]] == [(hit.url, hit.title) for hit in HITS]
    assert "It is out." in text["text"]
    (asked,) = engine.requests
    assert asked.path == "/res/v1/web/search"
    assert "mitmproxy" in asked.target
    assert asked.headers["x-subscription-token"] == KEY
    assert "authorization" not in asked.headers
    assert asked.headers["host"] == engine.url.removeprefix("http://")
    assert zai.requests == []
    gateway.wait_until(lambda: "search of req_gw_" in gateway.log())


def test_domains_are_told_and_enforced(searched: Callable[..., list[Any]], engine: Provider) -> None:
    _, result, _ = searched(tools=[{**TOOL, "allowed_domains": ["mitmproxy.org"]}])
    assert [one["url"] for one in result["content"]] == [HITS[0].url]
    assert "site%3Amitmproxy.org" in engine.last.target
    _, result, _ = searched(tools=[{**TOOL, "blocked_domains": ["mitmproxy.org"]}])
    assert [one["url"] for one in result["content"]] == [HITS[1].url]


@pytest.mark.parametrize(("status", "code"), [(429, "too_many_requests"), (500, "unavailable")])
def test_what_fails_is_told_with_its_code(
    searched: Callable[..., list[Any]], engine: Provider, zai: Provider, status: int, code: str
) -> None:
    engine.always(error(status, f"the key {KEY} says no"))
    _, result, text = searched()
    assert result["content"]["type"] == "web_search_tool_result_error"
    assert result["content"]["error_code"] == code
    assert text["text"].startswith(f"The web search has failed: Brave Search answered {status}")
    assert zai.requests == []


def test_a_client_that_hangs_up_ends_the_search(gateway: Gateway, engine: Provider) -> None:
    engine.always(hang())
    with gateway.stream(**SEARCH) as stream:
        stream.until("ping")
        engine.wait_for(lambda: len(engine.requests) == 1)
    engine.wait_for(lambda: engine.closed_by_peer)


def test_who_has_a_search_of_its_own_is_asked(
    gateway: Gateway, engine: Provider, anthropic: Provider, zai: Provider
) -> None:
    gateway.post("claude-sonnet-5-5", **SEARCH)
    assert anthropic.last.json["tools"] == [TOOL]
    gateway.post("foundry", **SEARCH)
    assert zai.last.json["tools"] == [TOOL]
    assert engine.requests == []


def test_after_a_fallback_the_gateway_searches(gateway: Gateway, engine: Provider, anthropic: Provider) -> None:
    anthropic.always(error(529))
    answer = gateway.post("claude-opus-5-5", **SEARCH)
    assert answer.json()["content"][1]["type"] == "web_search_tool_result"
    assert (answer.headers["x-gateway-provider"], answer.headers["x-gateway-fallback"]) == ("gateway", "glm")


def test_among_other_tools_it_is_left_out(gateway: Gateway, engine: Provider, zai: Provider) -> None:
    zai.always(say("without"))
    assert gateway.post(**{**SEARCH, "tools": [TOOL, BASH]}).json()["content"][0]["text"] == "without"
    assert zai.last.json["tools"] == [BASH]
    assert engine.requests == []


def test_the_models_of_other_clients_may_search_too(
    start_gateway: Callable[..., Gateway], routing: dict[str, Any], engine: Provider, zai: Provider
) -> None:
    gateway = start_gateway({**routing, "search": {**routing["search"], "loop": True}})
    arguments = {"query": "mitmproxy 12"}

    def messages(request: Request) -> Reply:
        if "It is out." in json.dumps(request.json["messages"]):
            return say("So it is.")
        return message(text("I'll look."), tool_use("web_search", arguments))

    def chat(request: Request) -> Reply:
        call = {"id": "call_1", "type": "function", "function": {"name": "web_search", "arguments": '{"query": "x"}'}}
        seen = "It is out." in json.dumps(request.json["messages"])
        said = {"content": "So it is."} if seen else {"content": "I'll look.", "tool_calls": [call]}
        choice = {"index": 0, "message": {"role": "assistant", **said}, "finish_reason": "stop"}
        whole = {"id": "c1", "object": "chat.completion", "model": "qwen", "choices": [choice], "usage": {}}
        return Answer(headers=(("content-type", "application/json"),), pieces=(json.dumps(whole).encode(),))

    for model, reply in (("glm", messages), ("local", chat)):
        zai.always(reply)
        asked: dict[str, Any] = {
            "model": model,
            "max_tokens": 100,
            "messages": [{"role": "user", "content": "Is it out?"}],
            "tools": [TOOL, BASH],
        }
        with gateway.anthropic().messages.stream(**asked) as stream:
            streamed = stream.get_final_message()
        for answer in (streamed, gateway.anthropic().messages.create(**asked)):
            kinds = [block.type for block in answer.content]
            assert kinds == ["text", "server_tool_use", "web_search_tool_result", "text"], model
            assert answer.stop_reason == "end_turn"
        asked["messages"] += [
            {"role": "assistant", "content": streamed.model_dump(mode="json", exclude_none=True)["content"]},
            {"role": "user", "content": "Sure?"},
        ]
        assert gateway.anthropic().messages.create(**asked).content[0].type == "text"
        assert "It is out." in json.dumps(zai.last.json["messages"])
    assert len(engine.requests) == 4
    gateway.wait_until(lambda: gateway.log().count("search of req_gw_") == 14)


def test_without_a_service_it_says_that_no_search_was_made(
    start_gateway: Callable[..., Gateway], routing: dict[str, Any], zai: Provider, openrouter: Provider
) -> None:
    gateway = start_gateway({**routing, "search": None})
    answer = gateway.post(**SEARCH).json()
    (said,) = answer["content"]
    assert said["text"].startswith("No web search was made: glm-5 at zai has no web search of its own")
    gateway.rewrite_routing(routing)
    gateway.wait_until(lambda: len(gateway.post(**SEARCH).json()["content"]) == 3)
    assert zai.requests == []
    assert {request.path for request in openrouter.requests} == {"/res/v1/web/search"}
