"""What a user has spent in the running day, week and month, by the ledger."""

from __future__ import annotations

from collections.abc import Collection
from datetime import tzinfo
from pathlib import Path

from addons.state.usage import spent as spent_since
from addons.team.windows import windows_at


def spent(path: Path, names: Collection[str], now: float, zone: tzinfo | None) -> dict[str, dict[str, float]]:
    """US dollars that count against these users' budgets, by name and window. `now`: epoch seconds. Raises OSError or
    sqlite3.Error."""
    found = {window.name: spent_since(path, window.start, names) for window in windows_at(now, zone)}
    return {name: {window: round(sums.get(name, 0.0), 6) for window, sums in found.items()} for name in names}
