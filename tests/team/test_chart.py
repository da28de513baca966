"""Charts: their bars are as high as the numbers, and colours belong to names."""

import re
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.team.chart import OTHER, Series, bars, largest, meter, scale, spark

DAYS = [date(2026, 9, 1) + timedelta(days=day) for day in range(3)]


@given(st.floats(1e-6, 1e12))
def test_the_top_of_an_axis_is_round_and_near(highest: float) -> None:
    top, parts = scale(highest)
    assert highest <= top * (1 + 1e-6)
    assert top / highest < 2.01
    assert 2 <= parts <= 5


def test_a_bar_is_as_high_as_its_number() -> None:
    drawn = bars(DAYS, [Series("a", [0, 1, 2]), Series("b", [0, 1, 0])], str, str, label="x")
    heights = re.findall(r'class="c(\d)" x="[\d.]+" y="([\d.]+)" width="7" height="([\d.]+)"', drawn)
    assert heights == [("0", "50", "50"), ("1", "0", "50"), ("0", "0", "100")]
    assert "Wednesday, 2 September: 2\na: 1\nb: 1" in drawn
    assert "style=" not in drawn


def test_nothing_can_be_drawn_too() -> None:
    assert "c0" not in bars(DAYS, [], str, str, label="x")
    assert "c0" not in bars(DAYS, [Series("a", [0, 0, 0])], str, str, label="x")
    assert spark([], label="x")
    assert spark([0, 0], label="x")


def test_what_is_too_much_for_a_chart_is_summed_up() -> None:
    some = [Series(f"m{number}", [float(number), 1.0]) for number in range(10)]
    assert [one.name for one in largest(some)] == [*(f"m{number}" for number in range(7)), OTHER]
    assert largest(some)[-1].values == [7 + 8 + 9, 3]
    assert largest(some[:8]) == some[:8]


@pytest.mark.parametrize(("part", "level"), [(0.5, "fine"), (0.8, "high"), (1, "over"), (7, "over"), (-1, "fine")])
def test_a_meter_is_never_more_than_full(part: float, level: str) -> None:
    found = re.search(rf'class="filled {level}" x="0" y="0" width="([\d.]+)"', meter(part, label="x"))
    assert found
    assert float(found[1]) == 100 * max(0, min(1, part))
