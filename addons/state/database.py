"""The SQLite file of the gateway: its tables, version by version, and connections to it.

Rules that hold here: only the owner of the file may read it; several processes may open it at the same time, also in
different versions; a file of a newer version than this gateway knows is refused, never changed.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Final

BUSY_SECONDS: Final = 5.0
BUSY_PAUSE: Final = 0.02

# One entry per version of the file; `user_version` says how many have been applied.
MIGRATIONS: Final = (
    """
    CREATE TABLE benches (
        fingerprint TEXT NOT NULL,
        model TEXT NOT NULL, -- '': all models
        until REAL NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (fingerprint, model)
    ) WITHOUT ROWID;
    CREATE TABLE requests (
        time REAL NOT NULL,
        session TEXT,
        caller TEXT,
        asked_model TEXT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        status INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        fallback INTEGER NOT NULL,
        input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        cache_read_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL,
        cost_usd REAL,
        first_event_s REAL,
        duration_s REAL NOT NULL,
        error TEXT
    );
    CREATE INDEX requests_time ON requests (time);
    """,
    """
    ALTER TABLE benches RENAME TO cooldowns;
    ALTER TABLE cooldowns ADD COLUMN probe_at REAL NOT NULL DEFAULT 0;
    CREATE TABLE seats (
        session TEXT NOT NULL,
        pool TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        time REAL NOT NULL,
        PRIMARY KEY (session, pool)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE holds (
        session TEXT NOT NULL,
        agent TEXT NOT NULL,
        opening TEXT NOT NULL,
        rule TEXT NOT NULL,
        time REAL NOT NULL,
        PRIMARY KEY (session, agent, opening, rule)
    ) WITHOUT ROWID;
    CREATE INDEX holds_time ON holds (time);
    """,
    """
    ALTER TABLE requests RENAME COLUMN caller TO user;
    ALTER TABLE requests ADD COLUMN id TEXT NOT NULL DEFAULT '';
    ALTER TABLE requests ADD COLUMN class TEXT NOT NULL DEFAULT 'main';
    ALTER TABLE requests ADD COLUMN account TEXT NOT NULL DEFAULT '';
    ALTER TABLE requests ADD COLUMN cache_write_1h_tokens INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE requests ADD COLUMN web_searches INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE requests ADD COLUMN fast INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE requests ADD COLUMN estimated INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE requests ADD COLUMN budget_usd REAL NOT NULL DEFAULT 0;
    ALTER TABLE requests ADD COLUMN price_version TEXT NOT NULL DEFAULT '';
    ALTER TABLE requests ADD COLUMN line TEXT NOT NULL DEFAULT '';
    UPDATE requests SET user = 'anyone' WHERE user IS NULL;
    CREATE TABLE attempts (
        request TEXT NOT NULL,
        number INTEGER NOT NULL,
        time REAL NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        account TEXT NOT NULL,
        outcome TEXT NOT NULL,
        status INTEGER,
        input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        cache_read_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL,
        cache_write_1h_tokens INTEGER NOT NULL,
        web_searches INTEGER NOT NULL,
        fast INTEGER NOT NULL,
        estimated INTEGER NOT NULL,
        cost_usd REAL,
        budget_usd REAL NOT NULL,
        price_version TEXT NOT NULL,
        first_event_s REAL,
        duration_s REAL NOT NULL,
        error TEXT
    );
    CREATE INDEX attempts_time ON attempts (time);
    CREATE TABLE usage_daily (
        day TEXT NOT NULL,
        user TEXT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        class TEXT NOT NULL,
        requests INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        estimated INTEGER NOT NULL,
        unpriced INTEGER NOT NULL,
        input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        cache_read_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL,
        cache_write_1h_tokens INTEGER NOT NULL,
        web_searches INTEGER NOT NULL,
        cost_usd REAL, -- NULL: nothing had a price
        PRIMARY KEY (day, user, provider, model, class)
    ) WITHOUT ROWID;
    CREATE TABLE usage_sessions (
        session TEXT NOT NULL,
        user TEXT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        first REAL NOT NULL,
        last REAL NOT NULL,
        requests INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        estimated INTEGER NOT NULL,
        unpriced INTEGER NOT NULL,
        input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        cache_read_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL,
        cache_write_1h_tokens INTEGER NOT NULL,
        web_searches INTEGER NOT NULL,
        cost_usd REAL,
        PRIMARY KEY (session, user, provider, model)
    );
    CREATE INDEX usage_sessions_last ON usage_sessions (last);
    CREATE TABLE spend (
        user TEXT NOT NULL,
        slot INTEGER NOT NULL, -- of a quarter of an hour, counted from 1970
        requests INTEGER NOT NULL,
        budget_usd REAL NOT NULL,
        PRIMARY KEY (user, slot)
    ) WITHOUT ROWID;
    INSERT INTO usage_daily
        SELECT date(time, 'unixepoch'), user, provider, model, class, count(*), sum(error IS NOT NULL), 0,
            sum(cost_usd IS NULL AND input_tokens + output_tokens + cache_read_tokens + cache_write_tokens > 0),
            sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_tokens), 0, 0, sum(cost_usd)
        FROM requests GROUP BY 1, 2, 3, 4, 5;
    INSERT INTO usage_sessions
        SELECT session, user, provider, model, min(time), max(time + duration_s), count(*), sum(error IS NOT NULL), 0,
            sum(cost_usd IS NULL AND input_tokens + output_tokens + cache_read_tokens + cache_write_tokens > 0),
            sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_tokens), 0, 0, sum(cost_usd)
        FROM requests WHERE session IS NOT NULL GROUP BY 1, 2, 3, 4;
    INSERT INTO spend
        SELECT user, CAST(time AS INTEGER) / 900, count(*), total(cost_usd) FROM requests GROUP BY 1, 2;
    """,
    """
    CREATE TABLE users (
        id TEXT PRIMARY KEY, -- stands in the key
        name TEXT NOT NULL UNIQUE COLLATE NOCASE,
        admin INTEGER NOT NULL,
        budget_day REAL,
        budget_week REAL,
        budget_month REAL,
        models TEXT NOT NULL, -- patterns, separated by commas
        rpm INTEGER,
        sessions INTEGER,
        digest BLOB NOT NULL, -- SHA-256 of the key
        old_digest BLOB, -- of the key before
        old_until REAL,
        created REAL NOT NULL,
        revoked REAL
    ) WITHOUT ROWID;
    CREATE TABLE gate (
        version INTEGER NOT NULL, -- counts the changes of users and gate
        closed INTEGER NOT NULL
    );
    INSERT INTO gate VALUES (0, 0);
    """,
    """
    CREATE TABLE replica (
        id TEXT NOT NULL -- of this ledger, among those of a team
    );
    INSERT INTO replica VALUES (lower(hex(randomblob(8))));
    """,
    """
    CREATE TABLE usage_elsewhere (
        source TEXT NOT NULL, -- the ledger that has counted it
        day TEXT NOT NULL,
        user TEXT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        class TEXT NOT NULL,
        requests INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        estimated INTEGER NOT NULL,
        unpriced INTEGER NOT NULL,
        input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        cache_read_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL,
        cache_write_1h_tokens INTEGER NOT NULL,
        web_searches INTEGER NOT NULL,
        cost_usd REAL,
        PRIMARY KEY (day, source, user, provider, model, class)
    ) WITHOUT ROWID;
    CREATE VIEW usage_everywhere AS
        SELECT day, user, provider, model, class, requests, failed, estimated, unpriced, input_tokens, output_tokens,
            cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, web_searches, cost_usd FROM usage_daily
        UNION ALL
        SELECT day, user, provider, model, class, requests, failed, estimated, unpriced, input_tokens, output_tokens,
            cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, web_searches, cost_usd FROM usage_elsewhere;
    """,
    """
    CREATE TABLE user_changes (
        id TEXT PRIMARY KEY,
        version TEXT NOT NULL, -- '': deleted
        changed REAL NOT NULL
    ) WITHOUT ROWID;
    """,
)


def opened(path: Path) -> sqlite3.Connection:
    """A connection to the file at `path`, made when there is none, in its present version. Raises OSError or
    sqlite3.Error."""
    # SQLite would make it readable by all; its -wal and -shm files take after it.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    deadline = monotonic() + BUSY_SECONDS
    while True:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            migrate(connection)
            return connection
        except (OSError, sqlite3.Error) as error:
            connection.close()
            # SQLite's own time limit does not cover another process making, opening or leaving a WAL.
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code != sqlite3.SQLITE_BUSY or monotonic() > deadline:
                raise
            sleep(BUSY_PAUSE)


def readable(path: Path) -> sqlite3.Connection | None:
    """A connection to the file at `path` that changes nothing in it; None when there is no file. Raises OSError or
    sqlite3.Error."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None
    )
    try:
        connection.execute("PRAGMA query_only = 1")
        check_version(user_version(connection))
    except BaseException:
        connection.close()
        raise
    return connection


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file up to the present version, once, whoever else opens it at the same time."""
    if user_version(connection) == len(MIGRATIONS):
        return
    with transaction(connection):
        version = user_version(connection)
        check_version(version)
        for script in MIGRATIONS[version:]:
            for statement in filter(str.strip, script.split(";")):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def check_version(version: int) -> None:
    """Raises OSError for a file that a newer gateway has made."""
    if version > len(MIGRATIONS):
        raise OSError(f"its version is {version}, this gateway knows {len(MIGRATIONS)}")


def user_version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing. Takes the right to write at once: a lock gained later is not waited for."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
