"""What the page shows: plain values, put together from the ledger and from what runs (page_report.py).

Rules of this file: only data. Money is US dollars, times are epoch seconds, and nothing here is a secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Literal

import msgspec

from addons.state.usage import Sums

By = Literal["user", "model", "provider"]
BYS: tuple[By, ...] = ("user", "model", "provider")

Period = Literal["day", "week", "month"]
PERIODS: tuple[Period, ...] = ("day", "week", "month")

SPANS = (7, 30, 90)
"""Days that the charts can show."""


class Line(msgspec.Struct, frozen=True):
    """What one user, model or provider has used on each of the report's days."""

    name: str
    cost: Sequence[float]
    """Dollars, of what has a price."""
    tokens: Sequence[int]


class Running(msgspec.Struct, frozen=True):
    """A request that has not ended."""

    user: str
    asked: str
    """The model that the client asked for."""
    target: str
    """`zai/glm-5`; empty while there is none."""
    request_class: str
    since: float
    attempt: int
    state: Literal["waiting", "answering"]


class Account(msgspec.Struct, frozen=True):
    """An account of a pool: the row of `./run.sh pool --json`."""

    name: str
    provider: str
    masked: str
    state: str
    until: float | None
    reason: str
    five_hours: float | None
    week: float | None
    sessions: int
    requests: int
    """In the last hour, and how many of them failed."""
    failures: int


class Avoided(msgspec.Struct, frozen=True):
    """A model (with None: all) of a provider that is asked last: why, until when, and by how many sessions, when not by
    all."""

    model: str | None
    why: str
    until: float | None
    sessions: int | None


class Health(msgspec.Struct, frozen=True):
    """How a provider did in the last day."""

    provider: str
    requests: int
    """Attempts that it was asked in."""
    failures: int
    first_event: float | None
    """Median seconds to the first event."""
    avoided: Sequence[Avoided] = ()
    off: str = ""
    """The variable that isn't set, so that it can't be asked."""


class Failover(msgspec.Struct, frozen=True):
    """How often a request went on from one provider to another, for one reason."""

    source: str
    to: str
    """Empty: nobody else was asked."""
    reason: str
    count: int


class Request(msgspec.Struct, frozen=True):
    """One request that has ended."""

    time: float
    user: str
    line: str
    """Its trail in a line: `claude-sonnet-5-5 → anthropic 429 → zai/glm-5`."""
    status: int
    error: str
    first_event: float | None
    duration: float
    tokens: int
    cost: float | None


class Budget(msgspec.Struct, frozen=True):
    """One window of a user's budget."""

    period: Period
    spent: float
    limit: float
    resets: float


class User(msgspec.Struct, frozen=True):
    """A user, and what they may spend."""

    name: str
    budgets: Sequence[Budget] = ()
    admin: bool = False
    revoked: bool = False


class Report(msgspec.Struct, frozen=True):
    """All that one person may see, at one moment."""

    now: datetime
    """With the zone in which days begin."""
    viewer: str
    """Who looks; empty while the gate is open to everybody."""
    sees_all: bool
    """The administrator, or anybody while the gate is open."""
    days: Sequence[date] = ()
    by: By = "user"
    lines: Sequence[Line] = ()
    """What the charts show."""
    totals: Sequence[Sums] = ()
    """The sums of each of the days; empty: they are not known."""
    used: Mapping[str, Sums] = msgspec.field(default_factory=dict)
    """The sums of all days by user, where everybody may be seen."""
    running: Sequence[Running] = ()
    accounts: Sequence[Account] = ()
    health: Sequence[Health] = ()
    failovers: Sequence[Failover] = ()
    slowest: Sequence[Request] = ()
    failed: Sequence[Request] = ()
    users: Sequence[User] = ()
    notes: Sequence[str] = msgspec.field(default=())
    """Sentences about what can't be shown, or what was reckoned how."""


def total(report: Report) -> Sums:
    """All days together."""
    whole = Sums()
    for day in report.totals:
        whole.add(day)
    return whole
