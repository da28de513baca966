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
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

VARIABLE: Final = "GATEWAY_WORKER"


@dataclass(frozen=True, slots=True)
class Inheritance:
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
        return {VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def read(cls, env: MutableMapping[str, str]) -> Self | None:
        """What this process inherits; None: it is alone."""
        text = env.pop(VARIABLE, "")
        return cls(**json.loads(text)) if text else None


inherited: Final = Inheritance.read(os.environ)
"""What this process inherits; None: it is alone."""


class SharedSocket(socket.socket):
    """A listening socket that others accept on too: how many may wait there isn't for one of them to say."""

    def listen(self, backlog: int = 0, /) -> None:
        """It listens already."""


def listen_on(descriptors: Sequence[int]) -> None:
    """Have mitmproxy listen on these sockets, wherever it is told to, from when the server is told to start: a client
    who is let in by a worker that isn't ready would wait for that one, while others are ready."""
    from mitmproxy.proxy.mode_servers import AsyncioServerInstance

    async def listen(self: Any, host: str, port: int) -> list[asyncio.Server]:
        if self.mode.custom_listen_port is not None or self.mode.custom_listen_host is not None:
            raise OSError(f"workers listen at one place, which --listen-host and -p name: not at {self.mode.full_spec}")
        await asyncio.sleep(0)  # as opening a socket lets others go on: the script, whose mistakes end the start
        # One connection a turn of the loop (asyncio's "backlog"): else the one that wakes up first takes all that wait.
        return [
            await asyncio.start_server(self.handle_stream, sock=shared(number), backlog=1, start_serving=False)
            for number in descriptors
        ]

    AsyncioServerInstance.listen = listen  # type: ignore[assignment]


def shared(descriptor: int) -> SharedSocket:
    """The socket of a descriptor, which stays open when the socket is closed."""
    return SharedSocket(proto=socket.IPPROTO_TCP, fileno=socket.dup(descriptor))  # without it, Nagle's algorithm stays
