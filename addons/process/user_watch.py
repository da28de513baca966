"""UserWatch: keeps what the gateway knows of its users as it stands in the file, and ends what a user asked who is not
let in any more.

One background task looks at the file; reading it is done in a thread, so that no request waits for the disk.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mitmproxy import ctx
from mitmproxy.log import ALERT
from mitmproxy.proxy.mode_specs import ReverseMode

from addons.config.settings import Stamp, stamp
from addons.proxy.connections import proxyserver
from addons.proxy.dismissal import Dismissal
from addons.state.control import Control
from addons.state.exchange import Client, Exchange
from addons.state.forgetting import forget_rows
from addons.state.users import Roll, lost, read_users
from addons.team.users import Users
from addons.wire.errors import ProviderError

logger = logging.getLogger(__name__)

Stamps = tuple[Stamp, Stamp]
"""Of the file, and of what was written to it last (its WAL)."""

LOOK_EVERY = 0.4
"""Seconds between looks at the file: two stat calls each."""

SETTLED = 2.0
"""Seconds after which the stamp of a file says that nobody has written to it since: clocks of files are coarse."""

FORGOTTEN_AFTER = 3.0
"""Seconds in which the requests of a deleted user have ended, and are written down."""

CLOSED = "the gate is closed: who has no key or token stays out"
OPENED = "the gate was opened: everybody who can connect comes in, unless PROXY_STATIC_TOKEN is set"

LOST = (
    "is new, and there were users: `./run.sh user add NAME` makes one, `./run.sh user open-gate` lets everybody in who "
    "can connect"
)

GONE = ProviderError(401, "authentication_error", "the gateway key of this request has been revoked")


class UserWatch:
    """Reads the users at the start, and whenever they change."""

    def __init__(
        self, users: Users, control: Control | None = None, forget: Callable[[str], None] = lambda _name: None
    ) -> None:
        """`forget` is called with the names of users who were deleted."""
        self.users = users
        self.forget_spending = forget
        self.control = control or Control()
        self.control.serve("users", self.answer)
        self.control.siblings.serve("users", lambda _arguments: self.known())
        self.seen: Stamps | None = None
        """The stamps of the file when it was read last; None: it has to be read."""
        self.wanted = asyncio.Event()
        self.watching: asyncio.Task[None] | None = None
        self.forgetting: set[asyncio.Task[None]] = set()

    def running(self) -> None:
        self.take(*look_at(database(), None))
        self.watching = asyncio.get_running_loop().create_task(self.watch())

    def done(self) -> None:
        for task in filter(None, (self.watching, *self.forgetting)):
            task.cancel()

    def answer(self, exchange: Exchange, arguments: Mapping[str, Any]) -> object:
        """What is known of the users: the answer to `./run.sh user`, which waits until its change is known, to all."""
        return self.control.siblings.gathered("users", self.known(), least_known)

    def known(self) -> dict[str, Any]:
        """What this process knows of them; it looks again."""
        self.seen = None
        self.wanted.set()
        users = self.users
        return {"version": users.roll.version, "closed": users.is_closed, "problem": users.problem}

    async def watch(self) -> None:
        """Look at the file, for as long as the gateway runs."""
        while True:
            try:
                async with asyncio.timeout(LOOK_EVERY):
                    await self.wanted.wait()
            except TimeoutError:
                pass
            self.wanted.clear()
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001  # no thread to be had: a watch that has ended revokes no key
                self.take(None, f"{database()} ({type(error).__name__})")

    async def look(self) -> None:
        """Look at the file once, and do what has to be done when there are other users in it."""
        before = self.users.roll
        if self.take(*await asyncio.to_thread(look_at, database(), self.seen)):
            await dismiss(self.users)
            for known in before.users:
                if known.user.id not in self.users.known:  # somebody else may have the name by now
                    self.forget_spending(known.user.name)
            self.forget({known.user.name for known in before.users if not self.users.roll.find(known.user.name)})

    def forget(self, names: set[str]) -> None:
        """Forget the requests of deleted users that were running: who has deleted them has forgotten the others."""
        if names:
            task = asyncio.get_running_loop().create_task(forget_later(names, self.users))
            self.forgetting.add(task)
            task.add_done_callback(self.forgetting.discard)

    def take(self, seen: Stamps | None, found: Roll | str | None) -> bool:
        """Take over what was read; None: nothing has changed. Text: why it can't be read. Returns whether there are
        other users now."""
        self.seen = seen
        if found is None:
            return False
        before = self.users.roll
        if isinstance(found, Roll) and not self.users.take(found):
            found = f"{database()} is another file, or an old copy: it knows less than was read before"
        if isinstance(found, str) and found != self.users.problem:
            self.users.fail(found)
            who = "those that were read last stay" if self.users.was_read else "nobody comes in without a token"
            logger.log(ALERT, "users: can't be read, %s: %s", who, found)
        if self.watching and self.users.roll.is_closed != before.is_closed:
            logger.log(ALERT, "users: %s", CLOSED if self.users.roll.is_closed else OPENED)
        return self.users.roll is not before and self.users.roll != before


def least_known(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """What the worker knows that has read the oldest version."""
    return min(answers, key=lambda answer: answer["version"])


async def forget_later(names: set[str], users: Users) -> None:
    """Delete what the ledger has written of these users' last requests, by when it has."""
    await asyncio.sleep(FORGOTTEN_AFTER)
    for name in names:
        if not users.roll.find(name):
            try:
                await asyncio.to_thread(forget_rows, database(), name)
            except (OSError, sqlite3.Error) as error:
                logger.warning("users: the last requests of a deleted user are not forgotten: %s", error)


def database() -> Path:
    """Where the users stand."""
    return Path(ctx.options.gateway_db).expanduser()


def look_at(path: Path, seen: Stamps | None) -> tuple[Stamps | None, Roll | str | None]:
    """The stamps of the file, and the users in it, or why they can't be read; None: nothing has changed since it had
    those stamps. What is written while it is read has other ones, or comes so soon that it isn't settled."""
    try:
        file = path.resolve()  # SQLite follows links too: what is written last stands beside the file itself
        now = stamp(file), stamp(file.with_name(f"{file.name}-wal"))
        if now == seen:
            return seen, None
        latest = max((one[0] for one in now if one), default=0)
        settled = now if time.time() - latest / 1e9 > SETTLED else None
        found = read_users(path)
        return (None, f"{path} {LOST}") if lost(path, found) else (settled, found)
    except (OSError, sqlite3.Error) as error:
        return None, f"{path}: {getattr(error, 'strerror', None) or error}"
    except (TypeError, ValueError, AttributeError) as error:  # somebody has written something else into a column
        return None, f"{path}: a row of its table `users` is none ({type(error).__name__})"


async def dismiss(users: Users) -> None:
    """End the requests of users who are not let in any more."""
    server = proxyserver()
    if server is None:
        return

    def is_gone(client: Client) -> bool:
        return client.user is not None and not users.has(client.user)

    for handler in list(server.connections.values()):
        io = handler.transports.get(handler.client)
        if io and io.handler and isinstance(handler.client.proxy_mode, ReverseMode):  # it has been started, and is ours
            await handler.server_event(Dismissal(is_gone, GONE))
