"""A client that writes bytes: for requests that no HTTP library would send, and for the order in which things happen.

Rule of this file: what comes back is read by h11, which knows nothing of the gateway and forgives nothing.
"""

import socket
from contextlib import suppress
from select import select
from types import TracebackType
from typing import Self

import h11

from tests.e2e.gateway import Gateway
from tests.fakes.provider import PATIENCE
from tests.received import Received


class RawClient:
    """One TCP connection to a gateway, in a `with` block."""

    def __init__(self, gateway: Gateway) -> None:
        self._socket = socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE)
        self._unread = b""

    def write(self, data: bytes | str) -> None:
        self._socket.sendall(data.encode() if isinstance(data, str) else data)

    def post(self, body: bytes, *lines: str, target: str = "/v1/messages", version: str = "1.1") -> None:
        """Writes a POST request with these header lines, `host` and `content-length`."""
        head = [f"POST {target} HTTP/{version}", "host: gateway", f"content-length: {len(body)}", *lines, "", ""]
        self.write("\r\n".join(head).encode() + body)

    def read(self, method: str = "POST") -> Received:
        """The next response, to its end; `method` is what was asked, for the answers to HEAD have no body."""
        parser = h11.Connection(h11.CLIENT)
        parser.send(h11.Request(method=method, target="/", headers=[("host", "gateway")]))
        parser.send(h11.EndOfMessage())
        if self._unread:
            parser.receive_data(self._unread)
        informational: list[int] = []
        head, body = None, b""
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                parser.receive_data(self._socket.recv(65536))
            elif isinstance(event, h11.InformationalResponse):
                informational.append(event.status_code)
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            else:
                assert isinstance(event, h11.EndOfMessage), event
                break
        assert head
        self._unread = parser.trailing_data[0]
        headers = {name.decode(): value.decode() for name, value in head.headers}
        return Received(head.status_code, headers, body, informational=tuple(informational))

    def read_continue(self) -> None:
        """Reads `100 Continue`: the head has been read, and the body is asked for."""
        while b"\r\n\r\n" not in self._unread:
            self._unread += self._socket.recv(65536)
        interim, _, self._unread = self._unread.partition(b"\r\n\r\n")
        assert interim.startswith(b"HTTP/1.1 100"), interim

    def has_come(self) -> bool:
        """Whether there is something to read now."""
        return bool(self._unread or select([self._socket], [], [], 0)[0])

    def hang_up(self) -> None:
        """Says that nothing more will be written."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def rest(self) -> bytes:
        """All that comes until the gateway closes the connection."""
        data, self._unread = self._unread, b""
        with suppress(ConnectionResetError):
            while piece := self._socket.recv(65536):
                data += piece
        return data

    def is_closed(self) -> bool:
        """Waits for the gateway to close the connection; False when it says something instead."""
        with suppress(ConnectionResetError):
            return self._unread + self._socket.recv(1) == b""
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
