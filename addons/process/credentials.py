"""Credentials: keeps what changes while the gateway runs, logins in files and what commands print, good for a while.

One background task looks once a second; what takes its time (a lock, the disk, the token endpoint, a program) runs in
a thread or a process of its own, so that no request and no stream waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from mitmproxy import ctx
from mitmproxy.addonmanager import Loader

from addons.config.config import Config
from addons.config.egress import Egress
from addons.config.routing import COMMAND, FILE
from addons.config.settings import Settings, Stamp, stamp
from addons.state import token_endpoint
from addons.state.credentials_file import Unsaved, read, renew, save_later
from addons.state.live_credentials import LiveCredentials
from addons.state.shared import Claim, Shared, answer_of
from addons.state.token_command import CommandFailed, printed
from addons.wire.claude_login import EARLY, Later, Login, Refused

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between looks at the files: a stat call each."""

OWNED_FOR = 86_400.0 * 30
"""Seconds for which a login is whose who renews it."""

LOOK_ELSEWHERE = 30.0
"""Seconds until a login is looked for again that another gateway renews."""

EARLY_SHARE = 0.9
"""The part of a command's `ttl` after which it is run again."""


class Credentials:
    """Renews every live credential in time."""

    def __init__(
        self,
        settings: Settings,
        live: LiveCredentials,
        clock: Callable[[], float] = time.time,
        shared: Shared | None = None,
    ) -> None:
        self.settings, self.live, self.clock = settings, live, clock
        self.shared = shared or Shared()
        self.config: Config | None = None
        self.stamps: dict[str, Stamp] = {}
        self.unsaved: dict[str, Unsaved] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.wanted = asyncio.Event()
        self.looking: asyncio.Task[None] | None = None

    def load(self, loader: Loader) -> None:
        loader.add_option(
            "gateway_token_url",
            str,
            token_endpoint.ADDRESS,
            "Address of the endpoint that renews the logins in CLAUDE_CREDENTIALS.",
        )

    def running(self) -> None:
        self.live.wake = self.wanted.set
        self.looking = asyncio.get_running_loop().create_task(self.look())

    async def done(self) -> None:
        """A renewal that has been sent is waited for: its answer must get into the file."""
        if self.looking:
            self.looking.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks.values(), timeout=token_endpoint.TIMEOUT)

    async def look(self) -> None:
        """Renew what is due, for as long as the gateway runs."""
        while True:
            self.follow(self.settings.current)
            self.notice_changes()
            for name in self.live.due(self.clock()):
                if name not in self.tasks:
                    self.tasks[name] = task = asyncio.get_running_loop().create_task(self.renew(name))
                    task.add_done_callback(partial(self.ended, name))
            self.wanted.clear()
            try:
                async with asyncio.timeout(LOOK_EVERY):
                    await self.wanted.wait()
            except TimeoutError:
                pass

    def follow(self, config: Config) -> None:
        """Take over what a new configuration has: what failed for good gets another chance."""
        if config is not self.config:
            self.config = config
            self.live.follow(config.live_credentials())

    def notice_changes(self) -> None:
        """Have each file read again that another process has written."""
        for name, live in self.live.known.items():
            if name.startswith(FILE) and name not in self.tasks:
                now = stamp(path_of(name))
                if self.stamps.get(name) != now:
                    self.stamps[name] = now
                    live.renew_at = 0.0

    def ended(self, name: str, task: asyncio.Task[None]) -> None:
        """Note that a renewal is over, and what went wrong in a way that nobody expected."""
        del self.tasks[name]
        if not task.cancelled() and (error := task.exception()):
            logger.error("credentials: %s: %s", label(name), type(error).__name__)
            self.live.failed(name, f"{label(name)}: {type(error).__name__}", self.clock())
        self.wanted.set()

    async def renew(self, name: str) -> None:
        """Get a new value for the credential of this name."""
        if name.startswith(COMMAND):
            await self.run(name)
        else:
            await self.refresh(name, path_of(name))

    async def run(self, name: str) -> None:
        """Run the command of a provider."""
        assert self.config
        provider = self.config.providers.get(name.removeprefix(COMMAND))
        if provider is None or not provider.command:
            return
        try:
            value = await printed(provider.command)
        except CommandFailed as error:
            self.tell(name, f"{label(name)}: {error}")
            self.live.failed(name, f"the command of {provider.name} gives no credential: {error}", self.clock())
            return
        self.settings.learn(value)
        now = self.clock()
        self.live.renewed(name, value, renew_at=now + EARLY_SHARE * provider.ttl, ends_at=now + provider.ttl)

    async def refresh(self, name: str, path: Path) -> None:
        """Read a file, and renew its login if that is due."""
        live = self.live.known[name]
        outcome: Login | Unsaved | Refused | Later
        try:
            login, _ = await asyncio.to_thread(read, path)
            self.settings.learn(login.access_token, login.refresh_token)
        except OSError as error:
            outcome = Later(f"{path}: {error.strerror}")
        except ValueError as error:
            outcome = Refused(f"{path}: {error}")
        else:
            if not login.is_over(self.clock()):
                live.value, live.ends_at = login.access_token, login.expires_at or float("inf")
            if unsaved := self.unsaved.pop(name, None):
                outcome = await asyncio.to_thread(save_later, path, unsaved)
            elif not (login.is_due(self.clock()) or login.access_token == live.doubted):
                outcome = login
            elif not await self.is_ours(login):
                outcome = self.elsewhere(path, login)
            else:
                address = ctx.options.gateway_token_url
                egress = token_egress(self.settings.current, address)
                post = partial(token_endpoint.post, address, egress=egress)
                outcome = await asyncio.to_thread(renew, path, post, self.clock, doubted=live.doubted)
        self.take(name, outcome)

    async def is_ours(self, login: Login) -> bool:
        """Whether no other gateway renews this login: of two that have a copy of it, the second one would take it from
        the first."""
        what = f"login:{sha256(login.refresh_token.encode()).hexdigest()}"
        owner = await answer_of(self.shared.ask(Claim(what, self.shared.source, OWNED_FOR)))
        return owner in (None, self.shared.source)

    def elsewhere(self, path: Path, login: Login) -> Refused | Later:
        """What becomes of one that another gateway renews. Where both have one file, what that writes comes here."""
        if login.is_over(self.clock()):
            return Refused(
                f"{path}: another gateway has a copy of this login, which belongs to one machine: log in anew"
            )
        return Later(f"{path}: another gateway renews this login", LOOK_ELSEWHERE)

    def take(self, name: str, outcome: Login | Unsaved | Refused | Later) -> None:
        """Take over what came of reading or renewing a login."""
        now = self.clock()
        match outcome:
            case Login() | Unsaved():
                login = outcome if isinstance(outcome, Login) else outcome.login
                self.settings.learn(login.access_token, login.refresh_token)
                ends = login.expires_at or float("inf")
                again = max(ends - EARLY, now + LOOK_EVERY)
                if isinstance(outcome, Unsaved):
                    self.unsaved[name] = outcome
                    self.tell(name, outcome.reason)
                    again = now + 10 * LOOK_EVERY
                self.live.renewed(name, login.access_token, renew_at=again, ends_at=ends)
                self.stamps[name] = stamp(path_of(name))
            case Refused(reason):
                self.tell(name, f"{label(name)} can't be used: {reason}")
                self.live.failed(name, reason, now, is_final=True)
                self.stamps[name] = stamp(path_of(name))
            case Later(reason, wait):
                self.tell(name, f"{label(name)} is not renewed: {reason}")
                self.live.failed(name, reason, now, wait=wait)

    def tell(self, name: str, problem: str) -> None:
        """Log what is wrong with a credential, once until it is well again."""
        if (live := self.live.known.get(name)) and not live.failures:
            logger.warning("credentials: %s", problem)


def token_egress(config: Config, address: str) -> Egress:
    """How the token endpoint is reached."""
    url = urlsplit(address)
    return config.token_egress(url.scheme, url.hostname or "", url.port or (443 if url.scheme == "https" else 80))


def path_of(name: str) -> Path:
    """The file of a login."""
    return Path(name.removeprefix(FILE))


def label(name: str) -> str:
    """What people call a credential: its file, or whose command prints it."""
    return name.removeprefix(FILE) if name.startswith(FILE) else f"the command of {name.removeprefix(COMMAND)}"
