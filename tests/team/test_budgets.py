"""Budgets: what was spent counts in its window, what runs is reserved."""

from __future__ import annotations

import math
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from addons.config.routing import Budget
from addons.team.budgets import Budgets
from addons.team.windows import windows_at

UTC = ZoneInfo("UTC")
NOW = 1_795_867_200.0  # Sat 2026-11-28 12:00
TODAY = windows_at(NOW, UTC)
TOMORROW = windows_at(NOW + 86_400, UTC)


def test_what_was_spent_counts_in_each_window_until_that_is_over() -> None:
    budgets = Budgets()
    budgets.settle("alice", 0, 2.0, TODAY)
    budgets.settle("alice", 0, 1.0, TOMORROW)
    assert [budgets.spent("alice", window) for window in TOMORROW] == [1.0, 3.0, 3.0]
    assert budgets.spent("bob", TODAY[0]) == 0.0
    next_month = windows_at(NOW + 5 * 86_400, UTC)
    assert [budgets.spent("alice", window) for window in next_month] == [0.0, 0.0, 0.0]


def test_a_budget_is_over_when_all_of_it_is_used() -> None:
    budgets = Budgets()
    budgets.settle("alice", 0, 5.0, TODAY)
    assert budgets.over("alice", Budget(day=5.01), TODAY) is None
    over = budgets.over("alice", Budget(day=5, month=5), TODAY)
    assert over is not None and (over.window.name, over.spent, over.budget) == ("month", 5.0, 5)
    assert budgets.over("alice", Budget(day=5), TOMORROW) is None
    assert budgets.over("nobody", Budget(day=0), TODAY) is not None


def test_requests_that_run_count() -> None:
    budgets = Budgets()
    passed = 0
    for _ in range(50):
        if budgets.over("alice", Budget(day=1), TODAY) is None:
            budgets.reserve("alice", 0.3)
            passed += 1
    assert passed == 4
    for _ in range(passed):
        budgets.settle("alice", 0.3, 0.1, TODAY)
    assert budgets.over("alice", Budget(day=1), TODAY) is None
    assert budgets.purse("alice").reserved < 1e-9


def test_what_the_ledger_knows_is_taken_over_and_what_runs_stays_reserved() -> None:
    budgets = Budgets()
    budgets.reserve("alice", 0.5)
    budgets.settle("bob", 0, 3, TODAY)
    budgets.seed({"day": {"alice": 4.0}, "month": {"alice": 9.0}}, TODAY)
    assert [budgets.spent("alice", window) for window in TODAY] == [4.0, 0.0, 9.0]
    assert budgets.spent("bob", TODAY[0]) == 3.0  # which may not be written yet
    assert budgets.over("alice", Budget(day=4.5), TODAY) is not None


def test_the_fullest_budget_is_the_one_of_which_most_is_used() -> None:
    budgets = Budgets()
    budgets.settle("alice", 0, 4.0, TODAY)
    fullest = budgets.fullest("alice", Budget(day=5, month=100), TODAY)
    assert fullest is not None and (fullest.window.name, fullest.share) == ("day", 0.8)
    assert budgets.fullest("alice", Budget(), TODAY) is None
    nothing = budgets.fullest("alice", Budget(day=5, week=0), TODAY)
    assert nothing is not None and nothing.share == 1.0


def test_what_is_left_is_what_may_be_spent_before_the_first_budget_is_used_up() -> None:
    budgets, budget = Budgets(), Budget(day=5, month=6)
    assert budgets.left("alice", budget, TODAY) == 5
    budgets.settle("alice", 0, 3.0, TODAY)
    budgets.reserve("alice", 0.5)
    assert budgets.left("alice", budget, TODAY) == 1.5
    assert budgets.left("alice", budget, TOMORROW) == 2.5
    assert budgets.left("alice", Budget(), TODAY) == math.inf
    budgets.seed({"day": {"alice": 4.0}}, TODAY)
    assert budgets.left("alice", budget, TODAY) == 0.5


@given(st.lists(st.floats(0.01, 2), max_size=30), st.floats(0.5, 5))
def test_overspent_is_at_most_one_request(costs: list[float], most: float) -> None:
    budgets, budget = Budgets(), Budget(day=most)
    passed = []
    for cost in costs:  # all at once: none has ended
        if budgets.over("alice", budget, TODAY) is None:
            budgets.reserve("alice", cost)
            passed.append(cost)
    for cost in passed:
        budgets.settle("alice", cost, cost, TODAY)
    assert budgets.spent("alice", TODAY[0]) < most + max(costs, default=0) + 1e-9
