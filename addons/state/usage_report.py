"""The answers of `./run.sh usage` and `./run.sh statusline`: what was used and what it cost, as plain values.

Rules that hold here: who is no administrator is told of his own use only; what has no price has no cost, and is counted
as `unpriced`; days, weeks (from Monday on) and months are those of the configured time zone.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final, Literal, get_args

import msgspec

from addons.state import usage
from addons.state.control import ControlError
from addons.state.usage import Sums
from addons.state.users import read_users

View = Literal["daily", "weekly", "monthly", "session", "user", "model", "class"]
VIEWS: Final[tuple[View, ...]] = get_args(View)

DEFAULT_SINCE: Final[dict[View, str]] = {
    "daily": "30d",
    "weekly": "12w",
    "session": "7d",
    "user": "30d",
    "model": "30d",
    "class": "30d",
}
"""How far each view goes back where nobody says; monthly: to the beginning."""
BACK: Final = re.compile(r"([1-9]\d{0,3})([dwm])")
DAY: Final = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)")
EPOCH: Final = date(1970, 1, 1)
END: Final = date(9000, 1, 1)
"""Days before and after these have no moment in epoch seconds everywhere."""
RECENT: Final = 86_400.0
"""Seconds in which a session's account is looked for."""


class Row(msgspec.Struct, kw_only=True):
    """A line of a report."""

    key: dict[str, Any]
    """Whose: `{"day": "2026-11-28"}`."""
    models: set[str] = msgspec.field(default_factory=set)
    sums: Sums = msgspec.field(default_factory=Sums)

    def plain(self) -> dict[str, Any]:
        """The line in the names of `usage --json`."""
        sums = self.sums
        return {
            **self.key,
            "models": sorted(self.models),
            "requests": sums.requests,
            "input_tokens": sums.input_tokens,
            "output_tokens": sums.output_tokens,
            "cache_write_tokens": sums.cache_write_tokens,
            "cache_read_tokens": sums.cache_read_tokens,
            "cost_usd": cost_of(sums),
            "estimated": sums.estimated,
            **({"unpriced": sums.unpriced} if sums.unpriced else {}),
        }


def cost_of(sums: Sums) -> float | None:
    """US dollars; None where nothing that was used has a price. What has used nothing costs nothing."""
    if sums.cost_usd is None:
        return None if sums.unpriced else 0.0
    return round(sums.cost_usd, 10)


def report(path: Path, asked: Mapping[str, Any], *, zone: tzinfo | None, now: float, only: str = "") -> dict[str, Any]:
    """The report that is asked for: `view`, `since`, `until`, `user`, `model`. `only`: the user that nobody else is
    told of. Raises ControlError."""
    view = asked.get("view") or "daily"
    if view not in VIEWS:
        raise ControlError(f"there is no view {view!r}: {', '.join(VIEWS)}")
    today = datetime.fromtimestamp(now, zone).date()
    since = day_of(text(asked, "since") or DEFAULT_SINCE.get(view, ""), today)
    until = day_of(text(asked, "until"), today)
    try:
        wanted = {"user": only or spelt(path, text(asked, "user")), "model": text(asked, "model")}
        rows = list(
            session_rows(path, since, until, zone, wanted)
            if view == "session"
            else rows_of(path, view, since, until, wanted)
        )
    except (OSError, sqlite3.Error) as error:
        raise ControlError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}") from None
    total = Row(key={})
    for row in rows:
        total.models |= row.models
        total.sums.add(row.sums)
    return {"rows": [row.plain() for row in rows], "total": total.plain()}


def spelt(path: Path, name: str) -> str:
    """A user's name as it was given when the user was made, for commands take it in any case. Raises OSError or
    sqlite3.Error."""
    known = read_users(path).find(name) if name else None
    return known.user.name if known else name


def rows_of(path: Path, view: View, since: str, until: str, wanted: dict[str, str]) -> Iterable[Row]:
    """The lines of a view other than `session`, by time or the dearest first."""
    named, whose = NAMES[view], DIMENSIONS[view]
    period = PERIODS.get(view, str)
    lines: dict[tuple[str, ...], Row] = {}
    by: list[usage.Dimension] = ["model", "provider"] if view == "model" else [whose]
    for group in usage.grouped(path, by, since=since, until=until, **wanted):
        keys = (period(group.keys[0]), *group.keys[1:])
        row = lines.setdefault(keys, Row(key=dict(zip((named, "provider"), keys, strict=False))))
        row.sums.add(group.sums)
        if view == "model":
            row.models.add(keys[0])
    for value, models in (
        usage.models(path, whose, since=since, until=until, **wanted).items() if view != "model" else ()
    ):
        lines[period(value),].models.update(filter(None, models))
    if view in PERIODS:
        return lines.values()
    return sorted(lines.values(), key=lambda row: (-(row.sums.cost_usd or 0), -row.sums.total_tokens))


def session_rows(path: Path, since: str, until: str, zone: tzinfo | None, wanted: dict[str, str]) -> Iterable[Row]:
    """A line for each session, that of the latest last."""
    begin = midnight(since, zone) if since else 0.0
    end = midnight((date.fromisoformat(until) + timedelta(days=1)).isoformat(), zone) if until else 0.0
    for one in usage.sessions(path, since=begin, until=end, **wanted):
        last = datetime.fromtimestamp(one.last, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        yield Row(key={"session": one.session, "user": one.user, "last": last}, models=set(one.models), sums=one.sums)


def week(day: str) -> str:
    """The Monday of a day's week."""
    at = date.fromisoformat(day)
    return (at - timedelta(days=at.weekday())).isoformat()


PERIODS: Final[dict[str, Callable[[str], str]]] = {"daily": str, "weekly": week, "monthly": lambda day: day[:7]}
DIMENSIONS: Final[dict[View, usage.Dimension]] = {
    "daily": "day",
    "weekly": "day",
    "monthly": "day",
    "user": "user",
    "model": "model",
    "class": "class",
}
NAMES: Final[dict[View, str]] = {
    "daily": "day",
    "weekly": "week",
    "monthly": "month",
    "session": "session",
    "user": "user",
    "model": "model",
    "class": "class",
}
"""What the key of a line is called."""
KEYS: Final[dict[str, tuple[str, ...]]] = {"model": ("model", "provider"), "session": ("session", "user", "last")}
"""What the keys of a line are called, of views with several."""


def status(
    path: Path, user: str, session: str, *, zone: tzinfo | None, now: float, everybody: bool = False
) -> dict[str, Any]:
    """What a status line shows: today's cost of a user (or of everybody), and the account that the session is on.
    Raises ControlError."""
    today, whose = datetime.fromtimestamp(now, zone).date().isoformat(), "" if everybody else user
    try:
        groups = usage.grouped(path, [], since=today, until=today, user=whose)
        recent = usage.requests(path, since=now - RECENT, user=whose, session=session, limit=1) if session else []
    except (OSError, sqlite3.Error) as error:
        raise ControlError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}") from None
    sums = groups[0].sums if groups else Sums()
    return {
        "cost_usd": cost_of(sums),
        "unpriced": sums.unpriced,
        "requests": sums.requests,
        "account": recent[0].account if recent else "",
        "provider": recent[0].provider if recent else "",
    }


def day_of(said: str, today: date) -> str:
    """A day as it may be given: `7d` (so many days with today), `2w`, `3m` or a date; empty when nothing was. Raises
    ControlError."""
    if not said:
        return ""
    if back := BACK.fullmatch(said):
        days = int(back[1]) * {"d": 1, "w": 7, "m": 30}[back[2]]
        return max(today - timedelta(days=days - 1), EPOCH).isoformat()
    try:
        found = DAY.fullmatch(said)
        day = date(*map(int, found.groups())) if found else date.max
        return max(day, EPOCH).isoformat() if day < END else wrong(said)
    except ValueError:
        return wrong(said)


def wrong(said: str) -> str:
    """Raises ControlError, which says how days are written."""
    raise ControlError(f"{said[:40]!r} is no day: 2026-11-28, or 7d for the last seven days (2w, 3m)")


def midnight(day: str, zone: tzinfo | None) -> float:
    """When a day begins, in epoch seconds."""
    return datetime.fromisoformat(day).replace(tzinfo=zone).timestamp()


def text(asked: Mapping[str, Any], name: str) -> str:
    """An argument. Raises ControlError."""
    value = asked.get(name) or ""
    if not isinstance(value, str) or len(value) > 1000 or not value.isprintable():
        raise ControlError(f"{name} must be a text")
    return value
