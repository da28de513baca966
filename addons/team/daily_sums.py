"""The daily sums of the ledger as the page wants them: by day, by user, and by what its charts show.

Rules that hold here: everything waits for the file, so never on the event loop; days that are over hardly change, and
are read again only after a minute: the page asks every few seconds, and a large team has tens of thousands of sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

import msgspec

from addons.state import usage
from addons.state.usage import Sums
from addons.team.report import By, Line

FRESH: Final = 60.0
"""Seconds after which days that are over are read again: prices may have been corrected, users forgotten."""
MOST_REMEMBERED: Final = 50
"""Viewers and choices of which those are remembered."""

COLUMNS: Final[dict[By, str]] = {"user": "user", "model": "provider, model", "provider": "provider"}
OF_THE_DAYS: Final = "FROM {table} WHERE day BETWEEN ?1 AND ?2 AND ?3 IN ('', user)"
LINES: Final = {
    by: f"SELECT day, {columns}, sum(cost_usd), "  # no values
    f"sum(input_tokens + output_tokens + cache_read_tokens + cache_write_tokens) {OF_THE_DAYS} GROUP BY day, {columns}"
    for by, columns in COLUMNS.items()
}
# In the order of the table, so that nothing has to be sorted.
USERS: Final = f"SELECT day, user, {usage.TOTALS} {OF_THE_DAYS} GROUP BY day, user"


class DailySums:
    """What was used on some days, by all users or by one."""

    def __init__(self, days: Sequence[date]) -> None:
        self.places = {day.isoformat(): place for place, day in enumerate(days)}
        self.names: dict[str, tuple[list[float], list[int]]] = {}
        self.days = [Sums() for _ in days]
        self.users: dict[str, Sums] = {}

    def read(self, path: Path, by: By, own: str, first: date, last: date) -> None:
        """Add the sums of these days."""
        values = (first.isoformat(), last.isoformat(), own)
        with usage.reading(path) as connection:
            if connection is None:
                return
            table = usage.sums_in(connection)
            for day, user, *sums in connection.execute(USERS.format(table=table), values):
                found = usage.sums_of(sums)
                self.days[self.places[day]].add(found)
                self.users.setdefault(user, Sums()).add(found)
                if by == "user":
                    self.add(self.places[day], user, found.cost_usd or 0.0, found.total_tokens)
            for day, *names, cost, tokens in (
                connection.execute(LINES[by].format(table=table), values) if by != "user" else ()
            ):
                self.add(self.places[day], "/".join(name or "none" for name in names), cost or 0.0, tokens)

    def add(self, place: int, name: str, cost: float, tokens: int) -> None:
        """What somebody or something has used on a day."""
        nothing = len(self.places)
        costs, counts = self.names.setdefault(name, ([0.0] * nothing, [0] * nothing))
        costs[place] += cost
        counts[place] += tokens

    def copy(self) -> DailySums:
        """Others that are the same, to which more may be added. (`deepcopy` takes a tenth of what the page takes.)"""
        made = DailySums(())
        made.places = self.places
        made.names = {name: (costs.copy(), counts.copy()) for name, (costs, counts) in self.names.items()}
        made.days = [msgspec.structs.replace(sums) for sums in self.days]
        made.users = {name: msgspec.structs.replace(sums) for name, sums in self.users.items()}
        return made

    @property
    def lines(self) -> list[Line]:
        """What the charts show."""
        return [Line(name, cost, tokens) for name, (cost, tokens) in self.names.items()]


class Reader:
    """Reads them, and remembers those of days that are over. For one thread."""

    def __init__(self) -> None:
        self.known: dict[tuple[Path, date, date, By, str], tuple[float, DailySums]] = {}

    def read(self, path: Path, days: Sequence[date], by: By, own: str, now: float) -> DailySums:
        """The sums of these days, the last of which is today; of all users, or of one. `now`: seconds of any clock."""
        *over, yesterday, today = days
        key = (path, days[0], today, by, own)
        at, known = self.known.get(key, (-FRESH, None))
        if known is None or now - at >= FRESH:
            known = DailySums(days)
            known.read(path, by, own, days[0], over[-1])
            if len(self.known) >= MOST_REMEMBERED:
                self.known.clear()
            self.known[key] = now, known
        found = known.copy()
        found.read(path, by, own, yesterday, today)
        return found
