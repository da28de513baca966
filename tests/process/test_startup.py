"""Who waits for what until the gateway runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mitmproxy.addons.errorcheck import ErrorCheck
from mitmproxy.test import taddons, tflow

from addons.process.startup import Startup


@asynccontextmanager
async def early(startup: Startup) -> AsyncIterator[asyncio.Task[None]]:
    """A client that came before anything runs."""
    client = asyncio.create_task(startup.client_connected(tflow.tclient_conn()))
    await asyncio.sleep(0)
    assert not client.done()
    yield client
    client.cancel()


def test_a_client_waits_until_errors_are_no_longer_looked_for() -> None:
    async def run() -> None:
        startup, check = Startup(), ErrorCheck()
        with taddons.context(startup, check):
            async with early(startup) as client:
                startup.running()
                assert startup.waiting
                for _ in range(3):
                    await asyncio.wait([client, startup.waiting], timeout=0.01)
                    assert not client.done()
                check.finish()
                await asyncio.wait_for(client, 60)
            await asyncio.wait_for(startup.client_connected(tflow.tclient_conn()), 60)
            startup.done()

    asyncio.run(run())


def test_where_nobody_looks_for_errors_running_is_enough() -> None:
    async def run() -> None:
        startup = Startup()
        with taddons.context(startup):
            async with early(startup) as client:
                startup.running()
                await asyncio.wait_for(client, 60)
            startup.done()

    asyncio.run(run())


def test_nobody_is_left_waiting_when_the_addon_goes() -> None:
    async def run() -> None:
        startup, check = Startup(), ErrorCheck()
        with taddons.context(startup, check):
            async with early(startup) as client:
                startup.running()
                startup.done()
                await asyncio.wait_for(client, 60)
        check.finish()
        assert startup.waiting
        await asyncio.wait([startup.waiting])
        assert startup.waiting.cancelled()

    asyncio.run(run())
