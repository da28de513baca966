"""Alerts: told once, tried again, never in the way."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from addons.config.egress import Egress
from addons.config.routing import AlertSettings, Budget
from addons.state.users import User
from addons.team.alerts import AT_ONCE, MOST_WAITING, PAUSES, Alerts, crossed
from addons.team.windows import windows_at

WINDOWS = windows_at(1_795_867_200.0, ZoneInfo("UTC"))  # Sat 2026-11-28 12:00
HOOK = AlertSettings(webhook="https://hooks.example/services/T0/secret-part")
ALICE = User("alice", "a", budget=Budget(day=10))


def told(before: float, dollars: float) -> list[float]:
    spent = {window.name: before for window in WINDOWS}
    return [alert.threshold for alert in crossed(HOOK, ALICE, spent, dollars, WINDOWS)]


def test_a_share_is_told_when_it_is_passed_and_only_then() -> None:
    assert told(0, 7.9) == []
    assert told(7.9, 0.1) == [0.8]
    assert told(8.0, 1.0) == []
    assert told(9.0, 5.0) == [1.0]  # the highest says all
    assert told(10.0, 1.0) == []


class Hook:
    """Answers as scripted, then well."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers, self.got, self.slept = list(answers), list[Any](), list[float]()

    async def send(self, address: str, body: bytes, _egress: Egress) -> int:
        assert address == HOOK.webhook
        self.got.append(json.loads(body))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def spend(hook: Hook, times: int = 1) -> None:
    async def run() -> None:
        alerts = Alerts(hook.send, hook.sleep)
        for _ in range(times):
            alerts.spent(HOOK, ALICE, {}, 8.5, WINDOWS)
        await asyncio.gather(*alerts.waiting)

    asyncio.run(run())


def test_what_is_told() -> None:
    hook = Hook()
    spend(hook)
    assert hook.got == [
        {
            "user": "alice",
            "window": "day",
            "threshold": 0.8,
            "spent_usd": 8.5,
            "budget_usd": 10,
            "resets_at": "2026-11-29T00:00:00Z",
        }
    ]


def test_it_is_tried_again_where_nobody_has_taken_it() -> None:
    hook = Hook(503, OSError("refused"), UnicodeError("no name"))
    spend(hook)
    assert len(hook.got) == 4
    assert hook.slept == list(PAUSES[:3])


@pytest.mark.parametrize("answers", [[404], [500] * 9])
def test_who_takes_none_is_in_the_log_without_the_secret(answers: list[int], caplog) -> None:
    with caplog.at_level(logging.WARNING):
        spend(Hook(*answers))
    assert "hooks.example was not told that alice's budget runs out" in caplog.text
    assert "secret-part" not in caplog.text


def test_there_are_never_too_many_on_their_way(caplog) -> None:
    hook = Hook()
    spend(hook, MOST_WAITING + 5)
    assert len(hook.got) == MOST_WAITING
    assert "is dropped" in caplog.text


def test_a_hanging_address_holds_few_threads() -> None:
    """Names of providers are looked up in the same ones."""
    running = most = 0

    async def send(_address: str, _body: bytes, _egress: Egress) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return 200

    async def run() -> None:
        alerts = Alerts(send)
        for _ in range(20):
            alerts.spent(HOOK, ALICE, {}, 8.5, WINDOWS)
        await asyncio.gather(*alerts.waiting)

    asyncio.run(run())
    assert most == AT_ONCE


def test_without_an_address_nobody_is_told() -> None:
    alerts = Alerts()
    alerts.spent(AlertSettings(), ALICE, {}, 20, WINDOWS)
    assert not alerts.waiting
