"""The head of a request to a provider: what of the client's goes along, and which credential."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import TOKENS
from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.request import Request
from tests.fakes.scripts import error

OWN = "sk-ant-api03-the-clients-own-0123456789"
PORTAL = "portal-secret-0123456789"
SECRETS = (*TOKENS, OWN, PORTAL, "zai-key-0123456789", "kimi-key-0123456789", "openrouter-key-0123456789")

CLAUDE_CODE = {
    "accept": "application/json",
    "content-type": "application/json",
    "user-agent": "claude-cli/2.1.330 (external, cli)",
    "x-claude-code-session-id": "5f0c7c1e-0000-4000-8000-000000000000",
    "x-claude-code-agent-id": "agent-1",
    "x-app": "cli",
    "anthropic-version": "2023-06-01",
    "anthropic-dangerous-direct-browser-access": "true",
    "x-stainless-lang": "js",
    "x-stainless-retry-count": "0",
    "x-stainless-timeout": "600",
}
"""What Claude Code sends (recorded), less credentials and what concerns the connection."""

NOT_FOR_ANYBODY = {
    "x-litellm-api-key": "some-gateway-token-0123456789",
    "x-claude-token-mode": "rotate",
    "authorization": f"Bearer {OWN}",
    "x-api-key": OWN,
    "cookie": f"session={OWN}",
    "proxy-authorization": f"Basic {OWN}",
    "x-goog-api-key": OWN,
    "api-key": OWN,
    "x-auth-token": OWN,
    "accept-encoding": "gzip, deflate, br, zstd",
    "connection": "keep-alive, x-of-this-connection",
    "keep-alive": "timeout=5",
    "te": "trailers",
    "proxy-connection": "keep-alive",
    "x-of-this-connection": "yes",
}

FLAGS = "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27"


@pytest.fixture(scope="module")
def env(env: dict[str, str]) -> dict[str, str]:
    return {**env, "PORTAL_SECRET": PORTAL}


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any], providers: Any) -> dict[str, Any]:
    more = {
        "some-betas": {
            "base_url": providers.zai.url,
            "auth": "none",
            "betas": ["interleaved-thinking-2025-05-14", "claude-code-20250219"],
        },
        "more-headers": {
            "base_url": f"{providers.kimi.url}/a/b/",
            "auth": "bearer",
            "api_key": "${KIMI_API_KEY}",
            "headers": {"X-Title": "claude-gateway", "user-agent": "mine", "X-Portal": "id ${PORTAL_SECRET}"},
        },
    }
    models: dict[str, str] = {"betas": "some-betas/m", "headers": "more-headers/m"}
    return {
        **routing,
        "providers": {**routing["providers"], **more},
        "models": {**routing["models"], **models},
        "fallbacks": {**routing["fallbacks"], "claude-opus-*": ["kimi", "headers", "openrouter", "glm"]},
        "failover": {**routing["failover"], "max_attempts": 9},
    }


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("flows") / "flows"


@pytest.fixture(scope="module")
def gateway(providers: Any, routing: dict[str, Any], env: dict[str, str], saved: Path) -> Any:
    """One that saves every flow."""
    options = ("-w", str(saved), "--set", "store_streamed_bodies=true")
    with Gateway(routing, env, upstream=providers.anthropic.url, options=options) as gateway:
        yield gateway
        gateway.stop()
        assert saved.stat().st_size > 10_000
        content = saved.read_bytes()
        assert [secret for secret in SECRETS if secret.encode() in content] == []
        assert [secret for secret in SECRETS if secret in gateway.log()] == []


def sent(request: Request) -> dict[str, str]:
    """The header lines of a request, but for what every request has."""
    assert request.headers.all("content-length") == [str(len(request.body))]
    assert len(request.headers.pairs) == len(request.headers), "a header came twice"
    return {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}


def test_to_anthropic(gateway: Gateway, anthropic: Provider) -> None:
    headers = {**CLAUDE_CODE, "anthropic-beta": FLAGS, "x-of-the-users-own": "goes along", **NOT_FOR_ANYBODY}
    assert gateway.post("claude-sonnet-5-5", headers=headers).status_code == 200
    got = sent(anthropic.last)
    assert got.pop("authorization").removeprefix("Bearer ") in TOKENS
    assert got == {
        **CLAUDE_CODE,
        "x-of-the-users-own": "goes along",
        "anthropic-beta": f"{FLAGS},oauth-2025-04-20",
        "accept-encoding": "identity",
    }
    assert anthropic.last.headers["host"] == f"127.0.0.1:{anthropic.port}"


@pytest.mark.parametrize(
    ("lines", "merged"),
    [
        ([], "oauth-2025-04-20"),
        ([""], "oauth-2025-04-20"),
        (["a-1"], "a-1,oauth-2025-04-20"),
        (["a-1,b-2"], "a-1,b-2,oauth-2025-04-20"),
        (["a-1, oauth-2025-04-20, b-2"], "a-1,oauth-2025-04-20,b-2"),
        (["a-1", "b-2"], "a-1,b-2,oauth-2025-04-20"),
        (["oauth-2025-04-20", "b-2"], "oauth-2025-04-20,b-2"),
    ],
)
def test_the_flag_of_oauth_is_merged_once(gateway: Gateway, anthropic: Provider, lines: list[str], merged: str) -> None:
    headers = [("anthropic-beta", value) for value in lines]
    gateway.client.post(
        "/v1/messages", json={"model": "claude-sonnet-5-5", "messages": [], "max_tokens": 1}, headers=headers
    )
    assert anthropic.last.headers.all("anthropic-beta") == [merged]


def test_to_others(gateway: Gateway, zai: Provider, kimi: Provider) -> None:
    headers = {**CLAUDE_CODE, "anthropic-beta": FLAGS, "x-of-the-users-own": "stays", **NOT_FOR_ANYBODY}
    allowed = {name: CLAUDE_CODE[name] for name in ("accept", "content-type", "user-agent", "anthropic-version")}
    assert gateway.post("glm", headers=headers).status_code == 200
    assert sent(zai.last) == {
        **allowed,
        "accept-encoding": "identity",
        "authorization": "Bearer zai-key-0123456789",
    }
    assert gateway.post("kimi", headers=headers).status_code == 200
    assert sent(kimi.last) == {**allowed, "accept-encoding": "identity", "x-api-key": "kimi-key-0123456789"}


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        (FLAGS, "claude-code-20250219,interleaved-thinking-2025-05-14"),
        ("x-1, interleaved-thinking-2025-05-14 ,x-2", "interleaved-thinking-2025-05-14"),
        ("x-1,x-2", None),
        ("interleaved-thinking-2025-05-14x", None),
    ],
)
def test_the_beta_flags_that_a_provider_knows(gateway: Gateway, zai: Provider, given: str, passed: str | None) -> None:
    gateway.post("betas", headers={"anthropic-beta": given})
    assert zai.last.headers.get("anthropic-beta") == passed


def test_a_provider_without_a_credential_gets_none(gateway: Gateway, zai: Provider) -> None:
    gateway.post("betas", headers=NOT_FOR_ANYBODY)
    assert {"authorization", "x-api-key"}.isdisjoint(zai.last.headers)


def test_headers_of_the_configuration(gateway: Gateway, kimi: Provider) -> None:
    gateway.post("headers", path="/v1/messages?beta=true&x=%2F", headers=CLAUDE_CODE)
    got = sent(kimi.last)
    assert kimi.last.target == "/a/b/v1/messages?beta=true&x=%2F"
    assert (got["x-title"], got["x-portal"]) == ("claude-gateway", f"id {PORTAL}")
    assert got["user-agent"] == "mine"
    assert got["authorization"] == "Bearer kimi-key-0123456789"


def test_no_credential_reaches_the_next_provider(gateway: Gateway, providers: Any) -> None:
    """One request that asks everybody: both tokens of the pool, then every other provider."""
    for provider in providers:
        provider.always(error(402, "no more credits"))
    headers = {**CLAUDE_CODE, "anthropic-beta": FLAGS, **NOT_FOR_ANYBODY}
    answer = gateway.post("claude-opus-5-5", headers=headers)
    assert answer.status_code == 402
    assert answer.headers["x-gateway-attempts"] == "6"
    keys = {"zai": "zai-key-0123456789", "openrouter": "openrouter-key-0123456789", "kimi": "kimi-key-0123456789"}
    for provider in providers:
        assert provider.requests, provider.name
        for request in provider.requests:
            everything = repr(request.headers.pairs)
            found = [secret for secret in SECRETS if secret in everything]
            if provider.name == "anthropic":
                assert len(found) == 1
                assert found[0] in TOKENS
            else:
                assert set(found) <= {keys[provider.name], PORTAL}
                assert (PORTAL in found) == request.target.startswith("/a/b/")
            assert "oauth-2025-04-20" not in everything or provider.name == "anthropic"
            assert ("x-title" in request.headers) == request.target.startswith("/a/b/")


@pytest.mark.parametrize("form", ["json", "old"])
def test_a_session_in_the_metadata_stays_on_its_token(gateway: Gateway, anthropic: Provider, form: str) -> None:
    for number in range(4):
        user = {
            "json": f'{{"device_id":"d","account_uuid":"","session_id":"{form}-{number}"}}',
            "old": f"user_d_account__session_{form}-{number}",
        }[form]
        for _ in range(3):
            assert gateway.post("claude-sonnet-5-5", metadata={"user_id": user}).status_code == 200
    used = [request.token for request in anthropic.requests]
    assert [len(set(used[start : start + 3])) for start in range(0, 12, 3)] == [1, 1, 1, 1]
    assert set(used) == set(TOKENS), "and the sessions are shared out"


def test_a_token_in_another_header_is_found(gateway: Gateway, anthropic: Provider) -> None:
    """Where no token is asked for, one that is given must not travel all the same, nor be saved."""
    gateway.post("claude-sonnet-5-5", headers={"x-mine": f"a, x-litellm-api-key: {OWN}"})
    assert anthropic.last.headers["x-mine"] == "a"
    gateway.client.get("/v1/models", headers={"x-claude-token-mode": f"rotate, x-litellm-api-key: {OWN}"})
    gateway.client.get("/nowhere", headers={"x-claude-token-mode": OWN})
