"""The users in their file: added, changed, deleted, and read at one moment; nothing of a key is in it."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest

from addons.config.routing import Budget
from addons.config.settings import closed_mark
from addons.state.database import MIGRATIONS, opened, readable
from addons.state.users import (
    RESERVED,
    SINCE,
    KnownUser,
    Mistake,
    Roll,
    User,
    UserFile,
    check_name,
    lost,
    read_users,
)


def known(name: str = "alice", public: str = "abcdefgh", digest: bytes = b"d" * 32) -> KnownUser:
    return KnownUser(User(name, public), digest, created=100.0)


@pytest.fixture
def file(tmp_path: Path) -> UserFile:
    return UserFile(tmp_path / "gateway.db")


def test_what_is_saved_is_read(file: UserFile) -> None:
    user = User("alice", "abcdefgh", True, Budget(1.5, None, 30), ("glm*", "claude-*"), 60, 4)
    whole = KnownUser(user, b"\0" * 32, b"\1" * 32, 200.0, 100.0, 150.0)
    file.add(whole)
    file.add(known("bob", "bbbbbbbb"))
    roll = file.read()
    assert roll.is_closed
    assert roll.users == (whole, known("bob", "bbbbbbbb"))
    assert roll.find("ALICE") == file.get("Alice") == whole
    assert roll.find("carol") is None
    assert "\\x00" not in repr(roll)


def test_no_file_and_an_older_one_have_no_users(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    assert read_users(path) == Roll()
    assert not path.exists(), "reading makes none"
    path.touch()
    assert read_users(path) == Roll()
    with closing(sqlite3.connect(path)) as old:
        for script in MIGRATIONS[: SINCE - 1]:
            old.executescript(script)
        old.execute(f"PRAGMA user_version = {SINCE - 1}")
        old.commit()
    assert read_users(path) == Roll()
    with closing(opened(path)):
        assert read_users(path) == Roll()


@pytest.mark.parametrize("damage", ["DROP TABLE users", "DELETE FROM gate", "PRAGMA user_version = 99"])
def test_what_cannot_be_read_is_no_empty_roll(file: UserFile, damage: str) -> None:
    file.add(known())
    with closing(sqlite3.connect(file.path, isolation_level=None)) as connection:
        connection.execute(damage)
    with pytest.raises((OSError, sqlite3.Error)):
        file.read()


def test_a_file_that_is_none(file: UserFile) -> None:
    file.path.write_bytes(b"no database at all" * 100)
    with pytest.raises(sqlite3.Error):
        file.read()


def test_reading_changes_nothing(file: UserFile) -> None:
    file.add(known())
    connection = readable(file.path)
    assert connection
    with closing(connection), pytest.raises(sqlite3.Error, match="readonly"):
        connection.execute("DELETE FROM users")


def test_each_change_has_a_higher_version(tmp_path: Path) -> None:
    now = 1000.0
    file = UserFile(tmp_path / "gateway.db", lambda: now)
    versions = []
    for change in (
        lambda: file.add(known()),
        lambda: file.change("alice", rpm=5),
        lambda: file.change("alice", revoked=5.0),
        lambda: file.delete("alice"),
        file.open_gate,
    ):
        change()
        versions.append(file.read().version)
    assert versions == [1_000_000, 1_000_001, 1_000_002, 1_000_003, 1_000_004], "the clock may stand, or go back"
    now = 2000.0
    file.open_gate()
    assert file.read().version == 2_000_000


def test_the_gate_stays_closed_until_it_is_opened(file: UserFile) -> None:
    assert not file.read().is_closed
    file.add(known())
    file.change("alice", revoked=1.0)
    assert file.read().is_closed
    file.delete("alice")
    assert file.read() == Roll(file.read().version, True, ())
    file.open_gate()
    assert not file.read().is_closed
    file.add(known())
    assert file.read().is_closed


def test_a_lost_database_opens_nothing(file: UserFile) -> None:
    assert not lost(file.path, file.read())
    file.add(known())
    mark = closed_mark(file.path)
    assert stat.S_IMODE(mark.stat().st_mode) == 0o600
    assert not lost(file.path, file.read())
    file.path.unlink()
    assert lost(file.path, file.read())
    file.add(known())
    assert not lost(file.path, file.read())
    file.path.unlink()
    file.open_gate()
    assert not lost(file.path, file.read()) and not mark.exists()


def test_changes(file: UserFile) -> None:
    file.add(known())
    changed = file.change("Alice", budget=Budget(day=3), models=("glm",), digest=b"n" * 32, old_digest=b"d" * 32)
    assert changed == file.get("alice")
    assert (changed.user.budget.day, changed.user.models, changed.digest[:1]) == (3, ("glm",), b"n")
    assert (changed.user.name, changed.created) == ("alice", 100.0)


def test_mistakes(file: UserFile) -> None:
    with pytest.raises(Mistake, match=r"there is no user: nobody yet: `.*user add NAME`"):
        file.get("alice")
    file.add(known())
    for again in ("alice", "ALICE"):
        with pytest.raises(Mistake, match="there is a user alice already"):
            file.add(known(again, "bbbbbbbb"))
    file.change("alice", revoked=1.0)
    with pytest.raises(Mistake, match="already \\(revoked; `user rotate` gives a new key\\)"):
        file.add(known("alice", "bbbbbbbb"))
    for action in (file.get, file.delete, file.change):
        with pytest.raises(Mistake, match="there is no user 'bob'; there are: alice"):
            action("bob")
    assert [one.user.name for one in file.read().users] == ["alice"]


@pytest.mark.parametrize("name", ["a", "Alice.B-c_d@example.com+1", "7", "x" * 64])
def test_names(file: UserFile, name: str) -> None:
    file.add(known(name))
    assert file.get(name).user.name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "-a",
        ".a",
        "a b",
        "a\n",
        "a\0",
        "ä",
        "x" * 65,
        "a/b",
        "a'b",
        "a;b",
        "*",
        "../a",
        "a\u200b",
        *sorted(RESERVED),
        "Admin",
    ],
)
def test_what_is_no_name(file: UserFile, name: str) -> None:
    with pytest.raises(Mistake):
        check_name(name)
    with pytest.raises(Mistake):
        file.add(known(name))
    assert not file.path.exists()


def test_a_name_that_was_written_past_the_check_is_nobodys(file: UserFile) -> None:
    file.add(known())
    with closing(sqlite3.connect(file.path)) as connection:
        connection.execute("UPDATE users SET name = 'admin'")
        connection.commit()
    assert file.read().users == ()


def test_shared_may_have_limits_without_a_key(file: UserFile) -> None:
    assert file.change("shared", rpm=5).user == User("shared", "shared", rpm=5)
    assert file.change("shared", sessions=2).user == User("shared", "shared", rpm=5, sessions=2)
    assert not file.read().is_closed, "nobody has a key"


def test_several_may_change_them_at_once(file: UserFile) -> None:
    threads = [Thread(target=file.add, args=(known(f"user{n}", f"aaaaaaa{n}"),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(file.read().users) == 8


@pytest.mark.parametrize(
    ("models", "allowed", "not_allowed"),
    [
        ((), ["glm", "anything"], []),
        (("glm*", "claude-*"), ["glm", "glm-fast", "claude-opus-5-5"], ["xglm", "Claude-opus", "claude", ""]),
        (("glm",), ["glm"], ["glm-fast", "glm[1m]"]),
    ],
)
def test_allowed_models(models: tuple[str, ...], allowed: list[str], not_allowed: list[str]) -> None:
    user = User("alice", "abcdefgh", models=models)
    assert all(map(user.may_ask_for, allowed))
    assert not any(map(user.may_ask_for, not_allowed))
