"""The users of the gateway, as they stand in its file: read, added, changed, revoked, deleted.

Rules that hold here:
- Of a key only its digest is kept.
- Every change counts the version up, in the same transaction: who has read the users knows by it whether to read again.
  A version never goes down: a file with a lower one is another file, or an old copy.
- The gate is closed by the first user, whatever becomes of that user, until somebody opens it.
- A file beside the database says so too: who deletes the database, to forget what is in it, opens no gate.
- A name is never that of a caller who isn't a user: `admin` is the administrator's, whoever else would like to be it.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

from addons.config.routing import Budget
from addons.config.rules import matches
from addons.config.settings import closed_mark
from addons.state.database import MIGRATIONS, opened, readable, transaction, user_version

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII)
SHARED: Final = "shared"
"""The user that everybody with PROXY_STATIC_TOKEN is."""
RESERVED: Final = frozenset({"token", "admin", "anyone", "control", "replay", "nobody", "other", "all", SHARED})
"""Names of callers that aren't users, and what stands for several in tables and metrics."""


class Mistake(ValueError):
    """What was asked for can't be done to the users; `str()` says why, in words for whoever has asked."""


class User(msgspec.Struct, frozen=True):
    """Who asks, and what is set for this user alone."""

    name: str
    id: str
    """Public: it stands in the key, and stays when the key changes."""
    admin: bool = False
    budget: Budget = msgspec.field(default_factory=Budget)
    models: tuple[str, ...] = ()
    """Patterns of the names of models that may be asked for; empty: all."""
    rpm: int | None = None
    """Requests a minute; None: no limit of the user's own."""
    sessions: int | None = None
    """Sessions at once; None: no limit of the user's own."""

    def may_ask_for(self, model: str) -> bool:
        """Whether this user may ask for the model of this (plain) name."""
        return not self.models or is_one_of(self.models, model)


@lru_cache(1024)
def is_one_of(patterns: tuple[str, ...], model: str) -> bool:
    """Whether one of the patterns is like the name. The same ones are asked for again and again."""
    return matches(patterns, model)


@dataclass(frozen=True, slots=True)
class KnownUser:
    """A user, and the digests of the keys that let this user in."""

    user: User
    digest: bytes = field(repr=False)
    old_digest: bytes = field(default=b"", repr=False)
    """Of the key before; empty: there was none, or its time is over."""
    old_until: float = 0.0
    """Until when the key before lets this user in too (epoch seconds)."""
    created: float = 0.0
    revoked: float | None = None
    """Since when no key lets this user in (epoch seconds); None: one does."""


class Roll(msgspec.Struct, frozen=True):
    """All users at one moment."""

    version: int = 0
    """How many changes there have been."""
    is_closed: bool = False
    """A user has existed, and nobody has opened the gate since."""
    users: tuple[KnownUser, ...] = ()
    """By their names."""

    def find(self, name: str) -> KnownUser | None:
        """The user of this name, however it is spelt."""
        folded = name.lower()
        return next((known for known in self.users if known.user.name.lower() == folded), None)


COLUMNS: Final = (
    "id, name, admin, budget_day, budget_week, budget_month, models, rpm, sessions, digest, old_digest, old_until, "
    "created, revoked"
)
SAVE: Final = f"INSERT OR REPLACE INTO users ({COLUMNS}) VALUES ({', '.join('?' * 14)})"  # noqa: S608  # no values
SINCE: Final = next(number for number, script in enumerate(MIGRATIONS, 1) if "CREATE TABLE users" in script)
"""The first version of the file that has users."""
COUNT_UP: Final = "UPDATE gate SET version = max(version + 1, ?)"
"""By the clock (milliseconds), so that the version of a file that was made anew is higher than that of the lost one."""


def lost(path: Path, roll: Roll) -> bool:
    """Whether there were users once, and the database that they stood in is gone."""
    return not roll.version and closed_mark(path).exists()


def read_users(path: Path) -> Roll:
    """The users in the file at `path`: none, where there is no file, or one of a version without users. Raises OSError
    or sqlite3.Error."""
    connection = readable(path)
    if connection is None:
        return Roll()
    with closing(connection):
        return read(connection) if user_version(connection) >= SINCE else Roll()


def read(connection: sqlite3.Connection) -> Roll:
    """The users in an open file. Raises OSError when its tables are not as they must be, sqlite3.Error."""
    # One statement, so that it is all of one moment.
    rows = connection.execute(f"SELECT version, closed, {COLUMNS} FROM gate LEFT JOIN users ORDER BY name").fetchall()  # noqa: S608
    if not rows:
        raise OSError("its table `gate` is empty")
    version, closed, *_ = rows[0]
    known = tuple(user for row in rows if row[2] is not None and (user := from_row(row[2:])))
    return Roll(int(version), bool(closed), known)


def from_row(row: tuple[Any, ...]) -> KnownUser | None:
    """A user as it was saved; None for one with a name that somebody has written past `check_name`."""
    public, name, admin, day, week, month, models, rpm, sessions, digest, old, old_until, created, revoked = row
    if not NAME.fullmatch(name) or (name.lower() in RESERVED and (name, public) != (SHARED, SHARED)):
        return None
    patterns = tuple(filter(None, models.split(",")))
    user = User(name, public, bool(admin), Budget(day, week, month), patterns, rpm, sessions)
    return KnownUser(user, bytes(digest), bytes(old or b""), old_until or 0.0, created, revoked)


def to_row(known: KnownUser) -> tuple[Any, ...]:
    """The columns of a user."""
    user, budget = known.user, known.user.budget
    return (
        *(user.id, user.name, int(user.admin), budget.day, budget.week, budget.month, ",".join(user.models)),
        *(user.rpm, user.sessions, known.digest, known.old_digest or None, known.old_until or None),
        *(known.created, known.revoked),
    )


def check_name(name: str) -> None:
    """Raises Mistake when a user can't be called so."""
    if not NAME.fullmatch(name):
        raise Mistake(
            f"{name!r} is no name: 1 to 64 letters (a-z), digits and . _ @ + -, of which the first is a letter or digit"
        )
    if name.lower() in RESERVED:
        raise Mistake(f"{name!r} is the name of a caller that is no user: choose another one")


class UserFile:
    """Changes of the users in the file at `path`, which is made when there is none. Everything raises OSError or
    sqlite3.Error, and Mistake when it can't be done."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path, self.clock = path, clock

    def count_up(self, connection: sqlite3.Connection) -> None:
        """Let everybody know that something has changed."""
        connection.execute(COUNT_UP, (int(self.clock() * 1000),))

    def read(self) -> Roll:
        """All users."""
        return read_users(self.path)

    def get(self, name: str) -> KnownUser:
        """The user of this name."""
        return found(self.read(), name)

    def add(self, known: KnownUser) -> None:
        """Add a user; the gate is closed from now on. Raises Mistake for a name that is taken or can be none."""
        check_name(known.user.name)
        with closing(opened(self.path)) as connection, transaction(connection):
            roll = read(connection)
            if other := roll.find(known.user.name):
                revoked = " (revoked; `user rotate` gives a new key)" if other.revoked else ""
                raise Mistake(f"there is a user {other.user.name} already{revoked}")
            connection.execute(SAVE, to_row(known))
            connection.execute("UPDATE gate SET closed = 1")
            self.count_up(connection)
            closed_mark(self.path).touch(0o600)

    def change(self, name: str, **fields: Any) -> KnownUser:
        """Change fields of a user, or of what is known of one. Returns what is known now."""
        with closing(opened(self.path)) as connection, transaction(connection):
            roll = read(connection)
            if name == SHARED and not roll.find(name):
                known = KnownUser(User(SHARED, SHARED), b"")
            else:
                known = found(roll, name)
            own = {key: value for key, value in fields.items() if key in User.__struct_fields__}
            others = {key: value for key, value in fields.items() if key not in own}
            known = replace(known, user=msgspec.structs.replace(known.user, **own), **others)
            connection.execute(SAVE, to_row(known))
            self.count_up(connection)
        return known

    def delete(self, name: str) -> KnownUser:
        """Delete a user. (What is kept of the user's requests is the ledger's.)"""
        with closing(opened(self.path)) as connection, transaction(connection):
            known = found(read(connection), name)
            connection.execute("DELETE FROM users WHERE id = ?", (known.user.id,))
            self.count_up(connection)
        return known

    def open_gate(self) -> None:
        """Let everybody in, until a user is added."""
        with closing(opened(self.path)) as connection, transaction(connection):
            connection.execute("UPDATE gate SET closed = 0")
            self.count_up(connection)
        closed_mark(self.path).unlink(missing_ok=True)


def found(roll: Roll, name: str) -> KnownUser:
    """The user of this name. Raises Mistake when there is none."""
    if known := roll.find(name):
        return known
    others = ", ".join(known.user.name for known in roll.users[:20]) or "nobody yet: `./run.sh user add NAME`"
    raise Mistake(f"there is no user {name!r}; there are: {others}" if roll.users else f"there is no user: {others}")
