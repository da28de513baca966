"""Silence: which workers hang, by how often in a row they have given no sign of life. Pure.

They are looked at, and asked, in even steps. What counts are the steps, not the time: after a pause of the whole
machine (a laptop that slept, a container that was frozen) one step has passed, however long it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from addons.wire import limits

LOOKS: Final = 12
"""Looks within `limits.WORKER_SILENCE`."""


class Silence:
    """How often each worker was asked since it was heard."""

    def __init__(self) -> None:
        self.every = limits.WORKER_SILENCE / LOOKS
        """Seconds between two looks."""
        self.unheard: dict[int, int] = {}

    def heard(self, worker: int) -> None:
        """A worker has said something."""
        self.unheard.pop(worker, None)

    def look(self, workers: Iterable[int]) -> list[int]:
        """Look at these workers, who are asked now: those who hang."""
        self.unheard = {worker: self.unheard.get(worker, 0) + 1 for worker in workers}
        return [worker for worker, count in self.unheard.items() if count > LOOKS]

    def answers(self, worker: int) -> bool:
        """Whether a worker has said something since the look before the last."""
        return self.unheard.get(worker, 0) < 2
