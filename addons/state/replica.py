"""What tells the ledger of one gateway from those of others that serve the same team."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from addons.state.database import opened


def ledger_id(path: Path) -> str:
    """The name that a ledger has for as long as it lives. Waits for the file; raises OSError or sqlite3.Error."""
    with closing(opened(path)) as connection:
        found: str = connection.execute("SELECT id FROM replica").fetchone()[0]
    return found
