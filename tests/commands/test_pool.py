"""`./run.sh pool`: its arguments and its table. (What a gateway answers it: tests/e2e/test_commands.py.)"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from addons.commands.pool import described, parsed, percent, time_of

ACCOUNT = {
    "account": "claude:1",
    "provider": "anthropic",
    "masked": "…a001",
    "state": "usable",
    "until": None,
    "reason": None,
    "utilization": {"5h": 0.82, "7d": None},
    "sessions": 2,
    "requests_1h": 30,
    "failures_1h": 1,
}


def test_the_table() -> None:
    until = (datetime.now().astimezone() + timedelta(days=2)).isoformat()
    cooling = {**ACCOUNT, "account": "zai:1", "state": "cooling", "until": until, "reason": "5h limit"}
    head, first, second = described({"accounts": [ACCOUNT, cooling]}).splitlines()
    assert head.split() == ["ACCOUNT", "CREDENTIAL", "STATE", "5H", "7D", "SESSIONS", "1H", "FAILED"]
    assert first.split() == ["claude:1", "…a001", "usable", "82%", "-", "2", "30", "1"]
    assert f"cooling until {time_of(until)}" in second and second.endswith("5h limit")
    assert first.index("82%") == second.index("82%") == head.index("5H")


def test_no_accounts_and_avoided_models() -> None:
    until = datetime.now().astimezone().isoformat()
    avoided = [
        {"provider": "zai", "model": model, "until": until, "reason": "3 failures", "sessions": sessions}
        for model, sessions in (("glm-5", 0), ("", 1), ("glm-5", 2))
    ]
    said = described({"accounts": [], "avoided": avoided})
    assert said.splitlines() == [
        "there are no accounts: requests use each client's own",
        f"zai/glm-5 is asked last until {time_of(until)}: 3 failures",
        f"zai/* is asked last by 1 session until {time_of(until)}: 3 failures",
        f"zai/glm-5 is asked last by 2 sessions until {time_of(until)}: 3 failures",
    ]


@pytest.mark.parametrize(("share", "shown"), [(None, "-"), (0.0, "0%"), (0.824, "82%"), (1.0, "100%")])
def test_percent(share: float | None, shown: str) -> None:
    assert percent(share) == shown


def test_a_time_has_its_day_when_it_is_not_today() -> None:
    now = datetime.now().astimezone()
    assert time_of(now.isoformat()) in (now.strftime("%H:%M:%S"), now.strftime("%Y-%m-%d %H:%M"))
    assert time_of("2020-02-03T04:05:06+00:00").startswith("2020-02-0")


@pytest.mark.parametrize("arguments", [["resume"], ["test"], ["stop", "claude:1"], ["resume", "a", "b"]])
def test_wrong_use(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parsed(arguments)
    assert caught.value.code == 2
    assert "usage: ./run.sh pool" in capsys.readouterr().err
