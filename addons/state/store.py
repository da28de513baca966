"""The SQLite file: cooldowns, so that they survive a restart, and one row per finished client request.

Rules that hold here:
- Whoever records never waits for the disk and never gets an error: rows are queued, and one thread writes
  them in batches (what came within a second; cooldowns at once).
- That thread sleeps through the second, whatever comes: to be woken for each row would cost the event loop a
  hand-over of the interpreter for each request.
- A file that can't be written costs rows, not requests: they are dropped and counted, one warning says so.
- No column holds a secret: tokens go by their fingerprint, and texts are masked once more here. None grows with what
  a client sends, and rows are deleted when they are too old.
- Several processes may use one file.
"""

import logging
import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Final, NamedTuple

from addons.state.conversations import EXPIRY, MOST
from addons.state.database import opened, transaction
from addons.state.pool import Cooldown
from addons.wire.masking import mask_text

logger = logging.getLogger(__name__)

BATCH_ROWS: Final = 100
BATCH_SECONDS: Final = 1.0
# More than this is never waiting, however long the disk is stuck.
MOST_QUEUED: Final = 10_000
# A transaction that deletes old rows keeps others waiting for a few milliseconds.
PRUNED_AT_ONCE: Final = 1000
# Characters of a text in a column. Those that clients and providers make up are shorter, or are cut.
LONGEST_TEXT: Final = 1000
LARGEST_INTEGER: Final = 2**63 - 1


class RequestRow(NamedTuple):
    """One finished client request, with the target that gave the answer the client got: the seventeen columns of
    `requests`.

    time           epoch seconds, when the request came in
    session        Claude Code's session id, if it sent one
    caller         who asked, if callers are told apart
    asked_model    the alias the client asked for
    provider       name of the provider; "" when none was asked
    model          the name sent to the provider
    status         what the client got
    attempts       sends to providers, in all
    fallback       the answer came from a fallback
    *_tokens       usage as the provider reported it
    cost_usd       None when the model has no price
    first_event_s  seconds to the first event of the answer; None when none came
    duration_s     seconds until the answer was complete
    error          the error the client got, or the one that cut its stream
    """

    time: float
    session: str | None
    caller: str | None
    asked_model: str
    provider: str
    model: str
    status: int
    attempts: int
    fallback: bool
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cost_usd: float | None
    first_event_s: float | None
    duration_s: float
    error: str | None


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


Item = RequestRow | Seat | Hold | Cooldown | Resumed | Released | Event | None
"""What is queued for the writing thread; an Event is set when it is reached, None ends the thread."""

INSERT_REQUESTS: Final = "INSERT INTO requests VALUES "
A_REQUEST: Final = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
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

DELETE_OLDEST: Final = """
    DELETE FROM requests WHERE rowid IN (SELECT rowid FROM requests WHERE time < ? ORDER BY time LIMIT ?)
"""


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
        self.oldest_kept: float | None = None
        """Rows from before this time (epoch seconds) are to be deleted; None: there are none."""
        self.thread = Thread(target=self.run, name="store", daemon=True)
        self.thread.start()

    def record(self, row: RequestRow | Seat | Hold) -> None:
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

    def prune(self, oldest_kept: float) -> None:
        """Have the rows of requests from before this time deleted, a thousand at a time between what is written."""
        self.oldest_kept = oldest_kept
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
            logger.warning("%d requests are missing in %s", self.dropped, self.path)

    def run(self) -> None:
        """The writing thread."""
        batch: list[Item] = []
        while None not in batch:
            self.queued.wait()
            self.urgent.wait(BATCH_SECONDS)
            # Cleared before the queue is looked at: what comes from here on is announced again.
            self.queued.clear()
            self.urgent.clear()
            if self.oldest_kept is not None:  # first, so that who waits for what is written waits for this too
                self.delete_oldest(self.oldest_kept)
            due = len(self.queue)
            while due and None not in batch:
                batch = self.next_batch(due)
                due -= len(batch)
                self.write(batch)

    def delete_oldest(self, oldest_kept: float) -> None:
        """Delete some of the rows that are too old; if there may be more, they are the thread's next work."""
        self.oldest_kept = None
        with self.survived(0), closing(opened(self.path)) as connection, transaction(connection):
            if connection.execute(DELETE_OLDEST, (oldest_kept, PRUNED_AT_ONCE)).rowcount == PRUNED_AT_ONCE:
                self.prune(oldest_kept)

    def next_batch(self, due: int) -> list[Item]:
        """The next of the items that are due. What can't wait ends a batch: its order among others counts."""
        batch = [self.queue.popleft()]
        while len(batch) < min(due, BATCH_ROWS) and isinstance(batch[-1], RequestRow | Seat | Hold):
            batch.append(self.queue.popleft())
        return batch

    def write(self, batch: list[Item]) -> None:
        rows = [request_cells(row) for row in batch if isinstance(row, RequestRow)]
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
                if rows:
                    # One statement: in between two the event loop would be made to hand over the interpreter.
                    values = ", ".join([A_REQUEST] * len(rows))
                    connection.execute(INSERT_REQUESTS + values, list(chain.from_iterable(rows)))
        for done in batch:
            if isinstance(done, Event):
                done.set()

    @contextmanager
    def survived(self, rows: int) -> Iterator[None]:
        """Whatever is wrong with the file inside it costs `rows` rows and a warning."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            self.drop(rows, str(error))
        else:
            self.warned = False

    def drop(self, rows: int, why: str) -> None:
        with self.lock:
            self.dropped += rows
            if not self.warned:
                self.warned = True
                logger.warning("%s can't be used (%s): nothing is recorded until it can", self.path, why)


Cell = str | int | float | None


def request_cells(row: RequestRow) -> list[Cell]:
    return [cell(mask_text(value, ()) if isinstance(value, str) else value) for value in row]


def cooldown_cells(row: Cooldown) -> list[Cell]:
    return [cell(value) for value in (row.fingerprint, row.model or "", row.until, row.reason, row.probe_at)]


def cell(value: Cell) -> Cell:
    """What SQLite takes of a value: no lone surrogates, no integers beyond 64 bits."""
    if isinstance(value, str):
        value = value if len(value) <= LONGEST_TEXT else f"{value[: LONGEST_TEXT - 1]}…"
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    return min(value, LARGEST_INTEGER) if isinstance(value, int) else value
