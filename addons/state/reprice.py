"""Costs computed anew, by the prices of today: `./run.sh usage --reprice`.

Rules that hold here: a gateway may write at the same time; each step is a short transaction of its own, in which rows
and sums change together. Sums of days whose rows are deleted stay as they are.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Final

from addons.config.config import Config, Target
from addons.state.database import opened, transaction
from addons.state.ledger_rows import SLOT
from addons.state.prices import Cost, price_of
from addons.wire.usage import Usage

AT_ONCE: Final = 500
"""Requests of one transaction."""

REQUESTS: Final = """
    SELECT rowid AS number, id, time, duration_s, user, class, session, asked_model, provider, model, cost_usd,
        budget_usd, price_version, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
        cache_write_1h_tokens, web_searches, fast
    FROM requests WHERE rowid > ? ORDER BY rowid LIMIT ?
"""
ATTEMPTS: Final = "SELECT rowid AS row, * FROM attempts WHERE time BETWEEN ? AND ?"
CHANGE: Final = "UPDATE {} SET cost_usd = ?, budget_usd = ?, price_version = ? WHERE rowid = ?"
CHANGE_SUMS: Final = """
    UPDATE {} SET cost_usd = CASE
            WHEN ?1 IS NULL THEN cost_usd
            WHEN ?2 > 0 AND abs(coalesce(cost_usd, 0) + ?1) < 1e-12 THEN NULL
            ELSE coalesce(cost_usd, 0) + ?1
        END,
        unpriced = unpriced + ?2
    WHERE {}
"""
DAY: Final = CHANGE_SUMS.format("usage_daily", "day = ? AND user = ? AND provider = ? AND model = ? AND class = ?")
SESSION: Final = CHANGE_SUMS.format("usage_sessions", "session = ? AND user = ? AND provider = ? AND model = ?")
SPEND: Final = "UPDATE spend SET budget_usd = budget_usd + ? WHERE user = ? AND slot = ?"


def reprice(path: Path, config: Config) -> dict[str, int]:
    """Compute the cost of everything in the file anew; how many attempts were looked at and changed. Raises OSError or
    sqlite3.Error."""
    counts = {"attempts": 0, "changed": 0}
    with closing(opened(path)) as connection:
        connection.row_factory = sqlite3.Row
        last = 0
        while True:
            with transaction(connection):
                rows = connection.execute(REQUESTS, (last, AT_ONCE)).fetchall()
                step(connection, config, rows, counts)
            if len(rows) < AT_ONCE:
                return counts
            last = rows[-1]["number"]


def step(connection: sqlite3.Connection, config: Config, rows: list[sqlite3.Row], counts: dict[str, int]) -> None:
    """Some requests, oldest first."""
    if not rows:
        return
    begin, end = min(row["time"] for row in rows) - 1, max(row["time"] + row["duration_s"] for row in rows) + 1
    attempts: dict[str, list[sqlite3.Row]] = {}
    for attempt in connection.execute(ATTEMPTS, (begin, end)):
        attempts.setdefault(attempt["request"], []).append(attempt)
    for row in rows:
        # Requests of before there were attempts are their own.
        tries = attempts.get(row["id"], []) if row["id"] else []
        counts["attempts"] += len(tries) or 1
        costs = [anew(config, row, one) for one in (tries or [row])]
        for one, cost in zip(tries or [row], costs, strict=True):
            if same(one, cost):
                continue
            counts["changed"] += 1
            if tries:
                connection.execute(CHANGE.format("attempts"), (cost.usd, cost.budget_usd, cost.version, one["row"]))
            change_sums(connection, config, row, one, cost)
        used = [cost for one, cost in zip(tries or [row], costs, strict=True) if has_used(one)] or costs[-1:]
        total = None if any(cost.usd is None for cost in used) else sum(cost.usd or 0.0 for cost in used)
        whole = Cost(total, sum(cost.budget_usd for cost in costs), costs[-1].version)
        if not same(row, whole):
            connection.execute(CHANGE.format("requests"), (whole.usd, whole.budget_usd, whole.version, row["number"]))


def anew(config: Config, row: sqlite3.Row, one: sqlite3.Row) -> Cost:
    """What an attempt of a request costs now; as it was where nobody knows its provider any more."""
    target = target_of(config, row["asked_model"], one["provider"], one["model"])
    if target is None:
        return Cost(one["cost_usd"], one["budget_usd"], one["price_version"])
    return price_of(config, target, usage_of(one), one["time"])


def target_of(config: Config, asked: str, provider: str, model: str) -> Target | None:
    """The target that an attempt went to, as it is configured now."""
    for target in config.targets(asked) if asked else ():
        if (target.provider.name, target.model) == (provider, model):
            return target
    for route in config.models:
        if (route.provider.name, route.model) == (provider, model):
            return route.target(route.alias, "", fallback=False)
    known = config.providers.get(provider)
    return Target(alias=asked, provider=known, model=model) if known else None


def usage_of(one: sqlite3.Row) -> Usage:
    """The tokens of a row."""
    return Usage(
        input_tokens=one["input_tokens"],
        output_tokens=one["output_tokens"],
        cache_read_input_tokens=one["cache_read_tokens"],
        cache_creation_input_tokens=one["cache_write_tokens"],
        cache_creation_1h_input_tokens=one["cache_write_1h_tokens"],
        web_search_requests=one["web_searches"],
        fast=bool(one["fast"]),
    )


def has_used(one: sqlite3.Row) -> bool:
    return usage_of(one).has_any


def same(one: sqlite3.Row, cost: Cost) -> bool:
    """Whether a row has this cost already."""
    return (one["cost_usd"], one["budget_usd"], one["price_version"]) == (cost.usd, cost.budget_usd, cost.version)


def change_sums(connection: sqlite3.Connection, config: Config, row: sqlite3.Row, one: sqlite3.Row, cost: Cost) -> None:
    """Put another cost of an attempt into the sums."""
    before = one["cost_usd"]
    more = None if cost.usd is None and before is None else (cost.usd or 0.0) - (before or 0.0)
    unpriced = (int(cost.usd is None) - int(before is None)) * has_used(one)
    day = datetime.fromtimestamp(row["time"], config.users.timezone).date().isoformat()
    where = (row["user"], one["provider"], one["model"])
    connection.execute(DAY, (more, unpriced, day, *where, row["class"]))
    if row["session"]:
        connection.execute(SESSION, (more, unpriced, row["session"], *where))
    spent = cost.budget_usd - one["budget_usd"]
    connection.execute(SPEND, (spent, row["user"], int(row["time"]) // SLOT))
