"""What was asked and isn't answered in time is lost: one timer for all questions that are on their way."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from addons.state.shared import ANSWERED_WITHIN, Asked


class Overdue:
    """Watches questions, which all have the same time; calls `fell_behind` when one of them gets no answer."""

    def __init__(self, fell_behind: Callable[[], object], within: float = ANSWERED_WITHIN) -> None:
        self.fell_behind, self.within = fell_behind, within
        self.waiting: deque[tuple[float, Asked]] = deque()
        self.timer: asyncio.TimerHandle | None = None

    def watch(self, asked: Asked) -> None:
        """Have this one lost when its time is over."""
        loop = asyncio.get_running_loop()
        self.waiting.append((loop.time() + self.within, asked))
        if self.timer is None:
            self.timer = loop.call_later(self.within, self.look)

    def look(self) -> None:
        """End what is overdue."""
        loop = asyncio.get_running_loop()
        now, late = loop.time(), []
        while self.waiting and (self.waiting[0][0] <= now or not self.waiting[0][1].waits):
            late.append(self.waiting.popleft()[1])
        self.timer = loop.call_later(self.waiting[0][0] - now, self.look) if self.waiting else None
        if any(asked.waits for asked in late):
            self.fell_behind()
        for asked in late:
            asked.settle(None)
