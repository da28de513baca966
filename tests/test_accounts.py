"""Which account an attempt goes out with, and what a refusal does to it; the Claude tokens are one pool of several."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

import pytest
from mitmproxy import exceptions, http

from addons.accounts import Accounts
from addons.config.config import Config, PoolSettings, Target
from addons.config.routing import Auth
from addons.config.settings import Settings
from addons.oauth import OAUTH_BETA, OAuthRotator
from addons.state.attempt import Outcome
from addons.state.exchange import ClientCredential, Exchange, Trying
from addons.state.store import Store
from tests.exchanges import DROPPED, answered, exchange, failed, failure, provider, status, target, trying

A, B, C = (f"sk-ant-oat01-{letter * 40}-{letter}001" for letter in "abc")
NOW = 1_790_000_000.0
HOUR = 3600.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "gateway.sqlite")
    yield store
    store.close()


class Rotation:
    """The addon with a clock that a test moves."""

    def __init__(self, store: Store, *tokens: str) -> None:
        self.now = NOW
        self.store = store
        self.settings = Settings(Path("routing.yaml"), Path(".env"), {})
        self.configure(*tokens)
        self.addon = Accounts(self.settings, store, lambda: self.now)
        self.oauth = OAuthRotator()

    def configure(self, *tokens: str, pool: PoolSettings | None = None) -> None:
        self.settings.current = Config(providers={}, models=(), tokens=tokens, pool=pool or PoolSettings())

    def request(self, session: str | None = None, model: str = "opus") -> Exchange:
        made = exchange(target("anthropic", model=model))
        made.client.session = session
        return made

    def attempt(self, made: Exchange) -> Trying:
        """The next attempt of this request, with its credential."""
        tried = trying(made)
        tried.flow.request.headers.pop("authorization", None)
        self.addon.attempt(tried)
        self.oauth.attempt(tried)
        return tried

    def fail(self, outcome: Outcome, session: str | None = None, model: str = "opus") -> Trying:
        """A new request whose first attempt fails."""
        tried = self.attempt(self.request(session, model))
        return self.refuse(tried, outcome)

    def refuse(self, tried: Trying, outcome: Outcome) -> Trying:
        failed(tried.attempt, outcome)
        self.addon.verdict(tried)
        return tried

    def used(self, session: str | None = None, model: str = "opus") -> str:
        """The token of a new request; empty when there is none."""
        token = self.attempt(self.request(session, model)).attempt.choice.account
        return token.value if token else ""


class Keys(Rotation):
    """The same with the keys of zai."""

    def __init__(self, store: Store, *keys: str, auth: Auth = "bearer") -> None:
        self.provider = provider("zai", api_keys=keys, key_source="ZAI_API_KEY", auth=auth)
        super().__init__(store)

    def configure(self, *tokens: str, pool: PoolSettings | None = None) -> None:
        self.settings.current = Config(providers={"zai": self.provider}, models=())

    def request(self, session: str | None = None, model: str = "glm-5") -> Exchange:
        made = exchange(Target(alias="asked", provider=self.provider, model=model))
        made.client.session = session
        return made


@pytest.fixture
def rotation(store: Store) -> Rotation:
    return Rotation(store, A, B)


class TestTheCredential:
    def test_is_real_on_the_wire_and_masked_in_the_flow(self, rotation: Rotation) -> None:
        tried = rotation.attempt(rotation.request("a session"))
        assert tried.attempt.credential == {"authorization": f"Bearer {A}"}
        shown = tried.flow.request.headers["authorization"]
        assert shown.startswith("Bearer sk-ant-oat01")
        assert A not in shown
        assert tried.exchange.trail[-1].what == f"token 1 of 2 ({shown.removeprefix('Bearer ')}), session a se"
        assert A not in repr(tried.exchange)

    def test_that_a_session_gets_in_place_of_another_one_is_said_to_be_so(self, rotation: Rotation) -> None:
        first = rotation.attempt(rotation.request("a session"))
        rotation.refuse(first, status(429, retry_after="900"))
        second = rotation.attempt(rotation.request("a session"))
        assert second.attempt.choice.account is not first.attempt.choice.account
        assert second.exchange.trail[-1].what.endswith("session a se moves here")

    def test_replaces_every_other_one(self, rotation: Rotation) -> None:
        tried = trying(rotation.request())
        tried.flow.request.headers["x-api-key"] = "masked"
        tried.flow.request.headers["anthropic-beta"] = "one"
        rotation.addon.attempt(tried)
        rotation.oauth.attempt(tried)
        assert "x-api-key" not in tried.flow.request.headers
        assert tried.flow.request.headers["anthropic-beta"] == f"one,{OAUTH_BETA}"

    def test_is_nobody_else_s(self, rotation: Rotation) -> None:
        tried = trying(exchange(target("zai")))
        rotation.addon.attempt(tried)
        rotation.oauth.attempt(tried)
        assert tried.attempt.choice.account is None
        assert tried.attempt.credential == {}

    def test_in_passthrough_is_the_client_s_as_it_came(self, rotation: Rotation) -> None:
        made = rotation.request()
        made.client.token_mode = "passthrough"
        made.client.credential = ClientCredential(
            authorization="Bearer sk-ant-oat01-the-client-s-own", x_api_key="sk-ant-api03-own"
        )
        tried = rotation.attempt(made)
        assert tried.attempt.choice.account is None
        assert tried.attempt.credential == made.client.credential.headers()
        assert "client" not in tried.flow.request.headers["authorization"]
        assert tried.flow.request.headers["x-api-key"] != "sk-ant-api03-own"
        assert "anthropic-beta" not in tried.flow.request.headers, "the client knows which flags its token needs"


class TestWhichToken:
    def test_a_session_stays(self, rotation: Rotation) -> None:
        assert [rotation.used("s"), rotation.used("t"), rotation.used("s"), rotation.used("t")] == [A, B, A, B]

    def test_a_request_stays_too(self, rotation: Rotation) -> None:
        """The second chance of a request without a session is not another account's."""
        made = rotation.request()
        tokens = []
        for outcome in (status(529), DROPPED, status(400, "Invalid `signature` in `thinking` block")):
            tried = rotation.attempt(made)
            tokens.append(tried.attempt.choice.account)
            rotation.refuse(tried, outcome)
        assert len({*tokens}) == 1

    def test_unless_its_token_is_refused(self, rotation: Rotation) -> None:
        made = rotation.request()
        first = rotation.refuse(rotation.attempt(made), status(429)).attempt
        second = rotation.refuse(rotation.attempt(made), status(529)).attempt
        third = rotation.attempt(made).attempt
        assert first.choice.account
        assert second.choice.account
        assert third.choice.account
        assert [first.choice.account.value, second.choice.account.value, third.choice.account.value] == [A, B, B]
        assert first.choice.others
        assert not second.choice.others

    def test_a_reload_takes_effect_on_the_next_attempt(self, rotation: Rotation) -> None:
        made = rotation.request()
        rotation.refuse(rotation.attempt(made), status(529))
        rotation.configure(C, B)
        token = rotation.attempt(made).attempt.choice.account
        assert token
        assert token.value == C, "the one it had is gone"
        rotation.configure(C, B, pool=PoolSettings(strategy="request"))
        assert {rotation.used("s") for _ in range(2)} == {B, C}


class TestARefusal:
    def test_by_a_limit_cools(self, rotation: Rotation, store: Store) -> None:
        tried = rotation.fail(status(429, retry_after="3600"))
        assert tried.attempt.choice.others
        assert tried.attempt.choice.back_in is None, "one is usable now"
        assert {rotation.used(), rotation.used()} == {B}
        rotation.now += HOUR
        assert {rotation.used(), rotation.used()} == {A, B}
        assert "cools down until" in tried.exchange.trail[-1].what

    def test_by_a_limit_of_the_model_cools_for_that(self, rotation: Rotation) -> None:
        prefix = "anthropic-ratelimit-unified"
        headers = {f"{prefix}-7d_oi-status": "rejected", f"{prefix}-7d_oi-reset": f"{NOW + HOUR:.0f}"}
        rotation.fail(failure("status", 429, headers=headers))
        assert {rotation.used(model="opus") for _ in range(3)} == {B}
        assert {rotation.used(model="haiku") for _ in range(3)} == {A, B}

    def test_without_a_limit_cools_nothing(self, rotation: Rotation) -> None:
        tried = rotation.fail(status(429, x_should_retry="true"))
        assert tried.attempt.choice.is_passing
        assert tried.attempt.choice.others, "another one may be asked at once"
        assert {rotation.used() for _ in range(2)} == {A, B}

    def test_for_counting_tokens_cools_nothing_either(self, rotation: Rotation) -> None:
        made = rotation.request()
        made.kind = "count_tokens"
        tried = rotation.refuse(rotation.attempt(made), status(429, retry_after="60"))
        assert tried.attempt.choice.others
        token = rotation.attempt(made).attempt.choice.account
        assert token
        assert token.value == B
        assert {rotation.used() for _ in range(2)} == {A, B}

    def test_for_credit_cools_nothing_but_another_one_may_do(self, rotation: Rotation) -> None:
        tried = rotation.fail(status(400, "Your credit balance is too low"))
        assert tried.attempt.choice.others
        token = rotation.attempt(tried.exchange).attempt.choice.account
        assert token
        assert token.value == B
        assert {rotation.used() for _ in range(2)} == {A, B}

    @pytest.mark.parametrize("code", [401, 403])
    def test_of_the_token_takes_it_out_for_an_hour(
        self, rotation: Rotation, code: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            tried = rotation.fail(status(code, "OAuth token has been revoked"))
        assert tried.attempt.choice.refused
        assert tried.attempt.choice.others
        assert "revoked" in caplog.text
        assert A not in caplog.text
        rotation.now += HOUR - 1
        assert {rotation.used() for _ in range(2)} == {B}
        rotation.now += 1
        assert {rotation.used() for _ in range(2)} == {A, B}

    @pytest.mark.parametrize(
        "outcome",
        [status(529), status(500), status(400, "no"), status(404, "model: x"), DROPPED, failure("timeout", 504)],
        ids=lambda outcome: f"{outcome.kind} {outcome.error.status}",
    )
    def test_of_another_kind_is_not_the_token_s(self, rotation: Rotation, outcome: Outcome) -> None:
        tried = rotation.fail(outcome)
        assert not tried.attempt.choice.others
        assert not tried.exchange.plan.refused
        assert {rotation.used() for _ in range(2)} == {A, B}

    def test_of_the_client_s_own_token_is_none_of_ours(self, rotation: Rotation) -> None:
        made = rotation.request()
        made.client.token_mode = "passthrough"
        made.client.credential = ClientCredential(authorization="Bearer own")
        tried = rotation.refuse(rotation.attempt(made), status(429, retry_after="60"))
        assert not tried.attempt.choice.others
        assert {rotation.used() for _ in range(2)} == {A, B}


class TestNobodyLeft:
    def limit(self, rotation: Rotation, *seconds: int) -> None:
        made = rotation.request()
        for wait in seconds:
            rotation.refuse(rotation.attempt(made), status(429, retry_after=str(wait)))

    def test_says_when_the_first_is_back(self, rotation: Rotation) -> None:
        self.limit(rotation, 900, 60)
        attempt = rotation.attempt(rotation.request()).attempt
        assert attempt.choice.account is None
        assert attempt.choice.back_in == 60
        assert attempt.outcome
        assert attempt.outcome.error.status == 429
        assert attempt.outcome.error.message.startswith(
            "all 2 Claude accounts are rate limited; the first is back in 60 s ("
        )

    def test_a_request_that_has_used_them_all_knows_it_too(self, rotation: Rotation) -> None:
        made = rotation.request()
        rotation.refuse(rotation.attempt(made), status(429, retry_after="900"))
        last = rotation.refuse(rotation.attempt(made), status(429, retry_after="60")).attempt
        assert not last.choice.others
        assert last.choice.back_in == 60

    def test_the_last_resort_is_the_one_that_is_back_first(self, rotation: Rotation) -> None:
        self.limit(rotation, 900, 60)
        made = rotation.request("s")
        made.plan.last_resort = True
        tried = rotation.attempt(made)
        assert tried.attempt.choice.account
        assert tried.attempt.choice.account.value == B
        rotation.refuse(tried, status(429, retry_after="30"))
        assert tried.attempt.choice.back_in == 60, "a cooldown is never shortened"

    def test_when_all_are_refused_no_waiting_helps(self, rotation: Rotation) -> None:
        for _ in range(2):
            rotation.fail(status(401, "OAuth token has expired"))
        attempt = rotation.attempt(rotation.request()).attempt
        assert attempt.choice.back_in is None
        assert attempt.outcome
        assert attempt.outcome.error.status == 403, "a 401 would ask the user to log in"
        assert "renew CLAUDE_OAUTH_TOKENS" in attempt.outcome.error.message

    def test_a_request_that_waited_finds_its_account(self, store: Store) -> None:
        """The clocks of a delay and of a cooldown are not the same."""
        rotation = Rotation(store, A)
        made = rotation.request()
        rotation.refuse(rotation.attempt(made), status(429, retry_after="3"))
        rotation.now += 2.9
        assert rotation.used() == "", "it is nobody else's"
        made.plan.refused.clear()
        assert rotation.attempt(made).attempt.choice.account


class TestWhoIsToBlame:
    """A refusal that several accounts give to the same request is the request's."""

    REFUSAL = status(403, "OAuth token lacks the scope")

    def test_the_request(self, rotation: Rotation) -> None:
        made = rotation.request()
        for _ in range(2):
            assert rotation.refuse(rotation.attempt(made), self.REFUSAL).attempt.choice.refused
        assert {rotation.used() for _ in range(2)} == {A, B}

    def test_the_accounts_when_a_third_one_serves_it(self, store: Store) -> None:
        rotation = Rotation(store, A, B, C)
        made = rotation.request()
        for _ in range(2):
            rotation.refuse(rotation.attempt(made), self.REFUSAL)
        served = rotation.attempt(made)
        answered(made)
        rotation.addon.response(served.flow)
        assert {rotation.used() for _ in range(3)} == {C}

    def test_a_single_account_gets_another_chance_after_an_hour(self, store: Store) -> None:
        rotation = Rotation(store, A)
        rotation.fail(self.REFUSAL)
        rotation.now += 3599
        assert rotation.used() == ""
        rotation.now += 1
        assert rotation.used() == A

    def test_a_single_account_is_back_when_the_configuration_changes(self, store: Store) -> None:
        rotation = Rotation(store, A)
        rotation.fail(self.REFUSAL)
        rotation.configure(A)
        assert rotation.used() == A

    def test_a_test_that_succeeds_brings_an_account_back(self, store: Store) -> None:
        rotation = Rotation(store, A)
        rotation.fail(self.REFUSAL)
        made = rotation.request()
        made.kind, made.plan.only = "count_tokens", rotation.attempt(rotation.request()).attempt.choice.account
        made.plan.only = next(account for pool in rotation.addon.pools.by_key.values() for account in pool.accounts)
        tested = rotation.attempt(made)
        answered(made)
        rotation.addon.response(tested.flow)
        assert rotation.used() == A


class TestKeys:
    """The pool of a provider that isn't Anthropic."""

    @pytest.fixture
    def keys(self, store: Store) -> Rotation:
        return Keys(store, "key-one-0123456789", "key-two-0123456789")

    @pytest.mark.parametrize("auth", ["bearer", "x-api-key"])
    def test_a_key_is_real_on_the_wire_and_masked_in_the_flow(self, store: Store, auth: Auth) -> None:
        keys = Keys(store, "key-one-0123456789", "key-two-0123456789", auth=auth)
        tried = keys.attempt(keys.request("a session"))
        name = "authorization" if auth == "bearer" else "x-api-key"
        assert tried.attempt.credential[name].endswith("key-one-0123456789")
        assert "key-one" not in tried.flow.request.headers[name]
        assert tried.exchange.trail[-1].what.startswith("key 1 of 2 (")

    def test_a_single_key_is_worth_no_line(self, store: Store) -> None:
        keys = Keys(store, "key-one-0123456789")
        assert keys.attempt(keys.request()).exchange.trail == []

    def test_a_session_stays(self, keys: Rotation) -> None:
        assert [keys.used(session)[:7] for session in "stst"] == ["key-one", "key-two"] * 2

    def test_a_limit_is_that_model_s(self, keys: Rotation) -> None:
        keys.fail(status(429, "High concurrency usage (1302)"), model="glm-5")
        assert {keys.used(model="glm-5") for _ in range(2)} == {"key-two-0123456789"}
        assert len({keys.used(model="glm-5-air") for _ in range(2)}) == 2
        keys.now += 5
        assert len({keys.used(model="glm-5") for _ in range(2)}) == 2, "soon over"

    def test_a_refused_key_is_out(self, keys: Rotation) -> None:
        tried = keys.fail(status(401, "whatever it says"))
        assert tried.attempt.choice.others
        assert tried.attempt.choice.error
        assert tried.attempt.choice.error.status == 403
        assert "refuses the gateway's key 1 of 2 (ZAI_API_KEY)" in tried.attempt.choice.error.message
        assert {keys.used() for _ in range(2)} == {"key-two-0123456789"}

    def test_when_all_cool_down_the_client_is_told_so(self, keys: Rotation) -> None:
        made = keys.request()
        keys.refuse(keys.attempt(made), status(429, retry_after="900"))
        last = keys.refuse(keys.attempt(made), status(429, "so busy", retry_after="60")).attempt
        assert last.choice.error
        assert last.choice.error.message.startswith("all 2 keys of zai are rate limited; the first is back in 60 s (")
        assert last.choice.error.message.endswith(": so busy")

    def test_they_are_no_claude_tokens(self, keys: Rotation) -> None:
        assert keys.addon.commands.show().startswith("zai:1  …6789  usable")
        keys.fail(status(429, retry_after="60"))
        assert "zai:1" in keys.addon.commands.show()
        assert keys.addon.end_cooldowns("zai:1") == "1 account may be used again"
        with pytest.raises(exceptions.CommandError):
            keys.addon.end_cooldowns("1")


class TestSuccess:
    HEADERS: ClassVar = {
        "anthropic-ratelimit-unified-5h-utilization": "0.9",
        "anthropic-ratelimit-unified-7d-utilization": "0.2",
    }

    def test_tells_how_much_room_an_account_has(self, rotation: Rotation) -> None:
        tried = rotation.attempt(rotation.request())
        tried.flow.response = http.Response.make(200, b"", self.HEADERS)
        rotation.addon.responseheaders(tried.flow)
        assert {rotation.used(f"session {n}") for n in range(3)} == {B}

    def test_of_a_probe_ends_the_cooldown(self, rotation: Rotation, store: Store) -> None:
        for _ in range(2):
            rotation.fail(status(429, retry_after="3600"))
        rotation.now += 360
        made = rotation.request("s")
        probe = rotation.attempt(made)
        assert probe.attempt.choice.probe
        assert rotation.used("s") != rotation.used("t") == ""
        answered(made)
        rotation.addon.response(probe.flow)
        assert rotation.used("t") == A
        store.flush()
        assert {row.fingerprint for row in store.load_cooldowns(rotation.now)} == {sha256(B.encode()).hexdigest()}


def test_sessions_are_there_in_the_next_process(rotation: Rotation, store: Store) -> None:
    assert [rotation.used("s"), rotation.used("t")] == [A, B]
    store.flush()
    following = Rotation(store, A, B)
    assert [following.used("t"), following.used("s")] == [B, A]


def test_cools_are_there_in_the_next_process(rotation: Rotation, store: Store) -> None:
    rotation.fail(status(429, retry_after="3600"))
    store.flush()
    following = Rotation(store, A, B)
    assert {following.used() for _ in range(2)} == {B}
