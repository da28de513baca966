"""Requests that try to get to the default upstream, or to Anthropic, without anybody having decided so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.credentials import OWN_LOGIN
from tests.e2e.gateway import Gateway, messages_body
from tests.fakes.provider import Provider
from tests.fakes.scripts import Answer

DEEP = json.dumps(messages_body(metadata={"user_id": '{"a":' * 100_000})).encode()


@pytest.fixture(scope="module")
def default_upstream() -> Iterator[Provider]:
    with Provider("default") as provider:
        yield provider


@pytest.fixture(scope="module")
def gateway(
    providers: Any, default_upstream: Provider, routing: dict[str, Any], env: dict[str, str]
) -> Iterator[Gateway]:
    with Gateway(routing, env, upstream=default_upstream.url) as gateway:
        yield gateway


@pytest.mark.parametrize("own", [{"x-api-key": "any-value"}, {"authorization": "Bearer any-value"}])
@pytest.mark.parametrize("path", ["/v1/messages/batches", "/v1/messages/", "//v1/messages", "/v1/complete", "/v1/x?y"])
def test_what_everybody_sends_as_a_credential_opens_nothing(
    gateway: Gateway, providers: Any, default_upstream: Provider, own: dict[str, str], path: str
) -> None:
    answer = gateway.client.post(path, json=messages_body(), headers=own)
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "not_found_error"
    assert [one for one in (*providers, default_upstream) if one.requests] == []


def test_anthropics_address_in_the_configuration_is_where_it_goes(
    gateway: Gateway, anthropic: Provider, default_upstream: Provider
) -> None:
    anthropic.script(Answer(pieces=(b"{}",)))
    assert gateway.client.post("/v1/messages/batches", json={}, headers=OWN_LOGIN).status_code == 200
    assert anthropic.last.target == "/v1/messages/batches"
    assert anthropic.last.headers["authorization"] == OWN_LOGIN["authorization"]
    assert default_upstream.requests == []


def test_without_one_it_goes_to_the_default_upstream(
    start_gateway: Callable[..., Gateway], routing: dict[str, Any], default_upstream: Provider
) -> None:
    only = {"providers": {"zai": routing["providers"]["zai"]}, "models": {"glm": "zai/glm-5"}, "fallbacks": {}}
    gateway = start_gateway(only, upstream=default_upstream.url)
    default_upstream.script(Answer(pieces=(b"{}",)))
    assert gateway.client.post("/v1/files", json={}, headers=OWN_LOGIN).status_code == 200
    assert default_upstream.last.target == "/v1/files"
    default_upstream.reset()


def test_a_session_id_that_is_nested_deeply_is_no_way_out(
    gateway: Gateway, zai: Provider, anthropic: Provider, default_upstream: Provider
) -> None:
    """It once raised in the router, and the whole conversation went to the default upstream."""
    answer = gateway.client.post("/v1/messages", content=DEEP, headers=OWN_LOGIN)
    assert answer.status_code in (200, 400)
    assert [request for provider in (anthropic, default_upstream) for request in provider.requests] == []
    assert "authorization" not in zai.last.headers or "the-clients-own" not in zai.last.headers["authorization"]
