"""The rows of the ledger, and what is summed up of them, as they go into the SQLite file.

Rules that hold here:
- A request, its attempts and their sums are written in one transaction: sums and rows agree, whatever ends the process.
- No column holds a secret, a prompt or an answer; texts are masked once more, and none grows with what a client sends.
- Sums are kept by day, and of what users have spent by quarters of an hour: every time zone is a multiple of those, so
  that a window may begin at midnight wherever a team is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime, tzinfo
from functools import lru_cache
from itertools import chain
from typing import Any, Final, NamedTuple

from addons.wire.limits import LEDGER_MODELS
from addons.wire.masking import mask_text

LONGEST_TEXT: Final = 1000
"""Characters of a text in a column. Those that clients and providers make up are shorter, or are cut."""
LARGEST_INTEGER: Final = 2**63 - 1
AT_ONCE: Final = 500
"""Rows of one statement: a statement has room for some 32,000 values."""
OTHER: Final = "other"
SLOT: Final = 900
"""Seconds of one row of `spend`."""


class RequestRow(NamedTuple):
    """One finished client request: the columns of `requests`. Its tokens and its cost are the sums of its attempts'.

    id             the gateway's own id, which clients are told too
    time           epoch seconds, when the request came in
    session        Claude Code's session id, if it sent one
    user           who asked
    request_class  what for: the column `class`
    asked_model    the alias the client asked for
    provider       name of the provider that gave the answer the client got; "" when none was asked
    model          the name sent to the provider
    account        which of the provider's accounts; "" without a pool
    status         what the client got
    attempts       sends to providers, in all
    fallback       the answer came from a fallback
    *_tokens       usage as the provider reported it; cache_write_1h_tokens are a part of cache_write_tokens
    web_searches   searches that the provider made
    fast           it was answered in fast mode
    estimated      some of the usage is an estimate: the provider never told it, or the answer was not read to its end
    cost_usd       None when the model has no price
    budget_usd     what counts against budgets: the cost, or what is assumed where there is none
    price_version  which prices the cost is by
    first_event_s  seconds to the first event of the answer; None when none came
    duration_s     seconds until the answer was complete
    error          the error the client got, or the one that cut its stream
    line           its story in one line
    """

    id: str
    time: float
    session: str | None
    user: str
    request_class: str
    asked_model: str
    provider: str
    model: str
    account: str
    status: int
    attempts: int
    fallback: bool
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    web_searches: int
    fast: bool
    estimated: bool
    cost_usd: float | None
    budget_usd: float
    price_version: str
    first_event_s: float | None
    duration_s: float
    error: str | None
    line: str


class AttemptRow(NamedTuple):
    """One try at one target: the columns of `attempts`.

    request        the request's id
    number         counted from 1
    time           epoch seconds, when it began
    outcome        "" after success, else how it failed: status, error event, connect, dropped, timeout, invalid
    status         the provider's, if one came
    *              as of the request
    """

    request: str
    number: int
    time: float
    provider: str
    model: str
    account: str
    outcome: str
    status: int | None
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    web_searches: int
    fast: bool
    estimated: bool
    cost_usd: float | None
    budget_usd: float
    price_version: str
    first_event_s: float | None
    duration_s: float
    error: str | None


MADE_UP: Final[dict[type, tuple[list[int], list[int]]]] = {
    kind: (
        [kind._fields.index(name) for name in ("session", "user", "asked_model", "model") if name in kind._fields],
        [kind._fields.index(name) for name in ("error", "line") if name in kind._fields],
    )
    for kind in (RequestRow, AttemptRow)
}
"""Where the names and the texts stand that clients and providers make up. Numbers are bounded where they are read."""


class Finished(NamedTuple):
    """A request that is over."""

    request: RequestRow
    attempts: tuple[AttemptRow, ...]


Cell = str | int | float | None

SUMMED: Final = (
    "requests",
    "failed",
    "estimated",
    "unpriced",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "web_searches",
    "cost_usd",
)
"""What there are sums of. requests, failed: of those whose answer came from there. estimated, unpriced: attempts whose
usage is an estimate, and those that used tokens of a model without a price. cost_usd: NULL while nothing has one."""


class Statement(NamedTuple):
    """An insertion of any number of rows at once: in between two statements the event loop would be made to hand over
    the interpreter."""

    head: str
    columns: int
    tail: str = ""

    def run(self, connection: sqlite3.Connection, rows: list[Any]) -> None:
        """Insert the rows."""
        a_row = f"({', '.join('?' * self.columns)})"
        for first in range(0, len(rows), AT_ONCE):
            part = rows[first : first + AT_ONCE]
            values = ", ".join([a_row] * len(part))
            connection.execute(f"{self.head} VALUES {values}{self.tail}", list(chain.from_iterable(part)))


def insert(table: str, fields: tuple[str, ...]) -> Statement:
    """The statement that inserts rows."""
    return Statement(f"INSERT INTO {table} ({', '.join(map(column, fields))})", len(fields))


def add(table: str, keys: tuple[str, ...], sums: tuple[str, ...], more: str = "") -> Statement:
    """The statement that adds rows to the sums of their keys."""
    adding = ", ".join(f"{name} = coalesce({name} + excluded.{name}, {name}, excluded.{name})" for name in sums)
    return insert(table, (*keys, *sums))._replace(tail=f" ON CONFLICT DO UPDATE SET {adding}{more}")


def column(name: str) -> str:
    """The column of a field."""
    return {"request_class": "class"}.get(name, name)


DAILY_KEYS: Final = ("day", "user", "provider", "model", "class")
SESSION_KEYS: Final = ("session", "user", "provider", "model")

INSERT_REQUEST: Final = insert("requests", RequestRow._fields)
INSERT_ATTEMPT: Final = insert("attempts", AttemptRow._fields)
ADD_TO_DAY: Final = add("usage_daily", DAILY_KEYS, SUMMED)
ADD_TO_SESSION: Final = add(
    "usage_sessions",
    (*SESSION_KEYS, "first", "last"),
    SUMMED,
    ", first = min(first, excluded.first), last = max(last, excluded.last)",
)
ADD_TO_SPEND: Final = add("spend", ("user", "slot"), ("requests", "budget_usd"))

Sums = list[int | float | None]


Models = dict[str, set[str]]
"""Those that have sums of their own, by day."""


def write(
    connection: sqlite3.Connection, batch: Iterable[Finished], zone: tzinfo | None, models: Models | None = None
) -> None:
    """Write requests that are over, and add them to the sums; inside a transaction. `zone` is whose days are meant;
    None: this machine's. `models` is kept by the caller from batch to batch."""
    known = {} if models is None else models
    requests, attempts = [], []
    days: dict[tuple[Cell, ...], Sums] = {}
    sessions: dict[tuple[Cell, ...], tuple[Sums, list[float]]] = {}
    spend: dict[tuple[Cell, ...], list[float]] = {}
    dates: dict[int, str] = {}
    for finished in batch:
        row, tries = cleaned(finished.request), [cleaned(attempt) for attempt in finished.attempts]
        requests.append(row)
        attempts.extend(tries)
        slot = int(row.time) // SLOT
        if (day := dates.get(slot)) is None:
            day = dates[slot] = datetime.fromtimestamp(row.time, zone).date().isoformat()
        if day not in known:
            known.clear()
            known[day] = models_of(connection, day)
        for provider, name, sums in summed(row, tries):
            model = listed(name, known[day])
            merge(days.setdefault((day, row.user, provider, model, row.request_class), []), sums)
            if row.session:
                of_session, times = sessions.setdefault((row.session, row.user, provider, model), ([], []))
                merge(of_session, sums)
                times += (row.time, row.time + row.duration_s)
        spent = spend.setdefault((row.user, slot), [0, 0.0])
        spent[0] += 1
        spent[1] += row.budget_usd
    INSERT_REQUEST.run(connection, requests)
    INSERT_ATTEMPT.run(connection, attempts)
    ADD_TO_DAY.run(connection, [(*keys, *sums) for keys, sums in days.items()])
    ADD_TO_SESSION.run(connection, [(*keys, min(times), max(times), *sums) for keys, (sums, times) in sessions.items()])
    ADD_TO_SPEND.run(connection, [(*keys, *sums) for keys, sums in spend.items()])


def models_of(connection: sqlite3.Connection, day: str) -> set[str]:
    """The models that have sums of a day."""
    return {model for (model,) in connection.execute("SELECT DISTINCT model FROM usage_daily WHERE day = ?", (day,))}


def listed(model: str, known: set[str]) -> str:
    """A model's name in the sums: its own, as long as there is room for it."""
    if model not in known:
        if len(known) >= LEDGER_MODELS:
            return OTHER
        known.add(model)
    return model


def summed(row: RequestRow, attempts: list[AttemptRow]) -> Iterable[tuple[str, str, Sums]]:
    """(provider, model, what is added to its sums) of a request: one of where the answer came from, one of each other
    target that has used something."""
    here = (row.provider, row.model)
    requests: Sums = [1, int(row.error is not None)]
    if len(attempts) == 1 and (attempts[0].provider, attempts[0].model) == here:
        yield *here, [*requests, *used(attempts[0])]
        return
    parts: dict[tuple[str, str], Sums] = {here: [*requests, *[0] * (len(SUMMED) - 3), None]}
    for attempt in attempts:
        if has_used(attempt) or (attempt.provider, attempt.model) == here:
            merge(parts.setdefault((attempt.provider, attempt.model), []), [0, 0, *used(attempt)])
    for (provider, model), sums in parts.items():
        yield provider, model, sums


def has_used(attempt: AttemptRow) -> bool:
    """Whether an attempt is known to have used anything."""
    cached = attempt.cache_read_tokens or attempt.cache_write_tokens
    return bool(attempt.input_tokens or attempt.output_tokens or cached)


def used(attempt: AttemptRow) -> Sums:
    """What an attempt adds to the sums, from the third column on."""
    return [
        int(attempt.estimated),
        int(attempt.cost_usd is None and has_used(attempt)),
        attempt.input_tokens,
        attempt.output_tokens,
        attempt.cache_read_tokens,
        attempt.cache_write_tokens,
        attempt.cache_write_1h_tokens,
        attempt.web_searches,
        attempt.cost_usd,
    ]


def merge(sums: Sums, more: Sums) -> None:
    """Add to sums; those that are empty become the others. None is nothing known: not 0, and no matter where the other
    is known."""
    if not sums:
        sums[:] = more
        return
    for index, value in enumerate(more):
        if value is not None:
            sums[index] = (sums[index] or 0) + value


def cleaned[Row: (RequestRow, AttemptRow)](row: Row) -> Row:
    """A row as SQLite takes it: what clients and providers have made up is masked, and has an end."""
    cells: list[Any] = list(row)
    names, texts = MADE_UP[type(row)]
    for index in names:
        if cells[index]:
            cells[index] = shown_name(cells[index])
    for index in texts:
        if cells[index]:
            cells[index] = cell(mask_text(cells[index], ()))
    return type(row)(*cells)


@lru_cache(1024)
def shown_name(name: str) -> str:
    """A name without what looks like a credential. The same ones come again and again."""
    return str(cell(mask_text(name, ())))


def cell(value: Cell) -> Cell:
    """What SQLite takes of a value: no lone surrogates, no integers beyond 64 bits."""
    if isinstance(value, str):
        value = value if len(value) <= LONGEST_TEXT else f"{value[: LONGEST_TEXT - 1]}…"
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    return min(value, LARGEST_INTEGER) if isinstance(value, int) else value
