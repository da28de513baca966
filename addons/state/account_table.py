"""The accounts as `./run.sh pool` and the page show them: masked, and in one shape."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from addons.config.routing import COMMAND, FILE
from addons.state.account_activity import AccountActivity
from addons.state.live_credentials import LiveCredentials, is_live
from addons.state.pool import AccountPool
from addons.wire.masking import mask


def account_table(
    pools: Iterable[tuple[str, AccountPool]], live: LiveCredentials, activity: AccountActivity, now: float
) -> list[dict[str, Any]]:
    """A row an account; the pools come with the name of their provider."""
    rows = []
    for provider, pool in pools:
        for account, view in zip(pool.accounts, pool.view(now), strict=True):
            state, until, reason, masked = str(view.state), view.until, view.reason, view.masked
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
                    "utilization": {"5h": view.room.five_hours, "7d": view.room.week},
                    "sessions": view.sessions,
                    "requests_1h": requests,
                    "failures_1h": failures,
                }
            )
    return rows


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
