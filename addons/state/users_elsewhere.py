"""Users that gateways with files of their own have in common: who was changed where last.

Rules that hold here: everything waits for the file, and raises OSError or sqlite3.Error. Of two changes of a user the
later one holds, by the clocks of who made them; a deletion is one. Of a key only its digest is passed on. A user whose
name somebody else has here stays out.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from addons.config.settings import closed_mark
from addons.state.database import opened, transaction
from addons.state.shared import Row
from addons.state.users import COLUMNS, COUNT_UP, SAVE, from_row

DIGESTS: Final = (9, 10)
"""The columns that are bytes: they are passed on as hex."""
LOCAL: Final = f"SELECT {COLUMNS} FROM users"  # noqa: S608
KNOWN: Final = "SELECT id, version, changed FROM user_changes"
NOTE: Final = "INSERT OR REPLACE INTO user_changes (id, version, changed) VALUES (?, ?, ?)"

Changes = dict[str, tuple[float, Row | None]]
"""Users by their public ids: when each was changed, and the columns; None: the user was deleted."""


def exchanged(
    path: Path, elsewhere: Mapping[str, tuple[float, Row | None]], clock: Callable[[], float] = time.time
) -> Changes:
    """Take over what was changed elsewhere. Returns what was changed here, and isn't known there."""
    with closing(opened(path)) as connection, transaction(connection):
        here = {row[0]: told(row) for row in connection.execute(LOCAL)}
        known = {public: (version, changed) for public, version, changed in connection.execute(KNOWN)}
        for public in {*here, *known}:
            version = version_of(here.get(public))
            if known.get(public, ("", 0.0))[0] != version:
                known[public] = version, clock()
                connection.execute(NOTE, (public, *known[public]))
        applied = [
            take(connection, public, changed, row)
            for public, (changed, row) in elsewhere.items()
            if changed > known.get(public, ("", 0.0))[1]
        ]
        if any(applied):
            connection.execute(COUNT_UP, (int(clock() * 1000),))
        if connection.execute("SELECT closed FROM gate").fetchone()[0]:
            closed_mark(path).touch(0o600)
    return {
        public: (changed, here.get(public))
        for public, (_, changed) in known.items()
        if changed > elsewhere.get(public, (-1.0, None))[0]
    }


def take(connection: sqlite3.Connection, public: str, changed: float, row: Row | None) -> bool:
    """Take over one user. False: that can't be done, or changes nothing."""
    if row is None:
        connection.execute("DELETE FROM users WHERE id = ?", (public,))
    else:
        try:
            columns = [
                bytes.fromhex(value) if number in DIGESTS and value else value for number, value in enumerate(row)
            ]
            is_one = from_row(tuple(columns)) is not None and columns[0] == public
        except (TypeError, ValueError, AttributeError):
            is_one = False
        if not is_one:
            return False  # of another version of the gateway, or no user's at all
        other = connection.execute("SELECT id FROM users WHERE name = ?", (columns[1],)).fetchone()
        if other and other[0] != public:
            return False
        connection.execute(SAVE, columns)
        connection.execute("UPDATE gate SET closed = 1")
    connection.execute(NOTE, (public, version_of(row), changed))
    return True


def told(row: tuple[Any, ...]) -> Row:
    """The columns of a user, as others are told of them."""
    return [value.hex() if number in DIGESTS and value else value for number, value in enumerate(row)]


def version_of(row: Row | None) -> str:
    """What tells these columns from others; empty: there is no such user."""
    return sha256(json.dumps(row).encode()).hexdigest() if row else ""
