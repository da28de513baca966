"""The daily sums of other gateways' ledgers, beside this one's: so that whoever reads sums reads those of all.

Rules that hold here: everything waits for the file, and raises OSError or sqlite3.Error; the rows of another ledger's
day are replaced as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from addons.state.database import opened, transaction
from addons.state.ledger_rows import DAILY_KEYS, SUMMED
from addons.state.shared import Summed

COLUMNS: Final = (*DAILY_KEYS[1:], *SUMMED)
"""Those of a row that is passed on."""
OWN: Final = (
    f"SELECT day, {', '.join(COLUMNS)} FROM usage_daily WHERE day >= ? ORDER BY day, user, provider, model, class"  # noqa: S608
)
FORGET: Final = "DELETE FROM usage_elsewhere WHERE source = ? AND day = ?"
KEEP: Final = (
    f"INSERT OR REPLACE INTO usage_elsewhere (source, day, {', '.join(COLUMNS)}) "  # noqa: S608
    f"VALUES ({', '.join('?' * (2 + len(COLUMNS)))})"
)


def own_sums(path: Path, source: str, since: str) -> list[Summed]:
    """What this ledger has summed up, from a day on."""
    days: dict[str, list[tuple[Any, ...]]] = {}
    with closing(opened(path)) as connection:
        for day, *row in connection.execute(OWN, (since,)):
            days.setdefault(day, []).append(tuple(row))
    return [Summed(source, day, version_of(rows), tuple(rows)) for day, rows in days.items()]


def version_of(rows: Sequence[tuple[Any, ...]]) -> str:
    """What tells these rows from others."""
    return sha256(json.dumps(rows).encode()).hexdigest()[:16]


def keep_sums(path: Path, source: str, day: str, rows: Sequence[Sequence[Any]]) -> None:
    """Keep what another ledger has summed up of a day."""
    whole = [(source, day, *row) for row in rows if len(row) == len(COLUMNS)]
    with closing(opened(path)) as connection, transaction(connection):
        connection.execute(FORGET, (source, day))
        connection.executemany(KEEP, whole)
