"""What a stream waits for and until when: one value for all its time limits.

Rule of this file: nothing is decided here. The stream sets a time, has itself woken for the earliest (`arm`), and asks
at each `Wakeup` which of them are due: an alarm can't be taken back, so it may come without a reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from mitmproxy.proxy import commands

from addons.proxy.hooks import Commands

EARLY = 0.001
"""Seconds by which a timer may fire before its time."""


class Deadlines:
    """The times at which something is due in one stream, in monotonic seconds; infinite: it is not waited for."""

    __slots__ = (
        "alarm",
        "answer_timeout",
        "clock",
        "discard",
        "give_up",
        "hold",
        "ping",
        "ping_interval",
        "refusal",
        "retry",
        "room",
    )

    def __init__(self, clock: Callable[[], float], alarm: Callable[[float], commands.RequestWakeup | None]) -> None:
        """`alarm` makes the command that wakes the stream at a time; None when an earlier one is pending."""
        self.clock, self.alarm = clock, alarm
        self.answer_timeout = self.ping_interval = 0.0
        """Seconds, of the configuration: for every event of an answer."""
        self.clear()

    def clear(self) -> None:
        """Wait for nothing any more."""
        self.retry = math.inf
        """The next attempt starts."""
        self.give_up = math.inf
        """The provider has said nothing for too long."""
        self.hold = math.inf
        """The client gets its 200, with or without a provider's answer."""
        self.ping = math.inf
        """The client was sent nothing for too long."""
        self.room = math.inf
        """A client waits for room for its body: time to look again."""
        self.refusal = math.inf
        """A client that was refused gets its answer."""
        self.discard = math.inf
        """A refused client has written enough of its body."""

    def after(self, limit: float) -> float:
        """The time at which a limit in seconds is over; 0 is no limit."""
        return self.clock() + limit if limit else math.inf

    def is_due(self, name: str, now: float) -> bool:
        """Whether the time of this name (a field of this class) has come; for each time set, it is True once."""
        if now + EARLY < getattr(self, name):
            return False
        setattr(self, name, math.inf)
        return True

    def arm(self) -> Commands:
        """Have the stream woken when the next of them is due."""
        due = min(self.retry, self.give_up, self.hold, self.ping, self.room, self.discard, self.refusal)
        if due < math.inf and (alarm := self.alarm(due)):
            yield alarm
