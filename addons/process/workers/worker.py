"""Worker: one of several processes that serve a port. It tells its parent that it is ready, leaves when it is told to,
ends when its parent has gone, and answers what the others ask.

What all workers would say (that the configuration was reloaded, what is wrong in it) only the first one says.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mitmproxy.log import ALERT

from addons.process.drain import Drain
from addons.process.startup import Startup
from addons.process.workers.inheritance import Inheritance, balance
from addons.process.workers.line import Line, connected
from addons.proxy.accepting import open_the_door
from addons.proxy.connections import proxyserver
from addons.state.control import Control
from addons.state.exchange import Exchange

logger = logging.getLogger(__name__)

SAID_BY_ALL: Final = ("addons.config.reload", "addons.process.user_watch", "addons.process.credentials")
"""The loggers of what every worker sees."""

SAY_AFTER: Final = 0.02
SAY_EVERY: Final = 0.5
"""Seconds from when a connection has come, and when none has, until the others are told how many there are."""


class Worker:
    """Is nothing where a process is alone."""

    def __init__(self, inherited: Inheritance | None, startup: Startup, drain: Drain, control: Control) -> None:
        self.inherited, self.startup, self.drain, self.siblings = inherited, startup, drain, control.siblings
        control.serve("workers", self.tell)
        self.siblings.serve("workers", lambda _arguments: self.described())
        self.is_ready = False
        self.line: Line | None = None
        self.said: int | None = None
        """How many connections the others know of."""
        self.saying: asyncio.TimerHandle | None = None
        self.serving: asyncio.Task[None] | None = None
        if inherited and not inherited.speaks:
            for name in SAID_BY_ALL:
                logging.getLogger(name).addFilter(self.is_mine)

    def is_mine(self, record: logging.LogRecord) -> bool:
        """Whether this worker says it; until it is ready, an error is what ends its start."""
        return record.levelno >= logging.ERROR and not self.is_ready

    def tell(self, _exchange: Exchange, _arguments: Mapping[str, Any]) -> object:
        """The workers that serve, for `./run.sh service`."""
        return self.siblings.gathered("workers", self.described(), serving)

    def described(self) -> dict[str, Any]:
        """This process."""
        number = self.inherited.number if self.inherited else 1
        return {"number": number, "pid": os.getpid(), "clients": clients(), "leaving": self.drain.leaving is not None}

    def running(self) -> None:
        if self.inherited:
            self.serving = asyncio.get_running_loop().create_task(self.serve(self.inherited))

    def done(self) -> None:
        if self.serving:
            self.serving.cancel()
        if self.saying:
            self.saying.cancel()
        if self.line:
            self.line.say(estate=self.siblings.leaves())

    async def serve(self, inherited: Inheritance) -> None:
        """Serve, for as long as there is a parent."""
        await self.startup.over.wait()
        self.line = line = await connected(socket.socket(fileno=inherited.line))
        await open_the_door()
        self.is_ready = True
        line.say(ready=True)
        balance.count, balance.changed = clients, self.say_soon
        self.say_soon()
        self.siblings.begin(lambda **message: line.say(**message))
        await self.listen_to(line)
        self.siblings.end()
        self.drain.terminate()

    def say_soon(self) -> None:
        """Tell the others how many connections this worker has: soon after one has come, else now and then."""
        loop = asyncio.get_running_loop()
        if self.saying is None or self.saying.when() > loop.time() + SAY_AFTER:
            if self.saying:
                self.saying.cancel()
            self.saying = loop.call_later(SAY_AFTER, self.say_count)

    def say_count(self) -> None:
        count = clients()
        if self.line and count != self.said:
            self.said = count
            self.line.say(clients=count)
        self.saying = asyncio.get_running_loop().call_later(SAY_EVERY, self.say_count)

    async def listen_to(self, line: Line) -> None:
        """Do what the parent says, until it is gone."""
        async for message in line.messages():
            if "fewest" in message:
                balance.fewest = message["fewest"]
            elif "leave" in message:
                self.drain.leave()
            elif "log" in message:
                logger.log(ALERT, "gateway: %s", message["log"])
            elif "ask" in message:
                value = self.siblings.answer(str(message["name"]), message["arguments"])
                line.say(answer=message["ask"], value=value)
            elif "estate" in message:
                self.siblings.inherits(message["estate"])
            elif "answers" in message:
                self.siblings.answered(message["answers"], message["values"])


def serving(workers: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that go on to serve, in their order."""
    return sorted((one for one in workers if not one["leaving"]), key=lambda one: int(one["number"]))


def clients() -> int:
    """How many connections this process has."""
    server = proxyserver()
    return len(server.connections) if server else 0
