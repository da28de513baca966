"""The SQLite file: what is written, when, and what happens when it can't be."""

import logging
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from threading import Event

import pytest

from addons.state import store as store_module
from addons.state.database import MIGRATIONS, opened, transaction
from addons.state.ledger_rows import LONGEST_TEXT, RequestRow
from addons.state.pool import Cooldown
from addons.state.store import Hold, Prune, Released, Seat, Store
from tests.finished import NOW, finished

ROW = finished()
PYTHON = sys.executable


@pytest.fixture
def path(tmp_path):
    return tmp_path / "gateway.db"


@pytest.fixture
def store(path):
    store = Store(path)
    yield store
    store.close()


def rows_in(path, table="requests"):
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]


def test_a_row_is_written_as_it_was(store, path):
    store.record(finished(fallback=True, cost_usd=None))
    store.flush()
    [row] = rows_in(path)
    row["request_class"] = row.pop("class")
    assert RequestRow(**row) == finished(fallback=True, cost_usd=None).request


def test_rows_are_written_within_a_second_without_being_asked_for(store, path, monkeypatch):
    store.load_cooldowns(NOW)  # makes the file: else that is the first transaction
    written = Event()
    monkeypatch.setattr(store_module, "transaction", signalling(transaction, written))
    store.record(ROW)
    assert written.wait(10)
    assert len(rows_in(path)) == 1


def signalling(context, event):
    class Signalling:
        def __init__(self, connection):
            self.inner = context(connection)

        def __enter__(self):
            return self.inner.__enter__()

        def __exit__(self, *exc):
            result = self.inner.__exit__(*exc)
            event.set()
            return result

    return Signalling


@pytest.fixture
def batches(monkeypatch):
    """What the thread has written, transaction by transaction."""
    batches = []
    write = Store.write

    def noted(self, batch):
        batches.append(batch)
        write(self, batch)

    monkeypatch.setattr(Store, "write", noted)
    return batches


def test_the_thread_is_woken_once_for_many_rows_and_at_once_for_what_cannot_wait(path, batches, monkeypatch):
    woken = []

    class Noted(Event):
        def set(self):
            woken.append(self)
            super().set()

    monkeypatch.setattr(store_module, "Event", Noted)
    monkeypatch.setattr(store_module, "BATCH_SECONDS", 1e6)
    monkeypatch.setattr(store_module, "BATCH_ROWS", 100)
    store = Store(path)
    for _ in range(250):
        store.record(ROW)
    assert (woken, batches) == ([store.queued], [])
    store.flush()
    assert [len(batch) for batch in batches] == [100, 100, 51]
    store.record(ROW)
    store.close()
    assert len(rows_in(path)) == 251


def test_what_cannot_wait_keeps_its_order(path):
    store = Store(path)
    first, second = Cooldown("f1", None, NOW + 60, "first"), Cooldown("f1", None, NOW + 30, "second")
    store.record(ROW)
    store.save_cooldown(first)
    store.forget_cooldowns("f1")
    store.record(ROW)
    store.save_cooldown(second)
    store.flush()
    assert store.load_cooldowns(NOW) == [second]
    store.close()


def test_many_rows_go_in_batches(path, batches, monkeypatch):
    monkeypatch.setattr(store_module, "BATCH_SECONDS", 0.001)
    store = Store(path)
    for number in range(1000):
        store.record(finished(attempts=number))
    store.close()
    assert [row["attempts"] for row in rows_in(path)] == list(range(1000))
    assert max(map(len, batches)) <= store_module.BATCH_ROWS


def test_close_writes_what_is_queued_and_later_rows_are_dropped(path):
    store = Store(path)
    store.record(ROW)
    store.close()
    assert len(rows_in(path)) == 1
    store.record(ROW)
    store.save_cooldown(Cooldown("f", None, NOW, ""))
    store.flush()
    store.close()
    assert store.dropped == 1
    assert len(rows_in(path)) == 1


def test_a_cooldown_does_not_wait_for_the_batch(store, path, monkeypatch):
    store.load_cooldowns(NOW)  # makes the file: else that is the first transaction
    written = Event()
    monkeypatch.setattr(store_module, "BATCH_SECONDS", 1e6)
    monkeypatch.setattr(store_module, "transaction", signalling(transaction, written))
    store.save_cooldown(Cooldown("f1", None, NOW + 60, "5h limit"))
    assert written.wait(10)
    assert rows_in(path, "cooldowns") == [
        {"fingerprint": "f1", "model": "", "until": NOW + 60, "reason": "5h limit", "probe_at": 0}
    ]


def test_cooldowns_come_back_after_a_restart(path):
    first = Store(path)
    cooldowns = [Cooldown("f1", None, NOW + 60, "5h limit"), Cooldown("f1", "opus", NOW + 90, "7d_oi limit")]
    for row in [*cooldowns, Cooldown("f2", None, NOW + 5, "over by then")]:
        first.save_cooldown(row)
    first.close()
    second = Store(path)
    assert second.load_cooldowns(NOW + 5) == cooldowns
    assert len(rows_in(path, "cooldowns")) == 2
    second.close()


def test_the_end_of_a_cooldown_of_one_model(path):
    store = Store(path)
    for row in (
        Cooldown("f1", None, NOW + 60, "5h limit"),
        Cooldown("f1", "opus", NOW + 90, ""),
        Cooldown("f1", "haiku", NOW + 90, ""),
    ):
        store.save_cooldown(row)
    store.forget_cooldowns("f1", "opus")
    store.flush()
    assert [row.model for row in store.load_cooldowns(NOW)] == ["haiku"]
    store.forget_cooldowns("f1")
    store.flush()
    assert store.load_cooldowns(NOW) == []
    store.close()


def test_sessions_come_back_for_a_day(path):
    first = Store(path)
    seats = [Seat("s1", "zai", "f1", NOW), Seat("s1", "claude", "f2", NOW + 1), Seat("s1", "zai", "f3", NOW + 2)]
    for seat in [Seat("old", "zai", "f1", NOW - 86_400), *seats]:
        first.record(seat)
    first.close()
    second = Store(path)
    assert second.load_seats(NOW + 3) == seats[1:]
    second.close()


def test_what_rules_hold_on_to_comes_back_for_a_day(path):
    first = Store(path)
    holds = [
        Hold("s1", "", "00ff", "r1", NOW),
        Hold("s1", "a", "00ff", "r1", NOW + 1),
        Hold("s2", "", "01", "r2", NOW + 2),
    ]
    for hold in [Hold("old", "", "00", "r1", NOW - 86_400), *holds]:
        first.record(hold)
    first.close()
    second = Store(path)
    assert second.load_holds(NOW + 3) == holds
    second.end_holds(Released("s1", "a", "00ff"))
    second.record(holds[0]._replace(time=NOW + 4))
    second.flush()
    assert second.load_holds(NOW + 5) == [holds[2], holds[0]._replace(time=NOW + 4)]
    second.close()


def test_only_so_many_are_kept_of_what_rules_hold_on_to(path, monkeypatch):
    monkeypatch.setattr("addons.state.store.MOST", 3)
    store = Store(path)
    for number in range(9):
        store.record(Hold(f"s{number}", "", "00", "r", NOW + number))
    store.close()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT session FROM holds ORDER BY time").fetchall() == [(f"s{n}",) for n in (5, 6, 7, 8)]


def test_the_file_of_an_older_gateway_is_taken_over(path):
    with closing(sqlite3.connect(path)) as old:
        old.executescript(MIGRATIONS[0])
        old.execute("INSERT INTO benches VALUES ('f1', 'opus', ?, '7d_oi limit')", (NOW + 60,))
        old.execute("PRAGMA user_version = 1")
        old.commit()
    store = Store(path)
    assert store.load_cooldowns(NOW) == [Cooldown("f1", "opus", NOW + 60, "7d_oi limit")]
    assert store.load_seats(NOW) == []
    store.close()


def test_a_cooldown_is_not_shortened_by_a_second_process(path):
    one, two = Store(path), Store(path)
    one.save_cooldown(Cooldown("f1", None, NOW + 3600, "5h limit"))
    one.flush()
    two.save_cooldown(Cooldown("f1", None, NOW + 60, "retry-after"))
    two.flush()
    assert one.load_cooldowns(NOW) == [Cooldown("f1", None, NOW + 3600, "5h limit")]
    two.save_cooldown(Cooldown("f1", None, NOW + 7200, "7d limit"))
    two.flush()
    assert one.load_cooldowns(NOW) == [Cooldown("f1", None, NOW + 7200, "7d limit")]
    one.close()
    two.close()


WRITER = """
import sys
from pathlib import Path
from addons.state.store import Store
from tests.state.test_store import ROW
store = Store(Path(sys.argv[1]))
for _ in range(500):
    store.record(ROW)
    store.flush()
store.close()
print(store.dropped)
"""


def test_two_processes_write_to_one_file(path):
    commands = [[PYTHON, "-c", WRITER, str(path)] for _ in range(2)]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for command in commands]
    results = [writer.communicate(timeout=120) for writer in writers]
    assert results == [(b"0\n", b""), (b"0\n", b"")]
    assert len(rows_in(path)) == 1000
    assert [row["requests"] for row in rows_in(path, "usage_daily")] == [1000]


def test_the_file_is_for_its_owner_only(store, path):
    store.record(ROW)
    store.flush()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT count(*) FROM requests").fetchone()
        files = list(path.parent.iterdir())
        assert path in files
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_an_error_text_is_masked_and_strange_names_are_taken(store, path):
    store.record(finished(asked_model="half \ud83d", error="no: Bearer sk-ant-oat01-" + "x" * 90))
    store.flush()
    [row] = rows_in(path)
    assert row["asked_model"] == "half ?"
    assert row["error"] == "no: Bearer sk-ant-oat01…xxxx"


@pytest.mark.parametrize("odd", [{"input_tokens": 10**30}, {"provider": "half \ud83d"}], ids=["number", "text"])
def test_what_sqlite_can_not_hold_costs_no_more_than_its_batch(store, path, odd):
    store.record(finished(**odd))
    store.flush()
    store.record(ROW)
    store.flush()
    assert len(rows_in(path)) == 1
    assert store.dropped == 1


@pytest.mark.parametrize("trouble", ["folder", "no folder", "not a database", "no tables", "newer"])
def test_a_broken_file_costs_rows_and_one_warning(path, trouble, caplog):
    if trouble == "folder":
        path.mkdir()
    elif trouble == "no folder":
        path = path / "there" / "gateway.db"
    elif trouble == "not a database":
        path.write_text("this is no database " * 1000)
    elif trouble == "no tables":
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(f"CREATE TABLE x (y); PRAGMA user_version = {len(MIGRATIONS)}")
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 99")
    with caplog.at_level(logging.INFO):
        store = Store(path)
        assert store.load_cooldowns(NOW) == []
        store.save_cooldown(Cooldown("f", None, NOW, ""))
        store.record(ROW)
        store.flush()
        store.record(ROW)
        store.flush()
        assert len(caplog.records) == 1
        assert "can't be used" in caplog.text
        store.close()
    assert store.dropped == 2
    assert f"requests that are missing in {path}: 2" in caplog.text


def test_a_locked_file_costs_rows_until_it_is_free(path, caplog, monkeypatch):
    monkeypatch.setattr("addons.state.database.BUSY_SECONDS", 0.01)
    store = Store(path)
    assert store.load_cooldowns(NOW) == []
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.record(ROW)
        store.flush()
        store.record(ROW)
        store.flush()
        other.execute("ROLLBACK")
    assert (store.dropped, len(caplog.records)) == (2, 1)
    store.record(ROW)
    store.flush()
    assert len(rows_in(path)) == 1
    store.close()


def test_a_full_disk_costs_rows_until_there_is_room(store, path, caplog, monkeypatch):
    full = True

    def small(path):
        connection = opened(path)
        if full:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    monkeypatch.setattr(store_module, "opened", small)
    for _ in range(100):
        store.record(finished(line="x" * 1000))
        store.flush()
        if store.dropped:
            break
    assert "full" in caplog.text
    kept, full = len(rows_in(path)), False
    store.record(ROW)
    store.flush()
    assert len(rows_in(path)) == kept + 1


def test_a_stuck_disk_fills_no_memory(path, monkeypatch, caplog):
    monkeypatch.setattr(store_module, "MOST_QUEUED", 10)
    released = Event()
    opened = Event()

    def stuck(_path):
        opened.set()
        released.wait(10)
        raise OSError("stuck")

    monkeypatch.setattr(store_module, "opened", stuck)
    monkeypatch.setattr(store_module, "BATCH_ROWS", 1)
    store = Store(path)
    store.record(ROW)
    assert opened.wait(10)
    for _ in range(30):
        store.record(ROW)
    assert len(store.queue) == 10
    released.set()
    store.close()
    assert store.dropped == 31
    assert len([record for record in caplog.records if "can't be used" in record.message]) == 1


def test_a_file_that_is_deleted_while_in_use_is_made_again(store, path):
    store.record(ROW)
    store.flush()
    path.unlink()
    store.record(ROW)
    store.flush()
    assert len(rows_in(path)) == 1


def test_old_rows_are_deleted_a_few_at_a_time(store, path, monkeypatch):
    monkeypatch.setattr(store_module, "PRUNED_AT_ONCE", 10)
    for number in range(25):
        store.record(finished(time=NOW + number))
    store.flush()
    store.prune(Prune(NOW + 22, NOW))
    for _ in range(20):
        store.flush()
    assert [row["time"] for row in rows_in(path)] == [NOW + 22, NOW + 23, NOW + 24]


def test_a_file_that_can_not_be_pruned_costs_no_row(store, path, caplog):
    store.record(ROW)
    store.flush()
    path.rename(path.with_name("elsewhere"))
    path.mkdir()
    store.prune(NOW + 1)
    store.flush()
    assert store.dropped == 0
    assert "can't be used" in caplog.text
    path.rmdir()


def test_no_text_shows_a_secret_or_grows_with_what_a_client_sends(store, path):
    secret = "sk-ant-oat01-SECRET0123456789"
    store.record(finished(session=secret, asked_model=f"claude-{secret}", model=f"claude-{secret}", error="x" * 9999))
    store.flush()
    [row] = rows_in(path)
    assert "SECRET" not in repr(row)
    assert (row["asked_model"], len(row["error"])) == ("claude-sk-ant-oat01…6789", LONGEST_TEXT)
