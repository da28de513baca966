"""What a user has spent: the calendar's day, week and month."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from addons.state.database import opened
from addons.team.spending import spent, windows

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("now", "starts"),
    [
        ("2026-11-28T12:00", ("2026-11-28", "2026-11-23", "2026-11-01")),
        ("2026-11-30T00:00", ("2026-11-30", "2026-11-30", "2026-11-01")),
        ("2026-11-01T23:59:59", ("2026-11-01", "2026-10-26", "2026-11-01")),
        ("2026-10-25T12:00", ("2026-10-25", "2026-10-19", "2026-10-01")),
    ],
)
def test_windows(now: str, starts: tuple[str, ...]) -> None:
    found = windows(datetime.fromisoformat(now).replace(tzinfo=BERLIN))
    assert list(found) == ["day", "week", "month"]
    assert [start.isoformat()[:16] for start in found.values()] == [f"{day}T00:00" for day in starts]
    assert all(start.tzinfo is BERLIN for start in found.values())


def test_what_is_spent_is_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    now = datetime(2026, 11, 28, 12, tzinfo=BERLIN)
    assert spent(path, ["alice"], now) == {"alice": {"day": 0.0, "week": 0.0, "month": 0.0}}
    rows = [("alice", 28, 11, 1.0), ("alice", 24, 11, 2.0), ("alice", 2, 11, 4.0), ("alice", 31, 10, 8.0)]
    rows.append(("bob", 28, 11, 16.0))
    connection = opened(path)
    for user, day, month, dollars in rows:
        slot = int(datetime(2026, month, day, tzinfo=BERLIN).timestamp()) // 900
        connection.execute("INSERT INTO spend VALUES (?, ?, 1, ?)", (user, slot, dollars))
    connection.close()
    assert spent(path, ["alice", "eve"], now) == {
        "alice": {"day": 1.0, "week": 3.0, "month": 7.0},
        "eve": {"day": 0.0, "week": 0.0, "month": 0.0},
    }
