"""The demo's month: whenever it is made, all of it is in the past, and bob is over budget."""

from datetime import datetime
from pathlib import Path

import pytest

from addons.state import usage
from addons.state.users import read_users
from addons.team.keys import public_id
from tests.fakes.history import DAYS, OVER, TEAM, key, month, seed, spent

NOON = datetime(2026, 9, 21, 12, 0, 0).astimezone().timestamp()


@pytest.mark.parametrize("after_midnight", [60, 43_200, 86_390])
def test_everything_has_happened_already(after_midnight: float) -> None:
    now = NOON - 43_200 + after_midnight
    rows = month(now)
    assert max(row.request.time for row in rows) < now
    assert spent(rows, "bob", NOON - 43_200) >= OVER
    assert {row.request.user for row in rows} == {person.name for person in TEAM}


def test_it_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sqlite"
    seed(path, NOON)
    assert len(usage.grouped(path, ["day"])) == DAYS
    roll = read_users(path)
    assert [known.user.name for known in roll.users] == [person.name for person in TEAM]
    assert not roll.is_closed
    assert [public_id(key(known.user.name)) for known in roll.users] == [known.user.id for known in roll.users]
    assert usage.failovers(path, 0)
