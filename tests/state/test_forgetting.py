"""A user who is forgotten leaves no row in any table, and nobody else loses one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from addons.state import forgetting
from addons.state.database import opened
from addons.state.forgetting import forget_rows


def filled(path: Path, requests: int) -> None:
    """Requests of alice and bob in turn, of two attempts each."""
    with closing(opened(path)) as connection:
        columns = [row[1:4] for row in connection.execute("PRAGMA table_info(requests)")]
        others = {name: 0 if kind in ("INTEGER", "REAL") else "" for name, kind, needed in columns if needed}
        connection.execute("BEGIN")
        for number in range(requests):
            user = ("alice", "bob")[number % 2]
            insert(connection, "requests", {**others, "id": f"r{number}", "user": user, "line": f"{user} · glm"})
            for attempt in (1, 2):
                insert(connection, "attempts", {"request": f"r{number}", "number": attempt})
        for user in ("alice", "bob"):
            insert(connection, "usage_daily", {"day": "2026-11-28", "user": user})
            insert(connection, "usage_sessions", {"session": "s", "user": user})
            insert(connection, "spend", {"user": user, "slot": 1})
        connection.execute("COMMIT")


def insert(connection: sqlite3.Connection, table: str, values: dict[str, object]) -> None:
    columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
    row = [values.get(name, 0 if kind != "TEXT" else "") for _, name, kind, *_ in columns]
    connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)


@pytest.mark.parametrize("at_once", [3, 50_000])
def test_nothing_is_left_of_a_user(tmp_path: Path, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "AT_ONCE", at_once)
    path = tmp_path / "gateway.db"
    filled(path, 20)
    assert forget_rows(path, "alice") == 10
    with closing(opened(path)) as connection:
        everything = "\n".join(connection.iterdump())
        assert "alice" not in everything
        left = {"requests": 10, "attempts": 20, "usage_daily": 1, "usage_sessions": 1, "spend": 1}
        for table, count in left.items():
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (count,), table
        assert {row[0] for row in connection.execute("SELECT request FROM attempts")} == {
            f"r{n}" for n in range(1, 20, 2)
        }
    assert forget_rows(path, "alice") == 0
    assert forget_rows(tmp_path / "new.db", "alice") == 0


def test_no_table_with_users_is_left_out(tmp_path: Path) -> None:
    """A new one must be forgotten too."""
    with closing(opened(tmp_path / "gateway.db")) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {
            table
            for table in tables
            if {"user", "caller", "request"} & {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        }
    assert found == {"requests", "attempts", "usage_daily", "usage_elsewhere", "usage_sessions", "spend"}
