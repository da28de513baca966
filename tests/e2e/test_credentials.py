"""Credentials that change while the gateway runs: logins in files, and what a command prints."""

from __future__ import annotations

import json
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.canaries import Secret
from tests.e2e.gateway import Gateway
from tests.fakes.answers import Reply
from tests.fakes.connect_proxy import ConnectProxy
from tests.fakes.provider import Provider
from tests.fakes.request import Request
from tests.fakes.scripts import error, plain_error

OPUS = "claude-opus-5-5"


def access(number: int) -> str:
    return f"sk-ant-oat01-access-{number:04}-0123456789"


def refresh(number: int) -> str:
    return f"sk-ant-ort01-refresh-{number:04}-0123456789"


class Login:
    """A credentials file, and the endpoint that renews it."""

    def __init__(self, folder: Path, endpoint: Provider) -> None:
        self.path = folder / ".claude" / ".credentials.json"
        self.path.parent.mkdir()
        self.endpoint = endpoint
        self.valid = 1
        endpoint.always(self.answer)

    def write(self, number: int = 1, expires_in: float = 10_000) -> None:
        login = {
            "accessToken": access(number),
            "refreshToken": refresh(number),
            "expiresAt": round((time.time() + expires_in) * 1000),
            "scopes": ["user:inference"],
            "subscriptionType": "max",
        }
        new = self.path.with_name("new")
        new.touch(0o600)
        new.write_text(json.dumps({"claudeAiOauth": login, "mcpOAuth": {"kept": True}}))
        new.replace(self.path)

    def answer(self, request: Request) -> Reply:
        """Takes each refresh token once."""
        if request.json["refresh_token"] != refresh(self.valid):
            return error(400, "invalid_grant")
        self.valid += 1
        tokens = {"access_token": access(self.valid), "refresh_token": refresh(self.valid), "expires_in": 28_800}
        return plain_error(200, json.dumps(tokens), headers={"content-type": "application/json"})

    @property
    def written(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.path.read_bytes())
        return document


@pytest.fixture
def endpoint() -> Iterator[Provider]:
    with Provider("endpoint") as provider:
        yield provider


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with ConnectProxy() as made:
        yield made


@pytest.fixture
def login(tmp_path: Path, endpoint: Provider) -> Login:
    return Login(tmp_path, endpoint)


@pytest.fixture
def start(start_gateway: Callable[..., Gateway], login: Login) -> Callable[..., Gateway]:
    """Starts a gateway that has this login only."""

    def start(changes: dict[str, Any] | None = None, env: dict[str, str] | None = None, **options: Any) -> Gateway:
        url = ("--set", f"gateway_token_url={login.endpoint.url}/v1/oauth/token")
        given = {"CLAUDE_CREDENTIALS": str(login.path), "ZAI_API_KEY": "zai-key-0123456789", **(env or {})}
        gateway = start_gateway(changes, env=given, options=url, **options)
        gateway.look_for(Secret("a login", make(number)) for make in (access, refresh) for number in range(10))
        return gateway

    return start


Start = Callable[..., Gateway]


def test_a_login_in_a_file_is_an_account(start: Start, login: Login, anthropic: Provider) -> None:
    login.write()
    gateway = start()
    assert gateway.post(OPUS).headers["x-gateway-provider"] == "anthropic"
    assert anthropic.last.token == access(1)
    assert "oauth-2025-04-20" in anthropic.last.headers["anthropic-beta"]
    assert login.endpoint.requests == []


def test_it_is_renewed_before_its_end_through_the_providers_proxy_and_written_back(
    start: Start, login: Login, anthropic: Provider, routing: dict[str, Any], proxy: ConnectProxy
) -> None:
    login.write(expires_in=200)
    entry = {**routing["providers"]["anthropic"], "proxy": proxy.url}
    gateway = start({"providers": {**routing["providers"], "anthropic": entry}})
    gateway.wait_until(lambda: login.written["claudeAiOauth"]["accessToken"] == access(2))
    assert f"127.0.0.1:{login.endpoint.port}" in proxy.asked
    # The file is written before the renewed token is used: for a moment a request still goes with the old one.
    gateway.wait_until(lambda: gateway.post(OPUS).status_code == 200 and anthropic.last.token == access(2))
    (asked,) = login.endpoint.requests
    assert asked.path == "/v1/oauth/token"
    assert asked.json["grant_type"] == "refresh_token" and asked.json["scope"] == "user:inference"
    written = login.written
    assert written["mcpOAuth"] == {"kept": True}
    assert written["claudeAiOauth"]["subscriptionType"] == "max"
    assert stat.S_IMODE(login.path.stat().st_mode) == 0o600
    assert sorted(path.name for path in login.path.parent.iterdir()) == [".credentials.json"]


def test_a_token_refused_before_its_end_is_renewed_and_the_request_answered(
    start: Start, login: Login, anthropic: Provider
) -> None:
    login.write()
    gateway = start()
    refused = error(401, "OAuth token has expired. Please obtain a new token or refresh your existing token.")
    anthropic.script(refused)
    response = gateway.post(OPUS)
    assert (response.status_code, response.headers["x-gateway-provider"]) == (200, "anthropic")
    assert [request.token for request in anthropic.requests] == [access(1), access(2)]
    assert len(login.endpoint.requests) == 1


def test_who_logs_in_again_is_taken_at_once(start: Start, login: Login, anthropic: Provider) -> None:
    login.write()
    gateway = start()
    assert gateway.post(OPUS).status_code == 200
    login.write(7)
    gateway.wait_until(lambda: gateway.post(OPUS).status_code == 200 and anthropic.last.token == access(7))
    assert login.endpoint.requests == []


def test_a_login_that_is_over_falls_back_and_comes_back(start: Start, login: Login, anthropic: Provider) -> None:
    login.valid = 99
    login.write(expires_in=-10)
    gateway = start()
    gateway.wait_until(lambda: "refresh token is not valid any more" in gateway.log())
    response = gateway.post(OPUS)
    assert response.headers["x-gateway-fallback"] == "glm"
    assert anthropic.requests == []
    login.write(5)
    gateway.wait_until(lambda: "x-gateway-fallback" not in gateway.post(OPUS).headers)
    assert anthropic.last.token == access(5)


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_endpoint_costs_nothing_while_the_token_is_good(
    start: Start, login: Login, anthropic: Provider, status: int
) -> None:
    login.write(expires_in=200)
    login.endpoint.always(error(status, "busy", headers={"retry-after": "3600"}))
    gateway = start()
    gateway.wait_until(lambda: "is not renewed" in gateway.log())
    assert gateway.post(OPUS).status_code == 200
    assert anthropic.last.token == access(1)
    assert len(login.endpoint.requests) == 1


def test_a_request_waits_for_a_renewal_that_runs(start: Start, login: Login, anthropic: Provider) -> None:
    login.write(expires_in=-10)
    gateway = start()  # requests come before the first renewal is over, or after it
    assert gateway.post(OPUS, stream=True).status_code == 200
    assert anthropic.last.token == access(2)


def renewed(gateway: Gateway, anthropic: Provider) -> bool:
    """Whether the gateway uses the second token."""
    return gateway.post(OPUS).status_code == 200 and anthropic.last.token == access(2)


def test_two_gateways_share_a_file(start: Start, login: Login, anthropic: Provider) -> None:
    login.write(expires_in=200)
    one, two = start(), start()
    one.wait_until(lambda: login.written["claudeAiOauth"]["accessToken"] == access(2))
    for gateway in (one, two):
        gateway.wait_until(lambda: renewed(gateway, anthropic))  # noqa: B023  # called at once
    assert len(login.endpoint.requests) == 1


def test_tokens_come_first_and_files_behind_them(start: Start, login: Login, anthropic: Provider) -> None:
    login.write()
    gateway = start(env={"CLAUDE_OAUTH_TOKENS": "sk-ant-oat01-of-the-environment-0001"})
    tokens = set()
    for _ in range(2):
        gateway.post(OPUS)
        tokens.add(anthropic.last.token)
    assert tokens == {"sk-ant-oat01-of-the-environment-0001", access(1)}


# Commands

PRINTS = """
import pathlib, sys
counter = pathlib.Path(sys.argv[1])
number = int(counter.read_text() or 0) + 1
counter.write_text(str(number))
print(f"command-secret-{number:04}-0123456789")
"""


def provider_with(zai: Provider, counter: Path, **fields: Any) -> dict[str, Any]:
    """A provider whose key a command prints: another one each time."""
    counter.write_text("")
    command = [sys.executable, "-c", PRINTS, str(counter)]
    return {"cloud": {"base_url": zai.url, "auth": "command", "command": command, **fields}}


def with_cloud(routing: dict[str, Any], cloud: dict[str, Any]) -> dict[str, Any]:
    return {"providers": {**routing["providers"], **cloud}, "models": {**routing["models"], "cloud": "cloud/m"}}


def test_what_a_command_prints_is_the_key(
    start_gateway: Callable[..., Gateway], routing: dict[str, Any], zai: Provider, tmp_path: Path
) -> None:
    gateway = start_gateway(with_cloud(routing, provider_with(zai, tmp_path / "n", ttl=1)))
    assert gateway.post("cloud").status_code == 200
    first = int(zai.last.token.removeprefix("command-secret-")[:4])
    gateway.wait_until(lambda: gateway.post("cloud").status_code == 200 and f"{first + 1:04}-" in zai.last.token)
    assert "command-secret" not in gateway.log()


def test_a_command_that_fails_is_told_without_what_it_printed(
    start_gateway: Callable[..., Gateway], routing: dict[str, Any], zai: Provider
) -> None:
    command = [sys.executable, "-c", "print('command-secret-0123456789'); raise SystemExit(4)"]
    cloud = {"cloud": {"base_url": zai.url, "auth": "x-api-key", "command": command}}
    gateway = start_gateway(with_cloud(routing, cloud))
    response = gateway.post("cloud")
    assert response.status_code == 403
    assert "ended with status 4" in response.json()["error"]["message"]
    assert "command-secret" not in response.text + gateway.log()
    assert zai.requests == []


def test_a_key_in_another_header_or_in_the_address(
    start_gateway: Callable[..., Gateway], routing: dict[str, Any], zai: Provider
) -> None:
    key = "azure-key-0123456789"
    azure = {"base_url": f"{zai.url}/v1", "format": "openai-chat", "api_key": "${AZURE_KEY}"}
    providers = {
        "azure": {**azure, "auth": {"header": "api-key"}, "query": {"api-version": "2025-01-01"}},
        "vertex": {"base_url": zai.url, "auth": {"query": "key"}, "api_key": "${AZURE_KEY}"},
    }
    models = {**routing["models"], "azure": "azure/gpt", "vertex": "vertex/claude"}
    gateway = start_gateway(
        {"providers": {**routing["providers"], **providers}, "models": models}, env={"AZURE_KEY": key}, saving=True
    )
    assert gateway.post("azure").status_code == 200
    assert zai.last.headers["api-key"] == key
    assert "authorization" not in zai.last.headers
    assert zai.last.target == "/v1/chat/completions?api-version=2025-01-01"
    assert gateway.post("vertex", path="/v1/messages?beta=true").status_code == 200
    assert zai.last.target == f"/v1/messages?beta=true&key={key}"
    zai.script(error(401, f"wrong key {key}"))
    assert key not in gateway.post("vertex").text
