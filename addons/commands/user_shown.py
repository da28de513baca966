"""A user as `./run.sh user` shows one: as JSON, as a line of the table, in words. Never the key."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from addons.commands.routes import configuration
from addons.config.config import ConfigError
from addons.config.routing import Budget, overlap
from addons.state.account_table import iso
from addons.state.users import KnownUser, User
from addons.team.figures import dollars
from addons.team.spending import spent

HEAD = ["NAME", "ID", "STATE", "BUDGET", "MODELS", "RPM", "SESSIONS"]


def described(path: Path, *known: KnownUser) -> list[dict[str, Any]]:
    """Users as JSON."""
    spending = spent(path, [one.user.name for one in known], time.time(), zone()) if known else {}
    return [as_json(one, spending[one.user.name]) for one in known]


def as_json(known: KnownUser, spending: dict[str, float]) -> dict[str, Any]:
    """A user as JSON; `spending`: US dollars by window."""
    user = known.user
    return {
        "name": user.name,
        "id": user.id,
        "budget": msgspec.structs.asdict(user.budget),
        "models": list(user.models),
        "rpm": user.rpm,
        "sessions": user.sessions,
        "spent": spending,
        "revoked": known.revoked is not None,
        "revoked_at": known.revoked and iso(known.revoked),
        "admin": user.admin,
        "created_at": iso(known.created) if known.created else None,
        "old_key_until": iso(known.old_until) if old_key_is_good(known) else None,
    }


def old_key_is_good(known: KnownUser) -> bool:
    """Whether the key before the last `rotate` lets the user in still."""
    return known.revoked is None and known.old_until > time.time()


@cache
def zone() -> tzinfo | None:
    """The time zone in which a day begins; None: this machine's."""
    with suppress(ConfigError):
        return configuration().users.timezone
    return None


def hint_of_unknown_models(patterns: Iterable[str]) -> str:
    """A sentence on the patterns that fit no model; empty where each fits one, or the models aren't known."""
    try:
        names = [route.alias for route in configuration().models]
    except ConfigError:
        return ""
    without = [pattern for pattern in patterns if not any(overlap(pattern, name) for name in names)]
    return (
        f"no model is called {', '.join(without)} (as it is written); there are: {', '.join(names)}" if without else ""
    )


def row(known: KnownUser) -> list[str]:
    """The cells of one user in the table, as in HEAD."""
    user = known.user
    state = f"revoked {local(known.revoked)}" if known.revoked is not None else "admin" if user.admin else "active"
    numbers = ("-" if number is None else str(number) for number in (user.rpm, user.sessions))
    return [user.name, user.id, state, budget_in_words(user.budget) or "-", ", ".join(user.models) or "all", *numbers]


def budget_in_words(budget: Budget) -> str:
    """`day $5, month $100`"""
    amounts = [(window, amount) for window, amount in msgspec.structs.asdict(budget).items() if amount is not None]
    return ", ".join(f"{window} {dollars(amount, amount)}".removesuffix(".00") for window, amount in amounts)


def limits_in_words(user: User) -> str:
    """`budget day $5, models glm*, 60 requests a minute, 4 sessions at once`"""
    budget = budget_in_words(user.budget)
    parts = [f"budget {budget}"] * bool(budget)
    parts += [f"models {', '.join(user.models)}"] * bool(user.models)
    parts += [f"{user.rpm} request{'s' * (user.rpm != 1)} a minute"] * (user.rpm is not None)
    parts += [f"{user.sessions} session{'s' * (user.sessions != 1)} at once"] * (user.sessions is not None)
    return ", ".join([*parts, *["administrator"] * user.admin]) or "no limits"


def local(moment: float) -> str:
    """A time as people read it."""
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d %H:%M")
