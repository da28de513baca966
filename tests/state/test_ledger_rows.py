"""What is written of requests that are over, and summed up."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.state.database import migrate, opened, transaction
from addons.state.ledger_rows import SUMMED, Finished, Models, cell, write
from tests.finished import NOW, attempt_of, finished

ROWS = st.builds(
    lambda **fields: finished(**fields),
    user=st.sampled_from(["alice", "bob"]),
    model=st.sampled_from(["glm-5", "kimi"]),
    request_class=st.sampled_from(["main", "subagent"]),
    session=st.sampled_from([None, "s1", "s2"]),
    time=st.floats(NOW, NOW + 2 * 86_400),
    input_tokens=st.integers(0, 10**6),
    cost_usd=st.one_of(st.none(), st.floats(0, 5)),
    estimated=st.booleans(),
    error=st.sampled_from([None, "cut"]),
)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(opened(tmp_path / "gateway.db")) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def put(connection: sqlite3.Connection, *rows: Finished, zone: str = "UTC") -> None:
    with transaction(connection):
        write(connection, rows, ZoneInfo(zone))


def table(connection: sqlite3.Connection, name: str) -> list[dict[str, object]]:
    return [dict(row) for row in connection.execute(f"SELECT * FROM {name}")]


def test_a_request_is_added_to_the_sums_of_its_day_session_and_quarter_of_an_hour(file: sqlite3.Connection) -> None:
    put(file, finished(), finished(id="2", time=NOW + 60, error="cut", estimated=True))
    [day] = table(file, "usage_daily")
    assert day == {
        "day": "2026-09-21",
        "user": "alice",
        "provider": "zai",
        "model": "glm-5",
        "class": "main",
        "requests": 2,
        "failed": 1,
        "estimated": 1,
        "unpriced": 0,
        "input_tokens": 200,
        "output_tokens": 20,
        "cache_read_tokens": 2000,
        "cache_write_tokens": 10,
        "cache_write_1h_tokens": 0,
        "web_searches": 0,
        "cost_usd": 0.5,
    }
    [session] = table(file, "usage_sessions")
    assert (session["session"], session["first"], session["last"], session["requests"]) == ("s1", NOW, NOW + 62, 2)
    spend = table(file, "spend")
    assert spend == [{"user": "alice", "slot": NOW // 900, "requests": 2, "budget_usd": 0.5}]
    assert len(table(file, "requests")) == len(table(file, "attempts")) == 2


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("UTC", "2026-10-24"),
        ("Europe/Berlin", "2026-10-25"),
        ("Asia/Kathmandu", "2026-10-25"),
        ("America/New_York", "2026-10-24"),
    ],
)
def test_the_day_is_that_of_the_zone(file: sqlite3.Connection, zone: str, day: str) -> None:
    ten_past_eleven = 1_792_883_400.0
    put(file, finished(time=ten_past_eleven), zone=zone)
    assert [row["day"] for row in table(file, "usage_daily")] == [day]


def test_what_has_no_price_has_no_cost_however_much_else_is_known(file: sqlite3.Connection) -> None:
    put(file, finished(cost_usd=None))
    assert [(row["cost_usd"], row["unpriced"]) for row in table(file, "usage_daily")] == [(None, 1)]
    put(file, finished(id="2", cost_usd=1.5), finished(id="3", cost_usd=None))
    assert [(row["cost_usd"], row["unpriced"]) for row in table(file, "usage_daily")] == [(1.5, 2)]
    put(
        file,
        finished(id="4", cost_usd=None, input_tokens=0, output_tokens=0, cache_read_tokens=0, cache_write_tokens=0),
    )
    assert [(row["cost_usd"], row["unpriced"]) for row in table(file, "usage_daily")] == [(1.5, 2)]


def test_what_a_failed_attempt_has_used_is_counted_where_it_was_used(file: sqlite3.Connection) -> None:
    request = finished(provider="kimi", model="k3", attempts=2, input_tokens=150, cost_usd=0.75).request
    first = attempt_of(
        request, 1, provider="zai", model="glm-5", outcome="timeout", input_tokens=50, output_tokens=0, cost_usd=0.5
    )
    second = attempt_of(request, 2, input_tokens=100, cost_usd=0.25)
    put(file, Finished(request, (first, second)))
    sums = {
        row["provider"]: (row["requests"], row["input_tokens"], row["cost_usd"]) for row in table(file, "usage_daily")
    }
    assert sums == {"zai": (0, 50, 0.5), "kimi": (1, 100, 0.25)}


def test_a_request_whose_attempts_used_nothing_counts_as_one(file: sqlite3.Connection) -> None:
    nothing = {"input_tokens": 0, "output_tokens": 0, "cache_read_tokens": 0, "cache_write_tokens": 0, "cost_usd": None}
    request = finished(error="refused", **nothing).request
    tries = tuple(attempt_of(request, number, outcome="status", model=f"m{number}") for number in (1, 2))
    put(file, Finished(request, tries), Finished(request._replace(provider="", model=""), ()))
    sums = [(row["provider"], row["model"], row["requests"], row["failed"]) for row in table(file, "usage_daily")]
    assert sums == [("", "", 1, 1), ("zai", "glm-5", 1, 1)]


def test_made_up_models_are_summed_up_together(file: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("addons.state.ledger_rows.LEDGER_MODELS", 3)
    known: Models = {}
    for number in range(6):
        with transaction(file):
            write(file, [finished(id=str(number), model=f"m{number}")], ZoneInfo("UTC"), known if number < 3 else None)
    put(file, finished(id="again", model="m1"), finished(id="tomorrow", model="m5", time=NOW + 86_400))
    sums = {(row["day"], row["model"]): row["requests"] for row in table(file, "usage_daily")}
    today = {("2026-09-21", model): count for model, count in (("m0", 1), ("m1", 2), ("m2", 1), ("other", 3))}
    assert sums == {**today, ("2026-09-22", "m5"): 1}
    assert len({row["model"] for row in table(file, "requests")}) == 6


@given(st.lists(ROWS, max_size=30), st.integers(1, 10))
def test_sums_are_those_of_the_rows_however_they_come_in_batches(rows: list[Finished], size: int) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection)
        for at in range(0, len(rows), size):
            put(connection, *rows[at : at + size])
        columns = ("input_tokens", "estimated", "cost_usd", "cache_read_tokens")
        of_rows = connection.execute(f"SELECT count(*), {', '.join(f'sum({name})' for name in columns)} FROM requests")
        wanted = [pytest.approx(value) if value is not None else None for value in of_rows.fetchone()]
        of_sums = connection.execute(
            f"SELECT sum(requests), {', '.join(f'sum({name})' for name in columns)} FROM usage_daily"
        )
        if rows:
            assert list(of_sums.fetchone()) == wanted
        spent = connection.execute("SELECT sum(requests), sum(budget_usd) FROM spend").fetchone()
        assert spent == (
            (len(rows), pytest.approx(sum(row.request.budget_usd for row in rows))) if rows else (None, None)
        )
        in_sessions = connection.execute("SELECT coalesce(sum(requests), 0) FROM usage_sessions").fetchone()[0]
        assert in_sessions == sum(row.request.session is not None for row in rows)


def test_columns_of_sums_are_the_same_everywhere(file: sqlite3.Connection) -> None:
    for name in ("usage_daily", "usage_sessions"):
        columns = [row[1] for row in file.execute(f"PRAGMA table_info({name})")]
        assert tuple(columns[-len(SUMMED) :]) == SUMMED


@given(st.one_of(st.text(), st.integers(-(2**63)), st.floats(allow_nan=False), st.none()))
def test_sqlite_takes_every_cell(value: str | float | None) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("SELECT ?", (cell(value),)).fetchone()
