"""Listening: TCP only, and what happens at the listening socket ends nothing.

`reverse:https://…` makes mitmproxy open a UDP socket for HTTP/3 as well, which has none of the gateway's limits and
which nobody asked for. mitmproxy ends when an error is logged before it runs, and it listens before it runs: clients
could end it by coming early. When the table of descriptors is full, asyncio reports it a hundred times a second.

What this file knows of mitmproxy's and asyncio's insides is named in tests/process/test_listening.py.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections.abc import Callable
from typing import Any

from mitmproxy import ctx
from mitmproxy.addonmanager import Loader
from mitmproxy.proxy.mode_specs import ProxyMode, ReverseMode

from addons.proxy.connections import proxyserver

logger = logging.getLogger(__name__)

NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""What accept() fails with when the process or the machine has no room for another connection."""

SAY_EVERY = 1.0
"""Seconds between two lines of the log about that."""

Report = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]


class Listening:
    """Keeps the port to TCP, and the process alive whatever is reported about it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.said_at = -SAY_EVERY
        self.report: Report | None = None

    def load(self, loader: Loader) -> None:
        loop = ctx.master.event_loop  # mitmproxy has installed its own handler: scripts are loaded when it runs
        self.report = loop.get_exception_handler()
        loop.set_exception_handler(self.reported)
        if check := ctx.master.addons.get("errorcheck"):
            check.logger.addFilter(lambda record: not listens())

    def configure(self, updated: set[str]) -> None:
        if "mode" in updated:
            for spec in ctx.options.mode:
                mode = ProxyMode.parse(spec)  # always the same object for the same text
                if isinstance(mode, ReverseMode) and mode.transport_protocol == "both":
                    mode.transport_protocol = "tcp"

    def reported(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handle what asyncio reports of an exception that nobody has caught."""
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in NO_DESCRIPTOR and "socket" in context:
            if self.clock() - self.said_at >= SAY_EVERY:
                self.said_at = self.clock()
                logger.warning("gateway: no room for more connections (%s): new clients wait", error.strerror)
        elif self.report:
            self.report(loop, context)


def listens() -> bool:
    """Whether clients can come: from here on nothing that is logged may end the process."""
    server = proxyserver()
    instances = list(server.servers) if server else []
    return bool(instances) and all(instance.is_running and accepts(instance) for instance in instances)


def accepts(instance: Any) -> bool:
    """Whether connections are accepted: a worker's server has its sockets before it is ready."""
    servers = getattr(instance, "_servers", ())
    return all(server.is_serving() for server in servers if isinstance(server, asyncio.Server))
