"""Several keys of one provider: who gets which, and what happens to one that is refused or over its limit.

One gateway for each test: what a key has gone through lives on. `glm` falls back to kimi, `alone` to nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import error, invalid_event, openai_error, say, with_headers

KEYS = tuple(f"zai-key-number-{number}-0123456789" for number in (1, 2, 3))


@pytest.fixture
def gateway(start_gateway: Callable[..., Gateway], routing: dict[str, Any], env: dict[str, str]) -> Gateway:
    routing = {
        **routing,
        "models": {**routing["models"], "alone": routing["models"]["glm"]},
        "fallbacks": {"glm": ["kimi"], "claude-*": ["kimi"]},
        "failover": {"hold": 30},
    }
    return start_gateway(routing, env={**env, "ZAI_API_KEY": ", ".join(KEYS)})


def key_of(request: Any) -> str:
    return str(request.headers.get("authorization", request.headers.get("x-api-key", ""))).removeprefix("Bearer ")


def session(number: int) -> dict[str, str]:
    return {"x-claude-code-session-id": f"session-{number}"}


def test_sessions_take_turns_and_stay(gateway: Gateway, zai: Provider) -> None:
    for _ in range(2):
        for number in range(3):
            assert gateway.post("glm", headers=session(number)).status_code == 200
    keys = [key_of(request) for request in zai.requests]
    assert sorted(keys[:3]) == sorted(KEYS)
    assert keys[3:] == keys[:3]


def test_a_limit_moves_the_request_to_the_next_key(gateway: Gateway, zai: Provider) -> None:
    zai.script(openai_error(429, "Usage limit reached for 5 hour", headers={"retry-after": "3600"}))
    response = gateway.post("glm", headers=session(1))
    assert response.status_code == 200
    assert response.headers["x-gateway-provider"] == "zai"
    first, second = (key_of(request) for request in zai.requests)
    assert first != second
    for number in range(6):
        gateway.post("glm", headers=session(10 + number))
    assert first not in {key_of(request) for request in zai.requests[2:]}


def test_a_refused_key_is_not_asked_again(gateway: Gateway, zai: Provider) -> None:
    zai.script(error(401, "invalid api key"))
    assert gateway.post("glm").headers["x-gateway-provider"] == "zai"
    refused = key_of(zai.requests[0])
    for _ in range(4):
        assert gateway.post("glm").status_code == 200
    assert refused not in {key_of(request) for request in zai.requests[1:]}


def test_a_refusal_that_every_key_gets_is_the_request_s(gateway: Gateway, zai: Provider) -> None:
    zai.always(error(403, "OAuth token lacks the scope"))
    response = gateway.post("alone")
    assert response.status_code == 403
    assert "ZAI_API_KEY" in response.json()["error"]["message"]
    zai.always(say("fine"))
    begin = len(zai.requests)
    for _ in range(3):
        assert gateway.post("glm").headers["x-gateway-provider"] == "zai"
    assert {key_of(request) for request in zai.requests[begin:]} == set(KEYS)


def test_when_all_cool_down_the_fallback_answers_or_the_client_is_told(gateway: Gateway, zai: Provider) -> None:
    zai.always(openai_error(429, "too many", headers={"retry-after": "900"}))
    response = gateway.post("alone")
    assert response.status_code == 429
    assert "all 3 keys of zai are rate limited; the first is back in" in response.json()["error"]["message"]
    assert 600 <= int(response.headers["retry-after"]) <= 900
    begin = len(zai.requests)
    assert gateway.post("glm").headers["x-gateway-fallback"] == "kimi"
    assert len(zai.requests) == begin


def test_one_key_s_plan_is_not_another_s(gateway: Gateway, zai: Provider) -> None:
    """A refusal that concerns the account goes on to the next one, and costs this one nothing."""
    zai.script(error(400, "The long context beta is not yet available for this subscription."))
    assert gateway.post("glm").headers["x-gateway-provider"] == "zai"
    first, second = (key_of(request) for request in zai.requests)
    assert first != second
    for _ in range(2):
        gateway.post("glm")
    assert first in {key_of(request) for request in zai.requests[2:]}


def test_a_single_key_that_is_refused_is_out_until_it_is_taken_again(
    start_gateway: Callable[..., Gateway], routing: dict[str, Any], env: dict[str, str], zai: Provider
) -> None:
    routing = {
        **routing,
        "models": {**routing["models"], "alone": routing["models"]["glm"]},
        "fallbacks": {"glm": ["kimi"]},
        "failover": {"hold": 30, "cooldown": 0},
    }
    gateway = start_gateway(routing, env=env)
    zai.script(error(401, "token expired or incorrect"))
    assert [gateway.post("glm").headers["x-gateway-provider"] for _ in range(3)] == ["kimi"] * 3
    assert len(zai.requests) == 1
    assert gateway.post("alone").headers["x-gateway-provider"] == "zai", "there is nobody else"
    assert gateway.post("glm").headers["x-gateway-provider"] == "zai", "and it was taken"


def test_a_stream_that_is_always_broken_is_asked_for_as_a_whole(gateway: Gateway, zai: Provider) -> None:
    zai.script(invalid_event(say("x"), after=0), invalid_event(say("x"), after=0), say("whole"))
    response = gateway.post("glm", stream=True)
    assert "whole" in response.text
    assert [request.json["stream"] for request in zai.requests] == [True, True, False]
    assert response.headers["x-gateway-provider"] == "zai"


def test_what_tells_of_a_key_s_limits_stays_here(gateway: Gateway, zai: Provider) -> None:
    zai.script(with_headers(say("hi"), {"x-ratelimit-remaining-requests": "3"}))
    assert "x-ratelimit-remaining-requests" not in gateway.post("glm").headers


def test_without_a_claude_login_the_fallback_answers(
    start_gateway: Callable[..., Gateway], routing: dict[str, Any]
) -> None:
    """Nothing of it goes to api.anthropic.com: the tests' machine couldn't reach it, and would say so."""
    anthropic = {"base_url": "https://api.anthropic.com", "auth": "claude-oauth"}
    routing = {
        **routing,
        "providers": {**routing["providers"], "anthropic": anthropic},
        "models": {**routing["models"], "only/*": "anthropic/*"},
        "fallbacks": {"claude-*": ["glm"]},
    }
    gateway = start_gateway(routing, env={"ZAI_API_KEY": KEYS[0]})
    for headers in ({}, {"authorization": "Bearer any-value"}, {"x-api-key": "any-value"}):
        response = gateway.post("claude-haiku-5-5", headers=headers)
        assert response.headers["x-gateway-fallback"] == "glm"
        assert response.headers["x-gateway-attempts"] == "1"
        refused = gateway.post("only/claude-haiku-5-5", headers=headers)
        assert refused.status_code == 403
        assert "CLAUDE_OAUTH_TOKENS" in refused.json()["error"]["message"]
        assert refused.headers["x-gateway-attempts"] == "0"
