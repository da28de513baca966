"""A Check: one thing that was looked at, and what was found."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """What was found about one thing."""

    name: str
    ok: bool
    """Whether it works. What is merely good to know works."""
    said: str
    do: str = ""
    """What to do about it; empty where nothing is to be done."""


def together[T](jobs: Mapping[str, Callable[[], T]], late: Callable[[str], T], seconds: float) -> dict[str, T]:
    """The results of all jobs, each in a thread of its own; `late` makes that of one which isn't done in time (it is
    left behind: looking up a name can't be stopped)."""
    done: queue.SimpleQueue[tuple[str, T]] = queue.SimpleQueue()

    def work(name: str, job: Callable[[], T]) -> None:
        done.put((name, job()))

    for name, job in jobs.items():
        threading.Thread(target=work, args=(name, job), daemon=True).start()
    results: dict[str, T] = {}
    until = time.monotonic() + seconds
    while len(results) < len(jobs):
        try:
            name, result = done.get(timeout=max(until - time.monotonic(), 0.001))
        except queue.Empty:
            break
        results[name] = result
    return {name: results[name] if name in results else late(name) for name in jobs}
