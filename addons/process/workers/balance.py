"""Balance: workers take connections in turns, though all are woken for each and the same one is often the first.

A connection that Claude Code keeps open stays where it is, and one worker could get nearly all of them while nobody is
busy. Who has more than the others lets them come first: it looks again a moment later, and accepts who is waiting
still, so that nobody waits for a worker that hangs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

HESITATION: Final = 0.005
"""Seconds for which a worker that leads lets others come first."""
LEAD: Final = 4
"""Connections that one may have more than the others; and a sixteenth of what it has."""


class Balance:
    """Whether this worker lets others come first."""

    def __init__(self) -> None:
        self.count: Callable[[], int] = lambda: 0
        """How many connections it has."""
        self.fewest: int | None = None
        """How many that other worker has which has the fewest; None: there is none that is ready."""
        self.changed: Callable[[], None] = lambda: None
        """Is called when a connection has come."""

    @property
    def leads(self) -> bool:
        count = self.count()
        return self.fewest is not None and count - self.fewest >= LEAD + count // 16


def fewest(counts: Mapping[int, int]) -> dict[int, int | None]:
    """For each worker, how many connections that other one has which has the fewest."""
    return {
        worker: min((count for other, count in counts.items() if other != worker), default=None) for worker in counts
    }
