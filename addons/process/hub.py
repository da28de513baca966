"""The hub: the workers of one machine tell and ask it what they share, over a Unix socket.

It runs in their parent. (A table in their SQLite file would do for the same answers; but who waits for news would have
to look again and again, each question would wait for the disk, and nobody would notice that a worker is gone.)

A line of JSON each way: `[number, message]` from a worker, `[number, answer]` back, and `[0, news]` to whoever has not
told them. Rules that hold here: what is no message ends its connection, as does a worker that doesn't read; whoever
is gone holds nothing any more.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from addons.state.shared import Message, Moved, Question, Tell
from addons.team.hub_state import Estate, HubState
from addons.wire.limits import HUB_BACKLOG

logger = logging.getLogger(__name__)

NEWS: Final = 0
"""The number of what nobody has asked for, and of what needs no answer."""

decoder: Final = msgspec.json.Decoder(tuple[int, Tell | Question])
encode: Final = msgspec.json.Encoder().encode
estate_of: Final = msgspec.json.Decoder(Estate).decode


class Hub:
    """Serves its state at a socket that only its own user may open."""

    def __init__(self, path: Path, state: HubState | None = None, clock: Callable[[], float] = time.time) -> None:
        self.path, self.clock = path, clock
        self.estate = path.with_name("estate")
        """Where one program leaves to the next what workers don't tell again."""
        self.state = state or HubState()
        self.conversations: dict[str, Conversation] = {}
        self.names = map(str, count(1))
        self.server: asyncio.Server | None = None

    async def start(self, inherited: int | None = None) -> None:
        """Listen; at the socket with this descriptor, if another program has listened there: who has connected
        meanwhile waits in it. Raises OSError."""
        self.inherit()
        listener = socket.socket(fileno=inherited) if inherited is not None else self.opened()
        listener.set_inheritable(False)
        self.server = await asyncio.get_running_loop().create_unix_server(lambda: Conversation(self), sock=listener)

    def bequeath(self) -> None:
        """Leave what only the hub knows to the program as which this one goes on."""
        self.estate.write_bytes(encode(self.state.estate(self.clock())))

    def inherit(self) -> None:
        """Begin with what another program has left here, if this one understands it."""
        try:
            self.state.inherit(estate_of(self.estate.read_bytes()))
        except FileNotFoundError:
            pass
        except (OSError, msgspec.MsgspecError) as error:  # of another version
            logger.warning("hub: what was known before is lost: %s", type(error).__name__)
        self.estate.unlink(missing_ok=True)

    def opened(self) -> socket.socket:
        """A socket at the hub's place."""
        self.path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            listener.bind(str(self.path))
        finally:
            os.umask(before)
        return listener

    @property
    def listening(self) -> int:
        """The descriptor of its socket."""
        assert self.server
        return self.server.sockets[0].fileno()

    def close(self) -> None:
        """Listen no more, and end all conversations."""
        if self.server:
            self.server.close()
        for conversation in list(self.conversations.values()):
            conversation.transport.abort()
        self.path.unlink(missing_ok=True)

    def pass_on(self, message: Message, teller: str) -> None:
        """Tell the others; and where a session is, everybody in the same order: two may have moved it at once."""
        line = encode((NEWS, message)) + b"\n"
        for name, conversation in list(self.conversations.items()):
            if name != teller or isinstance(message, Moved):
                conversation.say(line)


class Conversation(asyncio.Protocol):
    """That of one worker."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.name = next(hub.names)
        self.begun = b""
        """Of a line that has not ended."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport
        self.hub.conversations[self.name] = self
        for news in self.hub.state.join(self.name, self.hub.clock()):
            self.say(encode((NEWS, news)) + b"\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self.hub.conversations.pop(self.name, None)
        self.hub.state.leave(self.name, self.hub.clock())

    def data_received(self, data: bytes) -> None:
        *lines, self.begun = (self.begun + data).split(b"\n")
        if len(self.begun) > HUB_BACKLOG:
            lines.append(self.begun)  # it is none: that ends it
        answers = []
        try:
            for line in lines:
                number, message = decoder.decode(line)
                answer = self.hub.state.handle(self.name, message, self.hub.clock())
                if number != NEWS:
                    answers.append(encode((number, answer)) + b"\n")
                if self.hub.state.passes_on(message):
                    self.hub.pass_on(message, self.name)
        except msgspec.MsgspecError as error:
            logger.error("hub: a worker has said what is no message: %s", error)
            self.transport.abort()
            return
        if answers:
            self.say(b"".join(answers))

    def say(self, data: bytes) -> None:
        """Send something to the worker."""
        if self.transport.get_write_buffer_size() > HUB_BACKLOG:
            logger.warning("hub: a worker doesn't read what it is told, and is not waited for")
            self.transport.abort()
            return
        self.transport.write(data)
