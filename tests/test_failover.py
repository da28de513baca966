"""The whole policy of failover as a table: what happened at each attempt, and what is asked next."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from mitmproxy import http

from addons.failover import Failover, follow, next_move
from addons.state.attempt import Outcome, Verdict
from addons.state.exchange import exchange_of
from addons.state.pool import Account
from addons.wire.errors import ProviderError
from tests.exchanges import DROPPED, answered, exchange, failed, failure, status, target, targets, trying

NOW = 1_790_000_000.0
A, B = (Account(f"sk-ant-oat01-{letter * 20}", number, number, 2) for number, letter in enumerate("ab", 1))

TIMEOUT = failure("timeout", 504)
REFUSED = failure("connect")

NO_ANSWER = failure("invalid")
ERROR_FIRST = failure("error event", 529)
ASKED_NOT_TO = status(529, x_should_retry="false")
OVERFLOW = status(400, "prompt is too long: 210000 tokens > 200000 maximum")
NO_MODEL = status(404, "model: m")
NO_FIELD = status(400, "context_management: Extra inputs are not permitted")
BAD_SIGNATURE = status(400, "messages.1.content.0: Invalid `signature` in `thinking` block")
NO_CREDIT = status(400, "Your credit balance is too low to access the Anthropic API")


@dataclass
class Fail:
    """How an attempt fails, with what the token pool has to say about it."""

    outcome: Outcome
    token: Account | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    reused: bool = False


NUMBERS = count(1)
"""Of requests."""

AS_IT_CAME = b'{"error": {"message": "as it came", "type": "invalid_request_error"}, "type": "error"}'


def of(outcome: Outcome, token: Account | None, **notes: Any) -> Fail:
    """With this token of the pool; the notes are fields of the attempt."""
    return Fail(outcome, token, notes)


LIMITED_A = of(status(429), A, others=True)
LIMITED_B = of(status(429), B)
STALE = Fail(DROPPED, reused=True)
SKIPPED = Fail(failure("skipped", 429), notes={"pooled": True})


def trace(providers: str, *happens: Outcome | Fail, **settings: Any) -> str:
    """What is asked when the attempts fail like this, one after the other (then one succeeds).

    "zai, 0.5 zai, kimi: served" is: zai, after half a second zai again, then kimi, which served.
    """
    made = exchange(*targets(*providers.split()), **settings)
    asked, delay = [], 0.0
    for happening in happens:
        fail = happening if isinstance(happening, Fail) else Fail(happening)
        attempt = made.begin()
        assert attempt.target
        asked.append(f"{delay:g} {attempt.target.provider.name}" if delay else attempt.target.provider.name)
        attempt.choice.account, attempt.reused = fail.token, fail.reused
        for name, value in fail.notes.items():
            setattr(attempt.choice, name, value)
        if fail.token and (attempt.choice.others or fail.outcome.error.status in (401, 403, 429)):
            made.plan.refused.append(fail.token)
        failed(attempt, fail.outcome)
        move = next_move(made, attempt, fail.outcome, NOW)
        if move.cursor is None:
            assert happening is happens[-1], f"gave up early: {asked}, {move.reason}"
            return f"{', '.join(asked)}: {'told' if 'answer' in move.reason else 'gave up'}"
        follow(made.plan, move)
        delay = move.delay
    last = made.plan.targets[made.plan.cursor].provider.name
    return f"{', '.join([*asked, f'{delay:g} {last}' if delay else last])}: served"


def test_one_after_the_other() -> None:
    assert trace("zai") == "zai: served"
    assert trace("zai kimi", status(429)) == "zai, kimi: served"
    assert trace("zai kimi openrouter", status(429), status(429)) == "zai, kimi, openrouter: served"
    assert trace("zai kimi", status(429), status(429)) == "zai, kimi: gave up"


@pytest.mark.parametrize("outcome", [status(code) for code in (408, 409, 425, 429)], ids=lambda o: o.error.status)
def test_statuses_that_move_on_at_once(outcome: Outcome) -> None:
    assert trace("zai kimi", outcome) == "zai, kimi: served"


@pytest.mark.parametrize(
    "outcome",
    [*(status(code) for code in (500, 502, 503, 504, 520, 529)), DROPPED, ERROR_FIRST],
    ids=lambda o: f"{o.kind} {o.error.status}",
)
def test_what_is_given_a_second_chance_first(outcome: Outcome) -> None:
    assert trace("zai kimi", outcome) == "zai, 0.5 zai: served"
    after_two = "zai" if outcome is NO_ANSWER else "kimi"  # a whole answer may be fine where streams are not
    assert trace("zai kimi", outcome, outcome) == f"zai, 0.5 zai, {after_two}: served"
    assert trace("zai kimi", outcome, outcome, retries=0)[:9] == "zai, kimi"
    assert trace("zai kimi", outcome, outcome, retries=2) == "zai, 0.5 zai, 0.5 zai: served"


def test_broken_streams_are_asked_for_without_streaming() -> None:
    """Two were no answer; the whole one may be fine."""
    assert trace("zai kimi", NO_ANSWER, NO_ANSWER) == "zai, 0.5 zai, zai: served"
    assert trace("zai kimi", NO_ANSWER, NO_ANSWER, NO_ANSWER) == "zai, 0.5 zai, zai, kimi: served"
    assert trace("zai kimi", NO_ANSWER, NO_ANSWER, max_attempts=3) == "zai, 0.5 zai, kimi: served"


@pytest.mark.parametrize("code", [400, 403, 404, 413, 422])
def test_answers_are_told(code: int) -> None:
    assert trace("zai kimi", status(code)) == "zai: told"
    assert trace("zai kimi", failure("error event", code)) == "zai: told"
    assert trace("zai kimi", status(529), status(529), status(code)) == "zai, 0.5 zai, kimi: gave up"


def test_a_bad_sample_is_sampled_again_once() -> None:
    for bad in (
        status(400, "Failed to call a function. (tool_use_failed)"),
        Outcome("error event", ProviderError(400, "invalid_request_error", "Failed to call a function.")),
    ):
        assert trace("zai kimi", bad) == "zai, 0.5 zai: served"
        assert trace("zai kimi", bad, bad) == "zai, 0.5 zai, kimi: served"
        assert trace("zai", bad, bad) == "zai, 0.5 zai: gave up"


def test_when_the_second_chance_comes() -> None:
    assert trace("zai kimi", status(503, retry_after="3")) == "zai, 3 zai: served"
    assert trace("zai kimi", status(503, retry_after="5")) == "zai, 5 zai: served"
    assert trace("zai kimi", status(503, retry_after="0.1")) == "zai, 0.5 zai: served"
    assert trace("zai kimi", status(503, retry_after="5.1")) == "zai, kimi: served"
    assert trace("zai kimi", ASKED_NOT_TO) == "zai, kimi: served"
    assert trace("zai kimi", TIMEOUT) == "zai, kimi: served"
    assert trace("zai kimi", REFUSED) == "zai, kimi: served"


def test_with_nowhere_else_to_go() -> None:
    assert trace("zai", REFUSED) == "zai, 0.5 zai: served"
    assert trace("zai", TIMEOUT) == "zai: gave up"
    assert trace("zai", ASKED_NOT_TO) == "zai: gave up"
    assert trace("zai", status(429)) == "zai: gave up"
    assert trace("zai", status(429, retry_after="2")) == "zai, 2 zai: served"
    assert trace("zai", status(429, retry_after="6")) == "zai: gave up"


def test_a_kept_connection_that_had_died_says_nothing() -> None:
    assert trace("zai kimi", STALE) == "zai, zai: served"
    assert trace("zai kimi", STALE, status(500)) == "zai, zai, 0.5 zai: served"


class TestKeys:
    def test_a_key_of_the_gateway_is_no_concern_of_the_client(self) -> None:
        assert trace("zai kimi", status(401)) == "zai, kimi: served"
        assert trace("zai", status(401)) == "zai: gave up"
        assert trace("zai kimi", status(402)) == "zai, kimi: served", "nor is its bill"

    def test_the_client_s_own_token_is(self) -> None:
        assert trace("anthropic zai", status(401)) == "anthropic: told"

    def test_the_next_token_comes_before_the_next_target(self) -> None:
        assert trace("anthropic zai", LIMITED_A) == "anthropic, anthropic: served"
        assert trace("anthropic zai", LIMITED_A, LIMITED_B) == "anthropic, anthropic, zai: served"

    def test_a_refused_token_too(self) -> None:
        refused = {"refused": True}
        assert trace("anthropic zai", of(status(401), A, others=True, **refused)) == "anthropic, anthropic: served"
        assert trace("anthropic zai", of(status(403), B, **refused)) == "anthropic, zai: served"

    @pytest.mark.parametrize("outcome", [NO_CREDIT, status(402), status(403, "out of credits")])
    def test_a_credit_refusal_goes_on(self, outcome: Outcome) -> None:
        assert trace("anthropic zai", of(outcome, A, others=True)) == "anthropic, anthropic: served"
        assert trace("anthropic zai", of(outcome, B)) == "anthropic, zai: served"

    def test_a_passing_429_is_asked_again(self) -> None:
        passing = of(status(429, x_should_retry="true"), A, is_passing=True)
        assert trace("anthropic zai", passing) == "anthropic, 0.5 anthropic: served"
        assert trace("anthropic zai", passing, passing) == "anthropic, 0.5 anthropic, zai: served"

    def test_a_server_error_is_asked_again_once_whatever_the_token(self) -> None:
        """Without a session the next try is made with the next token."""
        assert trace("anthropic zai", of(status(529), A), of(status(529), B)) == "anthropic, 0.5 anthropic, zai: served"

    def test_a_rotation_is_no_second_chance(self) -> None:
        assert trace("anthropic zai", LIMITED_A, of(status(529), B)) == "anthropic, anthropic, 0.5 anthropic: served"


class TestTheLastResort:
    def test_the_token_that_comes_back_soonest(self) -> None:
        assert trace("anthropic", SKIPPED) == "anthropic, anthropic: served"
        assert trace("anthropic zai", SKIPPED, status(429)) == "anthropic, zai, anthropic: served"

    def test_is_the_last(self) -> None:
        assert trace("anthropic", SKIPPED, LIMITED_B) == "anthropic, anthropic: gave up"
        assert trace("anthropic", SKIPPED, SKIPPED) == "anthropic, anthropic: gave up"
        assert trace("anthropic zai", SKIPPED, status(429), LIMITED_B) == "anthropic, zai, anthropic: gave up"

    def test_also_when_the_fallback_was_none(self) -> None:
        assert trace("anthropic zai", SKIPPED, status(400)) == "anthropic, zai, anthropic: served"


class TestThinking:
    def test_once_more_without_any(self) -> None:
        assert trace("anthropic zai", BAD_SIGNATURE) == "anthropic, anthropic: served"
        assert trace("anthropic zai", BAD_SIGNATURE, BAD_SIGNATURE) == "anthropic, anthropic: told"

    def test_only_for_anthropic(self) -> None:
        assert trace("zai kimi", BAD_SIGNATURE) == "zai: told"

    def test_then_as_ever(self) -> None:
        """The request is another one now, so a server error is its first."""
        assert trace("anthropic zai", BAD_SIGNATURE, status(529)) == "anthropic, anthropic, 0.5 anthropic: served"


class TestWhatAFallbackSays:
    @pytest.mark.parametrize(
        "outcome",
        [
            NO_MODEL,
            NO_FIELD,
            OVERFLOW,
            status(401),
            status(402),
            status(403),
            status(400, "API parameter error (1210)"),
        ],
        ids=["model", "field", "overflow", "key", "balance", "permission", "anything"],
    )
    def test_is_no_answer(self, outcome: Outcome) -> None:
        assert trace("zai kimi openrouter", status(429), outcome) == "zai, kimi, openrouter: served"
        assert trace("zai kimi", status(429), outcome) == "zai, kimi: gave up"

    def test_also_when_the_fallback_is_asked_first(self) -> None:
        """The route has been failing, so it is asked last."""
        made = exchange(target("kimi", fallback=True), target("zai"))
        attempt = failed(made.begin(), NO_MODEL)
        assert next_move(made, attempt, NO_MODEL, NOW).cursor == 1
        made.plan.cursor = 1
        attempt = failed(made.begin(), NO_MODEL)
        assert next_move(made, attempt, NO_MODEL, NOW).reason == "an answer, not an outage"

    def test_an_overflow_of_the_asked_target_is_an_answer(self) -> None:
        assert trace("zai kimi", OVERFLOW) == "zai: told"
        assert trace("zai kimi", status(500, "maximum context length is 131072 tokens")) == "zai: told"


class TestMaxAttempts:
    def test_is_the_end(self) -> None:
        assert trace("zai", *[status(500)] * 3, retries=9, max_attempts=3) == "zai, 0.5 zai, 0.5 zai: gave up"
        assert trace("zai kimi", status(429), max_attempts=1) == "zai: gave up"
        assert trace("anthropic", BAD_SIGNATURE, max_attempts=1) == "anthropic: told"

    def test_leaves_every_target_its_turn(self) -> None:
        bad = status(500)
        assert trace("zai kimi openrouter", bad, bad, bad, max_attempts=3) == "zai, kimi, openrouter: gave up"
        assert trace("zai kimi openrouter", *[bad] * 4, max_attempts=4) == "zai, 0.5 zai, kimi, openrouter: gave up"
        assert trace("anthropic zai", LIMITED_A, max_attempts=2) == "anthropic, zai: served"

    def test_does_not_count_what_nobody_was_sent(self) -> None:
        assert trace("anthropic zai", SKIPPED, max_attempts=1) == "anthropic, zai: served"


def test_a_request_that_is_not_routed_is_tried_once() -> None:
    made = exchange()
    attempt = failed(made.begin(), DROPPED)
    assert next_move(made, attempt, DROPPED, NOW).cursor is None


class TestTheAddon:
    """What the verdict does to the flow, and what is remembered of a failure."""

    def fail(
        self, outcome: Outcome, *names: str, addon: Failover | None = None, address: str = "", **notes: Any
    ) -> http.HTTPFlow:
        """The flow after its first attempt has failed; each is another client's unless an address is given."""
        tried = trying(exchange(*targets(*names)))
        tried.exchange.request_id = f"req_{next(NUMBERS)}"
        tried.exchange.client.address = address or tried.exchange.request_id
        for name, value in notes.items():
            setattr(tried.attempt if name == "reused" else tried.attempt.choice, name, value)
        failed(tried.attempt, outcome)
        tried.flow.response = http.Response.make(outcome.error.status, AS_IT_CAME, dict(outcome.headers))
        (addon or Failover(lambda: NOW)).verdict(tried)
        return tried.flow

    def told(self, outcome: Outcome, name: str = "zai", **notes: Any) -> http.Response:
        response = self.fail(outcome, name, **notes).response
        assert response
        return response

    def order(self, addon: Failover, session: str | None = None, address: str = "") -> list[str]:
        """In which order a request that comes now asks zai and its fallback."""
        tried = trying(exchange(*targets("zai", "kimi")))
        tried.exchange.client.session, tried.flow.response = session, None
        tried.exchange.client.address = address
        addon.request(tried.flow)
        return [target.provider.name for target in tried.exchange.plan.targets]

    def test_goes_on(self) -> None:
        made = exchange_of(self.fail(status(529), "zai", "kimi"))
        assert made
        assert made.verdict
        assert (made.verdict.again, made.verdict.delay, made.plan.cursor) == (True, 0.5, 0)
        assert made.trail[-1].what == "529 (so it says) after 0.0 s: the same target again in 0.5 s"

    def test_takes_a_verdict_that_another_addon_has_given(self) -> None:
        tried = trying(exchange(*targets("zai", "kimi")))
        failed(tried.attempt, status(429))
        tried.exchange.attempts[-1].verdict = given = Verdict(False, "counted")
        Failover(lambda: NOW).verdict(tried)
        assert tried.exchange.verdict is given
        assert tried.exchange.plan.cursor == 0

    def test_says_who_failed_in_the_provider_s_words(self) -> None:
        response = self.told(status(400, "no such tool"))
        assert response.status_code == 400
        assert response.json()["error"] == {"type": "invalid_request_error", "message": "zai: no such tool"}
        assert response.json()["request_id"].startswith("req_")
        assert response.headers["x-gateway-provider"] == "zai"
        assert response.headers["x-gateway-model"] == "m"
        assert response.headers["x-gateway-attempts"] == "1"

    def test_passes_anthropic_s_errors_unmodified(self) -> None:
        response = self.told(status(400, "whatever"), "anthropic")
        assert response.content == AS_IT_CAME

    def test_rewords_an_overflow(self) -> None:
        response = self.told(status(400, "maximum context length is 131072 tokens, however you requested 140000"))
        assert response.json()["error"]["message"].startswith("prompt is too long: 140000 tokens > 131072 maximum")

    def test_what_has_no_status_gets_one(self) -> None:
        assert self.told(REFUSED).status_code == 502
        assert self.told(TIMEOUT).status_code == 504
        assert self.told(status(302, "elsewhere")).status_code == 502

    def test_tells_when_to_come_back(self) -> None:
        response = self.told(status(429, retry_after="30", x_should_retry="true", set_cookie="a=b"))
        assert response.headers["retry-after"] == "30"
        assert response.headers["x-should-retry"] == "true"
        assert "set-cookie" not in response.headers

    def test_tells_when_the_first_token_of_the_pool_is_back(self) -> None:
        limited = status(429, retry_after="9000")
        assert self.told(limited, "anthropic", account=A, back_in=12.6).headers["retry-after"] == "13"
        assert self.told(limited, "anthropic", account=A, back_in=0.2).headers["retry-after"] == "1"

    def test_asking_again_with_a_key_that_is_refused_is_no_use(self) -> None:
        assert self.told(status(401)).headers["x-should-retry"] == "false"
        refused = ProviderError(403, "permission_error", "anthropic refuses the gateway's token")
        response = self.told(status(401), "anthropic", account=A, refused=True, error=refused)
        assert (response.status_code, response.headers["x-should-retry"]) == (403, "false")
        assert response.json()["error"]["message"] == refused.message
        assert "x-should-retry" not in self.told(status(401), "anthropic").headers, "the client's own: it may log in"

    @pytest.mark.parametrize("name", ["anthropic-ratelimit-unified-status", "anthropic-organization-id", "Set-Cookie"])
    def test_what_tells_of_a_pool_account_stays_here(self, name: str) -> None:
        outcome = status(400, **{name: "x", "request-id": "r"})
        assert name not in self.told(outcome, "anthropic", account=A).headers
        assert self.told(outcome, "anthropic", account=A).headers["request-id"] == "r"
        assert (name in self.told(outcome, "anthropic").headers) == name.startswith("anthropic-")

    def test_a_client_without_sessions_counts_once_however_often_it_asks_again(self) -> None:
        addon = Failover(lambda: NOW)
        for kind in ("timeout", "timeout", "timeout", "dropped"):
            self.fail(failure(kind), "zai", addon=addon, address="10.0.0.7")
        assert self.order(addon, address="10.0.0.7") == ["kimi", "zai"], "it has waited long enough"
        assert self.order(addon, address="10.0.0.8") == ["zai", "kimi"]
        for other in ("10.0.0.8", "10.0.0.9"):
            self.fail(status(500), "zai", addon=addon, address=other)
        assert self.order(addon, address="10.0.0.10") == ["kimi", "zai"]

    def test_what_was_done_in_its_place_counts_by_its_own_requests(self) -> None:
        addon = Failover(lambda: NOW)
        for number in range(3):
            tried = trying(exchange(*targets("zai", "kimi")))
            tried.exchange.client.session = f"s{number}"
            tried.attempt.instead = (_ for _ in ())  # type: ignore[assignment]
            failed(tried.attempt, status(503))
            addon.verdict(tried)
        assert self.order(addon) == ["zai", "kimi"]

    def test_a_timeout_is_not_waited_for_again_by_the_same_session(self) -> None:
        addon = Failover(lambda: NOW)
        tried = trying(exchange(*targets("zai", "kimi")))
        tried.exchange.client.session = "slow"
        failed(tried.attempt, TIMEOUT)
        addon.verdict(tried)
        assert self.order(addon) == ["zai", "kimi"]
        assert self.order(addon, "slow") == ["kimi", "zai"]

    def test_the_trail_says_why_a_target_is_asked_last(self) -> None:
        addon = Failover(lambda: NOW)
        for _ in range(3):
            self.fail(status(503, "down for a walk"), "zai", addon=addon)
        tried = trying(exchange(*targets("zai", "kimi")))
        tried.flow.response = None
        addon.request(tried.flow)
        line = tried.exchange.trail[-1].what
        assert re.fullmatch(r"zai/m is asked last until \d\d:\d\d:\d\d: 503 \(down for a walk\)", line)

    @pytest.mark.parametrize("outcome", [status(500), DROPPED, REFUSED, NO_ANSWER])
    def test_a_provider_that_keeps_failing_is_asked_last(self, outcome: Outcome) -> None:
        addon = Failover(lambda: NOW)
        for _ in range(3):
            assert self.order(addon) == ["zai", "kimi"]
            self.fail(outcome, "zai", addon=addon)
        assert self.order(addon) == ["kimi", "zai"]

    @pytest.mark.parametrize("outcome", [status(400), status(404), status(401), SKIPPED.outcome])
    def test_an_answer_is_no_failure_of_the_provider(self, outcome: Outcome) -> None:
        addon = Failover(lambda: NOW)
        for _ in range(5):
            self.fail(outcome, "zai", addon=addon)
        assert self.order(addon) == ["zai", "kimi"]

    def test_an_answer_shows_that_the_provider_is_there(self) -> None:
        addon = Failover(lambda: NOW)
        for outcome in (status(500), status(500), status(400), status(500), status(500)):
            self.fail(outcome, "zai", addon=addon)
        assert self.order(addon) == ["zai", "kimi"]

    def test_counting_tokens_says_nothing_about_messages(self) -> None:
        addon = Failover(lambda: NOW)

        def counted(outcome: Outcome | None) -> None:
            tried = trying(exchange(*targets("zai", "kimi")))
            tried.exchange.kind = "count_tokens"
            addon.request(tried.flow)
            if outcome:
                addon.verdict(tried._replace(attempt=failed(tried.attempt, outcome)))
            else:
                answered(tried.exchange)
                addon.response(tried.flow)

        for outcome in (status(500), DROPPED, status(429, retry_after="60"), status(500)):
            counted(outcome)
        assert self.order(addon) == ["zai", "kimi"], "24 of them come at once"
        for _ in range(3):
            self.fail(status(500), "zai", addon=addon)
        counted(None)
        assert self.order(addon) == ["kimi", "zai"], "it may work while nothing else does"

    def test_counting_tokens_is_no_probe(self) -> None:
        addon, now = Failover(lambda: NOW), 100.0
        made = exchange(*targets("zai", "kimi"), clock=lambda: now)
        tried = trying(made)
        tried.flow.response = None
        for number in range(3):
            made.request_id = f"failed {number}"
            addon.remember(made, failed(tried.attempt, status(500)), status(500))
        now += 60
        made.kind = "count_tokens"
        addon.request(tried.flow)
        made.kind = "messages"
        addon.request(tried.flow)
        assert [target.provider.name for target in made.plan.targets] == ["zai", "kimi"]

    def test_nor_is_a_kept_connection_that_had_died(self) -> None:
        addon = Failover(lambda: NOW)
        for _ in range(5):
            self.fail(DROPPED, "zai", addon=addon, reused=True)
        assert self.order(addon) == ["zai", "kimi"]

    def test_the_client_is_told_what_the_asked_target_said(self) -> None:
        """Whatever the fallback says."""
        made = exchange(*targets("anthropic", "zai"))
        for outcome in (status(529, "Overloaded"), status(529, "Overloaded"), status(401, "token expired")):
            tried = trying(made)
            failed(tried.attempt, outcome)
            tried.flow.response = http.Response.make(outcome.error.status, AS_IT_CAME)
            Failover(lambda: NOW).verdict(tried)
        response = tried.flow.response
        assert response
        assert (response.status_code, response.json()["error"]["message"]) == (529, "Overloaded")
        assert response.headers["x-gateway-provider"] == "anthropic"
        assert "x-should-retry" not in response.headers
        assert "token expired" in made.trail[-1].what, "the trail has it all"

    def test_the_limit_of_a_provider_without_keys_is_respected(self) -> None:
        addon = Failover(lambda: NOW)
        self.fail(status(429, retry_after="30"), "zai", addon=addon)
        assert self.order(addon) == ["kimi", "zai"]

    def test_the_limit_of_a_client_s_own_token_is_not_everybody_s(self) -> None:
        addon = Failover(lambda: NOW)
        self.fail(status(429, retry_after="30"), "anthropic", "zai", addon=addon)
        tried = trying(exchange(*targets("anthropic", "zai")))
        tried.flow.response = None
        addon.request(tried.flow)
        assert tried.exchange.plan.targets[0].provider.name == "anthropic"

    def test_nobody_rests_longer_than_a_day(self) -> None:
        addon, now = Failover(lambda: NOW), 100.0
        made = exchange(*targets("zai", "kimi"), clock=lambda: now)
        addon.remember(made, failed(made.begin(), status(429)), status(429, retry_after="999999"))
        now += 86_400
        assert not addon.breakers.avoided(made.plan.targets[0], "s", now)


def test_after_two_streams_that_cannot_be_read_a_whole_answer_is_asked_for() -> None:
    invalid = failure("invalid")
    made = exchange(*targets("zai", "kimi"))
    assert next_move(made, failed(made.begin(), invalid), invalid, NOW).whole is False
    move = next_move(made, failed(made.begin(), invalid), invalid, NOW)
    assert (move.cursor, move.whole) == (0, True)
    made.plan.whole = True
    attempt = made.begin()
    assert attempt.whole
    move = next_move(made, failed(attempt, invalid), invalid, NOW)
    assert (move.cursor, move.whole) == (1, False)


def test_two_failures_of_another_kind_change_nothing() -> None:
    made = exchange(*targets("zai", "kimi"))
    failed(made.begin(), DROPPED)
    assert next_move(made, failed(made.begin(), DROPPED), DROPPED, NOW).cursor == 1
