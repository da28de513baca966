"""What the page shows is what the ledger knows, and a user's page knows nobody else.

daily_sums.py is tested here too.
"""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from addons.state.database import opened, transaction
from addons.state.ledger_rows import write
from addons.team.daily_sums import FRESH, Reader
from addons.team.page_report import (
    Asked,
    Present,
    Viewer,
    accounts,
    asked,
    avoided,
    report,
    running,
)
from addons.team.report import Account, Report, User, total
from tests.exchanges import exchange, target
from tests.finished import NOW, attempt_of, finished

ADMIN, ALICE = Viewer("admin", sees_all=True), Viewer("alice", sees_all=False)
DAY = 86_400.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger of two users over a week, with a failure and a failover."""
    file = tmp_path / "gateway.sqlite"
    failed = finished(id="b2", user="bob", error="no", status=502, provider="kimi", model="k", cost_usd=None)
    over = finished(id="a3", duration_s=90.0)
    first = attempt_of(over.request, 1, provider="kimi", outcome="status", status=429, cost_usd=None, budget_usd=0.0)
    first = first._replace(input_tokens=0, output_tokens=0, cache_read_tokens=0, cache_write_tokens=0)
    rows = [
        finished(id="a1", time=NOW - 5 * DAY),
        finished(id="a2", time=NOW - DAY),
        over._replace(attempts=(first, attempt_of(over.request, 2))),
        finished(id="b1", user="bob", cost_usd=0.5),
        failed._replace(attempts=(failed.attempts[0]._replace(outcome="connect", error="no"),)),
    ]
    with closing(opened(file)) as connection, transaction(connection):
        write(connection, rows, UTC)
    return file


def reported(path: Path, viewer: Viewer = ADMIN, wanted: Asked | None = None, **present: object) -> Report:
    now = Present(now=NOW + 60, zone=UTC, **present)  # type: ignore[arg-type]
    return report(path, viewer, wanted or Asked(7, "user"), now, Reader())


def test_the_administrator_sees_all(path: Path) -> None:
    found = reported(path, providers={"zai": "", "kimi": "", "off": "KEY"})
    whole = total(found)
    assert (whole.requests, whole.failed, whole.cost_usd) == (5, 1, 1.25)
    assert {line.name: (line.cost, line.tokens) for line in found.lines} == {
        "alice": ([0, 0.25, 0, 0, 0, 0.25, 0.25], [0, 1115, 0, 0, 0, 1115, 1115]),
        "bob": ([0, 0, 0, 0, 0, 0, 0.5], [0, 0, 0, 0, 0, 0, 2230]),
    }
    assert {name: sums.requests for name, sums in found.used.items()} == {"alice": 3, "bob": 2}
    assert [(row.provider, row.requests, row.failures) for row in found.health] == [
        ("kimi", 2, 2),
        ("zai", 2, 0),
        ("off", 0, 0),
    ]
    assert [(one.source, one.to, one.reason, one.count) for one in found.failovers] == [
        ("kimi", "zai", "429", 1),
        ("kimi", "", "connect", 1),
    ]
    assert found.slowest[0].duration == 90.0
    assert [one.error for one in found.failed] == ["no"]


@pytest.mark.parametrize(
    ("by", "names"), [("model", ["zai/glm-5", "kimi/k"]), ("provider", ["zai", "kimi"]), ("user", ["alice", "bob"])]
)
def test_by_anything_the_sums_are_the_same(path: Path, by, names: list[str]) -> None:
    found = reported(path, wanted=Asked(30, by))
    assert sorted(line.name for line in found.lines) == sorted(names)
    assert sum(sum(line.cost) for line in found.lines) == 1.25
    assert len(found.days) == len(found.totals) == 30


@pytest.mark.parametrize(
    ("shared", "said"), [("local", ""), ("redis", "budgets and days are of all"), ("redis down", "own")]
)
def test_the_administrator_is_told_what_is_shared(path: Path, shared: str, said: str) -> None:
    assert said in "".join(reported(path, shared=shared).notes) and bool(said) is bool(
        reported(path, shared=shared).notes
    )
    assert not reported(path, ALICE, shared=shared).notes


def test_a_user_sees_only_their_own(path: Path) -> None:
    found = reported(path, ALICE, Asked(7, "model"), accounts=accounts([]), users=[User("bob"), User("alice")])
    assert "bob" not in repr(found)
    assert (total(found).requests, total(found).cost_usd) == (3, 0.75)
    assert (found.used, found.failovers, found.health, found.accounts) == ({}, [], (), ())
    assert [one.name for one in found.users] == ["alice"]


def test_days_that_are_over_are_read_again_after_a_minute(path: Path) -> None:
    reader, now = Reader(), datetime.fromtimestamp(NOW, UTC)
    days = [(now - timedelta(days=back)).date() for back in reversed(range(7))]
    read = lambda at: sum(day.requests for day in reader.read(path, days, "user", "", at).days)  # noqa: E731
    assert read(0.0) == 5
    with closing(opened(path)) as connection, transaction(connection):
        write(connection, [finished(id="x1", time=NOW - 5 * DAY), finished(id="x2")], UTC)
    assert read(1.0) == 6
    assert read(FRESH) == 7


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sqlite"
    assert reported(path).notes == []
    assert total(reported(path)).requests == 0
    path.write_bytes(b"no database" * 1000)
    found = reported(path, users=[User("alice")])
    assert found.notes[0].startswith("The ledger can't be read")
    assert [one.name for one in found.users] == ["alice"]


def test_what_an_address_asks_for() -> None:
    assert asked({"days": ["90"], "by": ["model"]}, ADMIN) == Asked(90, "model")
    assert asked({}, ADMIN) == asked({"days": ["1", "7"], "by": ["x"]}, ADMIN) == Asked(30, "user")
    assert asked({"by": ["user"]}, ALICE) == Asked(30, "model")


def test_what_runs() -> None:
    waiting, answering, over = exchange(target("zai")), exchange(target("zai")), exchange(target("zai"))
    waiting.started, waiting.client.caller = 90.0, "token"
    answering.begin().first_event = 100.0
    over.kind = "local"
    first, second = running([answering, over, waiting], 1000.0)
    assert (first.user, first.state, first.target, first.since) == ("shared", "waiting", "", 990.0)
    assert (second.state, second.target, second.attempt) == ("answering", "zai/m", 1)


def test_rows_of_accounts_and_of_what_is_avoided() -> None:
    row = {
        "account": "claude:1",
        "provider": "anthropic",
        "masked": "…7f2c",
        "state": "cooling",
        "until": "1970-01-01T00:01:40Z",
        "reason": None,
        "utilization": {"5h": 0.5, "7d": None},
        "sessions": 1,
        "requests_1h": 2,
        "failures_1h": 3,
    }
    assert accounts([row]) == [Account("claude:1", "anthropic", "…7f2c", "cooling", 100.0, "", 0.5, None, 1, 2, 3)]
    down = {"provider": "kimi", "model": None, "until": "1970-01-01T00:01:40Z", "reason": "connect", "sessions": None}
    assert avoided([down])["kimi"][0].until == 100.0


def test_a_broken_table_is_said(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE usage_daily")
    assert "no such table" in reported(path).notes[0]
