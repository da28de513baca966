"""HTTP/1.1 as little as a load generator needs it: one keep-alive connection, one answer at a time."""

import asyncio
import re
from collections.abc import Callable

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


class ResponseParser:
    """Reads one response. `feed` returns what came of its body; `complete` says that it is over."""

    def __init__(self) -> None:
        self.status = 0
        self.complete = False
        self._buffer = b""
        self._left: int | None = None  # bytes of the body, or of the chunk with its line end
        self._chunked = False

    def feed(self, data: bytes) -> bytes:
        """Raises ValueError for what this client can't read (a body that only the connection's end ends)."""
        if not self.status:
            head, found, data = (self._buffer + data).partition(b"\r\n\r\n")
            if not found:
                self._buffer = head
                return b""
            self._buffer = b""
            self.status = int(head[9:12])
            length = LENGTH.search(head)
            self._chunked = CHUNKED.search(head) is not None
            if not self._chunked:
                if length is None:
                    raise ValueError("an answer of unknown length")
                self._left = int(length[1])
        return self._dechunk(data) if self._chunked else self._count(data)

    def _count(self, data: bytes) -> bytes:
        assert self._left is not None
        self._left -= len(data)
        self.complete = self._left <= 0
        return data

    def _dechunk(self, data: bytes) -> bytes:
        buffer, position, body = self._buffer + data, 0, []
        while not self.complete:
            end = buffer.find(b"\r\n", position)
            if end < 0:
                break
            size = int(buffer[position:end].partition(b";")[0], 16)
            if len(buffer) < end + 4 + size:
                break
            body.append(buffer[end + 2 : end + 2 + size])
            position = end + 4 + size
            self.complete = size == 0
        self._buffer = buffer[position:]
        return b"".join(body)


class Client(asyncio.Protocol):
    """One connection. Its owner calls `send`, and is called at every piece of a body and at the end of each answer."""

    def __init__(self, *, ended: Callable[["Client"], None], came: Callable[["Client", bytes], None]) -> None:
        self._ended, self._came = ended, came
        self._request = b""
        self.answer = ResponseParser()
        self.failure = ""

    async def connect(self, port: int) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(1 << 26)
        self.transport = transport

    def send(self, request: bytes) -> None:
        self.answer = ResponseParser()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        try:
            body = self.answer.feed(data)
        except ValueError as error:
            self.fail(str(error))
            return
        if body:
            self._came(self, body)
        if self.answer.complete:
            self._ended(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.failure:
            self.fail("the connection was closed")

    def fail(self, why: str) -> None:
        """This connection serves no more."""
        self.failure = why
        self.transport.close()
        self._ended(self)

    def close(self) -> None:
        self.failure = "closed by ourselves"
        self.transport.abort()
