"""Limits where other gateways serve the same team (addons/limits.py, addons/team/shared_limits.py,
addons/team/estimates.py): what is asked and told, and what is done without an answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec
import pytest
from mitmproxy.test import taddons

from addons.config.config import Price
from addons.config.routing import AlertSettings, Budget
from addons.limits import WAIT, Limits
from addons.state.exchange import Trying
from addons.state.shared import (
    ANSWERED_WITHIN,
    Admit,
    Admitted,
    Forgotten,
    Holding,
    Known,
    Left,
    Settled,
    StillHere,
    Totals,
)
from addons.state.users import User
from addons.team.alerts import Alerts
from addons.team.shared_limits import span
from addons.team.windows import windows_at
from tests.exchanges import target
from tests.linked import Script
from tests.test_limits import ALICE, NOW, Gate, dear

DAY, WEEK, MONTH = (span(window) for window in windows_at(NOW, None))
BOB = User("bob", "b", budget=Budget(day=1), rpm=3, sessions=2)
FREE = replace(target("kimi"), price=Price(input=0, output=0, cache_read=0, cache_write=0))


class SharedGate(Gate):
    """The addon, with others to ask."""

    def __init__(self) -> None:
        super().__init__()
        self.others = Script()
        self.others.shared.source = "ledger"
        self.addon = Limits(self.settings, clock=lambda: NOW, shared=self.others.shared)

    def first(self, tried: Trying) -> Trying:
        """The first attempt of a request."""
        self.addon.attempt(tried)
        return tried

    def over(self, tried: Trying) -> Trying:
        """The same attempt, made anew."""
        tried.exchange.postpone()
        return self.again(tried)


@pytest.fixture
def gate() -> Iterator[SharedGate]:
    with taddons.context():  # in which nobody is connected
        yield SharedGate()


def test_who_has_no_limits_is_not_asked_about(gate: SharedGate) -> None:
    tried = gate.first(gate.request(User("carol", "c")))
    assert not gate.others.asked and not tried.attempt.postponed
    gate.end(tried)
    assert [type(told) for told in gate.others.told] == [Settled], "but counted"


def test_all_limits_are_one_question_and_the_attempt_waits_for_the_answer(gate: SharedGate) -> None:
    tried = gate.request(BOB)
    (asked,) = gate.others.asked
    assert asked.question == Admit("bob", 3, "s1", 2, ((DAY, 1.0),), 0.5, 0.0) and asked.wake
    assert gate.first(tried).attempt.postponed == ANSWERED_WITHIN
    assert gate.over(tried).attempt.postponed == ANSWERED_WITHIN
    asked.settle(Admitted(seated=True, spent=(0.25,)))
    made = gate.over(tried)
    assert not made.attempt.postponed and made.attempt.outcome is None
    assert tried.exchange.told, "the client is told how much is used"
    budgets = gate.addon.budgets
    assert budgets.purse("bob").reserved == 0.5
    assert budgets.spent("bob", windows_at(NOW, None)[0]) == 0.25
    gate.end(tried)
    assert gate.others.take() == [
        Left("bob", "s1"),
        Settled("bob", 0.5, 0.6, (DAY, WEEK, MONTH), "ledger"),
    ]
    assert budgets.purse("bob").reserved == 0.0 and len(gate.others.asked) == 1


def test_a_second_attempt_asks_only_for_another_target(gate: SharedGate) -> None:
    tried = gate.request(ALICE, dear("zai"), dear("kimi"))
    gate.others.answer(Admitted(spent=(0.0,)))
    gate.first(tried)
    assert not gate.again(tried).attempt.postponed, "the same target with another account"
    tried.exchange.plan.cursor = 1
    assert gate.again(tried).attempt.postponed == 0.0, "it costs no more"
    assert len(gate.others.asked) == 1
    dearer = replace(dear("kimi"), price=Price(input=1500, output=1500, cache_read=0, cache_write=0))
    tried.exchange.plan.targets[1] = dearer
    assert gate.again(tried).attempt.postponed == ANSWERED_WITHIN
    question = gate.others.asked[-1].question
    assert isinstance(question, Admit) and (question.reserve, question.before) == (0.75, 0.5) and question.rpm is None
    gate.others.answer(Admitted(over="day", spent=(0.5,)))
    outcome = gate.over(tried).attempt.outcome
    assert outcome and outcome.error.type == "billing_error"
    assert gate.reserved == 0.5, "of the first attempt"


def test_too_fast_for_all_is_refused_in_the_same_words(gate: SharedGate) -> None:
    tried = gate.request(BOB)
    gate.others.answer(Admitted(wait=12.0))
    gate.first(tried)
    response = tried.flow.response
    assert response and response.status_code == 429 and response.headers["retry-after"] == "12"
    assert "bob may make 3 requests a minute" in (response.text or "") and tried.exchange.kind == "local"
    gate.addon.response(tried.flow)
    assert gate.others.take() == []


def test_over_a_budget_of_all_is_refused_with_what_all_have_spent(gate: SharedGate) -> None:
    tried = gate.request(BOB)
    gate.others.answer(Admitted(seated=True, over="day", spent=(0.9,)))
    gate.first(tried)
    response = tried.flow.response
    assert response and response.status_code == 429
    assert "bob has used $0.90 of the $1.00 for today (the rest is reserved" in (response.text or "")
    assert gate.others.take() == [Left("bob", "s1")]
    gate.addon.response(tried.flow)
    assert gate.others.take() == [] and not gate.addon.sessions.seats["bob"]["s1"].running


def test_over_a_budget_what_costs_nothing_is_left(gate: SharedGate) -> None:
    tried = gate.request(ALICE, dear("zai"), FREE)
    gate.others.answer(Admitted(over="day", spent=(1.0,)))
    assert gate.first(tried).attempt.postponed
    assert tried.exchange.plan.targets == [FREE]
    made = gate.over(tried)
    assert not made.attempt.postponed and made.attempt.outcome is None


def test_a_new_session_waits_for_its_place_and_asks_again(gate: SharedGate) -> None:
    tried = gate.request(BOB)
    gate.others.answer(Admitted(soonest=200.0))
    assert gate.first(tried).attempt.postponed == 0.5
    assert gate.over(tried).attempt.postponed == ANSWERED_WITHIN
    question = gate.others.asked[-1].question
    assert isinstance(question, Admit) and question.rpm is None and question.sessions == 2
    gate.clock.now += WAIT + 1
    gate.others.answer(Admitted(soonest=140.0))
    outcome = gate.over(tried).attempt.outcome
    assert outcome and outcome.headers["retry-after"] == "140"


def test_without_an_answer_limits_are_its_own(gate: SharedGate) -> None:
    for number in range(4):
        gate.others.is_up = True
        tried = gate.request(msgspec.structs.replace(BOB, budget=Budget(day=100), sessions=1))
        assert gate.first(tried).attempt.postponed
        gate.others.answer(None)
        made = gate.over(tried)
        assert not made.attempt.postponed
        assert bool(tried.flow.response) is (number == 3), "three a minute"
    assert gate.addon.sessions.seats["bob"]["s1"].running == 3
    other = gate.first(gate.request(msgspec.structs.replace(BOB, rpm=None, budget=Budget()), session="s2"))
    assert other.attempt.postponed == 0.0 and other.exchange.allowance and other.exchange.allowance.seated


def test_who_hangs_up_while_others_are_asked_keeps_nothing(gate: SharedGate) -> None:
    tried = gate.first(gate.request(BOB))
    gate.addon.error(tried.flow)
    gate.others.take()
    gate.others.asked[-1].settle(Admitted(seated=True, spent=(0.0,)))
    assert gate.others.take() == [Left("bob", "s1"), Settled("bob", 0.5, 0.0, (), "")]
    assert gate.addon.budgets.purse("bob").reserved == 0.0


def test_an_alert_goes_by_what_all_have_spent(gate: SharedGate) -> None:
    told = []

    class Heard(Alerts):
        def spent(self, settings, user, before, dollars, windows):
            told.append((before["day"], dollars))

    gate.addon.alerts = Heard()
    config = replace(gate.settings.current, alerts=AlertSettings(webhook="https://x.test/", at=(0.5,)))
    gate.settings.current = config
    tried = gate.request()
    tried.exchange.config = config
    gate.others.answer(Admitted(spent=(0.0,)))
    gate.first(tried)
    gate.end(tried)
    settled = gate.others.asked[-1]
    assert isinstance(settled.question, Settled) and told == []
    settled.settle([1.5, 1.5, 1.5])
    assert told == [(pytest.approx(0.9), pytest.approx(0.6))]


def test_what_runs_is_told_to_those_who_are_reached(gate: SharedGate) -> None:
    tried = gate.request(BOB)
    gate.others.answer(Admitted(seated=True, spent=(0.0,)))
    gate.first(tried)
    gate.others.take()
    gate.others.shared.joined()
    assert gate.others.take() == [Holding("bob", 0.5), StillHere("bob", ("s1",))]


def test_what_the_ledger_knows_is_told_and_what_others_know_is_learned(gate: SharedGate) -> None:
    windows = windows_at(NOW, None)
    gate.addon.others.tell_spent({"day": {"alice": 0.25}, "week": {}}, windows)
    assert gate.others.take() == [Known("ledger", DAY, {"alice": 0.25})]
    gate.addon.others.ask_for_totals(windows)
    assert gate.others.asked[-1].question == Totals((DAY, WEEK, MONTH))
    gate.others.answer([{"alice": 0.75}, {"alice": 0.75}, {}])
    assert gate.spent == 0.75
    gate.addon.others.learn(gate.others.asked[-1], windows)
    assert gate.spent == 0.75


def test_nothing_is_known_of_a_user_who_was_deleted(gate: SharedGate) -> None:
    gate.addon.forget("alice")
    assert gate.others.take() == [Forgotten("alice", (DAY, WEEK, MONTH))]
