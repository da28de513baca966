"""What clients and a gateway say to each other, whatever library the client uses.

Rule of this file: it sits where every client of the tests opens its connection (`socket.create_connection`), and only
listens. TLS is not understood.
"""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

HEAD = 64 * 1024
CREDENTIAL = re.compile(
    rb"^(?:authorization|proxy-authorization|x-api-key|x-litellm-api-key|cookie):[ \t]*([^\r\n]+)\r?\n",
    re.IGNORECASE | re.MULTILINE,
)
FORM = re.compile(rb"(?:^|\r\n\r\n)key=([^&\s]+)")
"""The key with which somebody signs in on the page."""
PARTS = re.compile(r"\\n|[\s,;:=]+")
NO_CREDENTIALS = {"bearer", "basic", "passthrough", "rotate", "x-claude-token-mode", "x-litellm-api-key"}
SHORTEST = 8

connect = socket.create_connection
heard: dict[int, "Heard"] = {}
"""By the port to which the clients connect."""


class Heard:
    """What was said on all connections to one port."""

    def __init__(self) -> None:
        self.sent: set[str] = set()
        """Credentials that clients have sent."""
        self.told = bytearray()
        """All that clients were told."""


def credentials(head: bytes) -> Iterator[str]:
    """What looks like a credential in the head of a request."""
    for match in CREDENTIAL.finditer(head):
        for part in PARTS.split(match[1].decode(errors="ignore")):
            if len(part) >= SHORTEST and part.lower() not in NO_CREDENTIALS:
                yield part
    if b"key=" in head and (form := FORM.search(head)):
        yield form[1].decode(errors="ignore")


class Overheard(socket.socket):
    """A connection of a client, in place of the one that was opened."""

    def __init__(self, opened: socket.socket, heard: Heard) -> None:
        timeout = opened.gettimeout()
        super().__init__(opened.family, opened.type, opened.proto, opened.detach())
        self.settimeout(timeout)
        self.heard = heard

    def sendall(self, data: Any, *flags: int) -> None:
        self.heard.sent.update(credentials(bytes(memoryview(data)[:HEAD])))
        super().sendall(data, *flags)

    def send(self, data: Any, *flags: int) -> int:
        self.heard.sent.update(credentials(bytes(memoryview(data)[:HEAD])))
        return super().send(data, *flags)

    def recv(self, *arguments: int) -> bytes:
        data = super().recv(*arguments)
        self.heard.told += data
        return data


def create_connection(address: Any, *arguments: Any, **keywords: Any) -> socket.socket:
    opened = connect(address, *arguments, **keywords)
    return Overheard(opened, heard[address[1]]) if address[1] in heard else opened


@contextmanager
def overhearing() -> Iterator[None]:
    """Until the end of the block, what is said to the ports in `heard` is heard."""
    with patch.object(socket, "create_connection", create_connection):
        yield
