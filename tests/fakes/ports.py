"""Ports that belong to a test, also while nobody listens on them and other tests look for free ones."""

import socket


def reserve(port: int = 0) -> socket.socket:
    """A socket that has a port of 127.0.0.1 (0: a free one) and does not listen: connecting to it is refused.

    While it is open, the kernel gives the port to nobody who asks for any free one, but whoever asks for this very
    port, with SO_REUSEADDR as servers do, gets it.
    """
    # asyncio turns Nagle's algorithm off only where the protocol is given: without it, 40 ms for each answer.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", port))
    except OSError:
        sock.close()
        raise
    return sock


def port_of(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])
