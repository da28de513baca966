"""The short version of the ordeal (`python -m tests.ordeal`): half a minute, always the same seed."""

from tests.ordeal.run import ALONE, WITH_FAILOVER, run


def test_the_ordeal() -> None:
    result = run(seconds=20, seed=5, sessions=30)
    assert result.wrongs == []
    answers = [one for one in result.asked if one.status == 200]
    assert len(answers) > 200, "too few requests to mean anything"
    assert result.disturbances["restart"] == 1
    assert len({served.behaviour for served in result.served}) > 30
    assert result.rate(WITH_FAILOVER).share > max(0.8, result.rate(ALONE).share + 0.05)
