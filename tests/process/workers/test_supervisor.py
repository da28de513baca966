"""How a supervisor is started; what it does then: tests/e2e/test_workers.py."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from pathlib import Path

import pytest

from addons.process.hub import Hub
from addons.process.workers import supervisor
from addons.process.workers.succession import HELD_BACK
from addons.process.workers.supervisor import LAUNCH, Supervisor, listen_at, listening_sockets, serve, wanted
from addons.state.shared import Sit
from addons.wire import limits
from tests.fakes.ports import port_of, reserve


@pytest.mark.parametrize("count", ["0", "-1", "1.5", "", "two", "٢", str(limits.WORKERS + 1), "9" * 5000])
def test_how_many_there_may_be(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert wanted(count) is None
    assert supervisor.main([count, "mitmdump"]) == 2
    assert f"a number from 1 to {limits.WORKERS}, or auto" in capsys.readouterr().err
    assert (wanted("1"), wanted(str(limits.WORKERS))) == (1, limits.WORKERS)


def test_one_is_no_several(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _program, command: started.append(command))
    monkeypatch.setattr(supervisor, "cores", lambda: 1)
    monkeypatch.setattr("asyncio.run", lambda work: work.close() or 0)
    supervisor.main(["auto", "mitmdump", "-p", "4001"])
    assert [command[1:] for command in started] == [["-P", str(LAUNCH), "mitmdump", "-p", "4001"]]


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ("--listen-host 127.0.0.1 -p 4000", ("127.0.0.1", 4000)),
        ("--listen-host 127.0.0.1 -p 4000 -s x.py -p4001 --set a=b", ("127.0.0.1", 4001)),
        ("-p 4000 --listen-port=4002 --listen-host=::1", ("::1", 4002)),
        ("-p 4000 --set listen_port=4003 --set listen_host=localhost", ("localhost", 4003)),
        ("-w +flows -n", ("", 8080)),
    ],
)
def test_it_listens_where_mitmdump_would(options: str, place: tuple[str, int]) -> None:
    assert listen_at(options.split()) == place


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", ""])
def test_every_address_of_a_host_is_listened_on(host: str) -> None:
    async def run() -> None:
        with reserve() as reserved:
            port = port_of(reserved)
        sockets = await listening_sockets(host, port)
        assert all(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for one in sockets)
        with socket.create_connection(("127.0.0.1", port)):
            pass
        with pytest.raises(OSError, match=r"\d") as raised:
            await listening_sockets(host, port)
        assert raised.value.errno == errno.EADDRINUSE
        for one in sockets:
            one.close()

    asyncio.run(run())


def test_a_port_that_is_taken_is_said_by_the_parent(capsys: pytest.CaptureFixture[str]) -> None:
    with reserve() as taken:
        taken.listen()
        port = port_of(taken)
        assert asyncio.run(serve(2, "mitmdump", ["--listen-host", "127.0.0.1", "-p", str(port)])) == 1
    words = f"run.sh: port {port} of 127.0.0.1 is taken, by another gateway? GATEWAY_PORT={port + 1} takes another\n"
    assert capsys.readouterr().err == words


def test_an_address_that_is_not_here_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert asyncio.run(serve(2, "mitmdump", ["--listen-host", "192.0.2.1", "-p", "4000"])) == 1
    assert "port 4000 of 192.0.2.1 can't be listened on" in capsys.readouterr().err


def test_a_program_that_goes_on_as_another_leaves_what_its_hub_knows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    left, hub = list[bytes](), Hub(tmp_path / "hub")
    monkeypatch.setattr("os.execve", lambda *_command: left.append(hub.estate.read_bytes()))

    async def run() -> None:
        await hub.start()
        hub.state.handle("w", Sit("a-session", "claude", "a"), 0.0)
        try:
            await Supervisor(2, ["mitmdump"], [], hub).succeed()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)
            hub.close()

    asyncio.run(run())
    assert b"a-session" in left[0]


def test_whether_it_can_be_started_is_seen_without_starting_it() -> None:
    assert supervisor.main([supervisor.CHECK]) == 0
