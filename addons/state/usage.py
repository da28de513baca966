"""What the ledger knows, read back: sums by day, user, model, class, provider and session, and single requests.

Rules that hold here:
- Sums come from the tables of sums, never from the rows of requests: a million of those cost no more than a thousand.
- Each function opens the file and waits for it: never call one on the event loop. A file that isn't there holds
  nothing; one that can't be read raises OSError or sqlite3.Error.
- Days are those of the configured time zone at the time of the request, as `YYYY-MM-DD`; moments are epoch seconds.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from addons.state.database import opened
from addons.state.ledger_rows import SLOT, SUMMED, AttemptRow, RequestRow, column

Dimension = Literal["day", "user", "provider", "model", "class"]
Order = Literal["time", "duration", "cost"]

TOTALS: Final = ", ".join(f"sum({name})" for name in SUMMED)
ORDERS: Final[dict[Order, str]] = {"time": "time", "duration": "duration_s", "cost": "cost_usd"}


class Sums(msgspec.Struct):
    """What some requests have used."""

    requests: int = 0
    failed: int = 0
    """Those whose client got no whole answer."""
    estimated: int = 0
    """Attempts whose usage is, in part, an estimate."""
    unpriced: int = 0
    """Attempts that used tokens of a model without a price: their cost is in no sum."""
    input_tokens: int = 0
    """Neither read from a cache nor written to one."""
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    """A part of `cache_write_tokens`."""
    web_searches: int = 0
    cost_usd: float | None = None
    """US dollars, of what has a price; None: nothing has."""

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens

    def add(self, other: Sums) -> None:
        """Count others in."""
        for name in SUMMED:
            value = getattr(other, name)
            if value is not None:
                setattr(self, name, (getattr(self, name) or 0) + value)


class Group(msgspec.Struct, kw_only=True):
    """The sums of all requests that have something in common."""

    keys: tuple[str, ...]
    """What that is, in the order of the dimensions that were asked for."""
    sums: Sums


class SessionUse(msgspec.Struct, kw_only=True):
    """What a session of a user has used."""

    session: str
    user: str
    models: list[str]
    first: float
    last: float
    """From its first request to the end of its last."""
    sums: Sums


class Failover(msgspec.Struct, kw_only=True):
    """How often an attempt at one provider failed, and another one was asked."""

    source: str
    target: str
    """The provider that was asked next; empty: nobody."""
    reason: str
    """`dropped`, `timeout` …, or the provider's status."""
    count: int


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """The file, open; None when there is none."""
    if not path.exists():
        yield None
        return
    with closing(opened(path)) as connection:
        yield connection


def grouped(
    path: Path,
    by: Sequence[Dimension],
    *,
    since: str = "",
    until: str = "",
    user: str = "",
    model: str = "",
    provider: str = "",
) -> list[Group]:
    """Sums by these dimensions, in their order. `since`, `until`: the first and the last day. Cheapest by `day`, and by
    `day` and `user`: the table is in that order."""
    wanted = of_days(since, until, user, model, provider)
    keys = ", ".join(by)
    order = f" GROUP BY {keys} ORDER BY {keys}" if by else ""
    with reading(path) as connection:
        columns = f"{''.join(f'{key}, ' for key in by)}{TOTALS}"
        statement = f"SELECT {columns} FROM {sums_in(connection)}{wanted}{order}"  # noqa: S608
        rows = connection.execute(statement, wanted.values).fetchall() if connection else []
    return [Group(keys=row[: len(by)], sums=sums_of(row[len(by) :])) for row in rows if row[len(by)] is not None]


def models(
    path: Path, by: Dimension, *, since: str = "", until: str = "", user: str = "", model: str = ""
) -> dict[str, set[str]]:
    """The models that were used, for each value of a dimension. (Sorting them costs as much as reading them.)"""
    wanted = of_days(since, until, user, model)
    found: dict[str, set[str]] = {}
    with reading(path) as connection:
        statement = f"SELECT DISTINCT {by}, model FROM {sums_in(connection)}{wanted}"  # noqa: S608
        for value, name in connection.execute(statement, wanted.values) if connection else ():
            found.setdefault(value, set()).add(name)
    return found


def sums_in(connection: sqlite3.Connection | None) -> str:
    """The table of daily sums: this gateway's, and those of others where there are any (a slower one)."""
    others = connection.execute("SELECT EXISTS (SELECT 1 FROM usage_elsewhere)").fetchone() if connection else (0,)
    return "usage_everywhere" if others[0] else "usage_daily"


def of_days(since: str, until: str, user: str, model: str, provider: str = "") -> Conditions:
    """The conditions of a query of daily sums."""
    wanted = Conditions()
    wanted.add("day >= ?", since)
    wanted.add("day <= ?", until)
    wanted.add("user = ?", user)
    wanted.match("model", model)
    wanted.add("provider = ?", provider)
    return wanted


def sessions(
    path: Path, *, since: float = 0, until: float = 0, user: str = "", model: str = "", session: str = ""
) -> list[SessionUse]:
    """What the sessions have used that were active from `since` on and began before `until` (0: now); those last that
    were active last."""
    wanted = Conditions()
    wanted.add("last >= ?", since)
    wanted.add("first < ?", until)
    wanted.add("user = ?", user)
    wanted.match("model", model)
    wanted.add("session = ?", session)
    # SQLite would rather read the whole table in the order of its key than sort what is recent.
    by_time = " INDEXED BY usage_sessions_last" if since and not session else ""
    statement = f"""
        SELECT session, user, json_group_array(DISTINCT model), min(first), max(last), {TOTALS}
        FROM usage_sessions{by_time}{wanted}
        GROUP BY session, user ORDER BY max(last)
    """  # noqa: S608
    with reading(path) as connection:
        rows = connection.execute(statement, wanted.values).fetchall() if connection else []
    return [
        SessionUse(
            session=row[0], user=row[1], models=json.loads(row[2]), first=row[3], last=row[4], sums=sums_of(row[5:])
        )
        for row in rows
    ]


def spent(path: Path, since: float, users: Collection[str] = ()) -> dict[str, float]:
    """What each user (or these) has spent from a moment on (epoch seconds), in US dollars, with what is assumed of
    models without a price. The moment is a midnight, or any other quarter of an hour; of the last 62 days."""
    wanted = Conditions()
    wanted.add("slot >= ?", int(since) // SLOT)
    if users:
        wanted.texts.append(f"user IN ({', '.join('?' * len(users))})")
        wanted.values.extend(users)
    statement = f"SELECT user, sum(budget_usd) FROM spend{wanted} GROUP BY user"  # noqa: S608
    with reading(path) as connection:
        return dict(connection.execute(statement, wanted.values).fetchall()) if connection else {}


def requests(
    path: Path,
    *,
    since: float = 0,
    user: str = "",
    session: str = "",
    failed: bool = False,
    order: Order = "time",
    limit: int = 50,
) -> list[RequestRow]:
    """Single requests from a moment on: the newest, the slowest or the dearest first."""
    wanted = Conditions()
    wanted.add("time >= ?", since)
    wanted.add("user = ?", user)
    wanted.add("session = ?", session)
    if failed:
        wanted.texts.append("error IS NOT NULL")
    columns = ", ".join(map(column, RequestRow._fields))
    statement = f"SELECT {columns} FROM requests{wanted} ORDER BY {ORDERS[order]} DESC LIMIT ?"  # noqa: S608
    with reading(path) as connection:
        rows = connection.execute(statement, [*wanted.values, limit]).fetchall() if connection else []
    made = map(RequestRow._make, rows)
    return [
        row._replace(fallback=bool(row.fallback), fast=bool(row.fast), estimated=bool(row.estimated)) for row in made
    ]


def attempts(path: Path, request: RequestRow) -> list[AttemptRow]:
    """The attempts of a request, in order."""
    columns = ", ".join(AttemptRow._fields)
    statement = f"SELECT {columns} FROM attempts WHERE time BETWEEN ? AND ? AND request = ? ORDER BY number"  # noqa: S608
    values = (request.time - 1, request.time + request.duration_s + 1, request.id)
    with reading(path) as connection:
        rows = connection.execute(statement, values).fetchall() if connection else []
    made = map(AttemptRow._make, rows)
    return [row._replace(fast=bool(row.fast), estimated=bool(row.estimated)) for row in made]


def failovers(path: Path, since: float) -> list[Failover]:
    """The failures of providers from a moment on (epoch seconds), most frequent first."""
    statement = """
        SELECT request, number, provider, outcome, status FROM attempts
        WHERE time >= ? AND (number > 1 OR outcome <> '')
    """
    with reading(path) as connection:
        rows = connection.execute(statement, (since,)).fetchall() if connection else []
    providers = {(request, number): provider for request, number, provider, _, _ in rows}
    counts: dict[tuple[str, str, str], int] = {}
    for request, number, provider, outcome, status in rows:
        if outcome:
            reason = str(status) if outcome == "status" and status else outcome
            key = (provider, providers.get((request, number + 1), ""), reason)
            counts[key] = counts.get(key, 0) + 1
    found = [Failover(source=key[0], target=key[1], reason=key[2], count=count) for key, count in counts.items()]
    return sorted(found, key=lambda one: -one.count)


class Conditions:
    """The conditions of a query, and their values."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.values: list[Any] = []

    def add(self, text: str, value: Any) -> None:
        """Take a condition over, if its value is one."""
        if value:
            self.texts.append(text)
            self.values.append(value)

    def match(self, name: str, pattern: str) -> None:
        """Take over that a column has a value, in which `*` stands for any text."""
        literal = "".join(f"[{letter}]" if letter in "[?" else letter for letter in pattern)
        self.add(f"{name} GLOB ?" if "*" in pattern else f"{name} = ?", literal if "*" in pattern else pattern)

    def __str__(self) -> str:
        return f" WHERE {' AND '.join(self.texts)}" if self.texts else ""


def sums_of(values: Sequence[Any]) -> Sums:
    """Sums as they come from a query."""
    return Sums(*values)
