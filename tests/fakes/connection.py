"""One TCP connection of a scripted provider: requests in, the steps of an answer out.

Rules of this file: a peer that goes away ends whatever is going on at once with `PeerGone`, also a silence;
nothing is decided here, the provider says what to answer.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterable

from .answers import Answer, Endless, Gate, Pause, Step, Then
from .request import Headers
from .resets import reset_at_close

SETTLE = 0.05  # seconds between the last byte and a reset: a reset takes with it what the peer has not read yet


class PeerGone(Exception):
    """The other side has closed the connection."""


class Reader(asyncio.StreamReader):
    """A stream reader that says when the peer is gone without being read from."""

    def __init__(self) -> None:
        super().__init__(limit=2**20)
        self.gone = asyncio.Event()

    def feed_eof(self) -> None:
        super().feed_eof()
        self.gone.set()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self.gone.set()


class Connection:
    """A connection that was accepted."""

    def __init__(self, reader: Reader, writer: asyncio.StreamWriter, number: int) -> None:
        self.number = number
        self.busy = False  # a request is there and its answer is not complete
        self._reader = reader
        self._writer = writer
        writer.transport.set_write_buffer_limits(high=0)  # drain() means: the kernel has it all

    async def request(self) -> tuple[str, str, Headers, bytes]:
        """Method, target, headers and body of the next request."""
        try:
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")[:-2]
            method, target, _ = first.split(" ")
            fields = (line.partition(":") for line in lines)
            headers = Headers((name, value.strip()) for name, _, value in fields)
            if headers.get("expect", "").lower() == "100-continue":
                self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if "transfer-encoding" in headers:
                return method, target, headers, await self._chunks()
            return (
                method,
                target,
                headers,
                await self._reader.readexactly(int(headers.get("content-length", 0))),
            )
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise PeerGone from error

    async def _chunks(self) -> bytes:
        body = bytearray()
        while size := int((await self._reader.readline()).partition(b";")[0], 16):
            body += await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        while (await self._reader.readline()).strip():  # trailers
            pass
        return bytes(body)

    async def send(self, steps: Iterable[Step]) -> None:
        """Takes the steps one after the other."""
        for step in steps:
            if isinstance(step, bytes):
                await self._write(step)
            elif isinstance(step, Pause):
                await self._silence(step.seconds)
            elif isinstance(step, Gate):
                await self._gate(step)
            else:
                await self._repeat(step)

    async def finish(self, then: Then) -> bool:
        """What follows an answer; returns whether the connection can take another request."""
        if then == "hang":
            await self._silence(None)
        elif then == "rst":
            await self._silence(SETTLE)
            transport: socket.socket = self._writer.get_extra_info("socket")
            reset_at_close(transport)
            self._writer.transport.abort()
        return then == "keep"

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    def abort(self) -> None:
        """Closes without waiting for the peer to read."""
        self._writer.transport.abort()

    async def _write(self, data: bytes) -> None:
        if self._reader.gone.is_set():
            raise PeerGone
        self._writer.write(data)
        try:
            await self._writer.drain()
        except ConnectionError as error:
            raise PeerGone from error
        await asyncio.sleep(0)  # others want to be served, and this peer may have hung up

    async def _silence(self, seconds: float | None) -> None:
        try:
            await asyncio.wait_for(self._reader.gone.wait(), seconds)
        except TimeoutError:
            return
        raise PeerGone

    async def _gate(self, gate: Gate) -> None:
        opened = asyncio.ensure_future(gate.opened())
        gone = asyncio.ensure_future(self._reader.gone.wait())
        try:
            await asyncio.wait((opened, gone), return_when=asyncio.FIRST_COMPLETED)
            if not opened.done():
                raise PeerGone
        finally:
            opened.cancel()
            gone.cancel()

    async def _repeat(self, step: Endless) -> None:
        while True:
            await self._write(step.data)
            await self._silence(step.every)


def keeps_alive(answer: Answer, headers: Headers) -> bool:
    """Whether the connection stays open after this answer to a request with these headers."""
    return answer.framing != "close" and headers.get("connection", "").lower() != "close"
