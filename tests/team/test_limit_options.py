"""A user's limits as people write them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.config.routing import Budget
from addons.team.limit_options import read_budget, read_number, read_patterns, read_span


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("day=5", Budget(day=5)),
        ("day=5,month=100", Budget(day=5, month=100)),
        (" week = $2.50 , month=0", Budget(week=2.5, month=0)),
        ("day=1,day=2", Budget(day=2)),
        ("none", Budget()),
        ("day=none", Budget()),
    ],
)
def test_budgets(text: str, budget: Budget) -> None:
    assert read_budget(text) == budget


def test_a_budget_is_changed_a_window_at_a_time() -> None:
    before = Budget(day=5, week=20)
    assert read_budget("day=6", before) == Budget(day=6, week=20)
    assert read_budget("week=none", before) == Budget(day=5)
    assert read_budget("NONE", before) == Budget()


@pytest.mark.parametrize(
    "text", ["", "5", "day", "day=", "year=5", "day=-1", "day=nan", "day=inf", "day=1e99", "day=5;month=1", "day=1_0"]
)
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no (budget|amount of US dollars)"):
        read_budget(text)


def test_numbers() -> None:
    assert [read_number(text) for text in ("1", "60", "none")] == [1, 60, None]
    for text in ("0", "-1", "1.5", "", "x", "²", "99999999", "1_0"):
        with pytest.raises(ValueError, match="is no number from 1 to 1,000,000"):
            read_number(text)


def test_patterns() -> None:
    assert read_patterns("glm*, claude-*,glm*") == ("glm*", "claude-*")
    assert read_patterns("*") == read_patterns("glm,*") == read_patterns("none") == ()
    for text in ("", " , ", "a*b*", "a b", "ä", "x" * 300, ",".join(map(str, range(200)))):
        with pytest.raises(ValueError, match=r"pattern|which models"):
            read_patterns(text)
    for text in ("claude-via-glm", "glm,claude-via-*"):  # the user's requests are for glm
        with pytest.raises(ValueError, match="would allow nothing"):
            read_patterns(text)


def test_spans() -> None:
    assert [read_span(text) for text in ("0", "90s", "5m", "24h", "7d", "1w")] == [0, 90, 300, 86400, 604800, 604800]
    for text in ("", "24", "h", "-1h", "1.5h", "1y", "9999999h"):
        with pytest.raises(ValueError, match="is no time"):
            read_span(text)


@given(st.text(max_size=30), st.sampled_from([read_budget, read_number, read_patterns, read_span]))
def test_anything_is_read_or_refused_in_words(text: str, read: object) -> None:
    with suppress(ValueError):
        read(text)  # type: ignore[operator]
