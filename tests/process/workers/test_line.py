"""What a worker and its parent say to each other."""

from __future__ import annotations

import asyncio
import socket

import pytest

from addons.process.workers.line import Line, Message, connected
from addons.wire import limits


async def both_ends() -> tuple[Line, Line]:
    one, other = socket.socketpair()
    return await connected(one), await connected(other)


async def heard(line: Line) -> list[Message]:
    """All that is said until the other side is gone."""
    messages = [message async for message in line.messages()]
    line.close()
    await asyncio.sleep(0)
    return messages


def test_messages_come_in_order_until_the_other_side_is_gone() -> None:
    async def run() -> list[Message]:
        one, other = await both_ends()
        assert one.is_quiet
        one.say(ready=True)
        one.say(ask=1, name="pool", arguments={"a": "é\n"})
        one.close()
        one.say(never="heard")
        return await heard(other)

    assert asyncio.run(run()) == [{"ready": True}, {"ask": 1, "name": "pool", "arguments": {"a": "é\n"}}]


def test_a_message_that_is_too_long_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would end the line, and a worker without a parent ends."""
    monkeypatch.setattr(limits, "HUB_BACKLOG", 100_000)

    async def run() -> list[object]:
        one, other = await both_ends()
        one.say(answer=1, value="x" * 100_000)
        one.say(answer=2, value="x" * 99_900)
        one.close()
        return [message["answer"] for message in await heard(other)]

    assert asyncio.run(run()) == [2]


def test_what_is_not_looked_at_is_under_way() -> None:
    async def run() -> tuple[bool, bool]:
        one, other = await both_ends()
        one.say(ready=True)
        await asyncio.sleep(0)
        while other.is_quiet:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        messages = other.messages()
        await anext(messages)
        found = one.is_quiet, other.is_quiet
        one.close()
        other.close()
        await asyncio.sleep(0)
        return found

    assert asyncio.run(run()) == (True, True)
