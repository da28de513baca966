"""Sharing: finds out with whom this gateway shares limits and accounts, and reaches them.

A worker of `--workers` is told by its parent where the hub is; with `gateway_redis` (or GATEWAY_REDIS_URL) gateways on
several machines share through that, workers too.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from mitmproxy import ctx
from mitmproxy.addonmanager import Loader
from mitmproxy.exceptions import OptionsError

from addons.config.environment import environment, unquoted
from addons.config.settings import Settings
from addons.process import redis_address
from addons.process.workers.inheritance import HUB
from addons.state.replica import ledger_id
from addons.state.shared import Shared, WrongKey
from addons.team.wrong_keys import WrongKeys

if TYPE_CHECKING:
    from addons.process.hub_link import HubLink
    from addons.process.redis_link import RedisLink

logger = logging.getLogger(__name__)

VARIABLE = "GATEWAY_REDIS_URL"


class Sharing:
    """Gives `shared` its link. Stands before the addons that share something."""

    def __init__(self, settings: Settings, shared: Shared, wrong_keys: WrongKeys | None = None) -> None:
        self.settings, self.shared = settings, shared
        if wrong_keys:
            wrong_keys.tell = lambda network: shared.tell(WrongKey(network))
            shared.on(WrongKey, lambda news: wrong_keys.note(news.address, time.monotonic()))
        self.link: HubLink | RedisLink | None = None

    def load(self, loader: Loader) -> None:
        loader.add_option(
            "gateway_redis",
            str,
            "",
            "Address of a Redis or Valkey (redis://, rediss://, unix://) through which gateways on several machines "
            f"share limits and accounts. Better in {VARIABLE}: others can see options.",
        )

    def configure(self, updated: set[str]) -> None:
        if "gateway_redis" in updated and (url := self.address()):
            try:
                redis_address.address(url)
            except redis_address.WrongAddress as error:
                raise OptionsError(f"gateway_redis ({VARIABLE}) {error}") from None
            if find_spec("redis") is None:
                raise OptionsError("gateway_redis needs redis-py: pip install 'claude-gateway[redis]'")

    def address(self) -> str:
        """Of the Redis, if there is one."""
        variables = environment(self.settings.env_path, self.settings.process_env)
        return ctx.options.gateway_redis or unquoted(variables.get(VARIABLE, ""))

    async def running(self) -> None:
        hub = os.environ.get(HUB)
        if url := self.address():
            from addons.process.redis_link import RedisLink  # few have any of these two

            self.settings.learn(url, *redis_address.password(url))
            self.link = RedisLink(url, self.shared)
        elif hub:
            from addons.process.hub_link import HubLink

            self.link = HubLink(Path(hub), self.shared)
        else:
            return
        self.shared.source = await asyncio.to_thread(source, ctx.options.gateway_db)
        self.shared.link = self.link
        self.link.start()

    async def done(self) -> None:
        if self.link and (closing := self.link.close()):
            await closing


def source(database: str) -> str:
    """What others call the ledger at this path."""
    path = Path(database).expanduser()
    try:
        return ledger_id(path)
    except (OSError, sqlite3.Error) as error:
        logger.warning("shared: %s can't be read (%s): it has another name until a restart", path, error)
        return uuid4().hex
