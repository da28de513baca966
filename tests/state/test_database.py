"""The SQLite file: made for its owner, brought up to date once, and left alone when a newer gateway made it."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing, suppress
from pathlib import Path
from threading import Thread

import pytest

from addons.state import usage
from addons.state.database import MIGRATIONS, opened, transaction, user_version
from tests.finished import NOW


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


def test_sums_are_made_of_the_rows_of_an_older_file(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    row = "INSERT INTO requests VALUES (?, 's1', ?, 'glm', 'zai', 'glm-5', 200, 1, 0, 100, 10, 5, 5, ?, 0.5, 2.0, ?)"
    with closing(sqlite3.connect(path)) as old:
        for script in MIGRATIONS[:3]:
            old.executescript(script)
        old.execute(row, (NOW, None, 0.25, None))
        old.execute(row, (NOW + 900, "alice", None, "cut"))
        old.execute(row, (NOW + 905, "alice", 0.5, None))
        old.execute("PRAGMA user_version = 3")
        old.commit()
    opened(path).close()
    sums = {group.keys: group.sums for group in usage.grouped(path, ["day", "user"])}
    assert {keys: (one.requests, one.failed, one.unpriced, one.cost_usd) for keys, one in sums.items()} == {
        ("2026-09-21", "alice"): (2, 1, 1, 0.5),
        ("2026-09-21", "anyone"): (1, 0, 0, 0.25),
    }
    assert usage.spent(path, NOW - 900) == {"alice": 0.5, "anyone": 0.25}
    assert [one.sums.requests for one in usage.sessions(path, user="alice")] == [2]
    assert {row.user for row in usage.requests(path)} == {"alice", "anyone"}


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
