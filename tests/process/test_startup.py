"""From when clients are heard."""

from __future__ import annotations

import asyncio

from mitmproxy.addons.errorcheck import ErrorCheck
from mitmproxy.test import taddons

from addons.process.startup import Startup


def test_they_are_not_while_errors_are_looked_for() -> None:
    async def run() -> None:
        startup, check = Startup(), ErrorCheck()
        with taddons.context(startup, check):
            startup.running()
            assert startup.waiting
            for _ in range(3):
                await asyncio.wait([startup.waiting], timeout=0.01)
                assert not startup.over.is_set()
            check.finish()
            await asyncio.wait_for(startup.over.wait(), 60)
            startup.done()

    asyncio.run(run())


def test_where_nobody_looks_for_errors_running_is_enough() -> None:
    async def run() -> None:
        startup = Startup()
        with taddons.context(startup):
            assert not startup.over.is_set()
            startup.running()
            await asyncio.wait_for(startup.over.wait(), 60)
            startup.done()

    asyncio.run(run())


def test_nobody_is_left_waiting_when_the_addon_goes() -> None:
    async def run() -> None:
        startup, check = Startup(), ErrorCheck()
        with taddons.context(startup, check):
            startup.running()
            startup.done()
            assert startup.over.is_set()
        check.finish()
        assert startup.waiting
        await asyncio.wait([startup.waiting])
        assert startup.waiting.cancelled()

    asyncio.run(run())
