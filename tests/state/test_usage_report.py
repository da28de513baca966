"""What `usage` and `statusline` are told, from a file with a week of three users."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from addons.state.control import ControlError
from addons.state.store import Store
from addons.state.usage_report import VIEWS, day_of, midnight, report, status, week
from addons.state.users import KnownUser, User, UserFile
from tests.finished import NOW, finished

DAY = 86_400.0
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NOW is a Monday, 15:33 in Berlin."""
    path = tmp_path_factory.mktemp("report") / "gateway.db"
    with closing(Store(path)) as store:
        store.zone = BERLIN
        store.record(finished(time=NOW - 7 * DAY, session="old"))
        store.record(finished(time=NOW - DAY, estimated=True, account="zai:1"))
        store.record(finished(time=NOW, user="bob", provider="kimi", model="k3", session="s2", cost_usd=2.0))
        store.record(finished(time=NOW, user="bob", provider="own", model="mine", session="s2", cost_usd=None))
        store.record(finished(time=NOW, user="carol", request_class="subagent", session=None, account="zai:2"))
    return path


def asked(path: Path, only: str = "", **wanted: str) -> dict[str, Any]:
    return report(path, wanted, zone=BERLIN, now=NOW, only=only)


def test_the_names_of_a_row(path: Path) -> None:
    found = asked(path, view="daily", since="2d", until="2026-09-20")
    row = {
        "day": "2026-09-20",
        "models": ["glm-5"],
        "requests": 1,
        "input_tokens": 100,
        "output_tokens": 10,
        "cache_write_tokens": 5,
        "cache_read_tokens": 1000,
        "cost_usd": 0.25,
        "estimated": 1,
    }
    assert found["rows"] == [row]
    assert found["total"] == {name: value for name, value in row.items() if name != "day"}


@pytest.mark.parametrize(
    ("view", "names"),
    [
        ("daily", ["2026-09-14", "2026-09-20", "2026-09-21"]),
        ("weekly", ["2026-09-14", "2026-09-21"]),
        ("monthly", ["2026-09"]),
        ("session", ["old", "s1", "s2"]),
        ("user", ["bob", "alice", "carol"]),
        ("model", ["k3", "glm-5", "mine"]),
        ("class", ["main", "subagent"]),
    ],
)
def test_each_view(path: Path, view: str, names: list[str]) -> None:
    found = asked(path, view=view, since="2026-09-01")
    key = next(iter(found["rows"][0]))
    assert [row[key] for row in found["rows"]] == names
    assert found["total"]["requests"] == (4 if view == "session" else 5)
    assert found["total"]["cost_usd"] == pytest.approx(2.5 if view == "session" else 2.75)
    assert found["total"]["unpriced"] == 1


def test_what_has_no_price_is_unknown_and_not_free(path: Path) -> None:
    rows = {row["model"]: row for row in asked(path, view="model")["rows"]}
    assert (rows["mine"]["cost_usd"], rows["mine"]["unpriced"]) == (None, 1)
    assert (rows["k3"]["cost_usd"], rows["k3"].get("unpriced"), rows["k3"]["provider"]) == (2.0, None, "kimi")


def test_only_what_is_asked_for(path: Path) -> None:
    assert asked(path, user="bob")["total"]["requests"] == 2
    assert asked(path, model="glm*")["total"]["requests"] == 3
    assert asked(path, view="session", since="20260920", until="2026-09-20")["rows"][0]["session"] == "s1"
    assert asked(path, user="nobody")["rows"] == []
    assert asked(path, user="nobody")["total"]["cost_usd"] == 0


def test_a_name_may_be_spelt_in_any_case(path: Path) -> None:
    UserFile(path).add(KnownUser(User("bob", "bob00000"), b"digest"))
    assert asked(path, user="BOB") == asked(path, user="bob")
    assert asked(path, user="Carol")["rows"] == [], "who is no user any more is a word in the ledger"


@pytest.mark.parametrize("view", VIEWS)
def test_a_user_sees_his_own(path: Path, view: str) -> None:
    found = asked(path, only="bob", view=view, user="alice")
    assert found["total"]["requests"] == 2
    assert asked(path, only="dave", view=view)["rows"] == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"view": "hourly"}, "there is no view 'hourly'"),
        ({"since": "yesterday"}, "'yesterday' is no day"),
        ({"until": "2026-13-01"}, "is no day"),
        ({"until": "9999-12-31", "view": "session"}, "is no day"),
        ({"user": ["bob"]}, "user must be a text"),
        ({"model": "\ud800"}, "model must be a text"),
    ],
)
def test_what_can_not_be_answered(path: Path, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ControlError, match=said):
        report(path, wrong, zone=BERLIN, now=NOW)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    assert report(path, {}, zone=None, now=NOW)["rows"] == []
    path.write_text("this is no database " * 100)
    with pytest.raises(ControlError, match="can't be read"):
        report(path, {}, zone=None, now=NOW)
    with pytest.raises(ControlError, match="can't be read"):
        status(path, "bob", "s2", zone=None, now=NOW)


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("", ""),
        ("1d", "2026-09-21"),
        ("7d", "2026-09-15"),
        ("2w", "2026-09-08"),
        ("1m", "2026-08-23"),
        ("20260901", "2026-09-01"),
        ("9999m", "1970-01-01"),
        ("0001-01-01", "1970-01-01"),
    ],
)
def test_a_day_may_be_said_in_several_ways(said: str, day: str) -> None:
    assert day_of(said, date(2026, 9, 21)) == day


def test_weeks_begin_on_monday_and_days_at_midnight_in_the_zone() -> None:
    assert [week(day) for day in ("2026-09-20", "2026-09-21", "2026-09-27")] == [
        "2026-09-14",
        "2026-09-21",
        "2026-09-21",
    ]
    summer, winter = midnight("2026-10-25", BERLIN), midnight("2026-10-26", BERLIN)
    assert winter - summer == 25 * 3600


def test_the_status_of_a_user_and_of_all(path: Path) -> None:
    mine = status(path, "bob", "s1", zone=BERLIN, now=NOW)
    assert mine == {"cost_usd": 2.0, "unpriced": 1, "requests": 2, "account": "", "provider": ""}
    everybody = status(path, "control", "s1", zone=BERLIN, now=NOW - DAY, everybody=True)
    assert everybody == {"cost_usd": 0.25, "unpriced": 0, "requests": 1, "account": "zai:1", "provider": "zai"}
    assert status(path, "dave", "", zone=BERLIN, now=NOW)["cost_usd"] == 0
