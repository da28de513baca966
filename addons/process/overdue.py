"""What was asked and isn't answered in time is lost: one timer for all questions that are on their way.

Time that the event loop itself was busy doesn't count: a burst of requests keeps it from reading answers that have long
come. So time is counted in ticks of the loop, and in each of them what has come is read first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from addons.state.shared import ANSWERED_WITHIN, Asked

TICKS: Final = 5
"""In how many ticks an answer must come."""


class Overdue:
    """Watches questions, which all have the same time; calls `fell_behind` when one of them gets no answer."""

    def __init__(self, fell_behind: Callable[[], object], within: float = ANSWERED_WITHIN) -> None:
        self.fell_behind, self.tick = fell_behind, within / TICKS
        self.now = 0
        self.waiting: deque[tuple[int, Asked]] = deque()
        self.timer: asyncio.TimerHandle | None = None

    def watch(self, asked: Asked) -> None:
        """Have this one lost when its time is over."""
        self.waiting.append((self.now + TICKS + 1, asked))  # the first tick may be over in a moment
        if self.timer is None:
            self.timer = asyncio.get_running_loop().call_later(self.tick, self.look)

    def look(self) -> None:
        """End what is overdue."""
        self.now += 1
        late = []
        while self.waiting and (self.waiting[0][0] <= self.now or not self.waiting[0][1].waits):
            late.append(self.waiting.popleft()[1])
        self.timer = asyncio.get_running_loop().call_later(self.tick, self.look) if self.waiting else None
        if any(asked.waits for asked in late):
            self.fell_behind()
        for asked in late:
            asked.settle(None)
