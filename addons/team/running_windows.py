"""The windows of budgets that run now, in the zone of the configuration, and what the ledger knows to be spent in them.

Rules of this file: another zone is followed only once what its windows have seen is read; till then the days of the old
one go on. A ledger that can't be read counts as nothing spent: limits fail open, and the log says so.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable
from datetime import tzinfo
from pathlib import Path

from addons.config.settings import Settings
from addons.state.usage import spent
from addons.team.budgets import Budgets
from addons.team.windows import Calendar, Window, Windows, windows_at

logger = logging.getLogger(__name__)

WRITTEN_AFTER = 2.0
"""Seconds after which the ledger has written what had ended before."""

READ_AGAIN = 60.0
"""Seconds before a ledger that couldn't be read is read again."""


class RunningWindows:
    """The running day, week and month, with these budgets seeded by what was spent in them."""

    def __init__(self, settings: Settings, budgets: Budgets, clock: Callable[[], float]) -> None:
        self.settings, self.budgets, self.clock = settings, budgets, clock
        self.calendar = Calendar()
        self.database = ""
        """The ledger's file."""
        self.zone: tzinfo | None = None
        """Whose days the budgets go by now."""
        self.reading: asyncio.Task[None] | None = None

    def now(self) -> Windows:
        """The running windows: those of the configuration that is in force, whatever it was when a request came."""
        zone = self.settings.current.users.timezone
        if zone is not self.zone and zone != self.zone and self.reading is None:
            self.read_again(WRITTEN_AFTER)
        return self.calendar.at(self.clock(), self.zone)

    async def begin(self, database: str) -> None:
        """Take over what was spent before the start. `database`: the ledger's file."""
        self.database = database
        self.zone = self.settings.current.users.timezone
        windows = windows_at(self.clock(), self.zone)
        try:
            found = await asyncio.to_thread(spent_in, database, windows)
        except (OSError, sqlite3.Error) as error:
            logger.warning("limits: what was spent before this start can't be read, and counts as nothing: %s", error)
            self.read_again(READ_AGAIN)
            return
        self.budgets.seed(found, windows)

    def read_again(self, pause: float) -> None:
        """Take over what was spent in the windows of the configuration's zone, in so many seconds."""
        self.reading = asyncio.get_running_loop().create_task(self.reread(pause))

    async def reread(self, pause: float) -> None:
        """Go by the days of the configuration's zone once what was spent in them is read: till then others go on."""
        while True:
            await asyncio.sleep(pause)
            zone = self.settings.current.users.timezone
            windows = windows_at(self.clock(), zone)
            try:
                found = await asyncio.to_thread(spent_in, self.database, windows)
                break
            except (OSError, sqlite3.Error) as error:
                if pause != READ_AGAIN:
                    logger.warning("limits: the ledger can't be read, the days of the old time zone go on: %s", error)
                pause = READ_AGAIN
        self.zone = zone
        self.budgets.seed(found, windows)
        self.reading = None

    def end(self) -> None:
        """Read nothing more."""
        if self.reading:
            self.reading.cancel()


def spent_in(database: str, windows: Iterable[Window]) -> dict[str, dict[str, float]]:
    """What the ledger knows of these windows: US dollars by window and user. Raises OSError or sqlite3.Error."""
    path = Path(database).expanduser()
    return {window.name: spent(path, window.start) for window in windows}
