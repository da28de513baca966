"""The line between a worker and its parent: JSON objects, one a line, over a pair of sockets.

A worker says that it is ready, asks all others (`ask`), and answers what another one asks. The parent passes both on,
and tells a worker to leave. When the line breaks, the other side is gone.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any

from addons.wire import limits

Message = Mapping[str, Any]


class Line:
    """One end of it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, **message: Any) -> None:
        """Send a message. Whoever has gone, or doesn't read, doesn't get it, and nobody gets one that is too long."""
        transport = self.writer.transport
        if transport.is_closing() or transport.get_write_buffer_size() > limits.HUB_BACKLOG:
            return
        data = json.dumps(message).encode() + b"\n"
        if len(data) <= limits.HUB_BACKLOG:
            self.writer.write(data)

    async def messages(self) -> AsyncIterator[Message]:
        """What the other side says, until it is gone."""
        try:
            while text := await self.reader.readline():
                yield json.loads(text)
        except (OSError, ValueError):  # broken off
            return

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is under way at this end: neither what was not sent yet, nor what was not looked at."""
        return not self.writer.transport.get_write_buffer_size() and not self.reader._buffer  # type: ignore[attr-defined]  # noqa: SLF001

    def close(self) -> None:
        self.writer.close()


async def connected(end: socket.socket) -> Line:
    """A line over this end of a pair of sockets."""
    return Line(*await asyncio.open_unix_connection(sock=end, limit=limits.HUB_BACKLOG + 1))
