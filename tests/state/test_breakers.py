"""Who is asked last, for how long, and who finds out whether a provider is back."""

from __future__ import annotations

import pytest

from addons.config.config import Target
from addons.state.breakers import MOST_SESSIONS, MOST_TARGETS, THRESHOLD, Avoided, Breakers
from tests.exchanges import target

COOLDOWN = 60.0
ZAI, KIMI, OPENROUTER = (target(name) for name in ("zai", "kimi", "openrouter"))


class Watch(Breakers):
    """Breakers with a clock that a test moves."""

    now = 1000.0

    requests = 0

    def fail(self, target: Target, times: int = THRESHOLD, *, session: str = "", kind: str = "status") -> None:
        """Requests fail there: all of one session, or each of another."""
        for _ in range(times):
            self.requests += 1
            request = f"request {self.requests}"
            self.failed(target, session or request, request, self.now, COOLDOWN, kind=kind, why="503")

    def asked(self, *targets: Target, session: str = "another") -> list[str]:
        """The order in which a request that comes now asks them."""
        ordered = self.order(list(targets), session, self.now)
        self.ask(ordered[0], session, self.now, COOLDOWN)
        return [target.provider.name for target in ordered]


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_the_order_is_the_configuration_s_while_all_is_well(watch: Watch) -> None:
    assert watch.asked(ZAI, KIMI, OPENROUTER) == ["zai", "kimi", "openrouter"]
    watch.fail(ZAI, THRESHOLD - 1)
    assert watch.asked(ZAI, KIMI) == ["zai", "kimi"]


def test_who_failed_often_enough_in_a_row_is_asked_last(watch: Watch) -> None:
    watch.fail(ZAI)
    assert watch.asked(ZAI, KIMI, OPENROUTER) == ["kimi", "openrouter", "zai"]
    assert watch.asked(ZAI) == ["zai"], "a single one is asked always"


def test_a_timeout_is_enough_for_the_session_that_had_it(watch: Watch) -> None:
    watch.fail(ZAI, 1, session="slow", kind="timeout")
    assert watch.asked(ZAI, KIMI, session="slow") == ["kimi", "zai"]
    assert watch.asked(ZAI, KIMI) == ["zai", "kimi"], "one slow request says nothing about the others'"
    watch.now += COOLDOWN
    assert watch.asked(ZAI, KIMI, session="slow") == ["zai", "kimi"], "the probe"
    watch.fail(ZAI, 1, session="slow")
    assert watch.asked(ZAI, KIMI, session="slow") == ["kimi", "zai"], "the outage is not over"


def test_a_session_counts_once(watch: Watch) -> None:
    watch.fail(ZAI, 9, session="cursed")
    assert watch.asked(ZAI, KIMI) == ["zai", "kimi"]
    assert watch.asked(ZAI, KIMI, session="cursed") == ["kimi", "zai"], "but not again and again for itself"
    watch.fail(ZAI, THRESHOLD - 1)
    assert watch.asked(ZAI, KIMI) == ["kimi", "zai"]


def test_a_request_counts_once(watch: Watch) -> None:
    for _ in range(9):
        watch.failed(ZAI, "s", "the same request", watch.now, COOLDOWN, kind="status")
    assert watch.asked(ZAI, KIMI, session="s") == ["zai", "kimi"]


def test_it_says_why_and_until_when(watch: Watch) -> None:
    watch.fail(ZAI)
    watch.limit(KIMI, watch.now + 5)
    assert watch.view(watch.now) == [
        Avoided("zai", "m", "503", watch.now + COOLDOWN),
        Avoided("kimi", "m", "it is over its limit", watch.now + 5),
    ]
    watch.now += COOLDOWN
    assert watch.asked(ZAI, KIMI) == ["zai", "kimi"]
    found = watch.avoided(ZAI, "another", watch.now)
    assert found
    assert found.why == "one request is finding out whether it is back"
    assert watch.asked(ZAI, KIMI) == ["kimi", "zai"]


def test_what_only_some_sessions_avoid_is_shown_as_that(watch: Watch) -> None:
    watch.fail(ZAI, 1, session="once")
    assert watch.view(watch.now) == []
    watch.fail(ZAI, session="cursed")
    assert watch.view(watch.now) == [Avoided("zai", "m", "503", watch.now + COOLDOWN, sessions=1)]
    watch.fail(ZAI, 1)
    assert watch.view(watch.now) == [Avoided("zai", "m", "503", watch.now + COOLDOWN)]


def test_what_clients_choose_costs_no_memory(watch: Watch) -> None:
    for number in range(MOST_TARGETS + 50):
        watch.fail(target("zai", model=f"m{number}"), 1)
        watch.limit(target("zai", model=f"m{number}"), watch.now + 5)
    watch.fail(ZAI, MOST_SESSIONS + 50)
    assert len(watch._health) == len(watch._limits) == MOST_TARGETS
    assert len(watch._health["zai", "m"].sessions) == MOST_SESSIONS


def test_a_success_in_between_starts_the_count_again(watch: Watch) -> None:
    watch.fail(ZAI, THRESHOLD - 1)
    watch.succeeded(ZAI)
    watch.fail(ZAI, THRESHOLD - 1)
    assert watch.asked(ZAI, KIMI) == ["zai", "kimi"]


def test_another_model_of_the_provider_may_be_fine(watch: Watch) -> None:
    watch.fail(ZAI)
    assert watch.asked(target("zai", model="other"), KIMI) == ["zai", "kimi"]


def test_a_provider_that_nobody_can_connect_to_is_down_with_all_its_models(watch: Watch) -> None:
    watch.fail(ZAI, kind="connect")
    assert watch.asked(target("zai", model="other"), KIMI) == ["kimi", "zai"]
    watch.succeeded(ZAI)
    assert watch.asked(target("zai", model="other"), KIMI) == ["zai", "kimi"]


def test_when_all_are_down_the_order_is_the_configuration_s(watch: Watch) -> None:
    watch.fail(ZAI)
    watch.fail(KIMI)
    assert watch.asked(ZAI, KIMI) == ["zai", "kimi"]
    assert watch.asked(KIMI, OPENROUTER, ZAI) == ["openrouter", "kimi", "zai"]


def test_requests_meanwhile_do_not_put_the_probe_off(watch: Watch) -> None:
    watch.fail(ZAI)
    watch.fail(KIMI)
    watch.now += COOLDOWN / 2
    assert watch.asked(ZAI, KIMI) == ["zai", "kimi"]
    watch.succeeded(KIMI)
    watch.now += COOLDOWN / 2
    assert watch.asked(ZAI, KIMI) == ["zai", "kimi"], "the probe"


def test_one_probe_finds_out_for_all(watch: Watch) -> None:
    watch.fail(ZAI)
    watch.now += COOLDOWN - 0.1
    assert watch.asked(ZAI, KIMI) == ["kimi", "zai"]
    watch.now += 0.1
    assert watch.asked(ZAI, KIMI) == ["zai", "kimi"], "the probe"
    assert watch.asked(ZAI, KIMI) == ["kimi", "zai"]
    watch.now += COOLDOWN / 2
    assert watch.asked(ZAI, KIMI) == ["kimi", "zai"], "until it is over"
    watch.succeeded(ZAI)
    assert watch.asked(ZAI, KIMI) == ["zai", "kimi"]


def test_a_probe_that_fails_costs_one_request_for_each_cooldown(watch: Watch) -> None:
    watch.fail(ZAI)
    for _ in range(3):
        watch.now += COOLDOWN
        assert watch.asked(ZAI, KIMI) == ["zai", "kimi"]
        watch.fail(ZAI, 1)
        assert watch.asked(ZAI, KIMI) == ["kimi", "zai"]


def test_a_probe_that_nobody_hears_of_again_is_not_waited_for_for_ever(watch: Watch) -> None:
    watch.fail(ZAI)
    watch.now += COOLDOWN
    assert watch.asked(ZAI, KIMI) == ["zai", "kimi"]
    watch.now += COOLDOWN
    assert watch.asked(ZAI, KIMI) == ["zai", "kimi"]


def test_a_fallback_that_is_not_asked_is_no_probe(watch: Watch) -> None:
    watch.fail(KIMI)
    watch.now += COOLDOWN
    assert watch.asked(ZAI, KIMI) == ["zai", "kimi"]
    assert watch.asked(KIMI, ZAI) == ["kimi", "zai"], "this one is"


def test_a_model_over_its_limit_is_asked_last_until_then(watch: Watch) -> None:
    watch.limit(ZAI, watch.now + 30)
    assert watch.asked(ZAI, KIMI) == ["kimi", "zai"]
    assert watch.asked(target("zai", model="other"), KIMI) == ["zai", "kimi"], "the limit is this model's"
    watch.now += 30
    assert watch.asked(ZAI, KIMI) == ["zai", "kimi"]
    watch.limit(ZAI, watch.now + 30)
    watch.succeeded(ZAI)
    assert watch.asked(ZAI, KIMI) == ["zai", "kimi"]
