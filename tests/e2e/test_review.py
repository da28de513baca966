"""Cases that a reading of the whole found: each was wrong once."""

from typing import Any

import pytest

from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import deliver, drop, error, say


@pytest.fixture(scope="module")
def env(env: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name != "CLAUDE_OAUTH_TOKENS"}


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    failover = {**routing["failover"], "retries": 0, "cooldown": 0}
    return {**routing, "fallbacks": {"glm": ["claude-sonnet-5-5"]}, "failover": failover}


def test_a_fallback_that_the_client_has_no_credential_for_hides_no_failure(
    gateway: Gateway, zai: Provider, anthropic: Provider
) -> None:
    zai.always(error(529, "Overloaded"))
    response = gateway.post("glm")
    assert response.status_code == 529
    assert "Overloaded" in response.json()["error"]["message"]
    assert anthropic.requests == []


def test_nor_does_one_that_refuses_a_placeholder(gateway: Gateway, zai: Provider, anthropic: Provider) -> None:
    zai.always(error(529, "Overloaded"))
    anthropic.always(error(401, "invalid bearer token"))
    response = gateway.client.post(
        "/v1/messages",
        json={"model": "glm", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
        headers={"authorization": "Bearer any-value"},
    )
    assert response.status_code == 529
    assert "Overloaded" in response.json()["error"]["message"]


def test_a_stream_for_a_json_client_ends_with_message_stop(gateway: Gateway, kimi: Provider) -> None:
    streamed = say("all of it")

    def reply(request: Any) -> Any:
        request.fields["stream"] = True
        return streamed

    kimi.script(drop(deliver(reply), events=100, then="hang"))
    response = gateway.post("kimi", stream=False)
    assert response.status_code == 200
    assert response.json()["content"][0]["text"] == "all of it"
