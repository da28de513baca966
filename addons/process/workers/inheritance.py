"""What a worker inherits from its parent: the socket on which it listens, a line to the parent, its number.

It stands in a variable of the environment, which is taken out of it when it is read: no program that a worker runs is
one. What this file knows of mitmproxy's and asyncio's insides is named in tests/process/workers/test_inheritance.py.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import MutableMapping, Sequence
from typing import Any, Final, Self

import msgspec

from addons.process.workers.balance import HESITATION, Balance

VARIABLE: Final = "GATEWAY_WORKER"
HUB: Final = "GATEWAY_HUB"
"""The variable that tells a worker where the hub is."""


class Inheritance(msgspec.Struct, frozen=True):
    """What one worker inherits."""

    number: int
    count: int
    """How many workers there are."""
    listening: Sequence[int]
    """The descriptors of the sockets that listen."""
    line: int
    """The descriptor of the line to the parent."""
    welcomes: bool
    """Whether it is the one that says how the gateway begins."""

    @property
    def speaks(self) -> bool:
        """Whether it says what all would say."""
        return self.number == 1

    def written(self) -> dict[str, str]:
        """The variable that says it."""
        return {VARIABLE: msgspec.json.encode(self).decode()}

    @classmethod
    def read(cls, env: MutableMapping[str, str]) -> Self | None:
        """What this process inherits; None: it is alone."""
        text = env.pop(VARIABLE, "")
        return cls(**json.loads(text)) if text else None


inherited: Final = Inheritance.read(os.environ)
"""What this process inherits; None: it is alone."""


balance: Final = Balance()
"""What of the connections are this worker's."""


class SharedSocket(socket.socket):
    """A listening socket that others accept on too."""

    has_hesitated = False
    server: Any = None
    """asyncio's, which accepts here."""

    def listen(self, backlog: int = 0, /) -> None:
        """How many may wait isn't for one of them to say: it listens already."""

    def accept(self) -> tuple[socket.socket, Any]:
        """Let others come first, where this worker has more connections than they have."""
        if balance.leads and not self.has_hesitated:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self)
            loop.call_later(HESITATION, self.look_again)
            raise BlockingIOError
        accepted = super().accept()
        self.has_hesitated = False
        balance.changed()
        return accepted

    def look_again(self) -> None:
        """Accept who is still waiting, or comes next."""
        self.has_hesitated = True
        if self.server.sockets:
            self.server._serving = False  # noqa: SLF001  # so that it hands the socket to the event loop again
            self.server._start_serving()  # noqa: SLF001


def listen_on(descriptors: Sequence[int]) -> None:
    """Have mitmproxy listen on these sockets, wherever it is told to, from when the server is told to start: a client
    who is let in by a worker that isn't ready would wait for that one, while others are ready."""
    from mitmproxy.proxy.mode_servers import AsyncioServerInstance

    async def listen(self: Any, host: str, port: int) -> list[asyncio.Server]:
        if self.mode.custom_listen_port is not None or self.mode.custom_listen_host is not None:
            raise OSError(f"workers listen at one place, which --listen-host and -p name: not at {self.mode.full_spec}")
        await asyncio.sleep(0)  # as opening a socket lets others go on: the script, whose mistakes end the start
        return [await served(shared(number), self.handle_stream) for number in descriptors]

    AsyncioServerInstance.listen = listen  # type: ignore[assignment]


async def served(listening: SharedSocket, handle: Any) -> asyncio.Server:
    """A server that will accept there: one connection a turn of the event loop (asyncio's "backlog")."""
    server = await asyncio.start_server(handle, sock=listening, backlog=1, start_serving=False)
    listening.server = server
    return server


def shared(descriptor: int) -> SharedSocket:
    """The socket of a descriptor, which stays open when the socket is closed."""
    return SharedSocket(proto=socket.IPPROTO_TCP, fileno=socket.dup(descriptor))  # without it, Nagle's algorithm stays
