"""The end of a gateway that was told to stop. (What runs until then: e2e/test_drain.py.)"""

from __future__ import annotations

import asyncio

import pytest
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.test import taddons

from addons.process.drain import Drain


def test_nobody_is_let_in_who_would_get_no_answer() -> None:
    """Whoever connects while the process ends is cut off without a word, and leaves a warning in the log."""

    async def run() -> None:
        proxyserver, drain = Proxyserver(), Drain()
        with taddons.context(proxyserver, drain) as tctx:
            tctx.configure(proxyserver, mode=["reverse:http://one.test"], listen_host="127.0.0.1", listen_port=0)
            assert await proxyserver.setup_servers()
            ((host, port, *_),) = proxyserver.listen_addrs()
            await drain.drain(0)
            async with asyncio.timeout(5):
                await tctx.master.should_exit.wait()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(host, port)

    asyncio.run(run())
