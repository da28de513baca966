"""A gateway without any key: it starts, says what is off, and serves Anthropic with the client's own credential."""

from collections.abc import Callable
from typing import Any

import anthropic as sdk
import pytest

from tests.credentials import OWN, OWN_LOGIN
from tests.e2e.conftest import TOKENS
from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import deliver, error, oauth_429, say

API_KEY = {"x-api-key": "sk-ant-api03-the-clients-own-0123456789"}
PASS, ROTATE = {"x-claude-token-mode": "passthrough"}, {"x-claude-token-mode": "rotate"}

MISSING = [
    ("glm", "ZAI_API_KEY"),
    ("glm-fast", "ZAI_API_KEY"),
    ("kimi", "KIMI_API_KEY"),
    ("openrouter", "OPENROUTER_API_KEY"),
]


@pytest.fixture(scope="module")
def env() -> dict[str, str]:
    """What .env.example gives before anybody has filled it in: set, but empty, is missing."""
    return {"ZAI_API_KEY": "", "KIMI_API_KEY": '""', "CLAUDE_OAUTH_TOKENS": ""}


def test_it_starts_and_says_what_is_off(gateway: Gateway) -> None:
    assert gateway.client.get("/health").status_code == 200
    for model, variable in MISSING:
        (line,) = [line for line in gateway.log().splitlines() if f"{variable} is not set" in line]
        assert model in line


@pytest.mark.parametrize(("model", "variable"), MISSING)
def test_a_model_without_its_key(gateway: Gateway, providers: Any, model: str, variable: str) -> None:
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        answer = gateway.post(model, path=path, headers=OWN_LOGIN)
        assert answer.status_code == 403
        assert answer.json()["error"]["type"] == "permission_error"
        assert variable in answer.json()["error"]["message"]
        assert model in answer.json()["error"]["message"]
        assert answer.headers["x-should-retry"] == "false"
    assert [one for one in providers if one.requests] == []


@pytest.mark.parametrize(
    "own", [OWN_LOGIN, API_KEY, {**OWN_LOGIN, **API_KEY}, {"authorization": "Basic something-0123456789"}]
)
@pytest.mark.parametrize("mode", [{}, PASS, ROTATE, {"x-claude-token-mode": "nonsense"}])
def test_the_clients_own_credential_is_sent_as_it_is(
    gateway: Gateway, anthropic: Provider, own: dict[str, str], mode: dict[str, str]
) -> None:
    """Without tokens there is nothing to rotate, whatever the client asks for."""
    betas = "claude-code-20250219,oauth-2025-04-20"
    answer = gateway.post("anthropic/claude-sonnet-5-5", headers={**own, **mode, "anthropic-beta": betas})
    assert answer.status_code == 200
    headers = anthropic.last.headers
    assert {name: headers[name] for name in ("authorization", "x-api-key") if name in headers} == own
    assert headers["anthropic-beta"] == betas
    assert "x-claude-token-mode" not in headers


def test_no_flag_is_added_to_the_clients(gateway: Gateway, anthropic: Provider) -> None:
    gateway.post("claude-sonnet-5-5", headers=API_KEY)
    assert "anthropic-beta" not in anthropic.last.headers


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_a_client_without_a_credential(gateway: Gateway, anthropic: Provider, path: str) -> None:
    answer = gateway.post("claude-sonnet-5-5", path=path)
    assert answer.status_code == 403
    assert answer.json()["error"]["type"] == "permission_error"
    assert "CLAUDE_OAUTH_TOKENS" in answer.json()["error"]["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert answer.json()["request_id"] == answer.headers["request-id"]
    assert anthropic.requests == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_the_clients_own_credential_is_the_answer(
    gateway: Gateway, anthropic: Provider, status: int
) -> None:
    anthropic.always(error(status, "OAuth token has expired."))
    answer = gateway.post("claude-sonnet-5-5", headers=OWN_LOGIN)
    assert answer.status_code == status
    assert answer.json()["error"]["message"] == "OAuth token has expired."
    assert "x-should-retry" not in answer.headers
    assert len(anthropic.requests) == 1


def test_the_clients_own_limits_are_its_own_to_see(gateway: Gateway, anthropic: Provider) -> None:
    limits = {"anthropic-ratelimit-unified-status": "allowed", "anthropic-ratelimit-unified-5h-utilization": "0.4"}
    anthropic.script(deliver(say("hi"), headers=limits))
    answer = gateway.post("claude-sonnet-5-5", headers=OWN_LOGIN)
    assert {name: answer.headers.get(name) for name in limits} == limits
    anthropic.always(oauth_429({"5h": 4102444800}, retry_after=3600))
    answer = gateway.post("claude-sonnet-5-5", headers=OWN_LOGIN)
    assert answer.status_code == 429
    assert answer.headers["anthropic-ratelimit-unified-status"] == "rejected"
    assert answer.headers["retry-after"] == "3600"


def test_a_fallback_without_its_key_is_none(gateway: Gateway, anthropic: Provider) -> None:
    anthropic.always(error(529, "Overloaded", headers={"x-should-retry": "false"}))
    answer = gateway.post("claude-sonnet-5-5", headers=OWN_LOGIN)
    assert answer.status_code == 529
    assert answer.json()["error"]["message"] == "Overloaded"
    assert len(anthropic.requests) == 1


def test_the_sdk_with_a_login_of_its_own(gateway: Gateway, anthropic: Provider) -> None:
    asked: Any = {"model": "claude-sonnet-5-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    message = gateway.anthropic(api_key=None, auth_token=OWN).messages.create(**asked)
    assert message.content[0].type == "text"
    assert anthropic.last.headers["authorization"] == f"Bearer {OWN}"
    with pytest.raises(sdk.PermissionDeniedError, match="ZAI_API_KEY is not set"):
        gateway.anthropic(max_retries=3).messages.create(**{**asked, "model": "glm"})


def test_no_credential_of_a_client_is_logged(gateway: Gateway) -> None:
    for secret in (OWN, *API_KEY.values(), "something-0123456789"):
        assert secret not in gateway.log()


# With tokens, where passthrough is the rule


def test_the_mode_of_the_configuration_and_of_a_request(
    start_gateway: Callable[..., Gateway], anthropic: Provider, zai: Provider, env: dict[str, str]
) -> None:
    tokens = {
        "CLAUDE_OAUTH_TOKENS": ",".join(TOKENS),
        "CLAUDE_TOKEN_MODE": "passthrough",
        "ZAI_API_KEY": "zai-0123456789",
    }
    gateway = start_gateway(env=tokens)

    def used(headers: dict[str, str]) -> str:
        assert gateway.post("claude-sonnet-5-5", headers=headers).status_code == 200
        return anthropic.last.token

    assert used(OWN_LOGIN) == OWN
    assert used({**OWN_LOGIN, **PASS}) == OWN
    assert used({**OWN_LOGIN, **ROTATE}) in TOKENS
    assert used({**OWN_LOGIN, "x-claude-token-mode": "Rotate"}) in TOKENS
    assert used(ROTATE) in TOKENS
    assert gateway.post("claude-sonnet-5-5").headers["x-gateway-fallback"] == "glm"

    # What Anthropic could not answer goes to a fallback, and the client's credential does not.
    anthropic.always(error(529, headers={"x-should-retry": "false"}))
    assert gateway.post("claude-sonnet-5-5", headers={**OWN_LOGIN, **API_KEY}).status_code == 200
    assert zai.last.token == "zai-0123456789"
    assert OWN not in repr(zai.last.headers.pairs)
    assert API_KEY["x-api-key"] not in repr(zai.last.headers.pairs)
