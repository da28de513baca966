"""The hub of a machine's workers, and their way to it (addons/process/hub_link.py, addons/process/overdue.py). What it
answers is asked in tests/state/test_shared.py."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from addons.process import hub as hub_module
from addons.process import hub_link as hub_link_module
from addons.process.hub import Hub, encode
from addons.process.hub_link import HubLink
from addons.state.shared import ANSWERED_WITHIN, Admit, Admitted, Resumed, RoomSeen, Shared, Sit, Totals
from addons.team.hub_state import HubState
from tests.team_ways import HubTeam, by_hub, until


def with_hub(tmp_path: Path, test: Callable[[HubTeam], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with by_hub(tmp_path) as team:
            await test(team)

    asyncio.run(whole())


def test_only_its_own_user_may_open_it_and_one_left_over_is_replaced(tmp_path):
    (tmp_path / "hub").write_text("left over")

    async def test(team: HubTeam) -> None:
        mode = team.hub.path.stat().st_mode
        assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600
        await team.join()

    with_hub(tmp_path, test)
    assert not (tmp_path / "hub").exists()


@pytest.mark.parametrize("left", [None, b"", b"{}", b'{"came":7}', b"\xff"], ids=repr)
def test_what_is_left_to_another_program_is_taken_over_once_if_it_is_understood(tmp_path, left, caplog):
    before = Hub(tmp_path / "hub")
    before.state.handle("w", Sit("s", "claude", "a"), before.clock())
    before.bequeath()
    if left is not None:
        before.estate.write_bytes(left)

    async def test(team: HubTeam) -> None:
        assert not before.estate.exists()
        assert await (await team.join()).ask(Sit("s", "claude", "b")) == ("a" if left is None else "b")

    with_hub(tmp_path, test)
    assert ("is lost" in caplog.text) == (left is not None)


@pytest.mark.parametrize("line", [b"no JSON", b"[1]", b'[1,["Unknown","a"]]', b'[1,["Sit","a"]]', b'[1,["Sit",1,2,3]]'])
def test_what_is_no_message_ends_its_connection_and_no_other(tmp_path, line, caplog):
    async def test(team: HubTeam) -> None:
        member = await team.join()
        reader, writer = await asyncio.open_unix_connection(str(team.hub.path))
        writer.write(line + b"\n")
        assert await reader.read() == b""
        writer.close()
        assert await member.ask(Sit("s", "claude", "a")) == "a"

    with_hub(tmp_path, test)
    assert "no message" in caplog.text


def test_a_message_that_never_ends_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(hub_module, "HUB_BACKLOG", 1000)

    async def test(team: HubTeam) -> None:
        reader, writer = await asyncio.open_unix_connection(str(team.hub.path))
        writer.write(b'[1,["Sit","' + 2000 * b"s")
        assert await reader.read() == b""
        writer.close()

    with_hub(tmp_path, test)


def test_a_worker_that_does_not_read_is_not_waited_for(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(hub_module, "HUB_BACKLOG", 100_000)

    async def test(team: HubTeam) -> None:
        member = await team.join()
        deaf = socket.socket(socket.AF_UNIX)
        deaf.connect(str(team.hub.path))
        await until(lambda: len(team.hub.conversations) == 2)
        while len(team.hub.conversations) == 2:
            for _ in range(100):
                member.tell(RoomSeen("a" * 1000, 0.5))
            await member.ask(Totals(()))
        deaf.close()
        assert await member.ask(Sit("s", "claude", "a")) == "a"

    with_hub(tmp_path, test)
    assert "doesn't read" in caplog.text


def test_messages_that_come_in_pieces_are_put_together(tmp_path):
    async def test(team: HubTeam) -> None:
        reader, writer = await asyncio.open_unix_connection(str(team.hub.path))
        for byte in encode((7, Sit("s", "claude", "a"))) + b"\n" + encode((8, Sit("s", "claude", "b"))) + b"\n":
            writer.write(bytes([byte]))
            await writer.drain()
        assert await reader.readline() == b'[7,"a"]\n'
        assert await reader.readline() == b'[8,"a"]\n'
        writer.close()

    with_hub(tmp_path, test)


def test_what_is_asked_and_told_at_once_is_one_packet(tmp_path):
    async def test(team: HubTeam) -> None:
        member = await team.join()
        link, sent = team.links[0], []
        assert link.transport
        monkey = link.transport

        class Transport:
            def write(self, data: bytes) -> None:
                sent.append(data)
                monkey.write(data)

            def abort(self) -> None:
                monkey.abort()

        link.transport = Transport()  # type: ignore[assignment]
        asked = [member.shared.ask(Sit("s", "claude", "a")), member.shared.ask(Admit("alice", rpm=5))]
        member.tell(Resumed("a"))
        await until(lambda: all(one and not one.waits for one in asked))
        assert len(sent) == 1 and sent[0].count(b"\n") == 3

    with_hub(tmp_path, test)


class SlowHub:
    """A hub in a thread, that can be made to answer late."""

    def __init__(self, path: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.hub = Hub(path)
        self.blocked, self.go_on = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.loop.run_until_complete(self.hub.start())
        self.thread.start()

    def block(self) -> None:
        def wait() -> None:
            self.blocked.set()
            self.go_on.wait()

        self.loop.call_soon_threadsafe(wait)
        self.blocked.wait()

    def close(self) -> None:
        self.go_on.set()
        self.loop.call_soon_threadsafe(self.hub.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()


def test_a_hub_that_is_too_slow_is_not_waited_for_and_what_it_grants_late_is_taken_back(tmp_path, caplog):
    slow = SlowHub(tmp_path / "hub")
    joined = []

    async def test() -> None:
        shared = Shared()
        shared.on_joining(lambda: joined.append(True))
        link = shared.link = HubLink(slow.hub.path, shared)
        link.start()
        await until(lambda: link.is_up)
        slow.block()
        began = asyncio.get_running_loop().time()
        asked = shared.ask(Admit("alice", session="s", sessions=1))
        assert asked
        await until(lambda: not asked.waits)
        assert asked.lost and asked.answer is None
        assert asyncio.get_running_loop().time() - began >= ANSWERED_WITHIN - 0.01
        assert shared.ask(Totals(())) is None, "nobody is asked while it is too slow"
        assert shared.status == "workers down"
        slow.go_on.set()
        await until(lambda: link.is_up)
        assert len(joined) >= 2
        seat = slow.hub.state.sessions.seats["alice"]["s"]
        await until(lambda: seat.running == 0)  # nobody uses the place that was granted late
        link.close()

    try:
        asyncio.run(test())
    finally:
        slow.close()
    assert "doesn't answer in time" in caplog.text


def test_news_told_while_nobody_reads_come_when_somebody_does(tmp_path):
    slow = SlowHub(tmp_path / "hub")

    async def test() -> None:
        teller, hearer = Shared(), Shared()
        heard: list[Resumed] = []
        hearer.on(Resumed, heard.append)
        links = [HubLink(slow.hub.path, shared) for shared in (teller, hearer)]
        for shared, link in zip((teller, hearer), links, strict=True):
            shared.link = link
            link.start()
        await until(lambda: all(link.is_up for link in links))
        slow.block()
        assert teller.ask(Totals(()))
        await until(lambda: not links[0].is_up)
        teller.tell(Resumed("a"))
        slow.go_on.set()
        await until(lambda: heard == [Resumed("a")])
        for link in links:
            link.close()

    try:
        asyncio.run(test())
    finally:
        slow.close()


def test_a_hub_that_goes_on_as_another_is_reached_as_soon_as_it_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(hub_link_module, "PROBE_EVERY", 0.05)

    async def test() -> None:
        hub, shared, joined = Hub(tmp_path / "hub"), Shared(), asyncio.Event()
        shared.on_joining(joined.set)
        await hub.start()
        link = shared.link = HubLink(hub.path, shared)
        link.start()
        await until(lambda: link.is_up)
        joined.clear()
        link_connected = link.transport
        listening = os.dup(hub.listening)
        hub.path.rename(tmp_path / "kept")
        hub.close()
        (tmp_path / "kept").rename(hub.path)
        await until(lambda: link.transport not in (None, link_connected))
        assert not link.is_up, "somebody listens, and nobody reads"
        monkeypatch.setattr(hub_link_module, "PROBE_EVERY", 60.0)
        await asyncio.sleep(ANSWERED_WITHIN + 0.05)
        hub = Hub(tmp_path / "hub")
        await hub.start(listening)
        assert not os.get_inheritable(listening)
        async with asyncio.timeout(20):
            await joined.wait()
        link.close()
        hub.close()
        await until(lambda: not hub.conversations)

    asyncio.run(test())


def test_a_hub_that_is_gone_loses_what_was_asked_and_is_found_again(tmp_path):
    async def test() -> None:
        path, state = tmp_path / "hub", HubState()
        shared = Shared()
        link = shared.link = HubLink(path, shared)
        link.start()
        hub = Hub(path, state)
        await hub.start()
        await until(lambda: link.is_up)
        asked = shared.ask(Admit("alice", rpm=1))
        assert asked
        hub.close()
        await until(lambda: not asked.waits)
        assert asked.lost or asked.answer == Admitted()
        await until(lambda: not link.is_up)
        assert shared.ask(Totals(())) is None
        hub = Hub(path, state)
        await hub.start()
        await until(lambda: link.is_up)
        link.close()
        hub.close()
        await until(lambda: not hub.conversations)

    asyncio.run(test())
