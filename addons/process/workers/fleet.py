"""The workers of a gateway: which processes are to run, and when one is started, told to leave, or ended. Pure: time is
given, and what is to be done comes back as a list.

Rules that hold here:
- The first worker is started alone: what makes a start fail (a mistake in the configuration) is said once, and ends it.
- A worker that ends unasked is replaced; one that ends soon after its start, later each time. One that hangs (see
  silence.py) is killed, and so ends.
- Replacing all goes one by one: the new worker is ready before the old one is told to leave. One that doesn't get ready
  ends the replacing, and the old ones stay.
"""

from __future__ import annotations

import signal
from typing import Final, Literal, NamedTuple

import msgspec

from addons.wire import limits

SOON: Final = 10.0
"""Seconds: a worker that has run for less has failed at its start, in a way."""
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
"""Seconds before a worker that has failed at its start is started again: the first time, and at most."""
STARTS_WITHIN: Final = 120.0
"""Seconds until a worker must be ready; then it is killed."""


class Start(NamedTuple):
    """Start a process; `worker` is what it is called from here on, `number` the place that it has."""

    worker: int
    number: int


class Leave(NamedTuple):
    """Tell a worker that another one serves in its place: it finishes what it has, and ends."""

    worker: int


class Send(NamedTuple):
    """Send a signal to a worker."""

    worker: int
    signal: int


class Say(NamedTuple):
    """Log a line."""

    text: str


class End(NamedTuple):
    """Everything is over: end with this status."""

    status: int


Action = Start | Leave | Send | Say | End


class Worker(msgspec.Struct):
    """A process."""

    id: int
    number: int
    started: float
    state: Literal["starting", "ready", "leaving"] = "starting"
    hangs: bool = False


class Renewal(NamedTuple):
    """A worker that is being replaced by another."""

    old: int
    new: int


class Fleet(msgspec.Struct):
    """All workers, and what is to become of them."""

    size: int
    workers: dict[int, Worker] = msgspec.field(default_factory=dict)
    last_id: int = 0
    has_served: bool = False
    """Whether a worker has ever been ready."""
    pauses: dict[int, float] = msgspec.field(default_factory=dict)
    """How long was waited before the last start, by the worker's number."""
    due: dict[int, float] = msgspec.field(default_factory=dict)
    """When a worker that has ended is to be started again, by its number."""
    to_renew: list[int] = msgspec.field(default_factory=list)
    renewal: Renewal | None = None
    is_ending: bool = False
    failed: bool = False
    """Whether a worker has ended wrongly since all are ending."""

    def begin(self, now: float) -> list[Action]:
        """Start the first worker."""
        return [self.start(1, now)]

    def adopt(self, number: int, now: float, *, leaving: bool) -> int:
        """A worker that runs already: what it is called from here on."""
        self.last_id += 1
        self.has_served = True
        self.workers[self.last_id] = Worker(self.last_id, number, now - SOON, "leaving" if leaving else "ready")
        return self.last_id

    def go_on(self, now: float) -> list[Action]:
        """Start who is missing among those that were taken over, and replace all others."""
        missing = [self.start(number, now) for number in range(1, self.size + 1) if not self.current(number)]
        return [*missing, *self.renew(now)]

    def start(self, number: int, now: float) -> Start:
        """Start a worker."""
        self.last_id += 1
        self.due.pop(number, None)
        self.workers[self.last_id] = Worker(self.last_id, number, now)
        return Start(self.last_id, number)

    def became_ready(self, worker: int, now: float) -> list[Action]:
        """A worker serves from now on."""
        if self.is_ending or worker not in self.workers:
            return []
        self.workers[worker].state = "ready"
        actions: list[Action] = []
        if not self.has_served:
            self.has_served = True
            actions += [self.start(number, now) for number in range(2, self.size + 1)]
        if self.renewal and self.renewal.new == worker:
            old = self.workers.get(self.renewal.old)
            if old:
                old.state = "leaving"
                actions.append(Leave(old.id))
            self.renewal = None
            actions += self.renew_next(now)
        return actions

    def ended(self, worker: int, status: int, now: float) -> list[Action]:
        """A process is over; a negative status is the signal that has ended it."""
        one = self.workers.pop(worker)
        what = f"said nothing for {limits.WORKER_SILENCE:.0f} s and was killed" if one.hangs else how(status)
        if self.is_ending:
            self.failed |= status not in (0, -signal.SIGTERM, -signal.SIGINT)
            return [] if self.workers else [End(int(self.failed))]
        if not self.has_served:
            return [End(status if status >= 0 else 1)]
        if one.state == "leaving":
            return [Say(f"the worker {one.number} that was replaced {what}")] if status else []
        if self.renewal and self.renewal.new == worker:
            self.renewal, self.to_renew = None, []
            if self.current(one.number):
                return [Say(f"worker {one.number} is not replaced: the new one {what}; the old ones stay")]
        if self.current(one.number):
            return []
        soon = one.state == "starting" or now - one.started < SOON
        pause = min(max(FIRST_PAUSE, 2 * self.pauses.get(one.number, 0.0)), LONGEST_PAUSE) if soon else 0.0
        self.pauses[one.number] = pause
        if not pause:
            return [Say(f"worker {one.number} {what}: another takes its place"), self.start(one.number, now)]
        self.due[one.number] = now + pause
        return [Say(f"worker {one.number} {what}: another takes its place in {pause:g} s")]

    def hangs(self, worker: int) -> list[Action]:
        """A worker gives no sign of life."""
        self.workers[worker].hangs = True
        return [Send(worker, signal.SIGKILL)]

    def current(self, number: int) -> Worker | None:
        """The worker that has this number, and stays."""
        return next((one for one in self.workers.values() if one.number == number and one.state != "leaving"), None)

    def stays(self, worker: int) -> bool:
        """Whether a worker serves, and goes on to."""
        return worker in self.workers and self.workers[worker].state == "ready"

    def renew(self, now: float) -> list[Action]:
        """Replace all workers, one by one."""
        if self.is_ending or not self.has_served:
            return []
        self.to_renew = list(range(1, self.size + 1))
        return [] if self.renewal else self.renew_next(now)

    def renew_next(self, now: float) -> list[Action]:
        """Begin to replace the next worker."""
        while self.to_renew:
            number = self.to_renew.pop(0)
            old = self.current(number)
            if old and old.state == "ready":
                started = self.start(number, now)
                self.renewal = Renewal(old.id, started.worker)
                return [started]
            if not self.to_renew:
                break
        return [Say("all workers have been replaced")]

    def stop(self, number: int) -> list[Action]:
        """Pass on a signal that ends the gateway."""
        self.is_ending = True
        self.due.clear()
        return [Send(worker, number) for worker in self.workers] or [End(0)]

    def next_due(self) -> float | None:
        """When something is to be done though nothing happens; None: never."""
        times = [*self.due.values()]
        times += [one.started + STARTS_WITHIN for one in self.workers.values() if one.state == "starting"]
        return min(times, default=None)

    def time_passed(self, now: float) -> list[Action]:
        """Do what is due."""
        late: list[Action] = [
            Send(one.id, signal.SIGKILL)
            for one in self.workers.values()
            if one.state == "starting" and now >= one.started + STARTS_WITHIN
        ]
        for action in late:
            assert isinstance(action, Send)
            self.workers[action.worker].started = now  # once
        return [*late, *(self.start(number, now) for number, at in list(self.due.items()) if now >= at)]


def how(status: int) -> str:
    """How a process has ended."""
    if status < 0:
        try:
            return f"was ended by {signal.Signals(-status).name}"
        except ValueError:
            return f"was ended by signal {-status}"
    return f"ended with status {status}"
