"""The measurement of memory, once with next to nothing to measure."""

import pytest

from tests.bench.memory import Growth, measure


def test_growth_is_that_from_the_first_fifth_to_the_end() -> None:
    assert Growth(80, [100, 130, 120, 110, 105]).ratio == pytest.approx(0.05)


def test_a_gateway_is_asked_and_looked_at() -> None:
    found = measure("mitmdump", 20, 5_000)
    assert len(found.after) == 5
    assert 20 < found.start <= found.after[-1] < 1000
