"""Large bodies of all clients together: who gets room, who waits, and what becomes of who waits for too long."""

from __future__ import annotations

import gc

import pytest

from addons.proxy.body_budget import BodyBudget
from addons.wire import limits
from tests.proxy.playbook import Playbook
from tests.proxy.provider_bytes import LAST_CHUNK, chunk, events, stream

HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: g\r\nContent-Length: %d\r\n\r\n"
CHUNKED_HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n"
LARGE = limits.SMALL_BODY + 100
_BEGIN = b'{"model": "glm", "stream": true, "messages": [], "pad": "'
BODY = _BEGIN + b"x" * (LARGE - len(_BEGIN) - 2) + b'"}'


class Request:
    """Somebody who wants room."""


def full() -> tuple[BodyBudget, list[Request]]:
    """A budget without room, and who holds it all."""
    budget, holders = BodyBudget(), [Request() for _ in range(limits.LARGE_BODIES // limits.BODY)]
    assert all(budget.take(one, limits.BODY) for one in holders)
    return budget, holders


def test_small_ones_never_wait() -> None:
    budget, holders = full()
    assert budget.take(Request(), limits.SMALL_BODY)
    assert len(budget.held) == len(holders)


def test_the_first_that_waits_is_the_first_that_gets_room() -> None:
    budget, holders = full()
    first, second = Request(), Request()
    assert not budget.take(first, limits.BODY)
    budget.give_back(holders[0])
    assert not budget.take(second, LARGE), "else a large one would starve behind smaller ones"
    assert budget.take(first, limits.BODY)
    assert budget.take(first, limits.BODY)
    budget.give_back(holders[1])
    assert budget.take(second, LARGE)


def test_who_is_gone_neither_holds_nor_waits() -> None:
    budget, holders = full()
    gone, waits = Request(), Request()
    assert not budget.take(gone, LARGE)
    assert not budget.take(waits, LARGE)
    del gone
    holders.pop()
    gc.collect()
    assert budget.take(waits, LARGE)


class Room:
    """A client whose gateway has no room, and whether it is read."""

    def __init__(self, play: Playbook) -> None:
        self.play, self.reads = play, [True]
        self.budget, self.holders = full()
        play.gateway.bodies = self.budget
        play.gateway.read_client = self.reads.append  # type: ignore[method-assign,assignment]

    def made(self) -> None:
        for holder in self.holders:
            self.budget.give_back(holder)


def begin(play: Playbook, head: bytes) -> Room:
    """The first bytes of a request make the layer; the rest of its head comes when there is no room."""
    play.client_sends(head[:5])
    return Room(play)


def test_a_large_body_is_read_when_there_is_room() -> None:
    with Playbook() as play:
        head = HEAD % LARGE
        room = begin(play, head)
        play.client_sends(head[5:] + BODY[:1000])
        play.advance(1)
        assert room.reads[-2:] == [False, False]
        room.made()
        play.advance(1)
        assert room.reads[-1:] == [True]
        play.client_sends(BODY[1000:])
        assert len(room.budget.held) == 1
        play.server(1).sends(stream(events()))
        assert play.answer.status == 200
        assert not room.budget.held


def test_who_waits_for_too_long_is_told() -> None:
    with Playbook() as play:
        head = HEAD % LARGE
        room = begin(play, head)
        play.client_sends(head[5:])
        play.advance(limits.ROOM_WITHIN + 1)
        assert play.answer.status == 529
        assert play.answer.headers["retry-after"] == "5"
        assert room.reads[-1] is True, "what still comes is thrown away"
        assert not room.budget.waiting
        assert not play.servers


def test_a_body_without_a_length_waits_once_it_is_large() -> None:
    with Playbook() as play:
        room = begin(play, CHUNKED_HEAD)
        play.client_sends(CHUNKED_HEAD[5:] + chunk(BODY[: limits.SMALL_BODY]))
        assert room.reads == [True]
        play.client_sends(chunk(BODY[limits.SMALL_BODY : limits.SMALL_BODY + 1]))
        assert room.reads[-1] is False
        room.made()
        play.advance(1)
        play.client_sends(chunk(BODY[limits.SMALL_BODY + 1 :]) + LAST_CHUNK)
        play.server(1).sends(stream(events()))
        assert play.answer.status == 200
        assert not room.budget.held


@pytest.mark.parametrize("others_wait", [True, False])
@pytest.mark.parametrize("pace", [limits.SLOWEST // 2, limits.SLOWEST * 2])
def test_who_has_room_uses_it_while_others_wait(pace: int, others_wait: bool) -> None:
    with Playbook() as play:
        head = HEAD % limits.BODY
        room = begin(play, head)
        room.made()
        play.client_sends(head[5:])
        other = Request()
        if others_wait:
            holders = [Request() for _ in range(limits.LARGE_BODIES // limits.BODY - 1)]
            assert all(room.budget.take(one, limits.BODY) for one in holders)
            assert not room.budget.take(other, LARGE)
        for _ in range(int(limits.SLOW_AFTER) + 2):
            play.client_sends(b"x" * pace)
            play.advance(1)
        if others_wait and pace < limits.SLOWEST:
            assert play.answer.status == 408
            assert room.budget.take(other, LARGE)
        else:
            assert len(room.budget.held) == (16 if others_wait else 1)


def test_a_packed_body_counts_as_what_it_may_stand_for() -> None:
    with Playbook() as play:
        head = b"POST /v1/messages HTTP/1.1\r\nHost: g\r\nContent-Encoding: gzip\r\nContent-Length: 1000\r\n\r\n"
        room = begin(play, head)
        room.made()
        play.client_sends(head[5:])
        assert list(room.budget.held.values()) == [limits.BODY]


@pytest.mark.parametrize("waits", [True, False])
def test_who_hangs_up_leaves_no_trace(waits: bool) -> None:
    with Playbook() as play:
        head = HEAD % LARGE
        room = begin(play, head)
        if not waits:
            room.made()
        play.client_sends(head[5:] + b"x")
        play.client_closes()
        assert not room.budget.waiting
        assert waits or not room.budget.held
