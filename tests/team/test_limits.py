"""The limits of a caller, and how a refusal is said."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from addons.config.routing import Budget, UserSettings
from addons.state.users import KnownUser, Roll, User
from addons.team.budgets import Fullest, Over
from addons.team.limits import Terms, budget_lines, limited, named, over_budget, too_fast, too_many_sessions
from addons.team.users import Users
from addons.team.windows import windows_at

UTC = ZoneInfo("UTC")
NOW = 1_795_867_200.0  # Sat 2026-11-28 12:00
DAY, WEEK, MONTH = windows_at(NOW, UTC)
COMMON = UserSettings(budget=Budget(day=20, month=250), requests_per_minute=60, sessions=8, models=("glm*",))


def test_what_is_set_for_a_user_goes_before_what_holds_for_all() -> None:
    alice = limited(User("alice", "a", budget=Budget(day=5), rpm=10), COMMON)
    assert (alice.budget, alice.rpm, alice.sessions, alice.models) == (Budget(day=5, month=250), 10, 8, ("glm*",))
    assert limited(alice, COMMON) == alice


def test_an_administrator_has_only_what_is_said_of_them() -> None:
    root = User("root", "r", admin=True, budget=Budget(week=3))
    assert limited(root, COMMON) is root


def test_limits_are_found_anew_when_the_user_or_the_settings_change() -> None:
    terms, alice = Terms(), User("alice", "a")
    assert terms.of(alice, COMMON) is terms.of(alice, COMMON) == limited(alice, COMMON)
    slower = User("alice", "a", rpm=1)
    assert terms.of(slower, COMMON).rpm == 1
    assert terms.of(alice, COMMON).rpm == 60
    assert terms.of(alice, UserSettings()) == alice


def test_somebody_by_name() -> None:
    users = Users()
    assert named(users, "nobody-yet", COMMON) is None
    users.take(Roll(1, True, (KnownUser(User("alice", "a", rpm=1), b""),)))
    alice, shared = named(users, "Alice", COMMON), named(users, "shared", COMMON)
    assert alice and (alice.rpm, alice.models) == (1, ("glm*",))
    assert shared and (shared.name, shared.rpm) == ("shared", 60)
    assert named(users, "admin", COMMON) is None
    with pytest.raises(ValueError, match="no user 'bob'"):
        named(users, "bob", COMMON)


@pytest.mark.parametrize(("window", "words"), [(DAY, "today"), (WEEK, "this week"), (MONTH, "this month")])
def test_a_budget_that_is_used_up_is_said_in_one_sentence(window, words) -> None:
    refusal = over_budget("alice", Over(window, 5.034, 5.0), NOW, UTC, "Ask #claude-help.")
    error, headers = refusal.error, refusal.headers
    assert (error.status, error.type) == (429, "billing_error")
    assert error.message.startswith(f"alice has used $5.03 of the $5.00 for {words}; it starts anew ")
    assert error.message.endswith(" 00:00 (UTC). Ask #claude-help.")
    assert headers["x-should-retry"] == "false"
    assert float(headers["retry-after"]) == window.end - NOW
    unified = {name.removeprefix("anthropic-ratelimit-unified-"): value for name, value in headers.items()}
    assert (unified["status"], unified["overage-utilization"]) == ("rejected", "1")
    assert unified["reset"] == unified["overage-reset"] == f"{window.end:.0f}"
    assert unified["overage-period"] == {"day": "daily", "week": "weekly", "month": "monthly"}[window.name]
    assert unified["overage-disabled-reason"] == "org_spend_cap_reached"
    assert "representative-claim" not in unified and "overage-status" not in unified


def test_budgets_of_nothing_and_of_little_are_said_as_they_are() -> None:
    message = over_budget("b", Over(DAY, 0.0, 0.0), NOW, UTC, "Ask.").error.message
    assert message == "b has a daily budget of $0, for which nothing is served. Ask."
    message = over_budget("b", Over(DAY, 0.00234, 0.002), NOW, UTC, "Ask.").error.message
    assert message.startswith("b has used $0.0023 of the $0.0020 for today; ")


def test_what_is_reserved_is_told_where_it_is_the_reason() -> None:
    message = over_budget("alice", Over(DAY, 4.0, 5.0), NOW, UTC, "Ask.").error.message
    assert "reserved for requests that are running" in message


def test_too_many_requests_and_sessions_are_waited_for() -> None:
    fast = too_fast("alice", 60, 0.2, "Ask.")
    assert (fast.error.type, fast.headers) == ("rate_limit_error", {"retry-after": "1"})
    assert "60 requests a minute; the next one in 1 s" in fast.error.message
    assert "may make one request a minute; " in too_fast("alice", 1, 0.2, "Ask.").error.message
    many = too_many_sessions("alice", 1, 12.2, "Ask.")
    assert (many.error.type, many.headers) == ("rate_limit_error", {"retry-after": "13"})
    assert "one session at once" in many.error.message


@pytest.mark.parametrize(
    ("spent", "utilization", "status", "passed"),
    [
        (0.0, "0.00", "allowed", None),
        (74.9, "0.74", "allowed", None),
        (75.0, "0.75", "allowed_warning", "0.75"),
        (95.0, "0.95", "allowed_warning", "0.95"),
        (150.0, "0.99", "allowed_warning", "0.95"),
    ],
)
def test_what_the_client_is_told_of_a_budget(spent, utilization, status, passed) -> None:
    lines = budget_lines(Fullest(MONTH, spent, 100.0))
    unified = {name.decode().removeprefix("anthropic-ratelimit-unified-"): value.decode() for name, value in lines}
    assert unified["overage-utilization"] == utilization
    assert unified["status"] == unified["overage-status"] == status
    assert unified.get("overage-surpassed-threshold") == passed
    assert unified["representative-claim"] == "overage"
    assert unified["reset"] == f"{MONTH.end:.0f}"
