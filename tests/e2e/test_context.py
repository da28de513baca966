"""Windows: a request goes where it fits, and the client hears "prompt is too long" only where it fits nowhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import error, say

LONG = "word " * 6000
"""About 6,000 tokens."""


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    models = {
        "small": {"provider": "zai", "model": "glm-small", "context_window": 4000},
        "medium": {"provider": "kimi", "model": "kimi-medium", "context_window": 6500},
        "large": {"provider": "openrouter", "model": "large", "context_window": 100_000},
        "unknown": "zai/unknown",
    }
    fallbacks = {"small": ["medium", "large"], "medium": ["large"], "unknown": ["small", "large"]}
    return {**routing, "models": models, "fallbacks": fallbacks, "failover": {**routing["failover"], "cooldown": 0.01}}


def answered(gateway: Gateway, model: str, **body: Any) -> str:
    response = gateway.post(model, **body)
    assert response.status_code == 200, response.text
    return response.headers["x-gateway-model"]


def test_what_fits_goes_where_it_was_meant(gateway: Gateway) -> None:
    assert answered(gateway, "small") == "glm-small"


def test_a_target_that_is_surely_too_small_is_not_asked(gateway: Gateway, zai: Provider) -> None:
    assert answered(gateway, "small", text=LONG) == "kimi-medium"
    assert zai.requests == []


def test_after_an_overflow_the_next_larger_one_is_asked(gateway: Gateway, kimi: Provider) -> None:
    kimi.script(error(400, "Your request exceeded model token limit: 6500"))
    assert answered(gateway, "medium", text=LONG) == "large"
    kimi.script(error(400, "Your request exceeded model token limit: 6500"))
    assert gateway.post("medium", text=LONG, stream=True).headers["x-gateway-model"] == "large"


def test_an_unknown_window_is_learned_from_the_overflow(gateway: Gateway, zai: Provider) -> None:
    zai.script(error(400, "prompt is too long: 9000 tokens > 5000 maximum"))
    assert answered(gateway, "unknown", text="hi") == "large"
    assert [request.model for request in zai.requests] == ["unknown"]


def test_the_client_compacts_where_nothing_is_large_enough(
    gateway: Gateway, openrouter: Provider, kimi: Provider
) -> None:
    openrouter.script(
        error(400, "This endpoint's maximum context length is 100000 tokens. However, you requested 120000")
    )
    response = gateway.post("large", text=LONG)
    assert response.status_code == 400
    assert "prompt is too long: 120000 tokens > 100000 maximum" in response.json()["error"]["message"]
    kimi.script(error(400, "Your request exceeded model token limit: 6500"))
    openrouter.script(error(503))
    openrouter.always(error(503))
    told = gateway.post("medium", text=LONG).json()["error"]["message"]
    assert told.startswith("prompt is too long")


def test_nobody_is_asked_where_it_surely_fits_nowhere(
    start_gateway: Callable[..., Gateway], zai: Provider, kimi: Provider
) -> None:
    gateway = start_gateway({"fallbacks": {"small": ["medium"]}})
    response = gateway.post("small", text=LONG * 2)
    assert response.status_code == 400
    error_told = response.json()["error"]
    assert error_told["type"] == "invalid_request_error"
    assert error_told["message"].startswith("prompt is too long: 12") and "> 6500 maximum" in error_told["message"]
    assert zai.requests == kimi.requests == []
    assert gateway.post("small", path="/v1/messages/count_tokens", text=LONG * 2).status_code == 200


def test_what_a_provider_counted_corrects_the_estimate(gateway: Gateway, kimi: Provider) -> None:
    session = {"x-claude-code-session-id": str(uuid4())}
    first = [{"role": "user", "content": LONG}]
    more = [*first, {"role": "assistant", "content": "yes"}, {"role": "user", "content": "go on"}]
    kimi.script(say("yes", usage={"input_tokens": 7100, "output_tokens": 1}))
    assert answered(gateway, "medium", messages=first, headers=session) == "kimi-medium"
    assert answered(gateway, "medium", messages=more, headers=session) == "large"
    assert answered(gateway, "medium", messages=more) == "kimi-medium"
