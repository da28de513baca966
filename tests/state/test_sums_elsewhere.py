"""The daily sums of other ledgers beside this one's: whoever reads sums reads those of all."""

from __future__ import annotations

from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

from addons.state.database import opened
from addons.state.forgetting import forget_rows
from addons.state.ledger_rows import ADD_TO_DAY
from addons.state.sums_elsewhere import keep_sums, own_sums
from addons.state.usage import grouped, models
from addons.team.daily_sums import DailySums

DAY = "2026-11-28"


def row(user: str, requests: int, cost: float | None, model: str = "glm-5") -> tuple[object, ...]:
    return user, "zai", model, "main", requests, 0, 0, 0, 10, 20, 0, 0, 0, 0, cost


def write(path: Path, *rows: tuple[object, ...], day: str = DAY) -> None:
    with closing(opened(path)) as connection:
        ADD_TO_DAY.run(connection, [(day, *one) for one in rows])


def test_sums_go_from_one_ledger_to_another_and_are_read_together(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    write(here, row("alice", 1, 0.5), row("bob", 1, None))
    write(there, row("alice", 2, 1.5), row("alice", 1, 0.25, "glm-5-air"))
    write(there, row("alice", 9, 9.0), day="2026-11-01")
    (summed,) = own_sums(there, "there", DAY)
    assert (summed.source, summed.day, len(summed.rows)) == ("there", DAY, 2)
    for _ in range(2):  # the second time in place of the first
        keep_sums(here, summed.source, summed.day, summed.rows)
    found = {group.keys: group.sums for group in grouped(here, ["user"])}
    assert (found["alice",].requests, found["alice",].cost_usd) == (4, 2.25)
    assert (found["bob",].requests, found["bob",].cost_usd) == (1, None)
    assert models(here, "user")["alice"] == {"glm-5", "glm-5-air"}
    days = [date(2026, 11, 28) - timedelta(days=number) for number in range(3)][::-1]
    sums = DailySums(days)
    sums.read(here, "user", "", days[0], days[-1])
    assert sums.users["alice"].requests == 4 and sums.days[-1].requests == 5
    assert [len(one.rows) for one in own_sums(here, "here", DAY)] == [2], "what others have counted isn't passed on"


def test_the_version_of_a_day_is_that_of_its_rows(tmp_path: Path) -> None:
    write(tmp_path / "a", row("alice", 1, 0.5))
    (before,) = own_sums(tmp_path / "a", "a", DAY)
    assert own_sums(tmp_path / "a", "a", DAY) == [before]
    write(tmp_path / "a", row("alice", 1, 0.5))
    (after,) = own_sums(tmp_path / "a", "a", DAY)
    assert after.version != before.version


def test_rows_of_another_form_are_left_out_and_a_deleted_user_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "here"
    keep_sums(path, "there", DAY, [row("alice", 1, 0.5), row("bob", 1, 0.5), ("of", "a", "newer", "version")])
    assert {group.keys for group in grouped(path, ["user"])} == {("alice",), ("bob",)}
    forget_rows(path, "alice")
    assert {group.keys for group in grouped(path, ["user"])} == {("bob",)}
