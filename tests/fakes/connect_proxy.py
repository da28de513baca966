"""A proxy that is asked with CONNECT, on loopback: says how many tunnels are open, and through whom it was asked."""

from __future__ import annotations

import socket
import threading
from typing import Self

from tests.fakes.front import in_url, join, listening, server_context, stop


class ConnectProxy:
    """Tunnels to wherever it is asked for, or is silent, or refuses."""

    def __init__(
        self, *, authorization: str = "", tls: bytes = b"", own_tls: bytes = b"", host: str = "127.0.0.1"
    ) -> None:
        """`authorization`: what it wants to be told. `tls`: a key and a certificate, with which it takes TLS off inside
        of its tunnels, as if the providers behind it spoke that; `own_tls`: those with which it speaks TLS itself."""
        self.tls = server_context(tls) if tls else None
        if self.tls:
            self.tls.set_alpn_protocols(["h2", "http/1.1"])
        self.own_tls = server_context(own_tls) if own_tls else None
        self.protocols: list[str | None] = []
        """What was spoken inside of them."""
        self.authorization = authorization
        self.asked: list[str] = []
        """The addresses, in the order in which they were asked for."""
        self.open = 0
        """Connections from the gateway that are open."""
        self.unanswered = 0
        """Those of them that it doesn't answer."""
        self.silent = False
        """It takes requests and never answers them."""
        self.endless = False
        """Its answers go on and on."""
        self.lock = threading.Lock()
        self.host = host
        self.listener = listening(host)
        self.port = self.listener.getsockname()[1]
        self.sockets: set[socket.socket] = set()

    @property
    def url(self) -> str:
        return f"http{'s' if self.own_tls else ''}://{in_url(self.host)}:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        stop(self.listener)
        with self.lock:
            for one in self.sockets:
                one.close()

    def accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=[client], daemon=True).start()

    def serve(self, client: socket.socket) -> None:
        with self.lock:
            self.open += 1
            self.sockets.add(client)
        try:
            self.tunnel(self.own_tls.wrap_socket(client, server_side=True) if self.own_tls else client)
        except OSError:
            pass
        finally:
            client.close()
            with self.lock:
                self.open -= 1
                self.sockets.discard(client)

    def tunnel(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            if not (data := client.recv(65536)):
                return
            head += data
        first, *lines = head.decode().split("\r\n")
        address = first.split()[1]
        with self.lock:
            self.asked.append(address)
        if address.count(":") > 1 and not address.startswith("["):
            client.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            return
        if self.endless:
            client.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                client.sendall(b"x-more: and more\r\n" * 1000)
        if self.silent:
            with self.lock:
                self.unanswered += 1
            while client.recv(65536):
                pass
            with self.lock:
                self.unanswered -= 1
            return
        if self.authorization and f"proxy-authorization: {self.authorization}" not in lines:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            return
        host, _, port = address.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port))) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            if self.tls:
                client = self.tls.wrap_socket(client, server_side=True)
                self.protocols.append(client.selected_alpn_protocol())
            join(client, server)
            client.close()
