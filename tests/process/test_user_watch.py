"""UserWatch: what it makes of the file at a start, of its changes, and of what can't be read."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mitmproxy.test import taddons

from addons.process import user_watch as module
from addons.process.user_watch import UserWatch, look_at
from addons.state.users import KnownUser, Roll, User, UserFile
from addons.team.users import Users
from tests.fakes.provider import PATIENCE


@pytest.fixture
def file(tmp_path: Path) -> UserFile:
    return UserFile(tmp_path / "gateway.db")


def add(file: UserFile, name: str = "alice") -> None:
    file.add(KnownUser(User(name, f"{name[:1] * 8}"), b"d" * 32))


def closed(watch: UserWatch) -> bool:
    return watch.users.is_closed


def seen(watch: UserWatch, file: UserFile) -> bool:
    return watch.take(*look_at(file.path, watch.seen))


def test_changes_are_seen(file: UserFile) -> None:
    watch = UserWatch(Users())
    assert not seen(watch, file)
    assert not closed(watch)
    add(file)
    assert seen(watch, file)
    assert closed(watch) and "aaaaaaaa" in watch.users.known
    assert not seen(watch, file)
    file.delete("alice")
    assert seen(watch, file)
    assert not watch.users.known


def test_a_file_that_nobody_writes_to_is_not_read(file: UserFile, monkeypatch: pytest.MonkeyPatch) -> None:
    add(file)
    stamps, _ = look_at(file.path, None)
    assert stamps is None, "it was written just now: a second change might have the same stamp"
    monkeypatch.setattr(module, "SETTLED", -1000.0)
    stamps, roll = look_at(file.path, None)
    assert stamps and roll
    assert look_at(file.path, stamps) == (stamps, None)
    add(file, "bob")
    assert look_at(file.path, stamps)[1]


def test_a_link_is_followed(file: UserFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLED", -1000.0)
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(file.path)
    with closing(sqlite3.connect(file.path)) as kept_open:  # so that what is written stays beside the file
        add(file)
        kept_open.execute("SELECT * FROM users").fetchall()
        stamps, _ = look_at(link, None)
        add(file, "bob")
        assert look_at(link, stamps)[1]


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TABLE users",
        "UPDATE users SET name = x'ff', models = x'00'",
        "UPDATE users SET digest = 7.5",
        "UPDATE gate SET version = 'many'",
    ],
)
def test_what_cannot_be_read_changes_nothing(
    file: UserFile, damage: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    watch = UserWatch(Users())
    add(file)
    seen(watch, file)
    with closing(sqlite3.connect(file.path)) as connection:
        connection.execute(damage)
        connection.commit()
    monkeypatch.setattr(module, "database", lambda: file.path)
    for _ in range(3):
        assert not seen(watch, file)
    assert watch.users.is_closed and "aaaaaaaa" in watch.users.known
    (said,) = caplog.messages
    assert said.startswith(f"users: can't be read, those that were read last stay: {file.path}")
    # At a start, nobody is let in.
    fresh = UserWatch(Users())
    seen(fresh, file)
    assert fresh.users.is_closed and not fresh.users.known
    assert "nobody comes in without a token" in caplog.messages[-1]


def test_at_a_start(file: UserFile, caplog: pytest.LogCaptureFixture) -> None:
    """The users are there before anybody is let in."""
    caplog.set_level(logging.INFO)
    add(file)
    watch = UserWatch(Users())

    async def start() -> None:
        with taddons.context() as context:
            context.options.add_option("gateway_db", str, str(file.path), "")
            watch.running()
            watch.done()

    asyncio.run(start())
    assert watch.users.is_closed and "aaaaaaaa" in watch.users.known
    assert caplog.messages == []


def test_the_watch_goes_on_whatever_fails(file: UserFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "database", lambda: file.path)
    add(file)
    watch, failures = UserWatch(Users()), [RuntimeError("can't start new thread")]

    def look(path: Path, stamps: module.Stamps | None) -> tuple[module.Stamps | None, Roll | str | None]:
        if failures:
            raise failures.pop()
        return look_at(path, stamps)

    monkeypatch.setattr(module, "look_at", look)

    async def run() -> None:
        watch.watching = asyncio.get_running_loop().create_task(watch.watch())
        watch.wanted.set()
        async with asyncio.timeout(PATIENCE):
            while not watch.users.known:  # noqa: ASYNC110  # nobody says when
                await asyncio.sleep(0.01)
        watch.done()

    asyncio.run(run())
    assert not failures and "aaaaaaaa" in watch.users.known


def test_the_last_requests_of_a_deleted_user_are_forgotten(file: UserFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """But not those of a user who has come back."""
    forgotten: list[str] = []
    monkeypatch.setattr(module, "FORGOTTEN_AFTER", 0.0)
    monkeypatch.setattr(module, "forget_rows", lambda path, name: forgotten.append(name))
    monkeypatch.setattr(module, "database", lambda: file.path)
    watch = UserWatch(Users())
    for name in ("alice", "bob", "carol"):
        add(file, name)
    seen(watch, file)
    before = watch.users.roll
    for name in ("alice", "bob"):
        file.delete(name)
    add(file, "Alice")
    seen(watch, file)

    async def forget() -> None:
        watch.forget({known.user.name for known in before.users} - {"carol"})
        await asyncio.gather(*watch.forgetting)

    asyncio.run(forget())
    assert forgotten == ["bob"]
    assert not watch.forgetting
