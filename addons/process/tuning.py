"""Tuning: switches off what mitmproxy and Python do for every request and every read, and that nobody here needs.

Rules that hold in this file: no behaviour depends on it; each thing is undone when the addon goes; what it relies on is
tested by name in test_tuning.py.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable
from typing import SupportsIndex

from mitmproxy import ctx, http
from mitmproxy.addonmanager import Loader, traverse
from mitmproxy.connection import Client

from addons.proxy.connections import io_of

_check_types = getattr(http.MessageData, "__post_init__", None)


class LargeReads(asyncio.StreamReader):
    """Gives whatever has come, as it came: up to 256 KB. asyncio copies it three times, and mitmproxy takes it to its
    layers 64 KB at a time.

    Measured: without it a request takes more CPU time of the gateway, in pairs, 1 MB × 16: +25 %, +11 %, +1 % (medians
    of 12, 10 and 20), 200 KB × 16: +15 %, -3 %, +6 %.
    """

    _buffer: bytes | bytearray
    _eof: bool

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        if self._buffer or self._eof or not isinstance(data, bytes):
            self._buffer = bytearray(self._buffer)
            super().feed_data(data)
        else:
            self._buffer = data
            self._wakeup_waiter()  # type: ignore[attr-defined]

    async def read(self, n: int = -1) -> bytes:
        if error := self.exception():
            raise error
        if not self._buffer and not self._eof:
            await self._wait_for_data("read")  # type: ignore[attr-defined]
        data, self._buffer = self._buffer, bytearray()
        self._maybe_resume_transport()  # type: ignore[attr-defined]
        return bytes(data)


class Tuning:
    """The addon that switches these things off."""

    def load(self, loader: Loader) -> None:
        # What is there before the first request is hardly garbage: 90,000 objects to walk, 40 ms each time. Not later:
        # what is frozen is kept for good, and a request may come as soon as the gateway listens. Not collected before:
        # that walks them too, for less than 1 MB.
        gc.freeze()
        gc.enable()  # launch.py has switched it off
        # The type of each field of each request and response, for mitmproxy's developers (`python -O` leaves it out).
        if _check_types:
            http.MessageData.__post_init__ = lambda self: None  # type: ignore[method-assign]

    def running(self) -> None:
        """Uninstall what wakes the event loop and walks all addons for each log line: its hook is deprecated since
        mitmproxy 9."""
        if not any(hasattr(addon, "add_log") for addon in traverse(ctx.master.addons.chain)):
            ctx.master._legacy_log_events.uninstall()  # noqa: SLF001

    def done(self) -> None:
        if _check_types:
            http.MessageData.__post_init__ = _check_types  # type: ignore[method-assign]
        gc.unfreeze()

    def client_connected(self, client: Client) -> None:
        io = io_of(client)
        if io and type(io.reader) is asyncio.StreamReader:
            io.reader.__class__ = LargeReads
