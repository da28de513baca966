"""The calendar's windows: midnights of the zone, over changes of its clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.team.windows import Calendar, windows_at

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("now", "day", "week", "month"),
    [
        ("2026-11-28T12:00", "2026-11-28", ("2026-11-23", "2026-11-30"), ("2026-11-01", "2026-12-01")),
        ("2026-11-30T00:00", "2026-11-30", ("2026-11-30", "2026-12-07"), ("2026-11-01", "2026-12-01")),
        ("2026-11-01T23:59:59", "2026-11-01", ("2026-10-26", "2026-11-02"), ("2026-11-01", "2026-12-01")),
        ("2026-12-31T23:59:59.9", "2026-12-31", ("2026-12-28", "2027-01-04"), ("2026-12-01", "2027-01-01")),
        ("2028-02-29T08:00", "2028-02-29", ("2028-02-28", "2028-03-06"), ("2028-02-01", "2028-03-01")),
    ],
)
def test_the_running_windows(now: str, day: str, week: tuple[str, str], month: tuple[str, str]) -> None:
    found = windows_at(at(now), BERLIN)
    assert [window.name for window in found] == ["day", "week", "month"]
    assert found[0].start == at(day)
    assert found[1][1:] == tuple(map(at, week))
    assert found[2][1:] == tuple(map(at, month))


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_day_on_which_clocks_are_changed(day: str, hours: int) -> None:
    window = windows_at(at(f"{day}T12:00"), BERLIN)[0]
    assert window.end - window.start == hours * 3600


def test_a_midnight_that_there_is_not_is_the_moment_at_which_clocks_go_on() -> None:
    beirut = ZoneInfo("Asia/Beirut")  # from 23:59:59 to 01:00
    window = windows_at(at("2026-03-29T12:00", beirut), beirut)[0]
    assert window.end - window.start == 23 * 3600
    assert windows_at(window.start, beirut)[0] == window
    assert windows_at(window.start - 1, beirut)[0].end == window.start


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Pacific/Apia", "Asia/Beirut"]),
)
def test_a_window_holds_its_moment_and_ends_where_the_next_begins(moment: datetime, name: str) -> None:
    now, zone = moment.timestamp(), ZoneInfo(name)
    for number, window in enumerate(windows_at(now, zone)):
        assert window.start <= now < window.end
        assert windows_at(window.end, zone)[number].start == window.end
        assert window.start % 900 == 0


def test_without_a_zone_it_is_this_machines() -> None:
    now = at("2026-11-28T12:00")
    day = windows_at(now, None)[0]
    assert datetime.fromtimestamp(day.start).strftime("%H:%M") == "00:00"  # noqa: DTZ006
    assert timedelta(hours=22) < timedelta(seconds=day.end - day.start) < timedelta(hours=26)


def test_a_calendar_follows_the_day_and_the_zone() -> None:
    calendar, now = Calendar(), at("2026-11-28T23:59:59")
    found = calendar.at(now, BERLIN)
    assert calendar.at(now + 0.5, BERLIN) is found
    assert calendar.at(now + 1, BERLIN)[0].start == found[0].end
    assert calendar.at(now, None) == windows_at(now, None)
