"""The line between a worker and its parent: JSON objects, one a line, over a pair of sockets.

A worker says that it is ready, asks all others (`ask`), and answers what another one asks. The parent passes both on,
and tells a worker to leave. When the line breaks, the other side is gone.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

LONGEST: Final = 1 << 25
"""Bytes of a line: what one worker answers of a hundred thousand accounts and requests."""
MOST_UNSENT: Final = 1 << 26
"""Bytes that may wait for somebody who doesn't read; beyond them nothing more is said to him."""

Message = Mapping[str, Any]


class Line:
    """One end of it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, **message: Any) -> None:
        """Send a message; whoever has gone doesn't get it."""
        transport = self.writer.transport
        if not transport.is_closing() and transport.get_write_buffer_size() < MOST_UNSENT:
            self.writer.write(json.dumps(message).encode() + b"\n")

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
    return Line(*await asyncio.open_unix_connection(sock=end, limit=LONGEST))
