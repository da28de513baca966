"""A proxy that is asked with CONNECT, on loopback: says how many tunnels are open, and through whom it was asked."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self


class ConnectProxy:
    """Tunnels to wherever it is asked for, or is silent, or refuses."""

    def __init__(self, *, authorization: str = "", tls: bytes = b"") -> None:
        """`authorization`: what it wants to be told. `tls`: a key and a certificate, with which it
        takes TLS off inside of its tunnels, as if the providers behind it spoke that."""
        self.tls: ssl.SSLContext | None = None
        if tls:
            with TemporaryDirectory() as folder:
                pair = Path(folder) / "pair.pem"
                pair.write_bytes(tls)
                self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self.tls.load_cert_chain(pair)
                self.tls.set_alpn_protocols(["h2", "http/1.1"])
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
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets: set[socket.socket] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()
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
            self.tunnel(client)
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
        with socket.create_connection((host, int(port))) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            if self.tls:
                client = self.tls.wrap_socket(client, server_side=True)
                self.protocols.append(client.selected_alpn_protocol())
            back = threading.Thread(target=self.copy, args=[server, client], daemon=True)
            back.start()
            self.copy(client, server)
            back.join()
            client.close()

    @staticmethod
    def copy(source: socket.socket, sink: socket.socket) -> None:
        """Pass on what comes, and its end."""
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
