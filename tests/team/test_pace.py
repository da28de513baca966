"""Requests a minute, and sessions at once."""

from __future__ import annotations

from addons.team.pace import SESSION_LASTS, Rates, Sessions


def test_requests_of_a_minute() -> None:
    rates = Rates()
    assert [rates.wait("alice", 2, now) for now in (0.0, 10.0)] == [0.0, 0.0]
    assert rates.wait("alice", 2, 20.0) == 40.0
    assert rates.wait("bob", 2, 20.0) == 0.0
    assert rates.wait("alice", 2, 60.0) == 0.0
    assert rates.wait("alice", 2, 61.0) == 9.0


def test_a_limit_that_was_lowered_waits_for_the_one_that_makes_room() -> None:
    rates = Rates()
    for now in range(5):
        assert rates.wait("alice", 5, float(now)) == 0.0
    assert rates.wait("alice", 2, 5.0) == 58.0
    assert len(rates.came["alice"]) == 5


def test_a_session_goes_on_where_a_new_one_has_to_wait() -> None:
    sessions = Sessions()
    assert sessions.take("alice", "a", 1, 0.0)
    assert sessions.take("alice", "a", 1, 1.0)
    assert not sessions.take("alice", "b", 1, 1.0)
    assert sessions.take("bob", "b", 1, 1.0)


def test_a_session_counts_for_a_while_after_its_last_request() -> None:
    sessions = Sessions()
    for _ in range(2):
        sessions.take("alice", "a", 1, 0.0)
    sessions.leave("alice", "a", 10.0)
    assert not sessions.take("alice", "b", 1, 10.0 + SESSION_LASTS)  # one request of it runs
    sessions.leave("alice", "a", 20.0)
    assert sessions.soonest("alice", 50.0) == SESSION_LASTS - 30.0
    assert not sessions.take("alice", "b", 1, 19.0 + SESSION_LASTS)
    assert sessions.take("alice", "b", 1, 20.0 + SESSION_LASTS)
    assert list(sessions.seats["alice"]) == ["b"]


def test_who_leaves_without_a_seat_changes_nothing() -> None:
    sessions = Sessions()
    sessions.leave("alice", "a", 1.0)
    assert sessions.soonest("alice", 1.0) == SESSION_LASTS
