"""What is switched off, that it is, and that it comes back."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterator
from unittest.mock import Mock

import pytest
from mitmproxy import connection, http
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.master import Master
from mitmproxy.options import Options
from mitmproxy.proxy.server import ConnectionIO
from mitmproxy.test import taddons, tflow

from addons.lean import LargeReads, Lean


@pytest.fixture
def lean() -> Iterator[Lean]:
    made = Lean()
    with taddons.context(made):
        yield made
    made.done()


def wrong_type() -> http.Response:
    return http.Response(b"HTTP/1.1", 200, b"OK", http.Headers(), None, None, "now", None)  # type: ignore[arg-type]


def test_messages_are_not_checked_for_the_types_of_their_fields(lean: Lean) -> None:
    assert wrong_type().status_code == 200
    lean.done()
    with pytest.raises(TypeError, match="Expected"):
        wrong_type()


def test_what_was_there_before_is_frozen(lean: Lean) -> None:
    assert gc.get_freeze_count() > 10_000
    lean.done()
    assert gc.get_freeze_count() == 0


class OldScript:
    def add_log(self, entry: object) -> None:
        """As scripts had it before mitmproxy 9."""


@pytest.mark.parametrize("scripts", [[], [OldScript()]])
def test_log_lines_call_addons_only_where_one_listens(scripts: list[object]) -> None:
    async def handlers() -> list[logging.Handler]:
        master = Master(Options(), asyncio.get_running_loop())
        lean = Lean()
        try:
            master.addons.add(lean, *scripts)
            lean.running()
            return [handler for handler in logging.getLogger().handlers if handler is master._legacy_log_events]
        finally:
            lean.done()
            master._legacy_log_events.uninstall()

    assert len(asyncio.run(handlers())) == len(scripts)


def test_all_that_has_come_of_a_client_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read() -> tuple[int, int]:
        reader = asyncio.StreamReader()
        reader.feed_data(b"x" * 200_000)
        reader.feed_eof()
        client = tflow.tclient_conn()
        server = Proxyserver()
        server.connections[client.id] = Mock(transports={client: ConnectionIO(reader=reader)})
        with taddons.context(server):
            Lean().client_connected(client)
        assert isinstance(reader, LargeReads)
        return len(await reader.read(65535)), len(await reader.read(65535))

    assert asyncio.run(read()) == (200_000, 0)


def test_another_kind_of_connection_is_left_alone() -> None:
    client = connection.Client(peername=("", 0), sockname=("", 0))
    server = Proxyserver()
    other = object()
    server.connections[client.id] = Mock(transports={client: Mock(reader=other)})
    with taddons.context(server):
        Lean().client_connected(client)
        Lean().client_connected(tflow.tclient_conn())  # and one that nobody knows
    assert type(other) is object
