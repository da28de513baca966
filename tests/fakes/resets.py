"""The rude end of a connection."""

import socket
import struct
from contextlib import suppress


def reset_at_close(sock: socket.socket) -> None:
    """When this socket is closed, the peer gets a reset in place of an end, and what was not sent is thrown away.
    (Of one that the other side has closed meanwhile, there is nothing left.)"""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
