"""What a stream waits for: each time comes due once, and the earliest of them wakes it."""

from __future__ import annotations

import math

from mitmproxy.proxy import commands

from addons.proxy.deadlines import EARLY, Deadlines
from tests.exchanges import STARTED, Clock


class Alarms:
    """The alarms of a stream, of which the earliest is enough."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, due: float) -> commands.RequestWakeup | None:
        if self.times and min(self.times) <= due:
            return None
        self.times.append(due)
        return commands.RequestWakeup(due)


def test_nothing_is_waited_for_until_it_is_set() -> None:
    alarms = Alarms()
    deadlines = Deadlines(Clock(), alarms)
    assert list(deadlines.arm()) == []
    for name in ("retry", "give_up", "hold", "ping", "discard"):
        assert not deadlines.is_due(name, 1e12)
    assert alarms.times == []


def test_the_earliest_wakes_the_stream() -> None:
    alarms = Alarms()
    deadlines = Deadlines(Clock(), alarms)
    deadlines.give_up, deadlines.ping, deadlines.retry = STARTED + 60, STARTED + 15, STARTED + 20
    (wakeup,) = deadlines.arm()
    assert isinstance(wakeup, commands.RequestWakeup)
    assert wakeup.delay == STARTED + 15
    assert list(deadlines.arm()) == [], "an alarm is pending"


def test_a_time_comes_once_and_alone() -> None:
    deadlines = Deadlines(Clock(), Alarms())
    deadlines.hold = deadlines.discard = STARTED + 1
    assert not deadlines.is_due("hold", STARTED + 1 - 2 * EARLY)
    assert deadlines.is_due("hold", STARTED + 1 - EARLY / 2), "timers fire a little early"
    assert not deadlines.is_due("hold", STARTED + 2)
    assert deadlines.is_due("discard", STARTED + 2)


def test_no_limit_is_never() -> None:
    clock = Clock()
    deadlines = Deadlines(clock, Alarms())
    clock.now += 5
    assert deadlines.after(0) == math.inf
    assert deadlines.after(2.5) == STARTED + 7.5


def test_cleared_deadlines_keep_what_is_configured() -> None:
    deadlines = Deadlines(Clock(), Alarms())
    deadlines.answer_timeout, deadlines.discard = 30.0, STARTED
    deadlines.clear()
    assert (deadlines.answer_timeout, deadlines.discard) == (30.0, math.inf)
