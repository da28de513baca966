"""A question to several workers, and the answers that come in time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any


class Question:
    """One that is being answered."""

    def __init__(self, asked: Iterable[int]) -> None:
        """`asked`: who shall answer."""
        self.missing = set(asked)
        self.values: list[Any] = []
        self.complete = asyncio.Event()
        self.look()

    def answered(self, worker: int, value: Any) -> None:
        """Somebody has answered; None: he can't."""
        if worker in self.missing:
            self.missing.remove(worker)
            if value is not None:
                self.values.append(value)
        self.look()

    def left(self, worker: int) -> None:
        """Somebody is gone, and answers nothing any more."""
        self.missing.discard(worker)
        self.look()

    def look(self) -> None:
        if not self.missing:
            self.complete.set()

    async def answers(self, within: float) -> list[Any]:
        """What was answered, once all have, or after so many seconds."""
        try:
            async with asyncio.timeout(within):
                await self.complete.wait()
        except TimeoutError:
            pass
        return self.values
