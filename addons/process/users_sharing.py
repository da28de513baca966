"""UsersSharing: a user who is added, changed, revoked or deleted at one gateway is so at all that share a Redis.

Each has its own file; what has changed in it goes to the others, and theirs into it (`state/users_elsewhere.py`), where
`UserWatch` finds it as if `./run.sh user` had written it.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path

from mitmproxy import ctx

from addons.state.shared import AllUsers, Shared, UserChanged, answer_of
from addons.state.users_elsewhere import Changes, exchanged

logger = logging.getLogger(__name__)

EVERY = 10.0
"""Seconds between looks at what others have, should news have been lost."""

LOOK_EVERY = 0.5
"""Seconds between looks at whether somebody was changed here."""


class UsersSharing:
    """One background task."""

    def __init__(self, shared: Shared, version: Callable[[], int]) -> None:
        """`version`: of the users that are known here, another one after each change."""
        self.shared, self.version = shared, version
        self.wanted = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.problem = ""

    def running(self) -> None:
        if self.shared.has_other_ledgers:
            self.shared.on(UserChanged, lambda _news: self.wanted.set())
            self.shared.on_joining(self.wanted.set)
            self.task = asyncio.get_running_loop().create_task(self.run())

    def done(self) -> None:
        if self.task:
            self.task.cancel()

    async def run(self) -> None:
        """Exchange what has changed, for as long as the gateway runs."""
        seen, waited = -1, 0.0
        while True:
            try:
                async with asyncio.timeout(LOOK_EVERY):
                    await self.wanted.wait()
            except TimeoutError:
                waited += LOOK_EVERY
                if self.version() == seen and waited < EVERY:
                    continue
            self.wanted.clear()
            seen, waited = self.version(), 0.0
            try:
                await self.exchange()
                self.problem = ""
            except (OSError, sqlite3.Error, ValueError) as error:
                if str(error) != self.problem:
                    self.problem = str(error)
                    logger.warning("shared: users can't be exchanged with other gateways: %s", error)

    async def exchange(self) -> None:
        """Once: take over what is new elsewhere, and tell what is new here."""
        elsewhere = await answer_of(self.shared.ask(AllUsers()))
        if elsewhere is None:
            return
        for public, (changed, row) in (await asyncio.to_thread(merged, ctx.options.gateway_db, elsewhere)).items():
            self.shared.tell(UserChanged(public, changed, row))


def merged(database: str, elsewhere: Changes) -> Changes:
    """What was changed in this file, which now has what was changed elsewhere."""
    return exchanged(Path(database).expanduser(), elsewhere)
