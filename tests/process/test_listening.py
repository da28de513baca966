"""What mitmproxy and asyncio are told about the port, and what they are kept from doing."""

from __future__ import annotations

import asyncio
import errno
import logging
from typing import Any

import pytest
from mitmproxy.addons.errorcheck import ErrorCheck
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import taddons

from addons.process.listening import Listening, listens
from tests.exchanges import Clock


def full_table() -> dict[str, Any]:
    """What asyncio reports when accept() has found no descriptor."""
    error = OSError(errno.EMFILE, "Too many open files")
    return {"message": "socket.accept() out of system resource", "exception": error, "socket": "the listening one"}


def test_mitmproxy_would_listen_on_udp_too_for_https() -> None:
    mode = ProxyMode.parse("reverse:https://one.example")
    assert mode.transport_protocol == "both"
    assert ProxyMode.parse("reverse:https://one.example") is mode


def test_https_is_served_over_tcp_only() -> None:
    addon = Listening()
    with taddons.context(addon) as context:
        context.configure(addon, mode=["reverse:https://two.example", "reverse:http://three.example@8001"])
        assert {ProxyMode.parse(spec).transport_protocol for spec in context.options.mode} == {"tcp"}


def test_a_full_table_is_said_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        clock = Clock()
        addon = Listening(clock)
        with taddons.context(addon), caplog.at_level(logging.WARNING):
            loop = asyncio.get_running_loop()
            for _ in range(100):
                addon.reported(loop, full_table())
            clock.now += 1
            addon.reported(loop, full_table())

    asyncio.run(run())
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2


def test_other_reports_go_on_to_who_was_there_before() -> None:
    async def run() -> list[dict[str, Any]]:
        seen: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: seen.append(context))
        with taddons.context(Listening()):
            loop.call_exception_handler({"message": "odd"})
            loop.call_exception_handler(full_table())
        return seen

    assert asyncio.run(run()) == [{"message": "odd"}]


def test_errors_count_until_it_listens() -> None:
    async def run() -> None:
        check, server, addon = ErrorCheck(), Proxyserver(), Listening()
        try:
            with taddons.context(check, server, addon) as context:
                context.configure(server, mode=["regular@0"], listen_host="127.0.0.1")
                logging.getLogger("test").error("before")
                assert not listens()
                await server.setup_servers()
                assert listens()
                logging.getLogger("test").error("after")
                assert [record.getMessage() for record in check.logger.has_errored] == ["before"]
                await server.servers.update([])
        finally:
            check.finish()

    asyncio.run(run())
