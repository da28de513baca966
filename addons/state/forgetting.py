"""Forgetting a user: what the ledger has kept of the user's requests is deleted.

Rule of this file: a file has as many as a million rows, and a gateway that runs writes to it meanwhile: rows go in
batches, between which others get to write.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from addons.state.database import opened, transaction

AT_ONCE: Final = 50_000
"""Rows that are looked at in one transaction: a few hundredths of a second."""

LISTED: Final = "CREATE TEMP TABLE forgotten AS SELECT id FROM requests WHERE user = ?"
INDEXED: Final = "CREATE INDEX temp.forgotten_id ON forgotten (id)"
LONG: Final = {
    "attempts": "DELETE FROM attempts WHERE rowid BETWEEN ?1 AND ?2 AND request IN (SELECT id FROM forgotten)",
    "requests": "DELETE FROM requests WHERE rowid BETWEEN ?1 AND ?2 AND user = ?3",
}
SHORT: Final = (
    "DELETE FROM usage_daily WHERE user = ?",
    "DELETE FROM usage_elsewhere WHERE user = ?",
    "DELETE FROM usage_sessions WHERE user = ?",
    "DELETE FROM spend WHERE user = ?",
)


def forget_rows(path: Path, name: str) -> int:
    """Delete all rows of the requests of the user of this name. Returns how many requests there were. Raises OSError
    or sqlite3.Error."""
    with closing(opened(path)) as connection:
        connection.execute(LISTED, (name,))
        connection.execute(INDEXED)
        count: int = connection.execute("SELECT count(*) FROM forgotten").fetchone()[0]
        for table, statement in LONG.items():
            for start in batches(connection, table) if count else ():
                with transaction(connection):
                    connection.execute(statement, (start, start + AT_ONCE - 1, name)[: statement.count("?")])
        with transaction(connection):
            for statement in SHORT:
                connection.execute(statement, (name,))
    return count


def batches(connection: sqlite3.Connection, table: str) -> range:
    """Where the batches of a table's rows begin."""
    first, last = connection.execute(f"SELECT min(rowid), max(rowid) FROM {table}").fetchone()  # noqa: S608
    return range(first or 0, (last or 0) + 1, AT_ONCE)
