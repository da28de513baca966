"""SumsSharing: passes the daily sums of this gateway's ledger on to others, and keeps theirs beside them.

So the page and `./run.sh usage` of any gateway show what was used through all of them, also while nobody is reached.
Workers share one ledger: of those that do, one passes it on.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from mitmproxy import ctx

from addons.state.shared import SUMS_SHARED, Claim, DaysSummed, Rows, Shared, Summed, SumsOf, answer_of
from addons.state.sums_elsewhere import keep_sums, own_sums

logger = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds between looks at what has changed, while there are few others."""

FEW = 10
"""From so many ledgers on, looks are rarer: each gateway reads what every other has summed up."""


class SumsSharing:
    """One background task."""

    def __init__(self, shared: Shared, clock: Callable[[], float] = time.time) -> None:
        self.shared, self.clock = shared, clock
        self.name = uuid4().hex
        self.told: dict[str, str] = {}
        """The versions of this ledger's days that others have been told."""
        self.kept: dict[tuple[str, str], str] = {}
        """The versions of others' days, by ledger and day."""
        self.task: asyncio.Task[None] | None = None
        self.wanted = asyncio.Event()

    def running(self) -> None:
        if self.shared.has_other_ledgers:
            self.shared.on_joining(self.begin_anew)
            self.task = asyncio.get_running_loop().create_task(self.run())

    def done(self) -> None:
        if self.task:
            self.task.cancel()

    def begin_anew(self) -> None:
        """Others are reached (again): they may have lost everything."""
        self.told.clear()
        self.wanted.set()

    async def run(self) -> None:
        """Look at what has changed, for as long as the gateway runs."""
        while True:
            try:
                async with asyncio.timeout(pause(len({other for other, _ in self.kept}))):
                    await self.wanted.wait()
            except TimeoutError:
                pass
            self.wanted.clear()
            try:
                await self.share(ctx.options.gateway_db)
            except (OSError, sqlite3.Error) as error:
                logger.warning("shared: sums can't be passed on: %s", error)

    async def share(self, database: str) -> None:
        """Tell what has changed here, and take over what has changed elsewhere."""
        source = self.shared.source
        if await answer_of(self.shared.ask(Claim(f"sums:{source}", self.name, 3 * pause(len(self.kept))))) != self.name:
            return
        today = datetime.fromtimestamp(self.clock(), UTC).date()
        # Days of other time zones may have begun; those that are over change only when something is corrected.
        back = 2 if self.told else SUMS_SHARED
        days = tuple((today + timedelta(days=1 - number)).isoformat() for number in range(back + 1))
        for summed in await asyncio.to_thread(own, database, source, days[-1]):
            if self.told.get(summed.day) != summed.version:
                self.told[summed.day] = summed.version
                self.shared.tell(summed)
        found = await answer_of(self.shared.ask(DaysSummed(days))) or ()
        for day, versions in zip(days, found, strict=False):
            for other, version in versions.items():
                if other != source and self.kept.get((other, day)) != version:
                    rows = await answer_of(self.shared.ask(SumsOf(other, day)))
                    if rows is not None:
                        await asyncio.to_thread(keep, database, other, day, rows)
                        self.kept[other, day] = version


def pause(others: int) -> float:
    """Seconds until the next look."""
    return EVERY * max(1.0, others / FEW)


def own(database: str, source: str, since: str) -> list[Summed]:
    """What this ledger has summed up."""
    return own_sums(Path(database).expanduser(), source, since)


def keep(database: str, source: str, day: str, rows: Rows) -> None:
    """Keep what another ledger has."""
    keep_sums(Path(database).expanduser(), source, day, rows)
