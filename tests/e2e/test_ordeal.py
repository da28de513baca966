"""The short version of the ordeal (`./run.sh ordeal`): half a minute, always the same seed.

Nothing is asserted here that depends on how fast the machine is, or on who else uses it: every promise is judged for
every request, however many there were.
"""

import pytest

from tests.e2e.gateway import SAVING
from tests.ordeal.attackers import ATTACKS
from tests.ordeal.behaviours import OF_MESSAGES
from tests.ordeal.run import run


@pytest.mark.skipif(SAVING, reason="looks for secrets by itself; to save all of it takes minutes")
def test_the_ordeal() -> None:
    result = run(seconds=10, seed=5, sessions=24)
    assert result.wrongs == []
    assert result.disturbances["restart"] == 1
    assert any(asked.told.complete for asked in result.asked)
    assert len(result.attacks) > len(ATTACKS) / 2
    assert len({served.behaviour for served in result.served}) > len(OF_MESSAGES) / 2
