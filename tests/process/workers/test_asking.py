"""A question to several workers."""

from __future__ import annotations

import asyncio

from addons.process.workers.asking import Question


def test_all_answers_are_waited_for_and_who_leaves_is_not() -> None:
    async def run() -> list[object]:
        question = Question({1, 2, 3, 4})
        asking = asyncio.create_task(question.answers(60))
        question.answered(1, {"one": 1})
        question.answered(1, {"one": "twice"})
        question.answered(2, None)
        question.left(3)
        await asyncio.sleep(0)
        assert not asking.done()
        question.answered(4, 0)
        return await asking

    assert asyncio.run(run()) == [{"one": 1}, 0]


def test_who_does_not_answer_in_time_is_left_out() -> None:
    async def run() -> list[object]:
        question = Question({1, 2})
        question.answered(2, "in time")
        found = await question.answers(0)
        question.answered(1, "late")
        return list(found)

    assert asyncio.run(run())[:1] == ["in time"]


def test_nobody_answers_at_once() -> None:
    assert asyncio.run(Question([]).answers(60)) == []
