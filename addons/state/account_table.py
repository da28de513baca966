"""The accounts as people see them, masked: a row of `./run.sh pool --json`, a line of `gateway.pool` in mitmweb."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from addons.config.routing import COMMAND, FILE
from addons.state.account_activity import AccountActivity
from addons.state.account_errors import clock
from addons.state.live_credentials import LiveCredentials, is_live
from addons.state.pool import Account, AccountPool
from addons.wire.masking import mask
from addons.wire.rate_limits import Room


class AccountView(msgspec.Struct, frozen=True):
    """One account as people may see it."""

    name: str
    number: int
    masked: str
    state: Literal["usable", "cooling", "refused"]
    until: float | None
    """When it may be used again; None: now."""
    reason: str
    models: dict[str, float]
    """The models for which alone it cools down, and until when."""
    sessions: int
    """How many stay on it."""
    room: Room
    """How full its limits were when they were last told."""


def view(pool: AccountPool, now: float) -> list[AccountView]:
    """The accounts of a pool in the order of the configuration; `now` is epoch seconds."""
    sessions = Counter(account.fingerprint for account in pool.sessions.values())
    return [view_account(pool, account, now, sessions[account.fingerprint]) for account in pool.accounts]


def view_account(pool: AccountPool, account: Account, now: float, sessions: int) -> AccountView:
    """One account of a pool; `sessions` is how many stay on it."""
    rows = [row for row in pool.cooldowns.values() if row.fingerprint == account.fingerprint and row.until > now]
    models = {row.model: row.until for row in rows if row.model is not None}
    whole = next((row for row in rows if row.model is None), None)
    until, reason = None, "; ".join(f"{row.model}: {row.reason}" for row in rows if row.model)
    state: Literal["usable", "cooling", "refused"] = "usable"
    if whole:
        state, until, reason = "cooling", whole.until, whole.reason
    if pool.is_refused(account, now):
        refusal = pool.refused[account.fingerprint]
        state, until, reason = "refused", refusal.until, refusal.reason
    room = pool.rooms.get(account.fingerprint, Room())
    return AccountView(account.name, account.number, account.masked, state, until, reason, models, sessions, room)


def account_table(
    pools: Iterable[tuple[str, AccountPool]], live: LiveCredentials, activity: AccountActivity, now: float
) -> list[dict[str, Any]]:
    """A row an account; the pools come with the name of their provider."""
    rows = []
    for provider, pool in pools:
        for account, seen in zip(pool.accounts, view(pool, now), strict=True):
            state, until, reason, masked = str(seen.state), seen.until, seen.reason, seen.masked
            if is_live(account.value):
                masked = masked_live(account.value, live.usable(account.value, now))
                problem = live.known.get(account.value)
                if problem and state == "usable" and not problem.usable(now):
                    state = "refused" if problem.is_final else "cooling"
                    until = None if problem.is_final else problem.renew_at
                    reason = problem.problem or "it has not been read yet"
            requests, failures = activity.last_hour(account.name, now)
            rows.append(
                {
                    "account": account.name,
                    "provider": provider,
                    "masked": masked,
                    "state": state,
                    "until": iso(until),
                    "reason": reason or None,
                    "utilization": {"5h": seen.room.five_hours, "7d": seen.room.week},
                    "sessions": seen.sessions,
                    "requests_1h": requests,
                    "failures_1h": failures,
                }
            )
    return rows


def account_line(row: AccountView) -> str:
    """`claude:2  sk-ant-oat01…3f9a  cooling until 14:02:10 (5h limit) · 3 sessions`"""
    until = f" until {clock(row.until)}" if row.until is not None else ""
    models = "".join(f" · {model} until {clock(end)}" for model, end in row.models.items())
    why = f" ({row.reason})" if row.reason else ""
    return f"{row.name}  {row.masked}  {row.state}{until}{why}{models} · {row.sessions} sessions"


def masked_live(name: str, value: str) -> str:
    """What is shown of a credential that changes: where it comes from, and its end."""
    if name.startswith(COMMAND):
        return f"command {mask(value)}" if value else "command"
    return f"{name.removeprefix(FILE)} {mask(value)}".strip() if value else name.removeprefix(FILE)


def iso(at: float | None) -> str | None:
    """An epoch time in ISO 8601, UTC."""
    if at is None or at == float("inf"):
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
