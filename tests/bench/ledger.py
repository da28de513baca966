"""What the ledger costs with a million requests in it: `python -m tests.bench.ledger [--rows N] [--file FILE]`.

It writes the rows as the gateway does (90 days, twenty users, six models, a session for each fifty requests), then
times what reads them: medians of several turns, and what one row costs the thread that writes.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from addons.state import usage
from addons.state.database import opened, transaction
from addons.state.ledger_rows import Finished, write
from addons.state.store import Store
from addons.state.usage_report import VIEWS, report, status
from addons.team import page
from addons.team.daily_sums import Reader
from addons.team.metrics import Gauges, Metrics
from addons.team.page_report import Asked, Present, Viewer
from addons.team.page_report import report as report_of
from addons.team.report import Budget, User
from tests.finished import finished

DAY = 86_400.0
DAYS = 90
BATCH = 100
TURNS = 7
USERS = [f"user{number}" for number in range(20)]
MODELS = [
    *(("anthropic", name) for name in ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5")),
    *(("zai", "glm-5"), ("kimi", "k3"), ("own", "qwen3-coder:30b")),
]
CLASSES = ["main", "main", "main", "subagent", "auxiliary"]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--file", type=Path, help="where the rows are, or shall be, kept")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        path = options.file or Path(folder) / "gateway.db"
        now = time.time()
        if not path.exists():
            fill(path, options.rows, now)
        print(f"{path.stat().st_size / 1e6:,.0f} MB")
        for name, read in reads(path, now):
            print(f"{name:34} {timed(read):7.1f} ms")
    return 0


def fill(path: Path, rows: int, now: float) -> None:
    """Write the rows, in the batches of a busy gateway."""
    draw, began = random.Random(1), time.process_time()
    with closing(opened(path)) as connection:
        for first in range(0, rows, BATCH):
            batch = [
                made(draw, number, now - DAYS * DAY + number * DAYS * DAY / rows)
                for number in range(first, min(first + BATCH, rows))
            ]
            with transaction(connection):
                write(connection, batch, UTC)
    spent = time.process_time() - began
    print(f"{rows:,} rows written: {spent / rows * 1e6:.0f} µs of processor time each")


def made(draw: random.Random, number: int, at: float) -> Finished:
    """A request."""
    provider, model = draw.choice(MODELS)
    session = number // 50
    return finished(
        id=f"req_gw_{number:024x}",
        time=at,
        session=f"{session:08x}-0000-4000-8000-000000000000",
        user=USERS[session % len(USERS)],
        request_class=draw.choice(CLASSES),
        provider=provider,
        model=model,
        input_tokens=draw.randrange(1000),
        output_tokens=draw.randrange(3000),
        cache_read_tokens=draw.randrange(100_000),
        cost_usd=None if provider == "own" else draw.random(),
        duration_s=draw.random() * 30,
        error=None if draw.random() < 0.98 else "Overloaded",
    )


def reads(path: Path, now: float) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What is read, by name."""
    yield "open the file", lambda: opened(path).close()
    yield "start and stop the store", lambda: started(path, now)
    for view in VIEWS:
        yield f"usage {view}", partial(report, path, {"view": view}, zone=UTC, now=now)
    yield "usage daily, all of it", lambda: report(path, {"view": "daily", "since": "1970-01-01"}, zone=UTC, now=now)
    yield "usage daily, one user", lambda: report(path, {"view": "daily"}, zone=UTC, now=now, only="user1")
    yield "statusline", lambda: status(path, "user1", "no such session", zone=UTC, now=now)
    known = Reader()
    yield "page, the first time", lambda: shown(path, now, Reader())
    yield "page, again (it polls)", lambda: shown(path, now, known)
    counted = busy()
    yield "/metrics", lambda: counted.text(Gauges())
    yield "page: slowest of a day", lambda: usage.requests(path, since=now - DAY, order="duration", limit=20)
    yield "page: failed of a day", lambda: usage.requests(path, since=now - DAY, failed=True, limit=20)
    yield "page: failovers of a day", lambda: usage.failovers(path, now - DAY)
    yield "budgets: spent in a month, all users", lambda: usage.spent(path, now - 31 * DAY)
    yield "budgets: spent today, one user", lambda: usage.spent(path, now - now % DAY, ["user1"])


def shown(path: Path, now: float, known: Reader) -> str:
    """The page, as the administrator sees it."""
    users = [User(name, [Budget("month", 10.0, 100.0, now)]) for name in USERS]
    present = Present(now=now, zone=UTC, users=users)
    return str(page.page(report_of(path, Viewer("admin", sees_all=True), Asked(), present, known)))


def busy() -> Metrics:
    """What a gateway has counted that many have used."""
    metrics = Metrics()
    for provider, model in MODELS:
        for request_class in set(CLASSES):
            metrics.requests.add((provider, model, request_class, "ok"))
        for kind in ("input", "output", "cache_read", "cache_write"):
            metrics.tokens.add((provider, model, kind), 1)
        metrics.cost.add((provider, model), 1.0)
        metrics.duration.observe((provider,), 1.0)
        metrics.first_event.observe((provider,), 1.0)
    for name in USERS:
        metrics.user_requests.add((name,))
        metrics.user_cost.add((name,), 1.0)
    return metrics


def started(path: Path, now: float) -> None:
    """What a start reads of the file."""
    with closing(Store(path)) as store:
        store.load_cooldowns(now)
        store.load_seats(now)
        store.load_holds(now)


def timed(read: Callable[[], Any]) -> float:
    """Milliseconds of processor time, the median of some turns."""
    times = []
    for _ in range(TURNS):
        began = time.process_time()
        read()
        times.append(time.process_time() - began)
    return median(times) * 1000


if __name__ == "__main__":
    sys.exit(main())
