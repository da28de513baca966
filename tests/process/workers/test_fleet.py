"""What is done when workers start, serve and end."""

from __future__ import annotations

import signal
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from addons.process.workers.fleet import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    SOON,
    STARTS_WITHIN,
    Action,
    End,
    Fleet,
    Leave,
    Say,
    Send,
    Start,
)


def done(actions: Iterable[Action]) -> list[Action]:
    """The actions, without what is said."""
    return [one for one in actions if not isinstance(one, Say)]


def serving(size: int = 2) -> Fleet:
    """A fleet whose workers are all ready: 1, 2 …"""
    fleet = Fleet(size)
    fleet.begin(0)
    for worker in range(1, size + 1):
        fleet.became_ready(worker, 1)
    return fleet


def test_the_first_is_started_alone_and_the_others_when_it_is_ready() -> None:
    fleet = Fleet(3)
    assert fleet.begin(0) == [Start(1, 1)]
    assert fleet.became_ready(1, 1) == [Start(2, 2), Start(3, 3)]
    assert fleet.became_ready(2, 2) == []


def test_when_the_first_does_not_get_ready_all_is_over_with_its_status() -> None:
    for status, own in ((1, 1), (0, 0), (2, 2), (-signal.SIGSEGV, 1)):
        fleet = Fleet(2)
        fleet.begin(0)
        assert fleet.ended(1, status, 1) == [End(own)]


def test_one_that_dies_is_replaced_at_once_when_it_has_run_for_a_while() -> None:
    fleet = serving()
    said = Say("worker 2 was ended by SIGKILL: another takes its place")
    assert fleet.ended(2, -signal.SIGKILL, SOON + 1) == [said, Start(3, 2)]


def test_one_that_dies_soon_is_replaced_later_each_time() -> None:
    fleet, now, pauses = serving(), 2.0, []
    worker = 2
    for _ in range(9):
        assert fleet.ended(worker, 1, now)
        due = fleet.next_due()
        assert due is not None
        pauses.append(due - now)
        assert fleet.time_passed(due - 0.01) == []
        now = due
        (started,) = fleet.time_passed(now)
        assert isinstance(started, Start)
        assert started.number == 2
        worker = started.worker
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    fleet.became_ready(worker, now)
    assert done(fleet.ended(worker, 1, now + SOON)) == [Start(worker + 1, 2)], "it has served"
    assert fleet.pauses[2] == 0


def test_one_that_hangs_is_killed_and_replaced() -> None:
    fleet = serving()
    assert fleet.hangs(2) == [Send(2, signal.SIGKILL)]
    said = Say("worker 2 said nothing for 60 s and was killed: another takes its place")
    assert fleet.ended(2, -signal.SIGKILL, SOON + 1) == [said, Start(3, 2)]


def test_one_that_never_gets_ready_is_killed_once_and_replaced() -> None:
    fleet = Fleet(2)
    fleet.begin(0)
    fleet.became_ready(1, 1)
    assert fleet.next_due() == 1 + STARTS_WITHIN
    assert fleet.time_passed(1 + STARTS_WITHIN) == [Send(2, signal.SIGKILL)]
    assert fleet.time_passed(2 + STARTS_WITHIN) == []
    fleet.ended(2, -signal.SIGKILL, 2 + STARTS_WITHIN)
    assert fleet.time_passed(10 + STARTS_WITHIN) == [Start(3, 2)]


def test_all_are_replaced_one_by_one_each_when_the_new_one_is_ready() -> None:
    fleet = serving()
    assert fleet.renew(50) == [Start(3, 1)]
    assert fleet.became_ready(3, 51) == [Leave(1), Start(4, 2)]
    assert fleet.ended(1, 0, 52) == [], "it has left"
    assert fleet.became_ready(4, 53) == [Leave(2), Say("all workers have been replaced")]
    assert fleet.ended(2, 0, 54) == []


def test_a_new_one_that_does_not_get_ready_ends_the_replacing() -> None:
    fleet = serving()
    fleet.renew(50)
    (said,) = fleet.ended(3, 1, 51)
    assert said == Say("worker 1 is not replaced: the new one ended with status 1; the old ones stay")
    assert fleet.next_due() is None
    assert {one.id for one in fleet.workers.values()} == {1, 2}
    assert fleet.renew(60) == [Start(4, 1)], "it may be tried again"


def test_an_old_one_that_dies_while_it_is_being_replaced_is_not_started_twice() -> None:
    fleet = serving()
    fleet.renew(50)
    assert done(fleet.ended(1, 1, 51)) == []
    assert fleet.became_ready(3, 52) == [Start(4, 2)]


def test_when_old_and_new_both_die_there_is_another() -> None:
    fleet = serving()
    fleet.renew(50)
    fleet.ended(1, 1, 51)
    assert done(fleet.ended(3, 1, 51)) == []
    assert fleet.next_due() == 51 + FIRST_PAUSE


def test_workers_that_are_taken_over_are_replaced_and_who_is_missing_is_started() -> None:
    fleet = Fleet(3)
    assert fleet.adopt(1, 50, leaving=True) == 1
    assert fleet.adopt(1, 50, leaving=False) == 2
    assert fleet.adopt(3, 50, leaving=False) == 3
    assert fleet.go_on(50) == [Start(4, 2), Start(5, 1)]
    assert fleet.became_ready(5, 51) == [Leave(2), Start(6, 3)]
    assert fleet.ended(1, 0, 52) == []


def test_replacing_again_begins_again_and_what_waits_for_its_start_is_left_out() -> None:
    fleet = serving(3)
    fleet.renew(50)
    assert fleet.renew(50.5) == []
    fleet.ended(2, 1, 50.6)  # soon? it has run for long: started again at once
    assert fleet.became_ready(4, 51) == [Leave(1), Start(6, 1)]


def test_a_signal_goes_to_all_and_it_ends_when_the_last_has_ended() -> None:
    fleet = serving()
    assert fleet.stop(signal.SIGTERM) == [Send(1, signal.SIGTERM), Send(2, signal.SIGTERM)]
    assert fleet.ended(1, 0, 5) == []
    assert fleet.stop(signal.SIGTERM) == [Send(2, signal.SIGTERM)], "the second one ends it at once"
    assert fleet.ended(2, -signal.SIGTERM, 6) == [End(0)]


def test_a_worker_that_ends_wrongly_is_heard_of() -> None:
    fleet = serving()
    fleet.stop(signal.SIGTERM)
    fleet.ended(1, -signal.SIGSEGV, 5)
    assert fleet.ended(2, 0, 6) == [End(1)]


def test_nothing_is_started_while_all_end() -> None:
    fleet = serving()
    fleet.ended(2, 1, 3)
    fleet.stop(signal.SIGTERM)
    assert fleet.next_due() is None
    assert fleet.renew(4) == []
    assert fleet.ended(1, 0, 5) == [End(0)]
    assert Fleet(2).stop(signal.SIGINT) == [End(0)]


@given(st.lists(st.sampled_from(["ready", "dies", "renew", "later"]), max_size=60), st.randoms(use_true_random=False))
def test_no_number_is_served_twice_or_never_whatever_happens(events: list[str], random) -> None:
    fleet, now = serving(), 20.0
    for event in events:
        now += random.random() * SOON
        one = random.choice(list(fleet.workers.values())) if fleet.workers else None
        if event == "ready" and one and one.state == "starting":
            fleet.became_ready(one.id, now)
        elif event == "dies" and one:
            fleet.ended(one.id, 1, now)
        elif event == "renew":
            fleet.renew(now)
        elif event == "later" and (due := fleet.next_due()) is not None:
            now = max(now, due)
            fleet.time_passed(now)
        for number in (1, 2):
            staying = [one for one in fleet.workers.values() if one.number == number and one.state != "leaving"]
            new = [one for one in staying if fleet.renewal and one.id == fleet.renewal.new]
            assert len(staying) - len(new) <= 1
            assert staying or number in fleet.due
