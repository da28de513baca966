"""What a user has spent: the calendar's day, week and month."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from addons.state.database import opened
from addons.team.spending import spent

BERLIN = ZoneInfo("Europe/Berlin")


def test_what_is_spent_is_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    now = datetime(2026, 11, 28, 12, tzinfo=BERLIN).timestamp()
    assert spent(path, ["alice"], now, BERLIN) == {"alice": {"day": 0.0, "week": 0.0, "month": 0.0}}
    rows = [("alice", 28, 11, 1.0), ("alice", 24, 11, 2.0), ("alice", 2, 11, 4.0), ("alice", 31, 10, 8.0)]
    rows.append(("bob", 28, 11, 16.0))
    connection = opened(path)
    for user, day, month, dollars in rows:
        slot = int(datetime(2026, month, day, tzinfo=BERLIN).timestamp()) // 900
        connection.execute("INSERT INTO spend VALUES (?, ?, 1, ?)", (user, slot, dollars))
    connection.close()
    assert spent(path, ["alice", "eve"], now, BERLIN) == {
        "alice": {"day": 1.0, "week": 3.0, "month": 7.0},
        "eve": {"day": 0.0, "week": 0.0, "month": 0.0},
    }
