"""`routes:`: requests of a kind go elsewhere than their model says, and the trail tells why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.client_messages import assistant, text, user
from tests.credentials import TOKEN
from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import error

OPUS = "claude-opus-5-5"
SEARCH = [{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}]
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
LONG = "word " * 3000


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    rules = [
        {"when": {"tools": "web_search"}, "to": "claude-haiku-5-5"},
        {"when": {"class": ["subagent", "auxiliary"], "model": "claude-*"}, "to": "glm-fast"},
        {"when": {"image": True, "model": "glm"}, "to": "kimi"},
        {"when": {"tokens": ">2000", "model": "glm"}, "to": "openrouter"},
        {"when": {"user": "shared", "header": {"x-project": "acme-*"}}, "to": "kimi"},
    ]
    return {**routing, "routes": rules}


@pytest.fixture(scope="module")
def env(env: dict[str, str]) -> dict[str, str]:
    return {**env, "PROXY_STATIC_TOKEN": TOKEN}


@pytest.fixture
def ask(gateway: Gateway) -> Callable[..., tuple[str, str]]:
    """Asks, and says who answered: provider and model."""

    def ask(model: str, session: str = "", hints: dict[str, str] | None = None, **body: Any) -> tuple[str, str]:
        headers = {"x-litellm-api-key": TOKEN, **(hints or {})}
        if session:
            headers["x-claude-code-session-id"] = session
        response = gateway.post(model, headers=headers, **body)
        assert response.status_code == 200, response.text
        return response.headers["x-gateway-provider"], response.headers["x-gateway-model"]

    return ask


Ask = Callable[..., tuple[str, str]]


def conversation(*said: str | list[Any]) -> list[dict[str, Any]]:
    """What the user says, as words or as blocks, and an answer to all but the last."""
    turns: list[dict[str, Any]] = []
    for content in said:
        turns += [user(content) if isinstance(content, str) else user(*content), assistant(text("yes"))]
    return turns[:-1]


def test_a_request_goes_where_its_kind_says(ask: Ask, anthropic: Provider) -> None:
    assert ask(OPUS) == ("anthropic", OPUS)
    assert ask(OPUS, hints={"x-claude-code-request-class": "subagent"}) == ("zai", "glm-5-air")
    assert ask(OPUS, hints={"x-claude-code-agent-id": "a1"}) == ("zai", "glm-5-air")
    assert ask("glm", hints={"x-claude-code-agent-id": "a1"}) == ("zai", "glm-5")
    assert ask(OPUS, tools=SEARCH) == ("anthropic", "claude-haiku-5-5")
    assert anthropic.last.json["model"] == "claude-haiku-5-5"
    assert ask("glm", messages=conversation([{"type": "text", "text": "see"}, IMAGE], "and?")) == (
        "kimi",
        "kimi-for-coding",
    )
    assert ask("claude-via-glm", messages=conversation([IMAGE])) == ("kimi", "kimi-for-coding")
    assert ask("claude-via-glm") == ("zai", "glm-5")
    assert ask(OPUS, hints={"x-project": "acme-web"}) == ("kimi", "kimi-for-coding")
    assert ask(OPUS, hints={"x-project": "other"}) == ("anthropic", OPUS)


def test_a_large_conversation_stays_where_it_went_until_it_is_compacted(ask: Ask) -> None:
    session = str(uuid4())
    assert ask("glm", session, messages=conversation("hello")) == ("zai", "glm-5")
    assert ask("glm", session, messages=conversation("hello", LONG))[0] == "openrouter"
    assert ask("glm", session, messages=conversation("hello", "shorter"))[0] == "openrouter"
    assert ask("glm", str(uuid4()), messages=conversation("hello", "shorter"))[0] == "zai"
    assert ask("glm", session, messages=conversation("what is the title?"))[0] == "zai"
    agent = {"x-claude-code-agent-id": "a1"}
    assert ask("glm", session, agent, messages=conversation("hello"))[0] == "zai"
    assert ask("glm", session, messages=conversation("a summary of what was said"))[0] == "zai"
    compaction = {"x-claude-code-request-class": "compaction"}
    assert ask("glm", session, compaction, messages=conversation("hello", LONG, "summarize"))[0] == "openrouter"
    assert ask("glm", session, messages=conversation("hello"))[0] == "zai"


def test_the_fallbacks_are_those_of_the_model_that_the_rule_names(
    start_gateway: Callable[..., Gateway], zai: Provider
) -> None:
    rules = {"routes": [{"when": {"model": OPUS}, "to": "glm"}], "fallbacks": {"glm": ["kimi"], "claude-*": ["glm"]}}
    gateway = start_gateway({**rules, "failover": {"retries": 0}}, env={"ZAI_API_KEY": "zai-key", "KIMI_API_KEY": "k"})
    zai.always(error(503))
    response = gateway.post(OPUS)
    assert response.status_code == 200
    assert response.headers["x-gateway-fallback"] == "kimi"


def test_rules_follow_the_file(
    start_gateway: Callable[..., Gateway], routing: dict[str, Any], env: dict[str, str]
) -> None:
    gateway = start_gateway({"routes": []}, env={**env, "PROXY_STATIC_TOKEN": ""})
    assert gateway.post("glm").headers["x-gateway-provider"] == "zai"
    gateway.rewrite_routing({**routing, "routes": [{"when": {"model": "glm"}, "to": "kimi"}]})
    gateway.wait_until(lambda: gateway.post("glm").headers["x-gateway-provider"] == "kimi")
    gateway.rewrite_routing({**routing, "routes": [{"when": {"clas": "main"}, "to": "kimi"}]})
    gateway.wait_until(lambda: "unknown key (did you mean class?)" in gateway.log())
    assert gateway.post("glm").headers["x-gateway-provider"] == "kimi"


def test_a_rule_to_what_is_off_refuses_and_says_so(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway({"routes": [{"when": {"model": "glm"}, "to": "kimi"}]}, env={"ZAI_API_KEY": "zai-key"})
    response = gateway.post("glm")
    assert response.status_code == 403
    assert response.json()["error"]["message"] == (
        "rule 1 (model glm) sends this request to kimi, which is disabled: KIMI_API_KEY is not set on the gateway"
    )
