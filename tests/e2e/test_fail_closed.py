"""A handler of the gateway's raises: its request ends with a 500, and no provider or default upstream hears of it.

Every handler of every addon raises, one after the other, before and after it has done its work.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Providers
from tests.e2e.gateway import Gateway
from tests.fakes.scripts import error

SOON = ("--set", "gateway_drain=2")
"""A handler of `Drain` that has failed leaves its request among those that run."""

SCRIPT = Path(__file__).with_name("raising.py")
BEFORE_SENDING = ("requestheaders", "request", "attempt")
OF_AN_ANSWER = ("responseheaders", "verdict", "response")


@pytest.fixture(scope="module")
def gateway(providers: Providers, routing: dict[str, Any], env: dict[str, str]) -> Iterator[Gateway]:
    with Gateway(routing, env, upstream=providers.anthropic.url, script=SCRIPT, options=SOON) as gateway:
        yield gateway


@contextlib.contextmanager
def raising(gateway: Gateway, what: str) -> Iterator[None]:
    """While this runs, that handler raises."""
    file = gateway.directory / "raise"
    file.write_text(what)
    try:
        yield
    finally:
        file.unlink()


def handlers(gateway: Gateway, *hooks: str) -> list[str]:
    """Each handler of these hooks, to raise before and after its work."""
    names = (gateway.directory / "handlers").read_text().split()
    found = [name for name in names if name.partition(".")[2] in hooks]
    assert found
    return [f"{when}{name}" for name in found for when in ("", "before ")]


def asked(providers: Providers) -> int:
    return sum(len(provider.requests) for provider in providers)


@pytest.mark.parametrize("model", ["glm", "claude-sonnet-5-5"])
@pytest.mark.parametrize("stream", [False, True])
def test_before_a_request_is_sent(gateway: Gateway, providers: Providers, model: str, stream: bool) -> None:
    for what in handlers(gateway, *BEFORE_SENDING):
        before = asked(providers)
        with raising(gateway, what):
            answer = gateway.post(model, stream=stream, headers={"x-api-key": "client-key-0123456789"})
        if answer.status_code == 200:  # nothing of this request calls it
            assert what.endswith("Replay.requestheaders"), what
            continue
        assert (answer.status_code, answer.json()["error"]["type"]) == (500, "api_error"), what
        assert asked(providers) == before, what
    assert gateway.post(model, stream=stream).status_code == 200


def test_a_path_that_is_relayed(gateway: Gateway, providers: Providers) -> None:
    for what in handlers(gateway, *BEFORE_SENDING):
        before = asked(providers)
        with raising(gateway, what):
            answer = gateway.client.get("/v1/files", headers={"authorization": "Bearer sk-ant-oat01-clients-own-0123"})
        if answer.status_code == 500:
            assert asked(providers) == before, what


@pytest.mark.parametrize("stream", [False, True])
def test_when_an_answer_has_come(gateway: Gateway, providers: Providers, stream: bool) -> None:
    """It is not handed on, and nobody else is asked."""
    for what in handlers(gateway, *OF_AN_ANSWER):
        refused = what.endswith(".verdict")
        providers.anthropic.reset()
        if refused:
            providers.anthropic.always(error(500))
        before = asked(providers)
        with raising(gateway, what):
            answer = gateway.post("claude-sonnet-5-5", stream=stream)
        assert asked(providers) - before <= 1, what
        if stream and what.endswith(".response"):
            assert answer.status_code == 200, "it was streamed before"
            continue
        assert (answer.status_code, answer.json()["error"]["type"]) == (500, "api_error"), what


@pytest.mark.parametrize("hook", ["client_connected", "next_layer", "server_connect"])
def test_of_a_connection(gateway: Gateway, providers: Providers, hook: str) -> None:
    for what in handlers(gateway, hook):
        before = asked(providers)
        with (
            raising(gateway, what),
            httpx.Client(base_url=gateway.url, trust_env=False) as client,
            contextlib.suppress(httpx.RemoteProtocolError, httpx.ReadError),
        ):
            assert client.post("/v1/messages", json={"model": "glm", "messages": []}).status_code >= 500
        assert asked(providers) == before, what


def test_the_log_says_where_and_not_what(gateway: Gateway) -> None:
    with raising(gateway, "ModelRouter.request"):
        gateway.post()
    assert "gateway: Unexpected in ModelRouter.request (" in gateway.log()
    assert "the client said" not in gateway.log()
