"""HubLink: a worker's way to the hub in its parent.

What is told and asked while one event is handled goes out together, in one packet. One background task keeps the
connection; nothing here waits, and what the hub doesn't answer in time is lost (`process/overdue.py`). A hub that goes
on as another program is connected to at once: what is told until it listens again waits in the connection.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from addons.process.hub import NEWS, encode
from addons.process.overdue import Overdue
from addons.state.shared import ANSWERED_WITHIN, ANSWERS, Asked, Question, Shared, Tell, Totals, undone
from addons.state.shared import NEWS as KINDS_OF_NEWS
from addons.state.shared import News as AnyNews
from addons.wire.limits import HUB_BACKLOG

logger = logging.getLogger(__name__)

PROBE_EVERY: Final = 0.5
"""Seconds between looks at whether a hub that is gone, or that is too slow, is back."""

frame: Final = msgspec.json.Decoder(tuple[int, msgspec.Raw])
news: Final = msgspec.json.Decoder(AnyNews)
answers: Final = {kind: msgspec.json.Decoder(answer) for kind, answer in ANSWERS.items()}


class HubLink(asyncio.Protocol):
    """Tells and asks the hub at `path`."""

    def __init__(self, path: Path, shared: Shared) -> None:
        self.path, self.shared = path, shared
        self.transport: asyncio.WriteTransport | None = None
        self.is_up = False
        self.begun = b""
        self.numbers = count(1)
        self.asked: dict[int, Asked] = {}
        self.outgoing: list[bytes] = []
        self.overdue = Overdue(self.fell_behind)
        self.lost = asyncio.Event()
        self.probed_at: float | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def status(self) -> str:
        return "workers" if self.is_up else "workers down"

    def start(self) -> None:
        """Connect, and stay connected."""
        self.task = asyncio.get_running_loop().create_task(self.run())

    def close(self) -> None:
        """Say nothing more."""
        if self.task:
            self.task.cancel()
        if self.transport:
            self.transport.abort()

    async def run(self) -> None:
        """Keep the connection."""
        loop = asyncio.get_running_loop()
        while True:
            self.lost.clear()
            began = loop.time()
            try:
                await loop.create_unix_connection(lambda: self, str(self.path))
            except OSError as error:
                logger.debug("shared: the hub can't be reached: %s", error)
            else:
                await self.watch()
            if loop.time() < began + PROBE_EVERY:
                await asyncio.sleep(PROBE_EVERY)

    async def watch(self) -> None:
        """Wait until the connection is lost; while nobody is known to answer, ask for an answer."""
        while not self.lost.is_set():
            if not self.is_up and self.probed_at is None:
                self.probe()
            try:
                async with asyncio.timeout(PROBE_EVERY):
                    await self.lost.wait()
            except TimeoutError:
                pass

    def probe(self) -> None:
        """Ask for nothing, to see how long an answer takes."""
        self.probed_at = asyncio.get_running_loop().time()
        number = next(self.numbers)
        asked = self.asked[number] = Asked(Totals(()))
        asked.wake = self.probed
        self.put(number, Totals(()))

    def probed(self) -> None:
        """Go by what the hub says, if it says something in time; else it may be there again now."""
        at, self.probed_at = self.probed_at, None
        if not self.transport or at is None:
            return
        if asyncio.get_running_loop().time() - at >= ANSWERED_WITHIN:
            self.probe()
        else:
            self.is_up = True
            logger.info("shared: this worker shares what it knows with the others")
            self.shared.joined()

    # What is said

    def tell(self, message: Tell) -> None:
        if self.is_up or (isinstance(message, KINDS_OF_NEWS) and self.has_room()):
            self.put(NEWS, message)

    def has_room(self) -> bool:
        """Whether there is a connection in which something may wait for a hub that isn't up."""
        return self.transport is not None and self.transport.get_write_buffer_size() < HUB_BACKLOG

    def ask(self, question: Question) -> Asked:
        asked = Asked(question)
        if not self.is_up:
            asked.settle(None)
            return asked
        number = next(self.numbers)
        self.asked[number] = asked
        self.overdue.watch(asked)
        self.put(number, question)
        return asked

    def put(self, number: int, message: Tell | Question) -> None:
        """Have something sent when the event that is being handled is over."""
        if not self.outgoing:
            asyncio.get_running_loop().call_soon(self.flush)
        self.outgoing.append(encode((number, message)) + b"\n")

    def flush(self) -> None:
        """Send what has come together."""
        outgoing, self.outgoing = self.outgoing, []
        if self.transport:
            self.transport.write(b"".join(outgoing))

    def fell_behind(self) -> None:
        """The hub has not answered in time."""
        if self.is_up:
            self.is_up = False
            logger.warning("shared: the hub doesn't answer in time: limits are this worker's own until it does")

    # What is heard

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport, self.begun = transport, b""

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport, self.is_up = None, False
        self.outgoing.clear()
        waiting, self.asked = self.asked, {}
        for asked in waiting.values():
            asked.settle(None)
        self.lost.set()

    def data_received(self, data: bytes) -> None:
        *lines, self.begun = (self.begun + data).split(b"\n")
        for line in lines:
            number, raw = frame.decode(line)
            if number == NEWS:
                self.shared.hear(news.decode(raw))
            elif asked := self.asked.pop(number, None):
                self.answered(asked, raw)

    def answered(self, asked: Asked, raw: msgspec.Raw) -> None:
        """Hand an answer over; one that has come too late is taken back."""
        assert asked.question is not None
        answer = answers[type(asked.question)].decode(raw)
        if asked.lost:
            for message in undone(asked.question, answer):
                self.put(NEWS, message)
        asked.settle(answer)
