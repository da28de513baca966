"""The SQLite file: cooldowns, so that they survive a restart, and the ledger: what finished requests have used.

Rules that hold here:
- Whoever records never waits for the disk and never gets an error: rows are queued, and one thread writes
  them in batches (what came within a second; cooldowns at once).
- That thread sleeps through the second, whatever comes: to be woken for each row would cost the event loop a
  hand-over of the interpreter for each request.
- A file that can't be written costs rows, not requests: they are dropped and counted, one warning says so.
- No column holds a secret: tokens go by their fingerprint (the ledger's rows: ledger_rows.py). None grows with what a
  client sends, and rows are deleted when they are too old.
- Several processes may use one file.
"""

import logging
import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, tzinfo
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Final, NamedTuple

from addons.state.conversations import EXPIRY, MOST
from addons.state.database import opened, transaction
from addons.state.ledger_rows import SLOT, Cell, Finished, Models, cell, write
from addons.state.pool import Cooldown

logger = logging.getLogger(__name__)

BATCH_ROWS: Final = 500
BATCH_SECONDS: Final = 1.0
# More than this is never waiting, however long the disk is stuck.
MOST_QUEUED: Final = 10_000
# A transaction that deletes old rows keeps others waiting for a few milliseconds.
PRUNED_AT_ONCE: Final = 1000


class Resumed(NamedTuple):
    """The end of an account's cooldowns: of those of one model, or (None) of all."""

    fingerprint: str
    model: str | None = None


class Seat(NamedTuple):
    """A session that stays on an account from `time` (epoch seconds) on."""

    session: str
    pool: str
    fingerprint: str
    time: float


class Hold(NamedTuple):
    """A conversation (session, agent, digest of its first message) that a rule holds on to, by the rule's fingerprint,
    and when it was last seen (epoch seconds)."""

    session: str
    agent: str
    opening: str
    rule: str
    time: float


class Released(NamedTuple):
    """A conversation that no rule holds on to any more."""

    session: str
    agent: str
    opening: str


Item = Finished | Seat | Hold | Cooldown | Resumed | Released | Event | None
"""What is queued for the writing thread; an Event is set when it is reached, None ends the thread."""

INSERT_COOLDOWN: Final = """
    INSERT INTO cooldowns (fingerprint, model, until, reason, probe_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET until = excluded.until, reason = excluded.reason, probe_at = excluded.probe_at
    WHERE excluded.until > until
"""
END_COOLDOWNS: Final = "DELETE FROM cooldowns WHERE fingerprint = ?1 AND (?2 IS NULL OR model IN ('', ?2))"
INSERT_SEAT: Final = "INSERT OR REPLACE INTO seats (session, pool, fingerprint, time) VALUES (?, ?, ?, ?)"
SEATS_KEPT: Final = 86_400.0
"""Seconds after which nobody comes back to a session's prompt cache."""
INSERT_HOLD: Final = "INSERT OR REPLACE INTO holds (session, agent, opening, rule, time) VALUES (?, ?, ?, ?, ?)"
END_HOLDS: Final = "DELETE FROM holds WHERE session = ? AND agent = ? AND opening = ?"
DELETE_OLD_HOLDS: Final = """
    DELETE FROM holds WHERE time <= ?1 OR time < (SELECT time FROM holds ORDER BY time DESC LIMIT 1 OFFSET ?2)
"""

OLD_ROWS: Final = {"requests": "time", "attempts": "time", "usage_sessions": "last"}
"""The tables of what is kept for some days, and the column that says how old a row is."""
OLD_SUMS: Final = {
    "usage_daily": ("day < date(?, 'unixepoch')", 400 * 86_400.0),
    "usage_elsewhere": ("day < date(?, 'unixepoch')", 400 * 86_400.0),
    "spend": (f"slot < ? / {SLOT}", 62 * 86_400.0),
}
"""The tables of sums: what is too old, as of a time (epoch seconds), and for how many seconds they are kept."""
DELETE_OLDEST: Final = """
    DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE {column} < ? ORDER BY {column} LIMIT ?)
"""


class Prune(NamedTuple):
    """What is too old: rows of before a time, and sums that are too old as of another (both epoch seconds)."""

    rows_before: float
    now: float


class Store:
    """The file at `path`, made (readable by its owner only) when there is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.dropped = 0
        self.warned = False
        self.lock = Lock()
        self.queue: deque[Item] = deque()
        self.queued = Event()
        self.urgent = Event()
        self.zone: tzinfo | None = UTC
        """Whose days the daily sums are of; None: this machine's."""
        self.models: Models = {}
        """The models of the day that have sums of their own."""
        self.too_old: Prune | None = None
        """What is to be deleted; None: nothing."""
        self.thread = Thread(target=self.run, name="store", daemon=True)
        self.thread.start()

    def record(self, row: Finished | Seat | Hold) -> None:
        """Queue a row; it is in the file about a second later."""
        if self.thread.is_alive() and len(self.queue) < MOST_QUEUED:
            self.queue.append(row)
            if not self.queued.is_set():
                self.queued.set()
        else:
            self.drop(1, "too slow, or closed")

    def hurry(self, item: Item) -> None:
        """Queue something that can't wait."""
        self.queue.append(item)
        self.urgent.set()
        self.queued.set()

    def save_cooldown(self, cooldown: Cooldown) -> None:
        """Queue a cooldown, to be written at once. A longer one that is in the file already stays."""
        self.hurry(cooldown)

    def forget_cooldowns(self, fingerprint: str, model: str | None = None) -> None:
        """Queue the end of an account's cooldowns (`model`: of what keeps it from that one), to be written at once."""
        self.hurry(Resumed(fingerprint, model))

    def load_cooldowns(self, now: float) -> list[Cooldown]:
        """The cooldowns that still hold; the others are deleted. Waits for the file: meant for the start."""
        rows = []
        with self.survived(0), closing(opened(self.path)) as connection, transaction(connection):
            connection.execute("DELETE FROM cooldowns WHERE until <= ?", (now,))
            rows = connection.execute("SELECT fingerprint, model, until, reason, probe_at FROM cooldowns").fetchall()
        return [Cooldown(mark, model or None, until, reason, probe) for mark, model, until, reason, probe in rows]

    def load_seats(self, now: float) -> list[Seat]:
        """The sessions of the last day, oldest first; older ones are deleted. Waits for the file."""
        rows = []
        with self.survived(0), closing(opened(self.path)) as connection, transaction(connection):
            connection.execute("DELETE FROM seats WHERE time <= ?", (now - SEATS_KEPT,))
            rows = connection.execute("SELECT session, pool, fingerprint, time FROM seats ORDER BY time").fetchall()
        return [Seat(*row) for row in rows]

    def end_holds(self, released: Released) -> None:
        """Queue that no rule holds on to a conversation any more, to be written at once."""
        self.hurry(released)

    def load_holds(self, now: float) -> list[Hold]:
        """The conversations of the last day that rules hold on to, oldest first. Waits for the file."""
        rows = []
        with self.survived(0), closing(opened(self.path)) as connection, transaction(connection):
            connection.execute(DELETE_OLD_HOLDS, (now - EXPIRY, MOST))
            rows = connection.execute("SELECT session, agent, opening, rule, time FROM holds ORDER BY time").fetchall()
        return [Hold(*row) for row in rows]

    def prune(self, too_old: Prune) -> None:
        """Have what is too old deleted, a thousand rows at a time between what is written."""
        self.too_old = too_old
        self.urgent.set()
        self.queued.set()

    def flush(self) -> None:
        """Wait until everything queued so far is written (or dropped)."""
        done = Event()
        self.hurry(done)
        while self.thread.is_alive() and not done.wait(BATCH_SECONDS):
            pass

    def close(self) -> None:
        """Write what is queued and stop; what is recorded later is dropped."""
        self.hurry(None)
        self.thread.join()
        if self.dropped:
            logger.warning("requests that are missing in %s: %d", self.path, self.dropped)

    def run(self) -> None:
        """The writing thread."""
        batch: list[Item] = []
        while None not in batch:
            self.queued.wait()
            self.urgent.wait(BATCH_SECONDS)
            # Cleared before the queue is looked at: what comes from here on is announced again.
            self.queued.clear()
            self.urgent.clear()
            if self.too_old is not None:  # first, so that who waits for what is written waits for this too
                self.delete_oldest(self.too_old)
            due = len(self.queue)
            while due and None not in batch:
                batch = self.next_batch(due)
                due -= len(batch)
                self.write(batch)

    def delete_oldest(self, too_old: Prune) -> None:
        """Delete some of what is too old; if there may be more, it is the thread's next work."""
        self.too_old = None
        with self.survived(0), closing(opened(self.path)) as connection, transaction(connection):
            for table, (condition, kept) in OLD_SUMS.items():
                connection.execute(f"DELETE FROM {table} WHERE {condition}", (too_old.now - kept,))  # noqa: S608
            for table, column in OLD_ROWS.items():
                statement = DELETE_OLDEST.format(table=table, column=column)
                if connection.execute(statement, (too_old.rows_before, PRUNED_AT_ONCE)).rowcount == PRUNED_AT_ONCE:
                    self.prune(too_old)

    def next_batch(self, due: int) -> list[Item]:
        """The next of the items that are due. What can't wait ends a batch: its order among others counts."""
        batch = [self.queue.popleft()]
        while len(batch) < min(due, BATCH_ROWS) and isinstance(batch[-1], Finished | Seat | Hold):
            batch.append(self.queue.popleft())
        return batch

    def write(self, batch: list[Item]) -> None:
        """Put a batch into the file, in one transaction. One that can't be written costs the batch, and a warning."""
        rows = [row for row in batch if isinstance(row, Finished)]
        seats = [[cell(value) for value in seat] for seat in batch if isinstance(seat, Seat)]
        holds = [[cell(value) for value in hold] for hold in batch if isinstance(hold, Hold)]
        released = [[cell(value) for value in item] for item in batch if isinstance(item, Released)]
        cooldowns = [cooldown_cells(item) for item in batch if isinstance(item, Cooldown)]
        ended = [(item.fingerprint, item.model) for item in batch if isinstance(item, Resumed)]
        if rows or seats or holds or released or cooldowns or ended:
            # Opened each time, a millisecond: a file that is moved or repaired meanwhile is no trouble.
            with self.survived(len(rows)), closing(opened(self.path)) as connection, transaction(connection):
                connection.executemany(END_COOLDOWNS, ended)
                connection.executemany(INSERT_COOLDOWN, cooldowns)
                connection.executemany(INSERT_SEAT, seats)
                connection.executemany(INSERT_HOLD, holds)
                connection.executemany(END_HOLDS, released)  # the last of its batch
                if holds:
                    newest = max(item.time for item in batch if isinstance(item, Hold))
                    connection.execute(DELETE_OLD_HOLDS, (newest - EXPIRY, MOST))
                write(connection, rows, self.zone, self.models)
        for done in batch:
            if isinstance(done, Event):
                done.set()

    @contextmanager
    def survived(self, rows: int) -> Iterator[None]:
        """Whatever is wrong with the file inside it costs `rows` rows and a warning."""
        try:
            yield
        except (OSError, sqlite3.Error, ValueError, OverflowError) as error:  # the last two: what SQLite can't hold
            self.drop(rows, str(error))
        else:
            self.warned = False

    def drop(self, rows: int, why: str) -> None:
        with self.lock:
            self.dropped += rows
            if not self.warned:
                self.warned = True
                logger.warning("%s can't be used (%s): nothing is recorded until it can", self.path, why)


def cooldown_cells(row: Cooldown) -> list[Cell]:
    return [cell(value) for value in (row.fingerprint, row.model or "", row.until, row.reason, row.probe_at)]
