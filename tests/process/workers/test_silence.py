"""Who hangs, and who only says nothing for a while."""

from __future__ import annotations

from addons.process.workers.silence import LOOKS, Silence
from addons.wire import limits


def test_who_does_not_answer_for_too_long_hangs() -> None:
    silence = Silence()
    assert silence.every * LOOKS == limits.WORKER_SILENCE
    for _ in range(LOOKS):
        assert silence.look([1, 2]) == []
        silence.heard(2)
    assert silence.look([1, 2]) == [1]


def test_one_answer_is_enough() -> None:
    silence = Silence()
    for _ in range(3):
        for _ in range(LOOKS):
            assert silence.look([1]) == []
        silence.heard(1)


def test_who_has_not_answered_twice_is_not_asked_for_more() -> None:
    silence, told = Silence(), []
    for _ in range(3):
        told.append(silence.answers(1))
        silence.look([1])
    assert told == [True, True, False]
    silence.heard(1)
    assert silence.answers(1)


def test_who_is_gone_is_forgotten() -> None:
    silence = Silence()
    for _ in range(LOOKS):
        silence.look([1])
    silence.look([2])
    assert silence.look([1, 2]) == []
