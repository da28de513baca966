"""What Claude Code's /usage is told."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from addons.config.routing import Budget
from addons.team.budgets import Budgets
from addons.team.spend_report import spend_report
from addons.team.windows import windows_at

WINDOWS = windows_at(1_795_867_200.0, ZoneInfo("UTC"))  # Sat 2026-11-28 12:00


def test_a_budget_of_a_month() -> None:
    budgets = Budgets()
    budgets.settle("alice", 0, 271.404, WINDOWS)
    report = spend_report("alice", Budget(month=500), budgets, WINDOWS)
    assert report["extra_usage"] == {
        "is_enabled": True,
        "monthly_limit": 50000,
        "used_credits": 27140,
        "utilization": 54,
        "currency": "USD",
    }
    (limit,) = report["limits"]
    assert limit == {
        "kind": "spend",
        "group": "monthly",
        "percent": 54,
        "resets_at": "2026-12-01T00:00:00.000Z",
        "severity": "normal",
        "is_active": True,
    }
    assert report["daily"] == {"limit": None, "used_credits": 27140, "utilization": None}


def test_the_fullest_of_several_is_active() -> None:
    budgets = Budgets()
    budgets.settle("alice", 0, 9.6, WINDOWS)
    limits = spend_report("alice", Budget(day=10, week=40, month=0), budgets, WINDOWS)["limits"]
    assert [(one["group"], one["percent"], one["severity"], one["is_active"]) for one in limits] == [
        ("daily", 96, "critical", False),
        ("weekly", 24, "normal", False),
        ("monthly", 100, "critical", True),
    ]


def test_without_a_budget_there_is_no_limit() -> None:
    report = spend_report("alice", Budget(), Budgets(), WINDOWS)
    assert report["limits"] == []
    assert report["extra_usage"]["monthly_limit"] is None
    assert report["weekly"] == {"limit": None, "used_credits": 0, "utilization": None}
