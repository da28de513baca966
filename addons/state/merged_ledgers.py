"""Several ledgers read as one: those of gateways on several machines, when their files are in one place.

Rules that hold here: everything waits for the files, and raises OSError or sqlite3.Error; nothing in them changes but
the form of one that an older gateway has written.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from addons.state.database import opened, transaction
from addons.state.ledger_rows import ADD_TO_DAY, ADD_TO_SESSION, DAILY_KEYS, SESSION_KEYS, SUMMED, Statement
from addons.state.replica import ledger_id

TABLES: Final[dict[str, tuple[tuple[str, ...], Statement]]] = {
    "usage_daily": ((*DAILY_KEYS, *SUMMED), ADD_TO_DAY),
    "usage_sessions": ((*SESSION_KEYS, "first", "last", *SUMMED), ADD_TO_SESSION),
}


def merge(paths: Sequence[Path], into: Path) -> None:
    """Make a file of the sums of several; one that is a copy of another counts once."""
    known: set[str] = set()
    with closing(opened(into)) as whole, transaction(whole):
        for path in paths:
            path.stat()  # SQLite would make one
            if (name := ledger_id(path)) in known:
                continue
            known.add(name)
            with closing(opened(path)) as connection:
                for table, (columns, statement) in TABLES.items():
                    rows = connection.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()  # noqa: S608
                    statement.run(whole, rows)
