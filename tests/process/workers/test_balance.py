"""Who lets others accept a connection first."""

from __future__ import annotations

import asyncio
import socket

import pytest

from addons.process.workers import inheritance
from addons.process.workers.balance import HESITATION, LEAD, Balance, fewest
from addons.process.workers.inheritance import served, shared
from tests.fakes.ports import port_of, reserve


@pytest.mark.parametrize(
    ("count", "others", "leads"),
    [(0, 0, False), (LEAD - 1, 0, False), (LEAD, 0, True), (LEAD, 1, False), (160, 150, False), (160, 140, True)],
)
def test_who_leads(count: int, others: int, leads: bool) -> None:
    balance = Balance()
    balance.count = lambda: count
    assert not balance.leads, "nobody else is ready"
    balance.fewest = others
    assert balance.leads == leads


def test_each_is_told_of_the_others() -> None:
    assert fewest({1: 5, 2: 0, 3: 7}) == {1: 0, 2: 5, 3: 0}
    assert fewest({1: 5}) == {1: None}
    assert fewest({}) == {}


@pytest.fixture
def balance(monkeypatch: pytest.MonkeyPatch) -> Balance:
    made = Balance()
    monkeypatch.setattr(inheritance, "balance", made)
    return made


@pytest.mark.upstream
def test_who_leads_accepts_a_moment_later_when_nobody_else_does(balance: Balance) -> None:
    async def run() -> list[str]:
        seen: list[str] = []
        balance.changed = lambda: seen.append("came")
        balance.count, balance.fewest = lambda: LEAD * 2, 0
        with reserve() as listening:
            listening.setblocking(False)
            listening.listen(8)
            sockets = [shared(listening.fileno()) for _ in range(2)]
            servers = [await served(one, lambda _reader, writer: writer.close()) for one in sockets]
            for server in servers:
                await server.start_serving()
            began = asyncio.get_running_loop().time()
            with socket.create_connection(("127.0.0.1", port_of(listening))) as client:
                client.setblocking(False)
                assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
            assert asyncio.get_running_loop().time() - began >= HESITATION
            for server in servers:
                server.close()
        return seen

    assert asyncio.run(run()) == ["came"]
