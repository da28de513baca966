"""What a user has spent, as Claude Code's `/usage` reads it: the answer to `GET /api/oauth/usage`.

Rule of this file: pure; amounts are whole cents, shares whole percents, `resets_at` is the second of the headers.
Recorded with Claude Code 2.1.332 (CLAUDE_CODE_USE_GATEWAY=1).
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from addons.config.routing import Budget
from addons.team.budgets import Budgets
from addons.team.limits import PERIODS
from addons.team.windows import Window


def spend_report(name: str, budget: Budget, budgets: Budgets, windows: tuple[Window, ...]) -> dict[str, Any]:
    """All windows of a user. The fullest budget is the one that is active."""
    fullest = budgets.fullest(name, budget, windows)
    by_name = {window.name: window for window in windows}
    month = amounts(budget.month, budgets.spent(name, by_name["month"]))
    report: dict[str, Any] = {
        "extra_usage": {
            "is_enabled": True,
            "monthly_limit": month["limit"],
            "used_credits": month["used_credits"],
            "utilization": month["utilization"],
            "currency": "USD",
        },
        "limits": [],
    }
    for window in windows:
        most = getattr(budget, window.name)
        spent = budgets.spent(name, window)
        if window.name != "month":
            report[PERIODS[window.name]] = amounts(most, spent)
        if most is not None:
            share = spent / most if most else 1.0
            report["limits"].append(
                {
                    "kind": "spend",
                    "group": PERIODS[window.name],
                    "percent": percent(share),
                    "resets_at": datetime.fromtimestamp(math.ceil(window.end), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                    "severity": "critical" if share >= 0.95 else "warning" if share >= 0.75 else "normal",
                    "is_active": fullest is not None and fullest.window is window,
                }
            )
    return report


def amounts(most: float | None, spent: float) -> dict[str, Any]:
    """One window in cents."""
    used = round(spent * 100)
    if most is None:
        return {"limit": None, "used_credits": used, "utilization": None}
    return {"limit": round(most * 100), "used_credits": used, "utilization": percent(spent / most if most else 1.0)}


def percent(share: float) -> int:
    """A share in whole percents, 100 at most."""
    return min(math.floor(share * 100), 100)
