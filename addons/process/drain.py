"""Drain: SIGTERM lets running requests finish, refuses new ones, and then ends the process.

A second SIGTERM ends it at once, and so does SIGINT, as ever.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from weakref import WeakSet

from mitmproxy import ctx, http
from mitmproxy.addonmanager import Loader
from mitmproxy.log import ALERT

from addons.proxy.client_answer import ClientAnswer
from addons.proxy.connections import proxyserver
from addons.proxy.replies import error_response
from addons.state.exchange import exchange_of

logger = logging.getLogger(__name__)

RETRY_AFTER = "5"
"""Seconds after which a refused client should ask again: ten tries of Claude Code outlast the longest drain."""

LOOK_EVERY = 0.05
"""Seconds between looks at what is still running."""

LEAVES_WITHIN = 3600.0
"""Seconds that the running requests of a worker have to finish after another has taken its place."""

QUIET = 5.0
"""Seconds without a request after which such a worker closes the connections that its clients keep."""


class Drain:
    """Counts the running requests. Its place is right behind the gate."""

    def __init__(self) -> None:
        self.running_flows: WeakSet[http.HTTPFlow] = WeakSet()
        self.draining: asyncio.Task[None] | None = None
        self.leaving: asyncio.Task[None] | None = None
        self.used = 0.0
        """When somebody was served the last time, since it leaves (monotonic seconds)."""

    def load(self, loader: Loader) -> None:
        loader.add_option("gateway_drain", int, 30, "Seconds that running requests have to finish after SIGTERM.")

    def running(self) -> None:
        try:  # in place of mitmproxy's own handler, which is there by now
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.terminate)
        except (NotImplementedError, RuntimeError, ValueError):  # Windows; not the main thread
            logger.debug("SIGTERM is not ours to handle here")

    def done(self) -> None:
        for task in filter(None, (self.draining, self.leaving)):
            task.cancel()

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        self.running_flows.add(flow)
        if self.leaving:
            self.used = time.monotonic()
        exchange = exchange_of(flow)
        if self.draining and flow.response is None and not (exchange and exchange.own):
            flow.request.headers.pop("expect", None)
            flow.response = error_response(
                503, "the gateway is being restarted, ask again in a moment", exchange.request_id if exchange else None
            )
            flow.response.headers["retry-after"] = RETRY_AFTER
            flow.response.headers["connection"] = "close"

    def response(self, flow: http.HTTPFlow) -> None:
        self.running_flows.discard(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        self.running_flows.discard(flow)

    def terminate(self) -> None:
        """Begin to drain: SIGTERM has come."""
        if self.draining or not ctx.options.gateway_drain:
            ctx.master.shutdown()
        else:
            self.draining = asyncio.get_running_loop().create_task(self.drain(ctx.options.gateway_drain))

    def leave(self) -> None:
        """Begin to leave: another process accepts in this one's place."""
        if not (self.leaving or self.draining):
            ClientAnswer.is_last = True
            self.leaving = asyncio.get_running_loop().create_task(self.finish())

    async def finish(self) -> None:
        """Accept nobody any more, and end the process when its clients have got what they have asked for."""
        server = proxyserver()
        if server is None:
            return
        await server.servers.update([])
        self.used = time.monotonic()
        deadline = self.used + LEAVES_WITHIN
        while time.monotonic() < min(deadline, self.used + QUIET):
            await asyncio.sleep(LOOK_EVERY)  # before the first look too: who was let in just now isn't a client yet
            if not server.connections:
                break
            if self.running_flows or unsent():
                self.used = time.monotonic()
        ctx.master.shutdown()

    async def drain(self, limit: float) -> None:
        """End the process when nothing runs any more, at the latest after `limit` seconds."""
        if count := len(self.running_flows):
            logger.log(ALERT, "gateway: stopping; %d running requests have %d s to finish", count, limit)
        deadline = time.monotonic() + limit
        while (  # noqa: ASYNC110  # nobody says when what is unsent has been sent
            self.running_flows or unsent()
        ) and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_EVERY)
        if self.running_flows:
            logger.log(ALERT, "gateway: %d requests were cut off", len(self.running_flows))
        if server := proxyserver():
            await server.servers.update([])  # who is let in from here on gets no answer
        ctx.master.shutdown()


def unsent() -> bool:
    """Whether something is still on its way to a client: a request is over before its last bytes are."""
    server = proxyserver()
    return server is not None and any(
        io.writer is not None and not io.writer.is_closing() and io.writer.transport.get_write_buffer_size()
        for handler in server.connections.values()
        for io in list(handler.transports.values())
        if isinstance(io.writer, asyncio.StreamWriter)
    )
