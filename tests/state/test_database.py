"""The SQLite file: made for its owner, brought up to date once, and left alone when a newer gateway made it."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing, suppress
from pathlib import Path
from threading import Thread

import pytest

from addons.state.database import MIGRATIONS, opened, transaction, user_version


def tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_a_new_file_is_the_owners_and_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    with closing(opened(path)) as connection:
        assert user_version(connection) == len(MIGRATIONS)
        assert tables(connection) >= {"cooldowns", "requests", "seats"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("version", range(len(MIGRATIONS)))
def test_every_older_version_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    path = tmp_path / "gateway.db"
    with closing(opened(tmp_path / "new.db")) as new:
        wanted = tables(new)
    with closing(sqlite3.connect(path)) as old:
        for script in MIGRATIONS[:version]:
            old.executescript(script)
        old.execute(f"PRAGMA user_version = {version}")
        old.commit()
    for _ in range(2):
        with closing(opened(path)) as connection:
            assert user_version(connection) == len(MIGRATIONS)
            assert tables(connection) == wanted


def test_a_newer_file_is_refused_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    newer = len(MIGRATIONS) + 1
    with closing(opened(path)) as connection:
        connection.execute(f"PRAGMA user_version = {newer}")
    with pytest.raises(OSError, match=f"its version is {newer}, this gateway knows {len(MIGRATIONS)}"):
        opened(path)
    with closing(sqlite3.connect(path)) as connection:
        assert user_version(connection) == newer


def test_several_may_make_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    versions: list[int] = []

    def make() -> None:
        with closing(opened(path)) as connection:
            versions.append(user_version(connection))

    threads = [Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert versions == [len(MIGRATIONS)] * 8


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    row = "INSERT INTO cooldowns (fingerprint, model, until, reason) VALUES ('f', ?, 1, 'limit')"
    with closing(opened(tmp_path / "gateway.db")) as connection:
        with suppress(KeyboardInterrupt), transaction(connection):
            connection.execute(row, ("a",))
            raise KeyboardInterrupt
        with transaction(connection):
            connection.execute(row, ("b",))
        assert connection.execute("SELECT model FROM cooldowns").fetchall() == [("b",)]
