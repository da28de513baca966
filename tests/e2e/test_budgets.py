"""Limits of users in a real gateway: budgets, requests a minute, sessions at once, and what the client is told.

addons/limits.py and addons/team/spend_report.py are tested here too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import Any

import httpx
import pytest

from tests.credentials import ADMIN
from tests.e2e.conftest import Providers
from tests.e2e.gateway import Gateway
from tests.e2e.users import key_of, user
from tests.fakes.provider import PATIENCE, Provider
from tests.fakes.scripts import error, hang, plain_error

KEY, SESSION = "x-litellm-api-key", "x-claude-code-session-id"
UNIFIED = "anthropic-ratelimit-unified-"

names = (f"user{number}" for number in count(1))


@pytest.fixture(scope="module")
def webhook() -> Iterator[Provider]:
    with Provider("webhook", always=plain_error(200, "{}")) as provider:
        yield provider


@pytest.fixture(scope="module")
def limited(routing: dict[str, Any], webhook: Provider) -> dict[str, Any]:
    """A dear model, one that costs nothing, and what holds for everybody."""
    price = {"input": 1000, "output": 1000}
    models = {
        "dear": {"provider": "zai", "model": "glm-5", "price": price},
        "also-dear": {"provider": "kimi", "model": "kimi-for-coding", "price": price},
        "free": "openrouter/qwen/qwen3.6-plus:free",
    }
    return {
        **routing,
        "models": {**routing["models"], **models},
        "fallbacks": {"free": ["also-dear"]},
        "routes": [{"when": {"model": "dear", "header": {"x-thrifty": "yes"}, "budget": ">50%"}, "to": "free"}],
        "users": {"timezone": "UTC", "message": "Ask #claude-help."},
        "alerts": {"webhook": f"{webhook.url}/hook", "at": [0.5, 1]},
        "failover": {**routing["failover"], "retries": 0, "ping_interval": 0.1},
    }


@pytest.fixture(scope="module")
def gateway(providers: Providers, limited: dict[str, Any], env: dict[str, str]) -> Iterator[Gateway]:
    with Gateway(limited, {**env, "LITELLM_MASTER_KEY": ADMIN}, upstream=providers.anthropic.url) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def early(providers: Providers, limited: dict[str, Any], env: dict[str, str]) -> Iterator[Gateway]:
    """The same, with a head and pings for a stream that has waited for a tenth of a second."""
    held = {**limited, "failover": {**limited["failover"], "hold": 0.1}}
    with Gateway(held, env, upstream=providers.anthropic.url) as gateway:
        yield gateway


@pytest.fixture
def name() -> str:
    """Of a user whom no other test has."""
    return next(names)


def ask(gateway: Gateway, key: str, model: str = "dear", **options: Any) -> httpx.Response:
    return gateway.post(model, headers={KEY: key, **options.pop("headers", {})}, **options)


def test_a_budget_ends_with_one_sentence(gateway: Gateway, zai: Provider, name: str) -> None:
    key = key_of(gateway, name, "--budget", "day=0.2,month=100")
    assert [ask(gateway, key).status_code for _ in range(2)] == [200, 200]
    before = len(zai.requests)
    refused = ask(gateway, key)
    assert refused.status_code == 429
    told = refused.json()["error"]
    assert told["type"] == "billing_error"
    assert told["message"].startswith(f"{name} has used $0.") and "of the $0.20 for today" in told["message"]
    assert told["message"].endswith("00:00 (UTC). Ask #claude-help.")
    assert refused.headers["x-should-retry"] == "false" and int(refused.headers["retry-after"]) >= 1
    assert refused.headers[f"{UNIFIED}overage-period"] == "daily"
    assert len(zai.requests) == before
    assert ask(gateway, key, stream=True).status_code == 429
    assert ask(gateway, key, path="/v1/messages/count_tokens").status_code == 200
    assert ask(gateway, key, "free").status_code == 200
    user(gateway, "set", name, "--budget", "day=5")
    assert ask(gateway, key).status_code == 200


def test_who_gets_the_name_of_a_deleted_user_has_spent_nothing(gateway: Gateway, name: str) -> None:
    key = key_of(gateway, name, "--budget", "day=0.1")
    assert [ask(gateway, key).status_code for _ in range(2)] == [200, 429]
    user(gateway, "delete", name)
    key = key_of(gateway, name, "--budget", "day=0.1")
    assert [ask(gateway, key).status_code for _ in range(2)] == [200, 429]


def test_a_fallback_that_costs_is_checked_too(
    gateway: Gateway, openrouter: Provider, kimi: Provider, name: str
) -> None:
    key = key_of(gateway, name, "--budget", "day=0.1")
    assert ask(gateway, key).status_code == 200
    openrouter.script(error(529))
    refused = ask(gateway, key, "free")
    assert refused.status_code == 429 and refused.json()["error"]["type"] == "billing_error"
    assert kimi.requests == []


def test_a_fallback_that_is_refused_under_a_200_is_an_error_event(
    early: Gateway, openrouter: Provider, kimi: Provider, name: str
) -> None:
    key = key_of(early, name, "--budget", "day=0.1")
    assert ask(early, key).status_code == 200
    openrouter.script(hang(), error(529))  # the second, because a connection may have died of age
    with early.stream("free", headers={KEY: key}) as stream:
        assert stream.headers[f"{UNIFIED}overage-utilization"] == "0.99"  # in a head that waits for no provider, too
        stream.until("ping")
        openrouter.wait_for(lambda: openrouter.requests)
        openrouter.hang_up()
        told = stream.until("error").json["error"]
    assert told["type"] == "billing_error" and "of the $0.10 for today" in told["message"]
    assert kimi.requests == []


def test_many_at_once_overspend_by_one_request_at_most(gateway: Gateway, zai: Provider, name: str) -> None:
    key = key_of(gateway, name, "--budget", "day=0.3")
    with (
        ThreadPoolExecutor(20) as pool,
        httpx.Client(base_url=gateway.url, trust_env=False, timeout=PATIENCE) as client,
    ):
        body = {"model": "dear", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
        answers = list(pool.map(lambda _: client.post("/v1/messages", json=body, headers={KEY: key}), range(50)))
    assert {answer.status_code for answer in answers} == {200, 429}
    served = [answer.status_code for answer in answers].count(200)
    assert served <= 3  # 0.11 is reserved for each


def test_what_was_spent_survives_a_restart(
    start_gateway: Callable[..., Gateway], limited: dict[str, Any], zai: Provider
) -> None:
    gateway = start_gateway(limited)
    key = key_of(gateway, "alice", "--budget", "week=0.1")
    assert ask(gateway, key).status_code == 200
    gateway.restart()
    assert ask(gateway, key).status_code == 429


def test_requests_of_a_minute(gateway: Gateway, name: str) -> None:
    key = key_of(gateway, name, "--rpm", "2")
    assert [ask(gateway, key, "free").status_code for _ in range(2)] == [200, 200]
    refused = ask(gateway, key, "free")
    assert refused.status_code == 429 and refused.json()["error"]["type"] == "rate_limit_error"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert f"{name} may make 2 requests a minute" in refused.json()["error"]["message"]
    assert ask(gateway, key, "free", path="/v1/messages/count_tokens").status_code == 200


def test_a_new_session_waits_with_pings_and_a_running_one_goes_on(early: Gateway, name: str) -> None:
    key = key_of(early, name, "--sessions", "1")
    assert ask(early, key, "free", headers={SESSION: "aaaa-1"}).status_code == 200
    with early.stream("free", headers={KEY: key, SESSION: "bbbb-2"}) as stream:
        stream.until("ping")
        assert ask(early, key, "free", headers={SESSION: "aaaa-1"}).status_code == 200
        stream.until("ping")
        user(early, "set", name, "--sessions", "2")
        # (the request that waits has come as who it was; the next one sees the new limit)
        assert "message_start" not in stream.types
    early.wait_until(lambda: ask(early, key, "free", headers={SESSION: "bbbb-2"}).status_code == 200)


def test_what_the_client_is_told_of_the_budget(gateway: Gateway, zai: Provider, name: str) -> None:
    key = key_of(gateway, name, "--budget", "month=0.4")
    first = ask(gateway, key)
    assert first.headers[f"{UNIFIED}overage-utilization"] == "0.00"
    second = ask(gateway, key, stream=True)
    assert 0.3 < float(second.headers[f"{UNIFIED}overage-utilization"]) < 0.5
    assert second.headers[f"{UNIFIED}status"] == "allowed"
    usage = partial(gateway.client.get, "/api/oauth/usage", headers={"authorization": f"Bearer {key}"})
    gateway.wait_until(lambda: usage().json()["limits"][0]["percent"] >= 75)  # its end comes before it is paid
    third = ask(gateway, key)
    assert third.headers[f"{UNIFIED}status"] == "allowed_warning"
    assert third.headers[f"{UNIFIED}overage-surpassed-threshold"] == "0.75"
    report = usage().json()
    (limit,) = report["limits"]
    assert limit["group"] == "monthly" and limit["percent"] == 100
    assert report["extra_usage"]["monthly_limit"] == 40


def test_who_has_no_budget_is_told_nothing_of_one(gateway: Gateway, zai: Provider, name: str) -> None:
    key = key_of(gateway, name)
    assert not [header for header in ask(gateway, key).headers if header.startswith(UNIFIED)]
    for credential in (key, ADMIN):
        report = gateway.client.get("/api/oauth/usage", headers={KEY: credential}).json()
        assert report["limits"] == [] and report["extra_usage"]["monthly_limit"] is None


def test_a_rule_on_the_budget(gateway: Gateway, name: str) -> None:
    key = key_of(gateway, name, "--budget", "day=0.25")
    thrifty = {"x-thrifty": "yes"}
    assert ask(gateway, key, headers=thrifty).headers["x-gateway-provider"] == "zai"
    assert ask(gateway, key, headers=thrifty).headers["x-gateway-provider"] == "openrouter"
    assert ask(gateway, key).headers["x-gateway-provider"] == "zai"


def test_alerts_are_posted_once(gateway: Gateway, webhook: Provider, name: str) -> None:
    key = key_of(gateway, name, "--budget", "day=0.25")
    told = lambda: [one for one in map(asked, webhook.requests) if one["user"] == name]  # noqa: E731
    ask(gateway, key)
    gateway.wait_until(lambda: len(told()) == 1)
    ask(gateway, key)
    gateway.wait_until(lambda: len(told()) == 2)
    ask(gateway, key)
    assert [(one["threshold"], one["window"], one["budget_usd"]) for one in told()] == [
        (0.5, "day", 0.25),
        (1.0, "day", 0.25),
    ]


def asked(request: Any) -> dict[str, Any]:
    found: dict[str, Any] = request.json
    return found
