"""Puts together what the page shows: what the ledger knows, and what is going on at the moment.

Rules that hold here: what runs is looked at on the event loop and becomes plain values (`Present`); the file is read in
another thread (`report`). A user's report holds nothing of anybody else's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final

import msgspec

from addons.config.config import Config
from addons.state import usage
from addons.state.exchange import Exchange
from addons.state.ledger_rows import RequestRow
from addons.team.daily_sums import DailySums, Reader
from addons.team.report import (
    BYS,
    SPANS,
    Account,
    Avoided,
    By,
    Failover,
    Health,
    Report,
    Request,
    Running,
    User,
)

DAY: Final = 86_400.0
MOST_REQUESTS: Final = 10
"""Rows of the slowest, and of the failed requests."""
MOST_TIMES: Final = 2_000
"""Attempts of which the median time to the first event is made, the newest."""

HEALTH: Final = "SELECT provider, count(*), sum(outcome <> '') FROM attempts WHERE time >= ? GROUP BY provider"
FIRST_EVENTS: Final = """
    SELECT provider, first_event_s FROM (
        SELECT provider, first_event_s FROM attempts
        WHERE time >= ? AND first_event_s IS NOT NULL AND outcome = '' ORDER BY time DESC LIMIT ?
    )
"""


class Viewer(msgspec.Struct, frozen=True):
    """Who looks at the page."""

    name: str
    """Empty while the gate is open to everybody."""
    sees_all: bool


class Asked(msgspec.Struct, frozen=True):
    """What the address of the page asks for."""

    days: int = 30
    by: By = "user"


class Present(msgspec.Struct, frozen=True):
    """What is going on at the moment, as plain values."""

    now: float
    """Epoch seconds."""
    zone: tzinfo | None
    """In which days begin; None: this machine's."""
    running: Sequence[Running] = ()
    accounts: Sequence[Account] = ()
    avoided: Mapping[str, Sequence[Avoided]] = msgspec.field(default_factory=dict)
    """By the name of the provider."""
    providers: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Those that are configured, each with the variable that it misses, if it does."""
    users: Sequence[User] = ()
    shared: str = "local"
    """With whom limits and sums are shared."""


SHARED: Final = {
    "redis": "Several gateways: budgets and days are of all of them; what runs, single requests and what accounts did "
    "in the last hour are this one's.",
    "redis down": "Redis can't be reached: limits are this gateway's own until it can, and what others have used since "
    "is missing here.",
    "workers down": "The workers can't reach their parent: limits are each one's own until they can.",
}
"""What is said where something is shared, or should be."""


def asked(query: Mapping[str, Sequence[str]], viewer: Viewer) -> Asked:
    """What the parameters of an address ask for; what can't be meant is left out."""
    days = next((span for span in SPANS if [str(span)] == list(query.get("days", ()))), 30)
    by = next((by for by in BYS if [by] == list(query.get("by", ()))), "user" if viewer.sees_all else "model")
    return Asked(days, by if viewer.sees_all or by != "user" else "model")


def report(path: Path, viewer: Viewer, wanted: Asked, present: Present, sums: Reader) -> Report:
    """The whole report. Waits for the file: never on the event loop."""
    now = datetime.fromtimestamp(present.now, present.zone).astimezone(present.zone)
    days = [now.date() - timedelta(days=back) for back in reversed(range(wanted.days))]
    own = "" if viewer.sees_all else viewer.name
    notes = [note] if viewer.sees_all and (note := SHARED.get(present.shared)) else []
    daily: DailySums | None = None
    slowest: list[RequestRow] = []
    failed: list[RequestRow] = []
    failovers: list[usage.Failover] = []
    seen: dict[str, tuple[int, int, float | None]] = {}
    since = present.now - DAY
    try:
        daily = sums.read(path, days, wanted.by, own, present.now)
        slowest = usage.requests(path, since=since, user=own, order="duration", limit=MOST_REQUESTS)
        failed = usage.requests(path, since=since, user=own, failed=True, limit=MOST_REQUESTS)
        if viewer.sees_all:
            failovers = usage.failovers(path, since)
            seen = read_health(path, since)
    except (OSError, sqlite3.Error) as error:
        notes.append(f"The ledger can't be read, so what it knows is missing here: {error}")
    return Report(
        now=now,
        viewer=viewer.name,
        sees_all=viewer.sees_all,
        days=days,
        by=wanted.by,
        lines=daily.lines if daily else (),
        totals=daily.days if daily else (),
        used=daily.users if daily and viewer.sees_all else {},
        running=[one for one in present.running if viewer.sees_all or one.user == viewer.name],
        accounts=present.accounts if viewer.sees_all else (),
        health=health(present, seen) if viewer.sees_all else (),
        failovers=[Failover(one.source, one.target, one.reason, one.count) for one in failovers],
        slowest=[request(row) for row in slowest],
        failed=[request(row) for row in failed],
        users=[one for one in present.users if viewer.sees_all or one.name == viewer.name],
        notes=notes,
    )


def read_health(path: Path, since: float) -> dict[str, tuple[int, int, float | None]]:
    """How often each provider was asked from a moment on, how often that failed, and the median time to its first
    event, of late."""
    from statistics import median  # takes a start 5 ms, with the fractions that it imports

    times: dict[str, list[float]] = {}
    with usage.reading(path) as connection:
        rows = connection.execute(HEALTH, (since,)).fetchall() if connection else []
        newest = connection.execute(FIRST_EVENTS, (since, MOST_TIMES)).fetchall() if connection else []
    for provider, first_event in newest:
        times.setdefault(provider, []).append(first_event)
    return {name: (count, failed, median(times[name]) if name in times else None) for name, count, failed in rows}


def health(present: Present, seen: Mapping[str, tuple[int, int, float | None]]) -> list[Health]:
    """The providers that are configured, those first that were asked most."""
    rows = [
        Health(name, *seen.get(name, (0, 0, None)), present.avoided.get(name, ()), missing)
        for name, missing in present.providers.items()
    ]
    return sorted(rows, key=lambda row: (-row.requests, row.provider))


def request(row: RequestRow) -> Request:
    """A row of the ledger as the page shows it."""
    tokens = row.input_tokens + row.output_tokens + row.cache_read_tokens + row.cache_write_tokens
    line = row.line or f"{row.asked_model} → {row.provider}/{row.model}"
    return Request(
        row.time, row.user, line, row.status, row.error or "", row.first_event_s, row.duration_s, tokens, row.cost_usd
    )


def running(exchanges: Iterable[Exchange], now: float) -> list[Running]:
    """The requests that have not ended, the oldest first; `now` is epoch seconds."""
    found = []
    for exchange in exchanges:
        if exchange.kind not in ("messages", "count_tokens") or exchange.result is not None:
            continue
        attempt = exchange.attempt
        target = f"{attempt.target.provider.name}/{attempt.target.model}" if attempt and attempt.target else ""
        answering = attempt is not None and attempt.first_event is not None
        request_class = exchange.facts.request_class if exchange.facts else "main"
        if exchange.kind == "count_tokens":
            request_class = "count_tokens"
        found.append(
            Running(
                user=exchange.client.billed,
                asked=exchange.model,
                target=target,
                request_class=request_class,
                since=now - (exchange.clock() - exchange.started),
                attempt=len(exchange.attempts),
                state="answering" if answering else "waiting",
            )
        )
    return sorted(found, key=lambda one: one.since)


def accounts(rows: Iterable[Mapping[str, Any]]) -> list[Account]:
    """The rows of `./run.sh pool` as the page shows them."""
    return [
        Account(
            name=row["account"],
            provider=row["provider"],
            masked=row["masked"],
            state=row["state"],
            until=epoch(row["until"]),
            reason=row["reason"] or "",
            five_hours=row["utilization"]["5h"],
            week=row["utilization"]["7d"],
            sessions=row["sessions"],
            requests=row["requests_1h"],
            failures=row["failures_1h"],
        )
        for row in rows
    ]


def avoided(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Avoided]]:
    """What is asked last, by provider."""
    found: dict[str, list[Avoided]] = {}
    for row in rows:
        one = Avoided(row["model"], row["reason"], epoch(row["until"]), row["sessions"])
        found.setdefault(row["provider"], []).append(one)
    return found


def epoch(iso: str | None) -> float | None:
    """Epoch seconds of an ISO 8601 time."""
    return datetime.fromisoformat(iso).timestamp() if iso else None


def providers(config: Config) -> dict[str, str]:
    """The providers that are configured, each with the variable that it misses, if it does."""
    return {name: provider.missing for name, provider in config.providers.items()}
