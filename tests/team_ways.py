"""The ways in which several gateways share what they know, each with members that tell, ask and hear.

Nothing here knows how a way works inside: tests that hold for one hold for all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import pytest

from addons.process import redis_link, redis_scripts
from addons.process.hub import Hub
from addons.process.hub_link import HubLink
from addons.process.redis_link import Command, RedisLink
from addons.state.shared import NEWS, Moved, Question, Shared, Tell, Totals
from addons.team.hub_state import HubState
from tests.redis_server import RedisServer, redis_server

PATIENCE = 20.0


class Member(Protocol):
    """One of several gateways."""

    heard: list[Any]

    def tell(self, message: Tell) -> None: ...

    async def ask(self, question: Question) -> Any: ...

    async def leave(self) -> None:
        """Be gone, without a word."""


class Team(Protocol):
    """Several gateways that share what they know."""

    async def join(self) -> Member:
        """Have another one come."""

    async def advance(self, seconds: float) -> None:
        """Let time pass."""


class Clock:
    """A clock that may be put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead

    async def advance(self, seconds: float) -> None:
        self.ahead += seconds


async def until(condition: Callable[[], object]) -> None:
    """Wait for something to be true."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  # it is no event of ours
            await asyncio.sleep(0.001)


async def done(member: Member) -> None:
    """Wait until all that a member has told is known."""
    await member.ask(Totals(()))


class AloneMember:
    """A member of what is shared without a way between."""

    def __init__(self, team: AloneTeam) -> None:
        self.team, self.name = team, uuid4().hex
        self.heard: list[Any] = list(team.state.join(self.name, team.clock()))

    def tell(self, message: Tell) -> None:
        self.team.state.handle(self.name, message, self.team.clock())
        if isinstance(message, NEWS):
            for member in self.team.members:
                if member is not self or isinstance(message, Moved):
                    member.heard.append(message)

    async def ask(self, question: Question) -> Any:
        return self.team.state.handle(self.name, question, self.team.clock())

    async def leave(self) -> None:
        self.team.members.remove(self)
        self.team.state.leave(self.name, self.team.clock())


class AloneTeam:
    """Members of one process."""

    def __init__(self) -> None:
        self.state, self.clock, self.members = HubState(), Clock(), list[AloneMember]()
        self.advance = self.clock.advance

    async def join(self) -> AloneMember:
        self.members.append(AloneMember(self))
        return self.members[-1]


@asynccontextmanager
async def alone(_: Path) -> AsyncIterator[Team]:
    yield AloneTeam()


class Linked:
    """A member that reaches the others by a link."""

    def __init__(self, shared: Shared, gone: Callable[[], Awaitable[object]]) -> None:
        self.shared, self.gone = shared, gone
        self.heard: list[Any] = []
        for kind in NEWS:
            shared.on(kind, self.heard.append)

    def tell(self, message: Tell) -> None:
        self.shared.tell(message)

    async def ask(self, question: Question) -> Any:
        asked = self.shared.ask(question)
        assert asked, question
        await until(lambda: not asked.waits)
        assert not asked.lost, question
        return asked.answer

    async def leave(self) -> None:
        await self.gone()


class HubTeam:
    """Members that have a hub."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.hub = Hub(folder / "hub", clock=self.clock)
        self.links: list[HubLink] = []
        self.advance = self.clock.advance

    async def join(self) -> Linked:
        shared, conversations = Shared(), self.hub.conversations
        link = shared.link = HubLink(self.hub.path, shared)

        async def gone() -> None:
            before = len(conversations)
            link.close()
            await until(lambda: len(conversations) < before)

        member = Linked(shared, gone)
        self.links.append(link)
        link.start()
        await until(lambda: link.is_up)
        return member


@asynccontextmanager
async def by_hub(folder: Path) -> AsyncIterator[HubTeam]:
    team = HubTeam(folder)
    await team.hub.start()
    try:
        yield team
    finally:
        for link in team.links:
            link.close()
        team.hub.close()
        await until(lambda: not team.hub.conversations)


class RedisTeam:
    """Members that have a Redis."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.links: list[RedisLink] = []
        self.ahead = 0.0

    async def join(self) -> Linked:
        shared = Shared()
        link = shared.link = RedisLink(self.server.url, shared)

        async def gone() -> None:
            self.links.remove(link)
            await link.close()
            await self.advance(redis_link.DEAD_AFTER + 1)

        member = Linked(shared, gone)
        self.links.append(link)
        link.start()
        await until(lambda: link.is_up)
        return member

    async def advance(self, seconds: float) -> None:
        self.ahead += seconds
        self.server.say("SET", AHEAD, str(self.ahead))
        for link in self.links:  # whoever is there gives a sign of life in the meantime
            link.put(Command(link.script(redis_scripts.HERE, [redis_scripts.MEMBERS], link.member)))


AHEAD = f"{redis_scripts.PREFIX}ahead"
"""How many seconds the scripts' clock is ahead of the server's."""


@asynccontextmanager
async def by_redis(folder: Path) -> AsyncIterator[RedisTeam]:
    server = redis_server()
    server.say("FLUSHALL")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redis_scripts, "NOW", f"{redis_scripts.NOW} now = now + (redis.call('GET', '{AHEAD}') or 0) ")
        team = RedisTeam(server)
        try:
            yield team
        finally:
            for link in team.links:
                await link.close()
