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

from addons.process.tuning import LargeReads, Tuning


@pytest.fixture
def tuning() -> Iterator[Tuning]:
    made = Tuning()
    with taddons.context(made):
        yield made
    made.done()


def wrong_type() -> http.Response:
    return http.Response(b"HTTP/1.1", 200, b"OK", http.Headers(), None, None, "now", None)  # type: ignore[arg-type]


def test_messages_are_not_checked_for_the_types_of_their_fields(tuning: Tuning) -> None:
    assert wrong_type().status_code == 200
    tuning.done()
    with pytest.raises(TypeError, match="Expected"):
        wrong_type()


def test_what_was_there_before_is_frozen(tuning: Tuning) -> None:
    assert gc.get_freeze_count() > 10_000
    tuning.done()
    assert gc.get_freeze_count() == 0


def test_garbage_is_looked_for_from_then_on() -> None:
    gc.disable()
    try:
        with taddons.context(made := Tuning()):
            assert gc.isenabled()
        made.done()
    finally:
        gc.enable()


class OldScript:
    def add_log(self, entry: object) -> None:
        """As scripts had it before mitmproxy 9."""


@pytest.mark.parametrize("scripts", [[], [OldScript()]])
def test_log_lines_call_addons_only_where_one_listens(scripts: list[object]) -> None:
    async def handlers() -> list[logging.Handler]:
        master = Master(Options(), asyncio.get_running_loop())
        tuning = Tuning()
        try:
            master.addons.add(tuning, *scripts)
            tuning.running()
            return [handler for handler in logging.getLogger().handlers if handler is master._legacy_log_events]
        finally:
            tuning.done()
            master._legacy_log_events.uninstall()

    assert len(asyncio.run(handlers())) == len(scripts)


def reader_of_a_client() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    client = tflow.tclient_conn()
    server = Proxyserver()
    server.connections[client.id] = Mock(transports={client: ConnectionIO(reader=reader)})
    with taddons.context(server):
        Tuning().client_connected(client)
    assert isinstance(reader, LargeReads)
    return reader


def test_all_that_has_come_of_a_client_is_read_at_once() -> None:
    async def read() -> None:
        reader = reader_of_a_client()
        first, second = b"x" * 200_000, b"y" * 100
        reader.feed_data(first)
        assert await reader.read(65535) is first, "it was copied"
        reader.feed_data(first)
        reader.feed_data(second)
        assert not reader.at_eof()
        reader.feed_eof()
        assert await reader.read(65535) == first + second
        assert await reader.read(65535) == b""
        assert reader.at_eof()

    asyncio.run(read())


def test_who_waits_for_a_client_is_woken() -> None:
    async def read() -> None:
        reader = reader_of_a_client()
        waiting = asyncio.create_task(reader.read(65535))
        await asyncio.sleep(0)
        reader.feed_data(b"now")
        assert await waiting == b"now"
        waiting = asyncio.create_task(reader.read(65535))
        await asyncio.sleep(0)
        reader.set_exception(ConnectionResetError("gone"))
        for reading in (waiting, reader.read(65535)):
            with pytest.raises(ConnectionResetError):
                await reading

    asyncio.run(read())


def test_a_client_that_sends_more_than_is_read_is_slowed_down() -> None:
    async def read() -> None:
        reader, transport = reader_of_a_client(), Mock()
        reader.set_transport(transport)
        for _ in range(3):
            reader.feed_data(b"x" * 100_000)
        transport.pause_reading.assert_called_once()
        transport.resume_reading.assert_not_called()
        assert len(await reader.read(65535)) == 300_000
        transport.resume_reading.assert_called_once()

    asyncio.run(read())


def test_another_kind_of_connection_is_left_alone() -> None:
    client = connection.Client(peername=("", 0), sockname=("", 0))
    server = Proxyserver()
    other = object()
    server.connections[client.id] = Mock(transports={client: Mock(reader=other)})
    with taddons.context(server):
        Tuning().client_connected(client)
        Tuning().client_connected(tflow.tclient_conn())  # and one that nobody knows
    assert type(other) is object
