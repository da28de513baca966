"""What a user has spent in the running day, week and month."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path

from addons.state.usage import spent as spent_since


def windows(now: datetime) -> dict[str, datetime]:
    """The beginnings of the calendar's day, week (on Monday) and month at `now`, in its time zone."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}


def spent(path: Path, names: Collection[str], now: datetime) -> dict[str, dict[str, float]]:
    """US dollars that count against these users' budgets, by name and window. Raises OSError or sqlite3.Error."""
    found = {window: spent_since(path, start.timestamp(), names) for window, start in windows(now).items()}
    return {name: {window: round(sums.get(name, 0.0), 6) for window, sums in found.items()} for name in names}
