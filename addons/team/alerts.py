"""Alerts: who runs the gateway is told when a user's budget runs out, once for each user, window and share.

Rules of this file: what is told is a POST to the configured address, made in a thread and tried again for a while;
nobody waits for it, and nothing that fails here fails a request. The address may be a secret (those of chat services
are): it is in no line of the log, only its host is.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from addons.config.egress import Egress
from addons.config.routing import AlertSettings
from addons.state.token_endpoint import post
from addons.state.users import User
from addons.team.windows import Window

logger = logging.getLogger(__name__)

PAUSES = (1.0, 5.0, 30.0, 120.0, 600.0)
"""Seconds before the second and each further try."""

AT_ONCE = 2
"""Posts at once: each holds a thread of those in which names are looked up too, so an address that takes them and
doesn't answer would keep providers from being reached."""

MOST_WAITING = 100
"""Alerts that are on their way at once: the next ones are dropped, and the log says so."""


class Alert(NamedTuple):
    """A share of a budget has been used up."""

    user: str
    window: Window
    threshold: float
    spent: float
    budget: float

    @property
    def told(self) -> dict[str, Any]:
        """What is posted."""
        resets = datetime.fromtimestamp(math.ceil(self.window.end), UTC)
        return {
            "user": self.user,
            "window": self.window.name,
            "threshold": self.threshold,
            "spent_usd": round(self.spent, 6),
            "budget_usd": self.budget,
            "resets_at": resets.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


def crossed(
    settings: AlertSettings, user: User, before: Mapping[str, float], dollars: float, windows: Iterable[Window]
) -> list[Alert]:
    """The alerts that a cost sets off: of each budget the highest share that was passed by it. `before`: what had been
    spent in each window."""
    found = []
    for window in windows:
        budget, spent = getattr(user.budget, window.name), before.get(window.name, 0.0)
        passed = [share for share in settings.at if budget and spent < share * budget <= spent + dollars]
        if passed:
            found.append(Alert(user.name, window, passed[-1], spent + dollars, budget))
    return found


class Alerts:
    """Posts alerts in the background."""

    def __init__(
        self,
        send: Callable[[str, bytes, Egress], Awaitable[int]] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.send = send or send_in_thread
        self.sleep = sleep
        self.waiting: set[asyncio.Task[None]] = set()
        self.turn = asyncio.Semaphore(AT_ONCE)

    def spent(
        self,
        settings: AlertSettings,
        user: User,
        before: Mapping[str, float],
        dollars: float,
        windows: Iterable[Window],
    ) -> None:
        """Tell of the shares of budgets that were passed by this cost. (What was spent only grows, also over a restart:
        none is passed twice.)"""
        if not settings.webhook:
            return
        for alert in crossed(settings, user, before, dollars, windows):
            if len(self.waiting) >= MOST_WAITING:
                logger.warning("alerts: %d are on their way, one about %s is dropped", MOST_WAITING, alert.user)
                continue
            task = asyncio.get_running_loop().create_task(self.tell(settings, alert))
            self.waiting.add(task)
            task.add_done_callback(self.waiting.discard)

    async def tell(self, settings: AlertSettings, alert: Alert) -> None:
        """Post an alert, and once more where nobody has taken it."""
        address, body = settings.webhook, json.dumps(alert.told).encode()
        host, why = urlsplit(address).hostname, ""
        for pause in (*PAUSES, None):
            try:
                async with self.turn:
                    status = await self.send(address, body, settings.egress)
                if 200 <= status < 300:
                    return
                why = f"it answered {status}"
                if status < 500 and status not in (408, 429):
                    break
            except (OSError, ValueError) as error:  # a host that can be no name is a ValueError
                why = getattr(error, "strerror", None) or type(error).__name__
            if pause is None:
                break
            await self.sleep(pause)
        logger.warning("alerts: %s was not told that %s's budget runs out: %s", host, alert.user, why)


async def send_in_thread(address: str, body: bytes, egress: Egress) -> int:
    """Post to an address. Returns the status. Raises OSError."""
    return (await asyncio.to_thread(post, address, body, egress)).status
