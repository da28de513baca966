"""What is told to other gateways of accounts, and what is done with what they tell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mitmproxy import http
from mitmproxy.test import taddons

from addons.accounts import Accounts
from addons.config.config import Config, PoolSettings
from addons.config.routing import FILE
from addons.config.settings import Settings
from addons.state.exchange import Trying
from addons.state.pool import AccountPool
from addons.state.shared import Cooled, Moved, Refused, Resumed, RoomSeen, Sit
from addons.state.store import Store
from addons.wire.rate_limits import Room
from tests.exchanges import answered, exchange, failed, status, target, trying
from tests.linked import Script

A, B, C = (f"sk-ant-oat01-{letter * 40}-{letter}001" for letter in "abc")
NOW = 1_790_000_000.0
HOUR = 3600.0


class Accounted:
    """The addon with three tokens, and others to tell."""

    def __init__(self, store: Store, *tokens: str, status: str = "workers") -> None:
        self.others = Script(status)
        settings = Settings(Path("routing.yaml"), Path(".env"), {})
        settings.current = Config(providers={}, models=(), tokens=tokens or (A, B, C), pool=PoolSettings())
        self.addon = Accounts(settings, store, lambda: NOW, shared=self.others.shared)
        self.addon.pools.follow(NOW)

    @property
    def pool(self) -> AccountPool:
        return self.addon.pools.by_key[""]

    def mark(self, number: int) -> str:
        return self.pool.accounts[number - 1].fingerprint

    def attempt(self, session: str | None = None) -> Trying:
        made = exchange(target("anthropic", model="opus"))
        made.client.session = session
        tried = trying(made)
        self.addon.attempt(tried)
        return tried

    def again(self, tried: Trying) -> Trying:
        tried.exchange.postpone()
        next_one = Trying(tried.flow, tried.exchange, tried.exchange.begin())
        self.addon.attempt(next_one)
        return next_one

    def fail(self, code: int, words: str = "", **headers: str) -> Trying:
        tried = self.attempt()
        failed(tried.attempt, status(code, words, **headers))
        self.addon.verdict(tried)
        return tried


@pytest.fixture
def accounted(tmp_path: Path) -> Iterator[Accounted]:
    store = Store(tmp_path / "gateway.sqlite")
    with taddons.context():
        yield Accounted(store)
    store.close()


def used(tried: Trying) -> str:
    assert tried.attempt.choice.account
    return tried.attempt.choice.account.name


def test_a_cooldown_and_a_refusal_are_told(accounted: Accounted) -> None:
    accounted.fail(429, retry_after="600")
    (told,) = accounted.others.take()
    assert isinstance(told, Cooled) and (told.mark, told.model, told.until) == (accounted.mark(1), None, NOW + 600)
    accounted.fail(401, "OAuth token has been revoked")
    (told,) = accounted.others.take()
    assert isinstance(told, Refused) and (told.mark, told.until) == (accounted.mark(2), NOW + HOUR)


def test_what_others_tell_holds_here(accounted: Accounted) -> None:
    hear, pool = accounted.others.shared.hear, accounted.pool
    hear(Cooled(accounted.mark(1), None, NOW + 60, "5h limit"))
    hear(Refused(accounted.mark(2), NOW + 60, "revoked"))
    hear(RoomSeen(accounted.mark(3), 0.5, NOW + 60, None, None))
    hear(RoomSeen("nobody's", 0.5))
    assert [used(accounted.attempt()) for _ in range(3)] == ["claude:3"] * 3
    assert pool.rooms == {accounted.mark(3): Room(0.5, NOW + 60, None, None)}
    hear(Refused(accounted.mark(2), 0.0, ""))
    hear(Resumed(accounted.mark(1)))
    hear(Resumed("nobody's"))
    assert {used(accounted.attempt()) for _ in range(3)} == {"claude:1", "claude:2", "claude:3"}
    assert accounted.others.take() == [], "and is not told again"


def test_an_account_that_people_let_be_used_again_is_told(accounted: Accounted) -> None:
    accounted.addon.end_cooldowns("claude:2")
    assert accounted.others.take() == [Resumed(accounted.mark(2))]


def test_room_is_told_when_it_has_changed(accounted: Accounted) -> None:
    accounted.pool.sit("s", accounted.pool.accounts[0])
    for share in ("0.25", "0.25", "0.5"):
        tried = accounted.attempt("s")
        tried.flow.response = http.Response.make(200, b"", {"anthropic-ratelimit-unified-5h-utilization": share})
        accounted.addon.responseheaders(tried.flow)
    assert accounted.others.take() == [RoomSeen(accounted.mark(1), 0.25), RoomSeen(accounted.mark(1), 0.5)]


def test_a_session_sits_down_where_others_say(accounted: Accounted) -> None:
    tried = accounted.attempt("s")
    assert tried.attempt.postponed and tried.attempt.choice.account is None
    assert accounted.others.asked[0].question == Sit("s", "claude", accounted.mark(1))
    assert accounted.again(tried).attempt.postponed
    accounted.others.answer(accounted.mark(3))
    assert used(accounted.again(tried)) == "claude:3"
    assert used(accounted.attempt("s")) == "claude:3", "and is asked about no more"
    assert len(accounted.others.asked) == 1 and accounted.others.take() == []


@pytest.mark.parametrize("said", [None, "an account that is configured elsewhere"])
def test_a_session_of_which_nobody_says_anything_useful_sits_down_anyway(
    accounted: Accounted, said: str | None
) -> None:
    tried = accounted.attempt("s")
    accounted.others.answer(said)
    made = accounted.again(tried)
    assert used(made) == "claude:1" and not made.attempt.postponed


def test_a_session_that_moves_is_told_and_one_that_others_have_moved_follows(accounted: Accounted) -> None:
    accounted.pool.sit("s", accounted.pool.accounts[0])
    accounted.pool.cool_down(accounted.pool.accounts[0], NOW + 60, NOW)
    assert used(accounted.attempt("s")) == "claude:2"
    assert accounted.others.take() == [Moved("s", "claude", accounted.mark(2))]
    accounted.others.shared.hear(Moved("s", "claude", accounted.mark(3)))
    accounted.others.shared.hear(Moved("unknown", "claude", accounted.mark(3)))
    assert used(accounted.attempt("s")) == "claude:3" and "unknown" not in accounted.pool.sessions


def test_nobody_is_asked_about_a_request_without_a_session_or_a_choice(accounted: Accounted, tmp_path: Path) -> None:
    accounted.attempt()
    one = Accounted(accounted.addon.store, A)
    one.attempt("s")
    assert accounted.others.asked == [] and one.others.asked == []


def test_who_is_reached_is_told_all_that_holds(accounted: Accounted) -> None:
    pool = accounted.pool
    pool.cool_down(pool.accounts[0], NOW + 60, NOW, model="opus", reason="7d limit")
    pool.refuse(pool.accounts[1], "revoked", NOW)
    pool.rooms[accounted.mark(3)] = Room(0.5)
    accounted.others.shared.joined()
    assert [(type(one), getattr(one, "mark", "")) for one in accounted.others.take()] == [
        (Cooled, accounted.mark(1)),
        (Refused, accounted.mark(2)),
        (RoomSeen, accounted.mark(3)),
    ]


@pytest.mark.parametrize(("way", "is_told"), [("workers", True), ("redis", False)])
def test_a_login_in_a_file_is_this_machine_s(accounted: Accounted, way: str, is_told: bool) -> None:
    here = Accounted(accounted.addon.store, f"{FILE}/home/me/.claude/.credentials.json", A, status=way)
    here.addon.others.resumed(here.pool.accounts[0])
    assert bool(here.others.take()) is is_told


def test_what_is_heard_after_the_answer_of_a_probe_ends_its_cooldown_for_all(accounted: Accounted) -> None:
    pool = accounted.pool
    pool.cool_down(pool.accounts[0], NOW + HOUR, NOW - HOUR / 2, stated=True)
    tried = accounted.attempt()
    assert tried.attempt.choice.probe
    answered(tried.exchange)
    accounted.addon.response(tried.flow)
    assert accounted.others.take() == [Resumed(accounted.mark(1), "opus")]
