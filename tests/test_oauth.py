"""Which credential an attempt at Anthropic gets, and what a refusal does to a token of the pool."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from addons.config.config import Config, PoolSettings
from addons.config.settings import Settings
from addons.oauth import OAUTH_BETA, OAuthRotator
from addons.proxy.request_head import with_flag
from addons.state.exchange import ClientCredential, Exchange, Outcome, Trying
from addons.state.store import Store
from tests.exchanges import DROPPED, exchange, failed, failure, status, target, trying

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
        self.addon = OAuthRotator(self.settings, store, lambda: self.now)

    def configure(self, *tokens: str, pool: PoolSettings | None = None) -> None:
        self.settings.current = Config(providers={}, models=(), tokens=tokens, pool=pool or PoolSettings())

    def request(self, session: str | None = None, model: str = "opus") -> Exchange:
        made = exchange(target("anthropic", model=model))
        made.session = session
        return made

    def attempt(self, made: Exchange) -> Trying:
        """The next attempt of this request, with its credential."""
        tried = trying(made)
        tried.flow.request.headers.pop("authorization", None)
        self.addon.attempt(tried)
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
        token = self.attempt(self.request(session, model)).attempt.token
        return token.value if token else ""


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
        assert tried.exchange.steps[-1].what == f"token 1 of 2 ({shown.removeprefix('Bearer ')}), session a se"
        assert A not in repr(tried.exchange)

    def test_that_a_session_gets_in_place_of_another_one_is_said_to_be_so(self, rotation: Rotation) -> None:
        first = rotation.attempt(rotation.request("a session"))
        rotation.refuse(first, status(429, retry_after="900"))
        second = rotation.attempt(rotation.request("a session"))
        assert second.attempt.token is not first.attempt.token
        assert second.exchange.steps[-1].what.endswith("session a se moves here")

    def test_replaces_every_other_one(self, rotation: Rotation) -> None:
        tried = trying(rotation.request())
        tried.flow.request.headers["x-api-key"] = "masked"
        tried.flow.request.headers["anthropic-beta"] = "one"
        rotation.addon.attempt(tried)
        assert "x-api-key" not in tried.flow.request.headers
        assert tried.flow.request.headers["anthropic-beta"] == f"one,{OAUTH_BETA}"

    def test_is_nobody_else_s(self, rotation: Rotation) -> None:
        tried = trying(exchange(target("zai")))
        rotation.addon.attempt(tried)
        assert tried.attempt.token is None
        assert tried.attempt.credential == {}

    def test_in_passthrough_is_the_client_s_as_it_came(self, rotation: Rotation) -> None:
        made = rotation.request()
        made.token_mode = "passthrough"
        made.own = ClientCredential(authorization="Bearer sk-ant-oat01-the-client-s-own", x_api_key="sk-ant-api03-own")
        tried = rotation.attempt(made)
        assert tried.attempt.token is None
        assert tried.attempt.credential == made.own.headers()
        assert "client" not in tried.flow.request.headers["authorization"]
        assert tried.flow.request.headers["x-api-key"] != "sk-ant-api03-own"
        assert "anthropic-beta" not in tried.flow.request.headers, "the client knows which flags its token needs"

    @pytest.mark.parametrize(
        ("flags", "expected"),
        [
            ("", OAUTH_BETA),
            ("a", f"a,{OAUTH_BETA}"),
            ("a, b ,", f"a,b,{OAUTH_BETA}"),
            (f"{OAUTH_BETA},a", f"{OAUTH_BETA},a"),
        ],
    )
    def test_needs_a_beta_flag_once(self, flags: str, expected: str) -> None:
        assert with_flag(flags, OAUTH_BETA) == expected


class TestWhichToken:
    def test_a_session_stays(self, rotation: Rotation) -> None:
        assert [rotation.used("s"), rotation.used("t"), rotation.used("s"), rotation.used("t")] == [A, B, A, B]

    def test_a_request_stays_too(self, rotation: Rotation) -> None:
        """The second chance of a request without a session is not another account's."""
        made = rotation.request()
        tokens = []
        for outcome in (status(529), DROPPED, status(400, "Invalid `signature` in `thinking` block")):
            tried = rotation.attempt(made)
            tokens.append(tried.attempt.token)
            rotation.refuse(tried, outcome)
        assert len({*tokens}) == 1

    def test_unless_its_token_is_refused(self, rotation: Rotation) -> None:
        made = rotation.request()
        first = rotation.refuse(rotation.attempt(made), status(429)).attempt
        second = rotation.refuse(rotation.attempt(made), status(529)).attempt
        third = rotation.attempt(made).attempt
        assert first.token
        assert second.token
        assert third.token
        assert [first.token.value, second.token.value, third.token.value] == [A, B, B]
        assert first.other_tokens
        assert not second.other_tokens

    def test_a_reload_takes_effect_on_the_next_attempt(self, rotation: Rotation) -> None:
        made = rotation.request()
        rotation.refuse(rotation.attempt(made), status(529))
        rotation.configure(C, B)
        token = rotation.attempt(made).attempt.token
        assert token
        assert token.value == C, "the one it had is gone"
        rotation.configure(C, B, pool=PoolSettings(strategy="request"))
        assert {rotation.used("s") for _ in range(2)} == {B, C}


class TestARefusal:
    def test_by_a_limit_benches(self, rotation: Rotation, store: Store) -> None:
        tried = rotation.fail(status(429, retry_after="3600"))
        assert tried.attempt.other_tokens
        assert tried.attempt.pool_back_in is None, "one is usable now"
        assert {rotation.used(), rotation.used()} == {B}
        rotation.now += HOUR
        assert {rotation.used(), rotation.used()} == {A, B}
        assert "benched until" in tried.exchange.steps[-1].what

    def test_by_a_limit_of_the_model_benches_for_that(self, rotation: Rotation) -> None:
        prefix = "anthropic-ratelimit-unified"
        headers = {f"{prefix}-7d_oi-status": "rejected", f"{prefix}-7d_oi-reset": f"{NOW + HOUR:.0f}"}
        rotation.fail(failure("status", 429, headers=headers))
        assert {rotation.used(model="opus") for _ in range(3)} == {B}
        assert {rotation.used(model="haiku") for _ in range(3)} == {A, B}

    def test_without_a_limit_benches_nothing(self, rotation: Rotation) -> None:
        tried = rotation.fail(status(429, x_should_retry="true"))
        assert tried.attempt.benches_nothing
        assert not tried.attempt.other_tokens
        assert {rotation.used() for _ in range(2)} == {A, B}

    def test_for_counting_tokens_benches_nothing_either(self, rotation: Rotation) -> None:
        made = rotation.request()
        made.kind = "count_tokens"
        tried = rotation.refuse(rotation.attempt(made), status(429, retry_after="60"))
        assert tried.attempt.other_tokens
        token = rotation.attempt(made).attempt.token
        assert token
        assert token.value == B
        assert {rotation.used() for _ in range(2)} == {A, B}

    def test_for_credit_benches_nothing_but_another_one_may_do(self, rotation: Rotation) -> None:
        tried = rotation.fail(status(400, "Your credit balance is too low"))
        assert tried.attempt.other_tokens
        token = rotation.attempt(tried.exchange).attempt.token
        assert token
        assert token.value == B
        assert {rotation.used() for _ in range(2)} == {A, B}

    @pytest.mark.parametrize("code", [401, 403])
    def test_of_the_token_takes_it_out_until_the_configuration_changes(
        self, rotation: Rotation, code: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            tried = rotation.fail(status(code, "OAuth token has been revoked"))
        assert tried.attempt.token_refused
        assert tried.attempt.other_tokens
        assert "revoked" in caplog.text
        assert A not in caplog.text
        rotation.now += 1000 * HOUR
        assert {rotation.used() for _ in range(2)} == {B}
        rotation.configure(A, B)
        assert {rotation.used() for _ in range(2)} == {A, B}

    @pytest.mark.parametrize(
        "outcome",
        [status(529), status(500), status(400, "no"), status(404, "model: x"), DROPPED, failure("timeout", 504)],
        ids=lambda outcome: f"{outcome.kind} {outcome.error.status}",
    )
    def test_of_another_kind_is_not_the_token_s(self, rotation: Rotation, outcome: Outcome) -> None:
        tried = rotation.fail(outcome)
        assert not tried.attempt.other_tokens
        assert not tried.exchange.refused_tokens
        assert {rotation.used() for _ in range(2)} == {A, B}

    def test_of_the_client_s_own_token_is_none_of_ours(self, rotation: Rotation) -> None:
        made = rotation.request()
        made.token_mode = "passthrough"
        made.own = ClientCredential(authorization="Bearer own")
        tried = rotation.refuse(rotation.attempt(made), status(429, retry_after="60"))
        assert not tried.attempt.other_tokens
        assert {rotation.used() for _ in range(2)} == {A, B}


class TestNobodyLeft:
    def limit(self, rotation: Rotation, *seconds: int) -> None:
        made = rotation.request()
        for wait in seconds:
            rotation.refuse(rotation.attempt(made), status(429, retry_after=str(wait)))

    def test_says_when_the_first_is_back(self, rotation: Rotation) -> None:
        self.limit(rotation, 900, 60)
        attempt = rotation.attempt(rotation.request()).attempt
        assert attempt.token is None
        assert attempt.pool_back_in == 60
        assert attempt.skip
        assert attempt.skip.status == 429
        assert attempt.skip.message == "all 2 Claude tokens are rate limited; the first is back in 60 s"

    def test_a_request_that_has_used_them_all_knows_it_too(self, rotation: Rotation) -> None:
        made = rotation.request()
        rotation.refuse(rotation.attempt(made), status(429, retry_after="900"))
        last = rotation.refuse(rotation.attempt(made), status(429, retry_after="60")).attempt
        assert not last.other_tokens
        assert last.pool_back_in == 60

    def test_the_last_resort_is_the_one_that_is_back_first(self, rotation: Rotation) -> None:
        self.limit(rotation, 900, 60)
        made = replace(rotation.request("s"), last_resort=True)
        tried = rotation.attempt(made)
        assert tried.attempt.token
        assert tried.attempt.token.value == B
        rotation.refuse(tried, status(429, retry_after="30"))
        assert tried.attempt.pool_back_in == 60, "a bench is never shortened"

    def test_when_all_are_refused_no_waiting_helps(self, rotation: Rotation) -> None:
        made = rotation.request()
        for _ in range(2):
            rotation.refuse(rotation.attempt(made), status(401, "OAuth token has expired"))
        attempt = rotation.attempt(replace(rotation.request(), last_resort=True)).attempt
        assert attempt.pool_back_in is None
        assert attempt.skip
        assert attempt.skip.status == 401
        assert "renew CLAUDE_OAUTH_TOKENS" in attempt.skip.message


def test_benches_are_there_in_the_next_process(rotation: Rotation, store: Store) -> None:
    rotation.fail(status(429, retry_after="3600"))
    store.flush()
    following = Rotation(store, A, B)
    assert {following.used() for _ in range(2)} == {B}
