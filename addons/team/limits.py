"""The limits of one caller, and how a refusal is said: in the words and headers that Claude Code reads.

Rules of this file: pure. What is set for a user alone goes before what holds for all (`users:`). A refusal says in one
sentence which limit it is, when it is over, and whom to ask; recorded with Claude Code 2.1.332: a 429 `billing_error`
with `x-should-retry: false` costs one request and shows the sentence, a 429 `rate_limit_error` with `retry-after` is
waited for.
"""

from __future__ import annotations

import math
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Final

import msgspec

from addons.config.routing import Budget, UserSettings
from addons.state.users import RESERVED, SHARED, User
from addons.team.budgets import Fullest, Over
from addons.team.figures import dollars
from addons.team.users import Users
from addons.wire.errors import ProviderError

UNIFIED: Final = "anthropic-ratelimit-unified-"
PERIODS: Final = {"day": "daily", "week": "weekly", "month": "monthly"}
CALLED: Final = {"day": "today", "week": "this week", "month": "this month"}
WARNED_AT: Final = (0.75, 0.95)
"""The shares of a budget at which Claude Code says so."""
ANYONE: Final = User("anyone", "anyone")
"""Who comes in while the gate is open: all of them have one purse."""


class Terms:
    """The limits of all, found once for as long as neither the user nor the settings change."""

    def __init__(self) -> None:
        self.settings: UserSettings | None = None
        self.known: dict[str, tuple[User, User]] = {}

    def of(self, user: User, settings: UserSettings) -> User:
        """The user with all limits that hold."""
        if settings is not self.settings:
            self.settings, self.known = settings, {}
        known = self.known.get(user.id)
        if known is None or known[0] is not user:
            known = self.known[user.id] = user, limited(user, settings)
        return known[1]


def limited(user: User, settings: UserSettings) -> User:
    """The user with what holds for all where nothing else is said. Administrators have only what is said of them."""
    if user.admin:
        return user
    own, common = user.budget, settings.budget
    return msgspec.structs.replace(
        user,
        budget=Budget(
            day=common.day if own.day is None else own.day,
            week=common.week if own.week is None else own.week,
            month=common.month if own.month is None else own.month,
        ),
        models=user.models or settings.models,
        rpm=settings.requests_per_minute if user.rpm is None else user.rpm,
        sessions=settings.sessions if user.sessions is None else user.sessions,
    )


def named(users: Users, name: str, settings: UserSettings) -> User | None:
    """The user of this name with all limits that hold; None: it is the name of somebody who is no user. Raises
    ValueError when nobody is called so."""
    known = users.roll.find(name)
    if known is None and name.lower() not in RESERVED and users.roll.users:
        raise ValueError(f"there is no user {name[:64]!r}")
    user = known.user if known else users.shared if name in (SHARED, "token") else None
    return user and limited(user, settings)


class Refusal(msgspec.Struct, frozen=True):
    """Why a request is not served now."""

    error: ProviderError
    headers: dict[str, str]


def over_budget(user: str, over: Over, now: float, zone: tzinfo | None, ask: str) -> Refusal:
    """A budget is used up. `now`: epoch seconds."""
    name, resets = over.window.name, math.ceil(over.window.end)
    spent, budget = (dollars(amount, over.budget) for amount in (over.spent, over.budget))
    what = f"{user} has used {spent} of the {budget} for {CALLED[name]}"
    if over.spent < over.budget:
        what += " (the rest is reserved for requests that are running)"
    message = f"{what}; it starts anew {moment(over.window.end, zone)}. {ask}"
    if not over.budget:
        message = f"{user} has a {PERIODS[name]} budget of $0, for which nothing is served. {ask}"
    return Refusal(
        ProviderError(429, "billing_error", message),
        {
            "x-should-retry": "false",
            "retry-after": str(max(1, math.ceil(resets - now))),
            # Not `representative-claim` and not `overage-status`: with them the client says something of its own.
            f"{UNIFIED}status": "rejected",
            f"{UNIFIED}reset": str(resets),
            f"{UNIFIED}overage-reset": str(resets),
            f"{UNIFIED}overage-utilization": "1",
            f"{UNIFIED}overage-surpassed-threshold": "1",
            f"{UNIFIED}overage-period": PERIODS[name],
            f"{UNIFIED}overage-disabled-reason": "org_spend_cap_reached",
        },
    )


def too_fast(user: str, most: int, wait: float, ask: str) -> Refusal:
    """Too many requests in a minute."""
    seconds = max(1, math.ceil(wait))
    requests = "one request" if most == 1 else f"{most} requests"
    message = f"{user} may make {requests} a minute; the next one in {seconds} s. {ask}"
    return Refusal(ProviderError(429, "rate_limit_error", message), {"retry-after": str(seconds)})


def too_many_sessions(user: str, most: int, wait: float, ask: str) -> Refusal:
    """Too many sessions at once, and none has ended while this one waited."""
    seconds = max(1, math.ceil(wait))
    sessions = "one session" if most == 1 else f"{most} sessions"
    message = f"{user} may have {sessions} at once; one ends 5 minutes after its last request. {ask}"
    return Refusal(ProviderError(429, "rate_limit_error", message), {"retry-after": str(seconds)})


def budget_lines(fullest: Fullest) -> tuple[tuple[bytes, bytes], ...]:
    """The header lines that tell Claude Code how much of a budget is used (it shows it with
    CLAUDE_CODE_USE_GATEWAY=1)."""
    return lines_of(math.floor(min(fullest.share, 1.0) * 100), math.ceil(fullest.window.end))


@lru_cache(1024)
def lines_of(percent: int, reset: int) -> tuple[tuple[bytes, bytes], ...]:
    """The same lines, made once for each percent. `reset`: epoch seconds."""
    passed = [one for one in WARNED_AT if percent >= one * 100]
    status = "allowed_warning" if passed else "allowed"
    headers = {
        "status": status,
        "representative-claim": "overage",
        "overage-status": status,
        "overage-utilization": f"{min(percent, 99) / 100:.2f}",
        "reset": str(reset),
        "overage-reset": str(reset),
    }
    if passed:
        headers["overage-surpassed-threshold"] = str(passed[-1])
    return tuple((f"{UNIFIED}{name}".encode(), value.encode()) for name, value in headers.items())


def moment(at: float, zone: tzinfo | None) -> str:
    """`Sun 29 Nov 00:00 (Europe/Berlin)`"""
    when = datetime.fromtimestamp(at, zone)
    return f"{when:%a} {when.day} {when:%b %H:%M} ({zone or when.astimezone().tzname()})"
