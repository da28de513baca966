"""Figures as people read them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.team import figures


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        *((None, "–"), (0, "$0"), (0.00001, "<$0.0001"), (0.0423, "$0.0423"), (0.1, "$0.10"), (12.346, "$12.35")),
        *((999.99, "$999.99"), (999.999, "$1,000"), (1234567.8, "$1,234,568")),
    ],
)
def test_money(usd: float | None, shown: str) -> None:
    assert figures.money(usd) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        *((0, "0"), (999, "999"), (1000, "1.00k"), (12_400, "12.4k"), (999_499, "999k"), (999_500, "1.00M")),
        *((1_240_000, "1.24M"), (31_000_000, "31.0M"), (2.1e9, "2.10B"), (5e13, "50000B")),
    ],
)
def test_large_numbers_are_short(number: float, shown: str) -> None:
    assert figures.short(number) == shown


@given(st.integers(0, 10**11))
def test_a_short_number_has_five_characters_at_most(number: int) -> None:
    assert len(figures.short(number)) <= 5


def test_beside_an_axis_nothing_is_said_for_nothing() -> None:
    assert [figures.on_axis(number) for number in (0, 500, 5000, 1.5e6, 10e6)] == ["0", "500", "5k", "1.5M", "10M"]
    assert [figures.money_on_axis(usd) for usd in (0, 0.5, 5, 2.5, 1000)] == ["$0", "$0.50", "$5", "$2.50", "$1,000"]


def test_a_share_that_is_nearly_all_or_nothing_says_so() -> None:
    shares = [figures.share(part, 1000) for part in (0, 4, 820, 997, 999.96, 1000, 1500)]
    assert [share.replace(figures.THIN, "") for share in shares] == [
        *("0%", "0.4%", "82%", "99.7%", "99.9%", "100%", "150%")
    ]
    assert figures.share(1, 0) == "–"


@pytest.mark.parametrize(
    ("duration", "shown"),
    [
        *((None, "–"), (0.421, "0.42 s"), (12.34, "12.3 s"), (59.99, "1 min"), (130, "2 min 10 s")),
        *((3900, "1 h 5 min"), (7200, "2 h"), (273_600, "3 d 4 h")),
    ],
)
def test_durations(duration: float | None, shown: str) -> None:
    assert figures.seconds(duration).replace(figures.THIN, " ") == shown


@given(st.floats(0, 1e9))
def test_every_duration_has_words(duration: float) -> None:
    assert figures.seconds(duration)


def test_times() -> None:
    now = datetime(2026, 9, 21, 14, 32, tzinfo=UTC)
    assert figures.moment(now, now) == "14:32"
    assert figures.moment(now - timedelta(days=2), now) == "Sat 14:32"
    assert figures.moment(now - timedelta(days=20), now) == "1 Sep 14:32"
    assert [figures.ago(at, 1000).replace(figures.THIN, " ") for at in (1000, 820, 1042, 8500)] == [
        *("just now", "3 min ago", "in 42 s", "in 2 h 5 min")
    ]
