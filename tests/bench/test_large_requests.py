"""The measurement of large requests, once with small ones."""

import json

import pytest

from tests.bench.large_requests import BODIES, measure


@pytest.mark.parametrize("name", BODIES)
def test_bodies_are_nearly_as_large_as_they_may_be(name: str) -> None:
    made = BODIES[name]("glm", 1_000_000)
    assert 900_000 < len(made) <= 1_000_000
    assert json.loads(made)["messages"][-1]["role"] == "user"


def test_a_gateway_is_asked_and_looked_at() -> None:
    found = measure(BODIES["one long text"], at_once=2, size=100_000)
    assert found.failed == 0
    assert 20 < found.before <= found.peak < 1000
