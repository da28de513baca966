"""A report with something in every part of the page, for tests that look at it."""

from datetime import UTC, datetime, timedelta

from addons.state.usage import Sums
from addons.team.report import (
    Account,
    Avoided,
    Budget,
    By,
    Failover,
    Health,
    Line,
    Report,
    Request,
    Running,
    User,
)

NOW = datetime(2026, 9, 21, 14, 32, 7, tzinfo=UTC)
T = NOW.timestamp()
DAYS = [(NOW - timedelta(days=back)).date() for back in reversed(range(7))]


def sums(requests: int, cost: float | None, **more: int) -> Sums:
    """Some sums: a hundred tokens of each kind for each request."""
    tokens = dict.fromkeys(("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"), 100 * requests)
    return Sums(requests=requests, cost_usd=cost, **{**tokens, **more})


def full(viewer: str = "admin", *, sees_all: bool = True, by: By = "user") -> Report:
    """A report of three users and two providers."""
    return Report(
        now=NOW,
        viewer=viewer,
        sees_all=sees_all,
        days=DAYS,
        by=by,
        lines=[
            Line("alice", [0, 0, 0, 0, 0, 0.5, 1.25], [0, 0, 0, 0, 0, 800, 4000]),
            Line("bob", [0, 0, 0, 0, 0, 0, 0.0625], [0, 0, 0, 0, 0, 0, 1600]),
            Line("carol", [0] * 7, [1200, 0, 0, 0, 0, 0, 0]),
        ],
        totals=[
            sums(3, None, unpriced=3),
            *(Sums() for _ in range(4)),
            sums(2, 0.5),
            sums(14, 1.3125, failed=1, estimated=1),
        ],
        used={
            "alice": sums(12, 1.75, failed=1),
            "bob": sums(4, 0.0625, estimated=1),
            "carol": sums(3, None, unpriced=3),
        },
        running=[Running("alice", "claude-opus-5-5", "zai/glm-5", "main", T - 42.3, 2, "answering")],
        accounts=[
            Account(
                "claude:1", "anthropic", "sk-ant-oat01…7f2c", "cooling", T + 2600, "5h limit", 1.0, 0.62, 3, 120, 4
            ),
            Account("zai:1", "zai", "…c41d", "usable", None, "", None, None, 0, 12, 0),
        ],
        health=[
            Health("anthropic", 812, 31, 1.42),
            Health("kimi", 21, 21, None, [Avoided(None, "connect (refused)", T + 30, None)]),
            Health("openrouter", 0, 0, None, (), "OPENROUTER_API_KEY"),
        ],
        failovers=[Failover("anthropic", "zai", "429", 12), Failover("kimi", "", "connect", 2)],
        slowest=[Request(T - 200, "alice", "opus → anthropic 429 → zai/glm-5", 200, "", 3.2, 130.0, 48_200, 1.23)],
        failed=[Request(T - 4000, "bob", "kimi → kimi connect", 502, "could not connect", None, 0.4, 0, None)],
        users=[
            User("alice", [Budget("day", 1.25, 10, T + 3600), Budget("month", 55, 100, T + 90_000)]),
            User("bob", [Budget("day", 5.4, 5, T + 3600)]),
            User("erin", admin=True),
            User("zoe", revoked=True),
        ],
    )
