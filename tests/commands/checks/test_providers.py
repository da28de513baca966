"""Checks of providers and keys, with scripted ones: what is reached, what a free call tells, what costs a token."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from email.utils import formatdate

import pytest

from addons.commands.checks import providers
from addons.commands.checks.check import Check
from addons.commands.checks.providers import Answer, apart, clock, of_providers
from addons.config.config import Config
from addons.wire.errors import ProviderError
from tests.config.routing_texts import config
from tests.fakes.answers import Reply
from tests.fakes.connect_proxy import ConnectProxy
from tests.fakes.ports import port_of, reserve
from tests.fakes.provider import PATIENCE, Provider
from tests.fakes.request import Request
from tests.fakes.scripts import count_tokens, error, not_found, say

KEY = "zai-key-of-doctors-0123456789"
OTHER = "zai-key-of-others-0123456789"
TOKEN = "sk-ant-oat01-token-of-doctors-0123456789"
LIST = count_tokens(1)
"""A 200 with JSON."""


@pytest.fixture(scope="module")
def server() -> Iterator[Provider]:
    with Provider("zai") as provider:
        yield provider


@pytest.fixture(autouse=True)
def _as_new(server: Provider) -> None:
    server.reset()


def routed(url: str, *, form: str = "anthropic", auth: str = "bearer", env: str = KEY, proxy: str = "none") -> Config:
    text = f"""\
providers:
  zai: {{base_url: "{url}/api", auth: {auth}, api_key: "${{KEY}}", format: {form}, headers: {{x-mine: "1"}},
    proxy: "{proxy}"}}
models:
  glm: zai/glm-5
"""
    return config(text, {"KEY": env} if env else {})


def found_of(config: Config, *, spend: bool, in_all: float = PATIENCE) -> list[Check]:
    """What is found, with the patience of tests."""
    return of_providers(config, spend=spend, timeout=PATIENCE, in_all=in_all)


def by_name(found: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in found}


def key(server: Provider, *, spend: bool = False, form: str = "anthropic", auth: str = "bearer") -> Check:
    """What is found about the only key."""
    found = found_of(routed(server.url, form=form, auth=auth), spend=spend)
    assert KEY not in str(found)
    return by_name(found)["key zai:1"]


def test_a_key_that_counts_tokens_is_accepted_and_costs_nothing(server: Provider) -> None:
    check = key(server)
    assert (check.ok, check.said) == (True, "…6789 is accepted")
    reached, asked = server.requests
    assert (reached.method, reached.path, reached.token) == ("GET", "/api/v1/models", "")
    assert (asked.path, asked.token, asked.headers["x-mine"]) == ("/api/v1/messages/count_tokens", KEY, "1")
    assert asked.json["model"] == "glm-5"


def answers(count: Reply, models: Callable[[Request], Reply], message: Reply = not_found) -> Callable[[Request], Reply]:
    """A script by what is asked for."""

    def reply(request: Request) -> Reply:
        if request.path.endswith("/models"):
            return models(request)
        return count if request.path.endswith("count_tokens") else message

    return reply


def closed(request: Request) -> Reply:
    return LIST if request.token == KEY else error(401, "who are you?")


@pytest.mark.parametrize(
    ("script", "spend", "ok", "said", "do"),
    [
        (answers(error(401, "token expired"), closed), False, False, "is refused (401): token expired", "into KEY"),
        (answers(error(402, "no credit balance"), closed), False, False, "has no credit", "top up"),
        (answers(error(429, "slow down"), closed), False, True, "is accepted, and at a limit: slow down", ""),
        (answers(not_found, closed), False, True, "is accepted", ""),
        (answers(not_found, lambda _request: LIST), False, True, "not tried", "--spend sends one token"),
        (answers(not_found, lambda _request: not_found), False, True, "not tried", "--spend"),
        (answers(not_found, lambda _request: LIST, say("!")), True, True, "is accepted", ""),
        (answers(not_found, lambda _request: LIST, error(403, "bad key")), True, False, "is refused (403)", "KEY"),
        (answers(not_found, lambda _request: LIST, error(400, "no model")), True, False, "400: no model", "glm-5"),
    ],
)
def test_what_answers_say_of_a_key(
    server: Provider, script: Callable[[Request], Reply], spend: bool, ok: bool, said: str, do: str
) -> None:
    server.always(script)
    check = key(server, spend=spend)
    assert check.ok == ok
    assert said in check.said and do in check.do
    sent = [request for request in server.requests if request.path.endswith("/v1/messages")]
    assert [request.json["max_tokens"] for request in sent] == [1] * spend


def test_chat_completions_have_a_list_of_models(server: Provider) -> None:
    server.always(answers(not_found, closed))
    assert key(server, form="openai-chat", auth="x-api-key").ok
    assert {request.path for request in server.requests} == {"/api/models"}
    assert server.requests[1].headers["x-api-key"] == KEY
    server.always(answers(not_found, lambda _request: not_found, LIST))
    assert "not tried" in key(server, form="openai-chat").said
    assert "accepted" in key(server, form="openai-chat", spend=True).said
    assert server.last.path == "/api/chat/completions"


def test_each_key_of_a_pool_and_each_claude_token(server: Provider) -> None:
    def reply(request: Request) -> Reply:
        return count_tokens(1) if request.token in (KEY, TOKEN) else error(401, "invalid api key")

    server.always(reply)
    found = by_name(found_of(routed(server.url, env=f"{KEY},{OTHER}"), spend=False))
    assert (found["key zai:1"].ok, found["key zai:2"].ok) == (True, False)
    text = f"providers:\n  a: {{base_url: '{server.url}', auth: claude-oauth}}\nmodels:\n  claude-*: a/claude-*\n"
    found = by_name(found_of(config(text, {"CLAUDE_OAUTH_TOKENS": TOKEN}), spend=False))
    assert found["key claude:1"].ok and found["provider a"].said.endswith(" answers")
    assert server.last.headers["anthropic-beta"] == "oauth-2025-04-20"
    assert server.last.json["model"] == "claude-haiku-4-5"
    assert TOKEN not in str(found)
    assert by_name(found_of(config(text, {}), spend=False))["provider a"].said.endswith("client's own login is used")


def test_a_provider_without_its_key_is_off_and_not_asked(server: Provider) -> None:
    found = by_name(found_of(routed(server.url, env=""), spend=True))
    assert (found["provider zai"].ok, found["provider zai"].do) == (True, "set KEY to use it")
    assert re.fullmatch("off, and with it [a-z, *-]+: KEY is not set", found["provider zai"].said)
    assert server.requests == []


def reach(url: str, proxy: str = "none") -> Check:
    found = by_name(found_of(routed(url, proxy=proxy), spend=True))
    assert "key zai:1" not in found, "it isn't asked about its key"
    return found["provider zai"]


def test_a_provider_that_can_not_be_reached(server: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    with reserve() as reserved:
        check = reach(f"http://127.0.0.1:{port_of(reserved)}")
        assert (check.ok, check.do) == (False, "start that server")
        assert "Connection refused" in check.said

    def unknown(*_arguments: object, **_options: object) -> list[object]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    check = reach("https://nowhere.invalid")
    assert "the name nowhere.invalid can't be resolved" in check.said
    assert "HTTPS_PROXY in .env" in check.do
    check = reach("https://nowhere.invalid", "http://me:secret0123@proxy.invalid")
    assert "the name proxy.invalid can't be resolved" in check.said
    assert "the proxy's address" in check.do and "secret" not in check.said


def test_a_provider_behind_a_proxy(server: Provider) -> None:
    server.always(LIST)
    with ConnectProxy(authorization="Basic YWxpY2U6c2VjcmV0MDEyMw==") as proxy:
        right, wrong = (proxy.url.replace("//", f"//alice:{word}@") for word in ("secret0123", "another0123"))
        found = by_name(found_of(routed(server.url, proxy=right), spend=False))
        assert found["provider zai"].said == f"{server.url}, through the proxy {proxy.url}, answers"
        assert found["key zai:1"].ok
        assert len(proxy.asked) == 2
        check = reach(server.url, wrong)
        assert (check.ok, check.said.endswith(f"the proxy {proxy.url} answered 407")) == (False, True)
        assert "a user and a password" in check.do
        assert "0123" not in check.said + check.do
    check = reach(server.url, wrong)
    assert "does that proxy run?" in check.do


def test_one_that_is_out_of_order_and_one_that_is_not_trusted(
    server: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.always(error(503, "down for a walk"))
    found = by_name(found_of(routed(server.url), spend=False))["provider zai"]
    assert (found.ok, "503: down for a walk" in found.said) == (False, True)

    problem: ssl.SSLError = ssl.SSLCertVerificationError(1, "no")
    problem.verify_message = "self-signed certificate"  # type: ignore[attr-defined]

    def fails(*_arguments: object, **_options: object) -> Answer:
        raise problem

    monkeypatch.setattr(providers, "call", fails)
    check = reach(server.url)
    assert "isn't trusted (self-signed certificate)" in check.said
    assert "ca_bundle: FILE" in check.do
    problem = ssl.SSLError(1, "wrong version number")
    assert "doesn't speak TLS" in reach(server.url).said


def test_one_that_says_nothing_is_left_behind(server: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(providers, "reach", lambda _provider, _timeout: over.wait())
    found = by_name(found_of(routed(server.url), spend=False, in_all=0.1))
    over.set()
    assert "no answer within" in found["provider zai"].said


def test_the_clock() -> None:
    def at(*seconds: float | None) -> Check:
        return clock(Answer(200, second, ProviderError(500, "api_error", "")) for second in seconds)

    assert at(None).said.startswith("not compared")
    assert at(1, -2, 5000).ok
    assert (at(300).ok, at(300).said[:10], at(-300).said[:10]) == (False, "300 s slow", "300 s fast")
    assert abs(apart(formatdate(usegmt=True)) or 99) < 60
    assert apart("yesterday") is None
