"""HTTP/1.1 and nothing else: towards clients, and towards providers."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from mitmproxy import connection
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.test import tflow

from addons.proxy.attempt_loop import AttemptLoop
from addons.proxy.connection_limits import ConnectionLimits
from tests.proxy.playbook import Playbook

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def test_who_speaks_http_2_without_asking_is_refused():
    with Playbook() as play:
        play.client_sends(PREFACE + b"\0\0\0\4\0\0\0\0\0")
        assert play.sent_to_client.startswith(b"HTTP/1.1 400 ")
        assert not play.flows
        assert not play.servers


def test_tls_clients_are_offered_http_1():
    client = tflow.tclient_conn()
    ConnectionLimits().tls_clienthello(Mock(context=SimpleNamespace(client=client)))
    assert client.alpn == b"http/1.1"


def test_providers_are_asked_for_http_1():
    """One request a connection at a time: giving one up concerns nobody else."""
    with Playbook() as play:
        server = connection.Server(address=("one.test", 443), tls=True)
        data = ServerConnectionHookData(server=server, client=play.client)
        play.client.alpn_offers = (b"h2", b"http/1.1")
        AttemptLoop().server_connect(data)
        assert data.server.alpn_offers == (b"http/1.1",)
        play.client_asks()


@pytest.mark.parametrize(
    "line",
    [b"x: a\rb", b"x: a\0b", b"x: a\x1b[31m", b"x: a\r\n b", b"x: a\r\n\tb", b"x: a\x7f"],
    ids=["CR", "NUL", "escape", "folded", "folded by a tab", "DEL"],
)
def test_headers_that_another_parser_may_read_otherwise_are_refused(line: bytes):
    with Playbook() as play:
        play.client_sends(b"POST /v1/messages HTTP/1.1\r\nhost: g\r\n" + line + b"\r\ncontent-length: 2\r\n\r\n{}")
        assert play.sent_to_client.startswith(b"HTTP/1.1 400 ")
        assert not play.flows
        assert not play.servers


def test_a_tab_and_bytes_beyond_ascii_are_values():
    with Playbook() as play:
        play.client_asks("hi", "x: a\tb", "y: é")
        play.succeeds(1)
