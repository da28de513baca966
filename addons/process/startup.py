"""Startup: nobody is served before the gateway runs.

mitmproxy listens first, and only then tells its addons that they run. Who comes in between meets addons that fail until
they have been told (mitmproxy's own `tlsconfig` has no certificates yet); and mitmproxy ends when an error is logged
before it runs. So a gateway that was restarted among busy clients could end at the first of them.

And nobody is served without the gateway: mitmproxy drops a script whose options it can't take (one given twice),
says nothing, and would go on as a bare proxy.
"""

from __future__ import annotations

import asyncio
import logging
import sys

from mitmproxy import ctx
from mitmproxy.addonmanager import Loader, traverse
from mitmproxy.exceptions import OptionsError

from addons.proxy.fail_closed import ends_at_an_error

logger = logging.getLogger(__name__)

LOOK_EVERY = 0.002
"""Seconds between looks at whether mitmproxy runs."""


class Startup:
    """Says when the gateway runs: connections that come earlier are accepted, and not a byte is read until then
    (client_handler.py)."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.waiting: asyncio.Task[None] | None = None

    def load(self, _loader: Loader) -> None:
        asyncio.get_running_loop().call_soon(self.check)  # when all have been loaded

    def check(self) -> None:
        """End the start when mitmproxy has not taken our addons."""
        if all(one is not self for one in traverse(ctx.master.addons.chain)):
            try:
                ctx.options.process_deferred()
                why = "mitmproxy has dropped its addons"
            except OptionsError as error:
                why = str(error)
            logger.error("gateway: %s", why)
            sys.exit(1)  # (mitmproxy's `errorcheck` may have looked already)

    def running(self) -> None:
        self.waiting = asyncio.get_running_loop().create_task(self.wait())

    def done(self) -> None:
        if self.waiting:
            self.waiting.cancel()
        self.over.set()

    async def wait(self) -> None:
        """Wait until every addon has been told that mitmproxy runs, and no error ends it any more."""
        while ends_at_an_error():  # noqa: ASYNC110  # nobody says when
            await asyncio.sleep(LOOK_EVERY)
        self.over.set()
