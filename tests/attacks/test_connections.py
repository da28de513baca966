"""Connections that cost and say nothing, and protocols that nobody asked for."""

from __future__ import annotations

import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.gateway import Gateway
from tests.e2e.raw_http import RawClient
from tests.fakes.provider import PATIENCE, Provider

LONG = 9.0
"""Seconds: less than any silence that is allowed where no test has set a limit."""

CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
"""The begin of one."""

IMPATIENT = """\
import resource
from addons.wire import limits
limits.SILENT = limits.HANDSHAKE = 1.5
resource.setrlimit(resource.RLIMIT_NOFILE, (250, 250))
"""


@pytest.fixture(scope="module")
def impatient(providers: Any, routing: dict[str, Any], env: dict[str, str], tmp_path_factory: Any) -> Iterator[Gateway]:
    """A gateway whose limits are seconds, with few descriptors."""
    script: Path = tmp_path_factory.mktemp("impatient") / "impatient.py"
    script.write_text(IMPATIENT)
    with Gateway(routing, env, options=("-s", str(script))) as gateway:
        yield gateway


def connect(gateway: Gateway) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE)


def closes(client: socket.socket) -> float:
    """Seconds until the gateway closes this connection."""
    began = time.monotonic()
    with suppress(ConnectionResetError):
        assert client.recv(100) == b""
    return time.monotonic() - began


@pytest.mark.parametrize("sent", [b"", CLIENT_HELLO], ids=["nothing", "half a hello"])
def test_who_says_nothing_is_closed(impatient: Gateway, sent: bytes) -> None:
    with connect(impatient) as client:
        client.sendall(sent)
        assert closes(client) < LONG


def test_a_client_that_thinks_is_not(impatient: Gateway) -> None:
    with RawClient(impatient) as client:
        for pause in (2, 0):
            client.write("GET /health HTTP/1.1\r\nhost: g\r\n\r\n")
            assert client.read("GET").status == 200
            time.sleep(pause)  # longer than silence is allowed


@pytest.mark.parametrize("sent", [b"", CLIENT_HELLO], ids=["nothing", "half a hello"])
def test_silent_connections_take_nobodys_place(impatient: Gateway, unharmed: Callable[..., Any], sent: bytes) -> None:
    with unharmed(impatient), ExitStack() as stack:
        for _ in range(300):  # more than there are descriptors
            client = stack.enter_context(closing(connect(impatient)))
            client.sendall(sent)
            time.sleep(0.01)  # it is about how many there are, not about how fast they come


def test_one_address_does_not_get_all(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(options=("--set", "gateway_max_per_address=5"))
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(gateway)) for _ in range(20)]
        assert closes(clients[-1]) < LONG
    gateway.wait_until(lambda: gateway.client.get("/health").status_code == 200)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a machine has one loopback address")
def test_many_connections_at_once_hold_nobody_up(
    start_gateway: Callable[..., Gateway], unharmed: Callable[..., Any]
) -> None:
    """They stand before everybody who comes later; each cost a millisecond, refused or not."""
    gateway = start_gateway(options=("--set", "gateway_max_per_address=50"))
    with unharmed(gateway):
        for _ in range(3):
            with ExitStack() as stack:
                for _ in range(800):
                    client = stack.enter_context(closing(socket.socket()))
                    client.bind(("127.0.0.2", 0))
                    client.setblocking(False)
                    client.connect_ex(("127.0.0.1", gateway.port))
                time.sleep(0.5)


def test_http_2_is_not_offered(gateway: Gateway) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    with context.wrap_socket(connect(gateway), server_hostname="gateway") as client:
        assert client.selected_alpn_protocol() == "http/1.1"
        client.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("tls", [False, True])
def test_http_2_without_asking_is_refused(gateway: Gateway, anthropic: Provider, tls: bool) -> None:
    client: socket.socket = connect(gateway)
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        try:
            client = context.wrap_socket(client, server_hostname="gateway")
        except ssl.SSLError:
            return  # that is an answer too
    with client:
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        assert client.recv(100).startswith(b"HTTP/1.1 400 ")
    assert anthropic.requests == []
