"""Accepting: how many may wait for it, and what has come of those that just were.

asyncio lets 100 connections wait to be accepted. Those beyond are told nothing, and try again after one second, then
after two more: that is how long many newcomers at once kept everybody else waiting.

What this file knows of mitmproxy's insides is named in tests/proxy/test_accepting.py.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

from addons.proxy.connections import proxyserver
from addons.wire import limits


def widen_the_door() -> None:
    """Let `limits.BACKLOG` connections wait wherever this process listens."""
    listening = proxyserver()
    for instance in listening.servers if listening else ():
        for server in getattr(instance, "_servers", ()):
            if isinstance(server, asyncio.Server):
                for listener in server.sockets:
                    let_wait(listener.fileno(), limits.BACKLOG)


def let_wait(listener: int, connections: int) -> None:
    """Let that many connections wait at a socket that listens already (by its descriptor)."""
    with socket.socket(fileno=os.dup(listener)) as same:
        same.listen(connections)


def first_bytes(io_socket: Any) -> bytes:
    """The first three bytes that have come and that nobody has read yet; they stay where they are."""
    try:
        with socket.socket(fileno=os.dup(io_socket.fileno())) as same:
            return same.recv(3, socket.MSG_PEEK)
    except OSError:  # nothing has come; or there is no descriptor left
        return b""
