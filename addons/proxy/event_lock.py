"""The event lock: a connection that is to be closed while its task waits for other events is closed all the same.

mitmproxy handles the events of a client one at a time (`ConnectionHandler.server_event`), and ends a connection by
cancelling its task. A task that is cancelled while it waits for others ends without closing anything: the provider
goes on generating for nobody, or a client waits for an end that never comes.
"""

from __future__ import annotations

import asyncio
from typing import Literal


class EventLock(asyncio.Lock):
    """A lock that a cancelled task still gets, to be cancelled only then, where mitmproxy expects that."""

    async def acquire(self) -> Literal[True]:
        try:
            return await super().acquire()
        except asyncio.CancelledError as cancelled:
            await self.acquire()
            task = asyncio.current_task()
            assert task
            task.cancel(*cancelled.args)
            return True
