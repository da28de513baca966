"""Limits, with a clock that a test moves: reservations, places of sessions, what a refusal says, and which days they go
by (addons/team/running_windows.py)."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from mitmproxy import http
from mitmproxy.test import taddons

from addons.config.config import Config, Price, Target
from addons.config.routing import Budget, UserSettings
from addons.config.settings import Settings
from addons.limits import WAIT, WAIT_IN_SILENCE, Limits
from addons.state.database import opened
from addons.state.exchange import Exchange, Trying
from addons.state.ledger_rows import SLOT
from addons.state.users import User
from addons.team import running_windows
from addons.team.windows import windows_at
from addons.wire.messages.body import RequestBody
from tests.exchanges import Clock, answered, exchange, target, trying

NOW = 1_795_867_200.0  # Sat 2026-11-28 12:00 UTC
PRICE = Price(input=1000, output=1000, cache_read=1000, cache_write=1000)
CONFIG = Config(providers={}, models=())
ALICE = User("alice", "a", budget=Budget(day=1))


class Gate:
    """The addon, and requests that come to it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.settings = Settings(Path("routing.yaml"), Path(".env"), {})
        self.settings.current = CONFIG
        self.addon = Limits(self.settings, clock=lambda: NOW)

    def request(self, user: User = ALICE, *where: Target, stream: bool = True, session: str = "s1") -> Trying:
        made = exchange(*(where or (dear(),)), config=CONFIG, clock=self.clock)
        body = {"model": "asked", "messages": [], "max_tokens": 500, "stream": stream}
        made.body = RequestBody.parse(json.dumps(body).encode())
        made.client.user, made.client.caller, made.client.session = user, user.name, session
        tried = trying(made)
        self.addon.request(tried.flow)
        return tried

    def again(self, tried: Trying) -> Trying:
        """The next attempt of the same request."""
        made = tried.exchange
        next_one = Trying(tried.flow, made, made.begin())
        self.addon.attempt(next_one)
        return next_one

    def end(self, tried: Trying, usage: str = '{"input_tokens": 100, "output_tokens": 500}') -> None:
        answered(tried.exchange, usage=usage)
        tried.flow.response = http.Response.make(200)
        self.addon.response(tried.flow)

    @property
    def reserved(self) -> float:
        return self.addon.budgets.purse("alice").reserved

    @property
    def spent(self) -> float:
        return self.addon.budgets.spent("alice", windows_at(NOW, None)[0])


def spend_in(path: Path, dollars: float) -> None:
    """Write into a ledger what alice has spent."""
    with closing(opened(path)) as connection:
        statement = "INSERT INTO spend (user, slot, requests, budget_usd) VALUES ('alice', ?, 1, ?)"
        connection.execute(statement, (NOW // SLOT, dollars))


def dear(name: str = "zai") -> Target:
    return replace(target(name), price=PRICE)


@pytest.fixture
def gate() -> Gate:
    return Gate()


def test_an_attempt_reserves_what_it_may_cost_and_the_end_settles_it(gate: Gate) -> None:
    tried = gate.request()
    gate.addon.attempt(tried)
    assert gate.reserved == pytest.approx(0.5)
    gate.end(tried)
    assert gate.reserved == 0.0
    assert gate.spent == pytest.approx(0.6)


def test_what_costs_little_of_what_is_left_is_estimated_by_its_size(gate: Gate) -> None:
    tried = gate.request(msgspec.structs.replace(ALICE, budget=Budget(day=10000)))
    gate.addon.attempt(tried)
    body = tried.exchange.body
    assert body and gate.reserved == pytest.approx(4 + len(body.raw) / 4 / 1000)


def test_a_second_attempt_reserves_in_place_of_the_first(gate: Gate) -> None:
    tried = gate.request()
    gate.addon.attempt(tried)
    gate.again(tried)
    assert gate.reserved == pytest.approx(0.5)
    tried.flow.error = None
    gate.addon.error(tried.flow)
    assert gate.reserved == 0.0


def test_an_attempt_over_the_budget_is_not_made(gate: Gate) -> None:
    free = replace(target("zai"), price=Price(input=0, output=0, cache_read=0, cache_write=0))
    first = gate.request()
    gate.addon.attempt(first)
    second = gate.request(ALICE, free, dear("kimi"))
    gate.end(first, '{"input_tokens": 0, "output_tokens": 2000}')
    gate.addon.attempt(second)
    assert second.attempt.outcome is None
    second.exchange.plan.cursor = 1
    outcome = gate.again(second).attempt.outcome
    assert outcome is not None and outcome.kind == "skipped" and outcome.error.type == "billing_error"
    assert outcome.headers["x-should-retry"] == "false"


def test_a_budget_of_nothing_lets_nothing_in(gate: Gate) -> None:
    free = replace(target("zai"), price=Price(input=0, output=0, cache_read=0, cache_write=0))
    tried = gate.request(User("bob", "b", budget=Budget(day=0)), free)
    assert tried.flow.response is not None and tried.flow.response.status_code == 429


@pytest.mark.parametrize(("stream", "seconds"), [(True, WAIT), (False, WAIT_IN_SILENCE)])
def test_a_session_that_finds_no_place_is_refused_after_a_while(gate: Gate, stream: bool, seconds: float) -> None:
    user = User("carol", "c", sessions=1)
    running = gate.request(user)
    gate.addon.attempt(running)
    waiting = gate.request(user, session="s2", stream=stream)
    gate.addon.attempt(waiting)
    assert waiting.attempt.postponed and waiting.attempt.outcome is None
    gate.clock.now += seconds - 0.1
    assert gate.again(waiting).attempt.postponed
    gate.clock.now += 0.2
    outcome = gate.again(waiting).attempt.outcome
    assert outcome is not None and outcome.error.type == "rate_limit_error"
    assert int(outcome.headers["retry-after"]) > 0


def test_requests_without_a_session_count_by_their_address(gate: Gate) -> None:
    user = User("carol", "c", sessions=2)
    postponed = []
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.3"):
        tried = gate.request(user, session="")
        tried.exchange.client.address = address
        gate.addon.attempt(tried)
        postponed.append(bool(tried.attempt.postponed))
    assert postponed == [False, False, False, True]


def test_a_session_gets_the_place_of_one_that_is_over(gate: Gate) -> None:
    user = User("carol", "c", sessions=1)
    running = gate.request(user)
    gate.addon.attempt(running)
    gate.end(running)
    gate.clock.now += 299
    waiting = gate.request(user, session="s2")
    gate.addon.attempt(waiting)
    assert waiting.attempt.postponed
    gate.clock.now += 2
    assert not gate.again(waiting).attempt.postponed


def test_what_users_without_a_budget_spend_is_counted(gate: Gate) -> None:
    tried = gate.request(User("alice", "a"))
    assert tried.exchange.allowance is None
    gate.addon.attempt(tried)
    gate.end(tried)
    assert gate.spent == pytest.approx(0.6)


def test_the_administrator_has_no_limits(gate: Gate) -> None:
    made = exchange(dear(), config=Config(providers={}, models=(), users=UserSettings(budget=Budget(day=0))))
    made.client.caller = "admin"
    tried = trying(made)
    gate.addon.request(tried.flow)
    assert tried.flow.response is None and made.allowance is None


def test_while_the_gate_is_open_what_holds_for_all_holds_for_everybody(gate: Gate) -> None:
    made = exchange(dear(), config=Config(providers={}, models=(), users=UserSettings(budget=Budget(day=0))))
    made.client.caller = "anyone"
    tried = trying(made)
    gate.addon.request(tried.flow)
    assert tried.flow.response is not None and tried.flow.response.status_code == 429


def test_who_has_a_budget_is_told_how_much_of_it_is_used(gate: Gate) -> None:
    tried = gate.request()
    gate.addon.attempt(tried)
    gate.end(tried)
    following = gate.request()
    gate.addon.attempt(following)
    assert (b"anthropic-ratelimit-unified-overage-utilization", b"0.60") in following.exchange.told
    without = gate.request(User("bob", "b", sessions=1))
    gate.addon.attempt(without)
    assert without.exchange.told == ()


def test_a_ledger_that_cannot_be_read_counts_as_nothing_until_it_can(gate: Gate, tmp_path, caplog, monkeypatch) -> None:
    monkeypatch.setattr(running_windows, "READ_AGAIN", 0.0)
    path = tmp_path / "gateway.db"
    path.write_text("no database")

    async def repaired() -> None:
        await gate.addon.running()
        assert "counts as nothing" in caplog.text
        assert gate.request().exchange.allowance is not None
        path.unlink()
        spend_in(path, 2.0)
        assert gate.addon.running_windows.reading
        await gate.addon.running_windows.reading

    with taddons.context(gate.addon) as context:
        context.options.add_option("gateway_db", str, str(path), "")
        asyncio.run(repaired())
    assert gate.spent == 2.0


def test_shares_of_the_budget_for_rules(gate: Gate) -> None:
    tried = gate.request()
    gate.addon.attempt(tried)
    gate.end(tried)
    assert gate.addon.share(tried.exchange) == pytest.approx(60)
    nobody: Exchange = exchange(dear())
    assert gate.addon.share(nobody) == 0.0


def test_what_was_spent_counts_on_when_the_time_zone_changes(gate: Gate, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(running_windows, "WRITTEN_AFTER", 0.0)
    utc, kathmandu = ZoneInfo("UTC"), ZoneInfo("Asia/Kathmandu")
    in_utc = replace(CONFIG, users=UserSettings(timezone=utc))
    in_kathmandu = replace(CONFIG, users=UserSettings(timezone=kathmandu))

    async def reloaded() -> None:
        gate.settings.current = in_utc
        await gate.addon.running()
        running, done = gate.request(), gate.request()
        for one in (running, done):
            one.exchange.config = in_utc
            gate.addon.attempt(one)
        gate.end(done)
        gate.settings.current = in_kathmandu
        assert gate.addon.share(running.exchange) == pytest.approx(60)
        gate.end(running)  # it came before the reload
        assert gate.addon.share(done.exchange) == pytest.approx(120)
        assert gate.request().flow.response is not None
        with closing(opened(tmp_path / "gateway.db")) as connection:
            connection.execute("UPDATE spend SET budget_usd = 0.9")
        assert gate.addon.running_windows.reading
        await gate.addon.running_windows.reading
        assert gate.addon.share(done.exchange) == pytest.approx(90)
        assert gate.addon.windows() == windows_at(NOW, kathmandu)

    spend_in(tmp_path / "gateway.db", 0.0)
    with taddons.context(gate.addon) as context:
        context.options.add_option("gateway_db", str, str(tmp_path / "gateway.db"), "")
        asyncio.run(reloaded())


def test_of_a_user_who_was_deleted_nothing_counts(gate: Gate) -> None:
    user = msgspec.structs.replace(ALICE, sessions=1, rpm=1)
    tried = gate.request(user)
    gate.addon.attempt(tried)
    gate.end(tried)
    gate.addon.forget("alice")
    new = gate.request(user, session="s2")
    gate.addon.attempt(new)
    assert new.flow.response is None and not new.attempt.postponed and gate.spent == 0.0
