"""The windows of budgets: the calendar's day, week (from Monday on) and month, in the team's time zone.

Rules of this file: nothing is reset by a job; which window runs is computed when somebody asks. A window ends where the
next one begins: days of 23 and of 25 hours are whole days.
"""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple


class Window(NamedTuple):
    """A stretch of the calendar, in epoch seconds."""

    name: str
    """`day`, `week` or `month`."""
    start: float
    end: float


Windows = tuple[Window, Window, Window]
"""The running day, week and month."""


def windows_at(now: float, zone: tzinfo | None) -> Windows:
    """The running day, week and month. `now`: epoch seconds; `zone` None: this machine's."""
    # Without a zone the time is naive, and is read as this machine's, whose rules Python asks the system for.
    day = datetime.fromtimestamp(now, zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    week = day - timedelta(days=day.weekday())
    month = day.replace(day=1)
    next_month = (month + timedelta(days=31)).replace(day=1)
    return (
        Window("day", day.timestamp(), (day + timedelta(days=1)).timestamp()),
        Window("week", week.timestamp(), (week + timedelta(days=7)).timestamp()),
        Window("month", month.timestamp(), next_month.timestamp()),
    )


class Calendar:
    """The running windows, computed once for as long as the day lasts."""

    def __init__(self) -> None:
        self.known: tuple[tzinfo | None, Windows] | None = None

    def at(self, now: float, zone: tzinfo | None) -> Windows:
        """The running day, week and month."""
        if self.known is None or self.known[0] is not zone or not self.known[1][0].start <= now < self.known[1][0].end:
            self.known = zone, windows_at(now, zone)
        return self.known[1]
