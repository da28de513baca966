"""What a parent leaves to itself when it goes on as the program that is installed now: sockets, workers, hub.

`./run.sh update` changes the code of workers and of their parent, and the two speak with each other: so the parent
begins anew too, without a new process (its children stay its children), before it replaces them.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from threading import Thread
from typing import Final, Protocol, Self

import msgspec

VARIABLE: Final = "GATEWAY_SUCCESSION"

HELD_BACK: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that wait while one program ends and the other begins: neither could do what they ask for."""


class Heir(msgspec.Struct, frozen=True):
    """A worker that runs on."""

    number: int
    pid: int
    line: int
    """The descriptor of our end of the line to it."""
    clients: int
    leaving: bool


class Succession(msgspec.Struct, frozen=True):
    """What goes on."""

    listening: Sequence[int]
    hub: str
    hub_listening: int | None
    """The descriptor of the hub's socket: workers connect to it while nobody reads, and aren't without a hub for
    longer than it takes to begin. None: a program that is older has left none."""
    workers: Sequence[Heir]

    def written(self) -> dict[str, str]:
        """The variable that says it."""
        return {VARIABLE: msgspec.json.encode(self).decode()}

    @classmethod
    def read(cls, env: MutableMapping[str, str]) -> Self | None:
        """What this process goes on with; None: it begins."""
        if not (text := env.pop(VARIABLE, "")):
            return None
        said = json.loads(text)
        heirs = [Heir(**one) for one in said["workers"]]
        return cls(said["listening"], said["hub"], said.get("hub_listening"), heirs)

    def descriptors(self) -> list[int]:
        """Those that must stay open."""
        hub = [] if self.hub_listening is None else [self.hub_listening]
        return [*self.listening, *hub, *(one.line for one in self.workers)]


class Child(Protocol):
    """A process that was started: what is needed of asyncio's."""

    @property
    def pid(self) -> int: ...
    def send_signal(self, signal: int) -> None: ...
    async def wait(self) -> int: ...


class Adopted:
    """A child that was started before this program began: asyncio knows nothing of it. A thread waits for its end."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        Thread(target=self.watch, args=(asyncio.get_running_loop(),), name=f"child {pid}", daemon=True).start()

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait for the end, in a thread. Signals are the main thread's."""
        signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
        try:
            status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:  # somebody else has waited for it
            status = 1
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(self.status.set_result, status)

    def send_signal(self, number: int) -> None:
        """Send it a signal, while it is there: its number isn't another's until its end was waited for."""
        if not self.status.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.Signals(number))

    async def wait(self) -> int:
        """Its status, when it has ended."""
        return await self.status
