"""Checks of the machine: files and their rights, disk, port, gate."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from addons.commands.checks import machine
from addons.state.control import FILE_NAME
from addons.state.users import KnownUser, Roll, User
from tests.fakes.ports import port_of, reserve


def test_this_python_is_fine_and_an_old_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.python().ok and "mitmproxy 12." in machine.python().said
    monkeypatch.setattr(sys, "version_info", (3, 11))
    assert not machine.python().ok


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, mode in (("routing.yaml", 0o644), (".env", 0o600), (FILE_NAME, 0o600)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    return tmp_path


def wrong(folder: Path) -> dict[str, str]:
    found = machine.files(folder / "routing.yaml", folder / ".env", folder / "x.db")
    return {check.name: check.do for check in found if not check.ok}


def test_files_that_are_as_they_should_be(folder: Path) -> None:
    assert wrong(folder) == {}
    (folder / ".env").unlink()
    assert wrong(folder) == {}


def test_what_others_may_read(folder: Path) -> None:
    (folder / ".env").chmod(0o644)
    (folder / FILE_NAME).chmod(0o640)
    assert wrong(folder) == {
        ".env": f"chmod 600 {folder}/.env",
        FILE_NAME: f"chmod 600 {folder}/{FILE_NAME}",
    }


def test_what_is_missing_or_no_database(folder: Path) -> None:
    (folder / "routing.yaml").unlink()
    (folder / "x.db").write_bytes(b"no database at all, but a text of more than a hundred bytes" * 20)
    assert set(wrong(folder)) == {"routing.yaml", "database"}


def test_a_database_that_may_be_whole_is_not_to_be_moved_away(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "x.db").write_bytes(b"no database at all, but a text of more than a hundred bytes" * 20)
    assert "move x.db away" in wrong(folder)["database"]

    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(sqlite3, "connect", full)
    assert wrong(folder) == {"database": "is the disk full, or does another program hold the file?"}


def test_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.disk(tmp_path / "not/there").said
    for free, ok, do in ((10**7, False, "make room"), (5 * 10**8, True, "make room"), (10**10, True, "")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _path, free=free: SimpleNamespace(free=free))
        check = machine.disk(tmp_path)
        assert (check.ok, check.do) == (ok, do)


def test_the_port() -> None:
    with reserve() as reserved:
        number = port_of(reserved)
        assert machine.port("127.0.0.1", number, None).ok
        assert machine.port("127.0.0.1", number, {"status": "ok"}).said.startswith("a gateway listens")
        assert not machine.port("127.0.0.1", number, {}).ok
        with socket.create_server(("127.0.0.1", 0)) as taken:
            assert not machine.port("127.0.0.1", port_of(taken), None).ok


REVOKED = KnownUser(User("b", "2"), b"", revoked=1.0)


@pytest.mark.parametrize(
    ("host", "token", "roll", "ok", "said"),
    [
        ("127.0.0.1", "", Roll(), True, "open: everybody on this machine"),
        ("0.0.0.0", "", Roll(), False, "open, and GATEWAY_HOST=0.0.0.0"),
        ("0.0.0.0", "token", Roll(), True, "closed: for PROXY_STATIC_TOKEN"),
        ("0.0.0.0", "", Roll(1, is_closed=True), True, "closed: for 0 users"),
        ("", "", Roll(1, True, (KnownUser(User("a", "1"), b""), REVOKED)), True, "closed: for 1 user"),
        ("", "token", Roll(1, is_closed=True), True, "closed: for 0 users and PROXY_STATIC_TOKEN"),
    ],
)
def test_the_gate(host: str, token: str, roll: Roll, ok: bool, said: str) -> None:
    check = machine.gate_of(host, token, roll)
    assert check.ok == ok
    assert check.said.startswith(said)


def test_a_gate_whose_users_are_lost_is_closed(tmp_path: Path) -> None:
    assert machine.gate("127.0.0.1", "", tmp_path / "x.db").ok
    (tmp_path / "x.db.closed").touch()
    assert not machine.gate("127.0.0.1", "", tmp_path / "x.db").ok
