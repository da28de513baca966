"""Gateways are started and stopped as `./run.sh` does, and none ends wrongly (`python -m tests.exits`: many times)."""

import pytest

from tests.e2e.gateway import SAVING
from tests.exits import WAYS, run


@pytest.mark.skipif(SAVING, reason="what these gateways say is looked at already")
def test_each_way_to_end() -> None:
    counts, wrongs = run(len(WAYS), seed=7)
    assert wrongs == []
    assert set(counts) == set(WAYS)
