"""The pool of Claude tokens: who gets which, who rests for how long, and what happens when nobody is left.

One gateway with many tokens, so that each test may spoil one. `only/…` is Anthropic without a fallback.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.conftest import TOKENS, Providers
from tests.e2e.gateway import Gateway
from tests.fakes.answers import Reply
from tests.fakes.provider import Provider
from tests.fakes.scripts import error, error_first, oauth_429, say, windowless_429, with_headers
from tests.received import either_way

OPUS, HAIKU = "claude-opus-5-5", "claude-haiku-5-5"
MANY = tuple(f"sk-ant-oat01-token-number-{number:02}-of-many" for number in range(1, 17))
DAY = 86_400.0
COOLDOWN = 60.0
SLACK = 25.0
"""Seconds by which a cooldown may be off: the provider looks at the clock before the gateway does."""

LIMITS = {
    "anthropic-ratelimit-unified-status": "allowed_warning",
    "anthropic-ratelimit-unified-5h-utilization": "0.93",
    "anthropic-organization-id": "org-of-the-pool",
}


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    return {**routing, "models": {**routing["models"], "only/*": "anthropic/*"}, "failover": {"hold": 30}}


@pytest.fixture(scope="module")
def env(env: dict[str, str]) -> dict[str, str]:
    return {**env, "CLAUDE_OAUTH_TOKENS": ",".join(MANY)}


def cooldowns(gateway: Gateway) -> dict[tuple[str, str], float]:
    """When each cooldown ends that has been written down, by fingerprint and model ("": all)."""
    with closing(sqlite3.connect(gateway.directory / "gateway.sqlite")) as file:
        rows = file.execute("SELECT fingerprint, model, until FROM cooldowns").fetchall()
    return {(fingerprint, model): until for fingerprint, model, until in rows}


def fingerprint(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def in_use(gateway: Gateway, anthropic: Provider, model: str = OPUS) -> set[str]:
    """The tokens that a round of requests without a session goes out with."""
    begin = len(anthropic.requests)
    for _ in MANY:
        assert gateway.post(model).status_code == 200
    return {request.token for request in anthropic.requests[begin:]}


def spoil(gateway: Gateway, anthropic: Provider, reply: Reply, model: str = OPUS) -> str:
    """The token whose request got this reply; the client got the answer of another one."""
    begin = len(anthropic.requests)
    anthropic.script(reply)
    response = gateway.post(model)
    assert response.json()["content"][0]["text"] == "Hello from anthropic"
    assert response.headers["x-gateway-attempts"] == "2"
    assert "x-gateway-fallback" not in response.headers
    first, second = anthropic.requests[begin:]
    assert first.body == second.body
    assert first.token in MANY and second.token in MANY and first.token != second.token
    return first.token


class TestWhoGetsWhich:
    def test_new_sessions_take_turns_and_stay_on_their_token(self, gateway: Gateway, anthropic: Provider) -> None:
        sessions = [{"x-claude-code-session-id": str(uuid4())} for _ in range(3)]
        for _ in range(3):
            for session in sessions:
                gateway.post(OPUS, headers=session)
                gateway.post(HAIKU, headers=session, path="/v1/messages/count_tokens")
        tokens = [request.token for request in anthropic.requests]
        one, two, three = tokens[0], tokens[2], tokens[4]
        assert len({one, two, three}) == 3
        assert tokens == [one, one, two, two, three, three] * 3
        assert MANY.index(two) == (MANY.index(one) + 1) % len(MANY)

    @pytest.mark.parametrize(
        "user_id",
        [
            f'{{"device_id": "d", "account_uuid": "", "session_id": "{uuid4()}"}}',
            f"user_0123_account__session_{uuid4()}",
        ],
        ids=["2.1", "2.0"],
    )
    def test_a_session_that_only_the_body_names(self, gateway: Gateway, anthropic: Provider, user_id: str) -> None:
        for _ in range(3):
            gateway.post(OPUS, metadata={"user_id": user_id})
        assert len({request.token for request in anthropic.requests}) == 1

    def test_requests_without_a_session_take_turns(self, gateway: Gateway, anthropic: Provider) -> None:
        for _ in range(3):
            gateway.post(OPUS)
        assert len({request.token for request in anthropic.requests}) == 3

    def test_the_whole_request_is_as_anthropic_wants_it(self, gateway: Gateway, anthropic: Provider) -> None:
        anthropic.refuse_like_anthropic()
        headers = {"x-api-key": "own", "authorization": "Bearer own", "anthropic-beta": "a, b"}
        assert gateway.post(OPUS, headers=headers).status_code == 200
        assert anthropic.last.headers["anthropic-beta"] == "a,b,oauth-2025-04-20"
        assert "x-api-key" not in anthropic.last.headers
        assert anthropic.last.token in MANY
        gateway.post(OPUS, headers={"anthropic-beta": "oauth-2025-04-20,a"})
        assert anthropic.last.headers["anthropic-beta"] == "oauth-2025-04-20,a"


class TestOneThatIsRefused:
    def test_another_one_answers_and_keeps_the_session(
        self, gateway: Gateway, anthropic: Provider, session: dict[str, str]
    ) -> None:
        anthropic.script(lambda request: oauth_429({"5h": time.time() + 1000}))
        with gateway.stream(OPUS, headers=session) as stream:
            stream.read()
        assert stream.text == "Hello from anthropic"
        assert stream.headers["x-gateway-attempts"] == "2"
        gateway.post(OPUS, headers=session)
        first, second, third = anthropic.requests
        assert first.token != second.token == third.token

    @pytest.mark.parametrize(
        ("reply", "seconds"),
        [
            (lambda now: oauth_429({"5h": now + 1000}), 1000),
            (lambda now: oauth_429({"5h": now + 1000, "7d": now + 5000}), 5000),
            (lambda now: oauth_429({"5h": now + 1000}, allowed={"7d": now + 5000}), 1000),
            (lambda now: oauth_429({"5h": now + 1000}, retry_after=2094), 1000),
            (lambda now: oauth_429({"7d": now + 18 * DAY}), DAY),
            (lambda now: oauth_429({"5h": now - 1000}), COOLDOWN),
            (lambda now: with_iso_resets(now + 1000), 1000),
            (lambda now: error(429, headers={"retry-after": "2094"}), 2094),
            (lambda now: error(429, headers={"retry-after": f"{18 * DAY:.0f}"}), DAY),
            (lambda now: error(429), COOLDOWN),
            (lambda now: error_first(kind="rate_limit_error"), COOLDOWN),
        ],
        ids=[
            "5h",
            "5h and 7d",
            "7d still allowed",
            "a window before retry-after",
            "not 18 days",
            "a reset in the past",
            "ISO",
            "retry-after",
            "not for 18 days of retry-after",
            "nothing",
            "an error event",
        ],
    )
    def test_rests_as_long_as_it_must(
        self, gateway: Gateway, anthropic: Provider, reply: Callable[[float], Reply], seconds: float
    ) -> None:
        now = time.time()
        anthropic.script(reply(now))
        with gateway.stream(OPUS) as stream:
            stream.read()
        assert stream.text == "Hello from anthropic"
        spoilt = anthropic.requests[0].token
        key = (fingerprint(spoilt), "")
        gateway.wait_until(lambda: key in cooldowns(gateway))
        assert abs(cooldowns(gateway)[key] - now - seconds) < SLACK
        assert spoilt not in in_use(gateway, anthropic, HAIKU)

    def test_rests_for_one_model_only(self, gateway: Gateway, anthropic: Provider) -> None:
        now = time.time()
        spoilt = spoil(gateway, anthropic, oauth_429({"7d_oi": now + 3000}, allowed={"5h": now + 9000}))
        key = (fingerprint(spoilt), OPUS)
        gateway.wait_until(lambda: key in cooldowns(gateway))
        assert abs(cooldowns(gateway)[key] - now - 3000) < SLACK
        assert spoilt not in in_use(gateway, anthropic)
        assert spoilt in in_use(gateway, anthropic, HAIKU)

    def test_comes_back(self, gateway: Gateway, anthropic: Provider) -> None:
        spoilt = spoil(gateway, anthropic, error(429, headers={"retry-after": "0.6"}))
        gateway.wait_until(lambda: spoilt in in_use(gateway, anthropic))
        limited, back, *_ = (request for request in anthropic.requests if request.token == spoilt)
        assert back.time - limited.time >= 0.6

    def test_a_passing_429_cools_nobody(self, gateway: Gateway, anthropic: Provider, session: dict[str, str]) -> None:
        anthropic.script(windowless_429())
        assert gateway.post(OPUS, headers=session).status_code == 200
        first, second = anthropic.requests
        assert first.token != second.token, "others are idle"
        assert first.token in in_use(gateway, anthropic)

    @pytest.mark.parametrize(
        "refusal",
        [
            error(400, "Your credit balance is too low to access the Anthropic API."),
            error(402, "Add credits to go on"),
            error(429, "Extra usage is required for long context requests."),
        ],
        ids=["400", "402", "429"],
    )
    def test_a_refusal_of_credit_cools_nobody(self, gateway: Gateway, anthropic: Provider, refusal: Reply) -> None:
        spoilt = spoil(gateway, anthropic, refusal)
        assert spoilt in in_use(gateway, anthropic)

    def test_a_refused_credential_is_out_until_the_configuration_changes(
        self, gateway: Gateway, anthropic: Provider, env: dict[str, str]
    ) -> None:
        expired = spoil(gateway, anthropic, error(401, "OAuth token has expired. Please obtain a new token"))
        banned = spoil(gateway, anthropic, error(403, "OAuth authentication is not allowed for this organization."))
        assert not {expired, banned} & in_use(gateway, anthropic)
        gateway.rewrite_env({**env, "ANOTHER_VARIABLE": "changed"})
        gateway.wait_until(lambda: "configuration reloaded" in gateway.log())
        assert {expired, banned} <= in_use(gateway, anthropic)


def with_iso_resets(reset: float) -> Reply:
    iso = datetime.fromtimestamp(reset, UTC).isoformat()
    names = ("anthropic-ratelimit-unified-reset", "anthropic-ratelimit-unified-5h-reset")
    return oauth_429({"5h": reset}, headers=dict.fromkeys(names, iso))


class TestNobodyLeft:
    @pytest.fixture(scope="class")
    def gateway(self, providers: Providers, routing: dict[str, Any], env: dict[str, str]) -> Iterator[Gateway]:
        """With two tokens, which rest for 1000 and for 500 seconds."""
        env = {**env, "CLAUDE_OAUTH_TOKENS": ",".join(TOKENS)}
        with Gateway(routing, env) as gateway:
            providers.anthropic.reset()
            for seconds in (1000, 500):
                providers.anthropic.script(oauth_429({"5h": time.time() + seconds}))
            response = gateway.post(OPUS)
            assert response.headers["x-gateway-fallback"] == "glm"
            assert response.headers["x-gateway-attempts"] == "3"
            assert [request.token for request in providers.anthropic.requests] == [*TOKENS]
            yield gateway

    def test_a_fallback_serves_at_once(self, gateway: Gateway, anthropic: Provider, zai: Provider) -> None:
        response = gateway.post(OPUS)
        assert response.json()["content"][0]["text"] == "Hello from zai"
        assert response.headers["x-gateway-fallback"] == "glm"
        assert response.headers["x-gateway-attempts"] == "1", "nobody else has been asked"
        assert anthropic.requests == []
        assert "sk-ant" not in repr(zai.last.headers)

    def test_without_a_fallback_the_one_that_comes_back_soonest_is_asked(
        self, gateway: Gateway, anthropic: Provider
    ) -> None:
        """Its limit may be over."""
        assert gateway.post(f"only/{OPUS}").status_code == 200
        assert [request.token for request in anthropic.requests] == [TOKENS[1]]

    @pytest.mark.parametrize("model", [f"only/{OPUS}", OPUS], ids=["no fallback", "the fallback fails"])
    def test_if_it_refuses_the_client_is_told_when_to_come_back(
        self, gateway: Gateway, anthropic: Provider, zai: Provider, model: str
    ) -> None:
        zai.always(error(429, headers={"retry-after": "7"}))
        anthropic.always(lambda request: oauth_429({"5h": time.time() + 500}, retry_after=2094, headers=LIMITS))
        response = gateway.post(model)
        assert response.status_code == 429
        assert response.json()["error"]["type"] == "rate_limit_error"
        assert 200 <= int(response.headers["retry-after"]) <= 501
        assert [request.token for request in anthropic.requests] == [TOKENS[1]]
        assert not [name for name in response.headers if name.startswith("anthropic-")]

    def test_all_refused(self, gateway: Gateway, anthropic: Provider, zai: Provider) -> None:
        """No retry of the client's makes a token of the gateway's good; and it is none of its user's to log in."""
        anthropic.always(error(401, "OAuth token has been revoked"))
        response = gateway.post(f"only/{OPUS}")
        assert response.status_code == 403
        assert "CLAUDE_OAUTH_TOKENS" in response.json()["error"]["message"]
        assert response.headers["x-should-retry"] == "false"


class TestWhatTheClientSees:
    @either_way
    def test_nothing_of_a_pool_account(self, gateway: Gateway, anthropic: Provider, stream: bool) -> None:
        anthropic.script(with_headers(say("hi"), {**LIMITS, "set-cookie": "a=b"}))
        response = gateway.post(OPUS, stream=stream)
        assert response.status_code == 200
        assert not [name for name in response.headers if name.startswith(("anthropic-", "set-cookie"))]
        assert response.headers["request-id"].startswith("req_anthropic")

    def test_nor_with_an_error(self, gateway: Gateway, anthropic: Provider) -> None:
        anthropic.script(error(400, "tools.0.name: too long", headers=LIMITS))
        response = gateway.post(OPUS)
        assert response.status_code == 400
        assert not [name for name in response.headers if name.startswith("anthropic-")]

    def test_the_limits_of_its_own_account(self, gateway: Gateway, anthropic: Provider) -> None:
        anthropic.script(with_headers(say("hi"), LIMITS))
        response = gateway.post(OPUS, headers={"authorization": "Bearer own", "x-claude-token-mode": "passthrough"})
        assert LIMITS.items() <= dict(response.headers).items()


class TestModes:
    def test_a_request_can_ask_for_passthrough(self, gateway: Gateway, anthropic: Provider) -> None:
        own = {"authorization": "Bearer own-oauth", "x-api-key": "own-key", "x-claude-token-mode": "passthrough"}
        assert gateway.post(OPUS, headers=own).status_code == 200
        headers = anthropic.last.headers
        assert (headers["authorization"], headers["x-api-key"]) == ("Bearer own-oauth", "own-key")
        assert "anthropic-beta" not in headers
        assert "x-claude-token-mode" not in headers

    def test_passthrough_without_a_credential(self, gateway: Gateway, anthropic: Provider) -> None:
        response = gateway.post(f"only/{OPUS}", headers={"x-claude-token-mode": "passthrough"})
        assert response.status_code == 403
        assert response.headers["x-should-retry"] == "false"
        assert "CLAUDE_OAUTH_TOKENS" in response.json()["error"]["message"]
        assert gateway.post(OPUS, headers={"x-claude-token-mode": "passthrough"}).headers["x-gateway-fallback"] == "glm"
        assert anthropic.requests == []

    @pytest.fixture(scope="class")
    def other_gateway(self, providers: Providers, routing: dict[str, Any], env: dict[str, str]) -> Iterator[Gateway]:
        """Configured the other way in both respects."""
        routing = {**routing, "pool": {"strategy": "request"}}
        with Gateway(routing, {**env, "CLAUDE_TOKEN_MODE": "passthrough"}) as gateway:
            yield gateway

    def test_the_next_token_for_every_request(
        self, other_gateway: Gateway, anthropic: Provider, session: dict[str, str]
    ) -> None:
        for _ in range(3):
            other_gateway.post(OPUS, headers={**session, "x-claude-token-mode": "rotate"})
        assert [request.token for request in anthropic.requests] == [*MANY[:3]]

    def test_the_configured_mode_and_a_pool_without_tokens(
        self, other_gateway: Gateway, anthropic: Provider, env: dict[str, str]
    ) -> None:
        own = {"authorization": "Bearer own-oauth"}
        other_gateway.post(OPUS, headers=own)
        other_gateway.post(OPUS, headers={**own, "x-claude-token-mode": "rotate"})
        assert anthropic.requests[0].token == "own-oauth"
        assert anthropic.requests[1].token in MANY

        other_gateway.rewrite_env({name: value for name, value in env.items() if name != "CLAUDE_OAUTH_TOKENS"})
        other_gateway.wait_until(lambda: "configuration reloaded" in other_gateway.log())
        other_gateway.post(OPUS, headers=own)
        other_gateway.post(OPUS, headers={**own, "x-claude-token-mode": "rotate"})
        assert [request.token for request in anthropic.requests[2:]] == ["own-oauth", "own-oauth"]
