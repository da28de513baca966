"""The gateway's own small HTTP client, for what isn't a client's request: it follows `proxy:` and `ca_bundle:`.

Blocks: it is called in a thread, or by a command, never on the event loop. What a proxy answers that opens no tunnel is
a `ProxyRefused`.
"""

from __future__ import annotations

import io
import socket
import ssl
from collections.abc import Callable
from contextlib import closing
from functools import lru_cache
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import certifi

from addons.config.ca_bundle import CaBundle
from addons.config.egress import Egress, EgressProxy


class ProxyRefused(OSError):
    """A proxy opens no tunnel: `status` is what it answered."""

    def __init__(self, proxy: EgressProxy, status: int) -> None:
        super().__init__(f"the proxy {proxy} answered {status}")
        self.proxy, self.status = proxy, status


class Connection(HTTPConnection):
    """A connection to an address, directly or in a tunnel through a proxy."""

    def __init__(self, scheme: str, host: str, port: int, egress: Egress, timeout: float) -> None:
        super().__init__(host, port, timeout=timeout)
        self.scheme, self.egress = scheme, egress
        self.default_port = 443 if scheme == "https" else 80  # the Host header doesn't name it

    def connect(self) -> None:
        proxy = self.egress.proxy
        opened: Any = socket.create_connection(
            (proxy.host, proxy.port) if proxy else (self.host, self.port), self.timeout
        )
        try:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if proxy:
                if proxy.scheme == "https":
                    opened = trust(self.egress.ca_bundle).wrap_socket(opened, server_hostname=proxy.host)
                open_tunnel(opened, proxy, self.host, self.port)
            if self.scheme == "https":
                context = trust(self.egress.ca_bundle)
                if isinstance(opened, ssl.SSLSocket):
                    opened = InnerTls(opened, context, self.host)
                else:
                    opened = context.wrap_socket(opened, server_hostname=self.host)
        except BaseException:
            opened.close()
            raise
        self.sock = opened


def connection(scheme: str, host: str, port: int, egress: Egress, timeout: float) -> Connection:
    """A connection that is opened when it is used; `timeout` in seconds for each step. `host` without brackets."""
    return Connection(scheme, host, port, egress, timeout)


def open_tunnel(opened: socket.socket, proxy: EgressProxy, host: str, port: int) -> None:
    """Ask a proxy for a tunnel. Raises ProxyRefused, HTTPException."""
    address = f"[{host}]:{port}" if ":" in host else f"{host.encode('idna').decode()}:{port}"
    lines = [f"CONNECT {address} HTTP/1.1", f"host: {address}"]
    if proxy.authorization:
        lines.append(f"proxy-authorization: {proxy.authorization}")
    opened.sendall("\r\n".join([*lines, "", ""]).encode())
    with closing(HTTPResponse(opened, method="CONNECT")) as response:
        response.begin()
        if not 200 <= response.status < 300:
            raise ProxyRefused(proxy, response.status)


@lru_cache(16)
def trust(bundle: CaBundle | None) -> ssl.SSLContext:
    """The certificates that mitmproxy trusts too, and those of a bundle."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as mitmproxy: many a company's authority isn't strict
    if bundle:
        context.load_verify_locations(cadata=bundle.pem)
    return context


class InnerTls:
    """TLS inside of a TLS connection to a proxy, as far as `HTTPConnection` needs it. (Python's wraps sockets only.)"""

    def __init__(self, outer: ssl.SSLSocket, context: ssl.SSLContext, host: str) -> None:
        self.outer = outer
        self.received, self.to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.inner = context.wrap_bio(self.received, self.to_send, server_hostname=host)
        self.has_reader = self.is_left = False
        self.run(self.inner.do_handshake)

    def run[T](self, do: Callable[..., T], *arguments: Any) -> T:
        """Do something with the inner connection, and carry what it wants to send and to hear."""
        while True:
            try:
                return do(*arguments)
            except ssl.SSLWantReadError:
                self.outer.sendall(self.to_send.read())
                if data := self.outer.recv(65536):
                    self.received.write(data)
                else:
                    self.received.write_eof()
            finally:
                if self.to_send.pending:
                    self.outer.sendall(self.to_send.read())

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        view = memoryview(data)
        while view:
            view = view[self.run(self.inner.write, view) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        """The reader of the answer. `HTTPConnection` may close the connection before it is read."""
        self.has_reader = True
        return io.BufferedReader(Reader(self))

    def close(self) -> None:
        """Close it, as soon as its reader is closed too."""
        self.is_left = True
        if not self.has_reader:
            self.outer.close()


class Reader(io.RawIOBase):
    """What comes out of an inner connection."""

    def __init__(self, tls: InnerTls) -> None:
        self.tls = tls

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            read: Callable[[int, Any], Any] = self.tls.inner.read
            return int(self.tls.run(read, len(buffer), buffer))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return 0

    def close(self) -> None:
        if not self.closed:
            self.tls.has_reader = False
            if self.tls.is_left:
                self.tls.close()
        super().close()
