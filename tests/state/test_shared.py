"""What gateways tell and ask each other (addons/state/shared.py): the same rules hold in one process
(addons/team/hub_state.py), and over the hub (addons/process/hub_link.py) and over Redis
(addons/process/redis_link.py, addons/process/redis_scripts.py)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from addons.state.shared import (
    Admit,
    Admitted,
    AllUsers,
    Asked,
    Claim,
    Cooled,
    DaysSummed,
    Forgotten,
    Holding,
    Known,
    Left,
    Moved,
    News,
    Refused,
    Resumed,
    RoomSeen,
    Settled,
    Shared,
    Sit,
    Span,
    StillHere,
    Summed,
    SumsOf,
    Totals,
    UserChanged,
    WrongKey,
    undone,
)
from addons.team import pace
from tests.redis_server import NEEDS_REDIS
from tests.team_ways import Team, alone, by_hub, by_redis, done, until

NOW = time.time()
DAY = Span("day", NOW - 1000, NOW + 1000)
MONTH = Span("month", NOW - 90_000, NOW + 90_000)
BUDGETS = ((DAY, 10.0), (MONTH, 30.0))
LATER = NOW + 3000

Test = Callable[[Team], Awaitable[None]]


@pytest.fixture(params=[alone, by_hub, pytest.param(by_redis, marks=NEEDS_REDIS)], ids=["in process", "hub", "redis"])
def team(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Test], None]:
    """Runs a test with a team that has no members yet."""

    def run(test: Test) -> None:
        async def whole() -> None:
            async with request.param(tmp_path) as team:
                await test(team)

        asyncio.run(whole())

    return run


# News


def test_what_one_tells_of_accounts_the_others_hear_and_it_not_again(team):
    async def test(those: Team) -> None:
        one, other, third = await those.join(), await those.join(), await those.join()
        told: list[News] = [
            Cooled("a", None, LATER, "5h limit", NOW + 60),
            Cooled("a", "opus", LATER + 1, "7d limit"),
            Refused("b", LATER, "token revoked"),
            RoomSeen("c", 0.25, LATER, None, None),
            WrongKey("192.0.2.1"),
            UserChanged("a1", 5.0, ["a1", "alice"]),
            Resumed("a", "opus"),
            Resumed("b"),
        ]
        for message in told:
            one.tell(message)
        await until(lambda: other.heard == told and third.heard == told)
        assert one.heard == []

    team(test)


def test_who_comes_later_hears_what_still_holds(team):
    async def test(those: Team) -> None:
        one = await those.join()
        messages: list[News] = [
            Cooled("a", None, LATER, "long"),
            Cooled("a", None, LATER - 100, "shorter: the longer one holds"),
            Cooled("b", "opus", LATER, "over"),
            Cooled("b", None, LATER, "all models"),
            Cooled("c", None, NOW - 1, "past"),
            Refused("d", LATER, "revoked"),
            Refused("e", LATER, "taken back"),
            Resumed("b", "opus"),
            Resumed("e"),
            RoomSeen("f", 0.5),
            RoomSeen("f", 0.75),
        ]
        for message in messages:
            one.tell(message)
        await done(one)
        late = await those.join()
        await until(lambda: len(late.heard) >= 3)
        heard = {(type(news), news.mark): news for news in late.heard}
        assert heard == {
            (Cooled, "a"): Cooled("a", None, LATER, "long"),
            (Refused, "d"): Refused("d", LATER, "revoked"),
            (RoomSeen, "f"): RoomSeen("f", 0.75),
        }

    team(test)


# Sessions and their accounts


def test_a_session_stays_where_it_sat_down_first(team):
    async def test(those: Team) -> None:
        one, other = await those.join(), await those.join()
        first = await asyncio.gather(one.ask(Sit("s", "claude", "a")), other.ask(Sit("s", "claude", "b")))
        assert len(set(first)) == 1 and first[0] in ("a", "b")
        assert await other.ask(Sit("s", "zai", "c")) == "c", "another pool's accounts are others"
        assert await other.ask(Sit("t", "claude", "b")) == "b"

    team(test)


def test_a_session_that_moves_does_so_for_all_in_one_order(team):
    async def test(those: Team) -> None:
        one, other = await those.join(), await those.join()
        await one.ask(Sit("s", "claude", "a"))
        one.tell(Moved("s", "claude", "b"))
        other.tell(Moved("s", "claude", "c"))
        await until(lambda: len(one.heard) == len(other.heard) == 2)
        assert one.heard[-1] == other.heard[-1]
        assert await one.ask(Sit("s", "claude", "x")) == one.heard[-1].mark

    team(test)


# Requests a minute


def test_requests_a_minute_hold_over_all(team):
    async def test(those: Team) -> None:
        members = [await those.join() for _ in range(3)]
        questions = [members[number % 3].ask(Admit("alice", rpm=4)) for number in range(12)]
        answers = await asyncio.gather(*questions)
        assert sum(not answer.wait for answer in answers) == 4
        assert all(0 < answer.wait <= pace.MINUTE for answer in answers if answer.wait)
        assert not (await members[0].ask(Admit("bob", rpm=4))).wait
        wait = max(answer.wait for answer in answers)
        await those.advance(wait + 1)
        assert not (await members[1].ask(Admit("alice", rpm=4))).wait

    team(test)


# Sessions at once


def test_sessions_at_once_hold_over_all(team):
    async def test(those: Team) -> None:
        one, other = await those.join(), await those.join()
        assert (await one.ask(Admit("alice", session="s1", sessions=2))).seated
        assert (await other.ask(Admit("alice", session="s2", sessions=2))).seated
        refused = await one.ask(Admit("alice", session="s3", sessions=2))
        assert not refused.seated and 0 < refused.soonest <= pace.SESSION_LASTS
        assert (await other.ask(Admit("alice", session="s1", sessions=2))).seated, "it goes on, wherever it comes"
        assert (await one.ask(Admit("bob", session="s3", sessions=2))).seated

    team(test)


def test_a_session_counts_for_a_while_after_its_last_request(team):
    async def test(those: Team) -> None:
        one, other = await those.join(), await those.join()
        await one.ask(Admit("alice", session="s1", sessions=1))
        one.tell(Left("alice", "s1"))
        await done(one)
        assert not (await other.ask(Admit("alice", session="s2", sessions=1))).seated
        await those.advance(pace.SESSION_LASTS + 1)
        assert (await other.ask(Admit("alice", session="s2", sessions=1))).seated

    team(test)


def test_a_session_that_runs_on_keeps_its_place(team):
    async def test(those: Team) -> None:
        one, other = await those.join(), await those.join()
        await one.ask(Admit("alice", session="s1", sessions=1))
        for _ in range(4):
            await those.advance(pace.SESSION_LASTS / 2)
            one.tell(StillHere("alice", ("s1",)))
        await done(one)
        assert not (await other.ask(Admit("alice", session="s2", sessions=1))).seated

    team(test)


# Budgets


def test_a_budget_is_reserved_and_settled_over_all(team):
    async def test(those: Team) -> None:
        one, other = await those.join(), await those.join()
        first = await one.ask(Admit("alice", budgets=BUDGETS, reserve=6.0))
        assert first == Admitted(spent=(0.0, 0.0))
        second = await other.ask(Admit("alice", budgets=BUDGETS, reserve=6.0))
        assert second == Admitted(spent=(0.0, 0.0)), "6 of 10 are reserved"
        third = await one.ask(Admit("alice", budgets=BUDGETS, reserve=1.0))
        assert third.over == "day"
        one.tell(Settled("alice", 6.0, 1.5, (DAY, MONTH), "ledger"))
        await done(one)
        fourth = await other.ask(Admit("alice", budgets=BUDGETS, reserve=1.0))
        assert fourth.over == "" and fourth.spent == pytest.approx((1.5, 1.5))
        assert (await other.ask(Admit("bob", budgets=BUDGETS, reserve=1.0))).over == ""

    team(test)


def test_of_many_at_once_no_more_are_admitted_than_the_budget_has_room_for(team):
    async def test(those: Team) -> None:
        members = [await those.join() for _ in range(3)]
        questions = [members[number % 3].ask(Admit("alice", budgets=BUDGETS, reserve=1.0)) for number in range(60)]
        answers = await asyncio.gather(*questions)
        assert sum(not answer.over for answer in answers) == 10

    team(test)


def test_the_window_that_ends_last_is_named(team):
    async def test(those: Team) -> None:
        one = await those.join()
        one.tell(Settled("alice", 0.0, 40.0, (DAY, MONTH), "ledger"))
        answer = await one.ask(Admit("alice", budgets=BUDGETS, reserve=1.0))
        assert answer.over == "month" and answer.spent == pytest.approx((40.0, 40.0))

    team(test)


def test_what_a_request_has_reserved_already_does_not_count_against_it(team):
    async def test(those: Team) -> None:
        one, other = await those.join(), await those.join()
        await one.ask(Admit("alice", budgets=BUDGETS, reserve=10.0))
        again = await one.ask(Admit("alice", budgets=BUDGETS, reserve=12.0, before=10.0))
        assert not again.over
        assert (await other.ask(Admit("alice", budgets=BUDGETS, reserve=1.0, before=12.0))).over, "it is another's"
        one.tell(Settled("alice", 12.0, 0.0, (DAY, MONTH), "ledger"))
        await done(one)
        assert not (await other.ask(Admit("alice", budgets=BUDGETS, reserve=1.0))).over

    team(test)


def test_nothing_is_reserved_for_a_request_without_a_place(team):
    async def test(those: Team) -> None:
        one = await those.join()
        await one.ask(Admit("alice", session="s1", sessions=1))
        refused = await one.ask(Admit("alice", session="s2", sessions=1, budgets=BUDGETS, reserve=10.0))
        assert not refused.seated and not refused.over
        assert not (await one.ask(Admit("alice", budgets=BUDGETS, reserve=1.0))).over

    team(test)


def test_what_a_ledger_knows_counts_once(team):
    async def test(those: Team) -> None:
        one, other = await those.join(), await those.join()
        one.tell(Settled("alice", 0.0, 2.0, (DAY, MONTH), "here"))
        one.tell(Known("here", DAY, {"alice": 3.0, "bob": 1.0}))
        one.tell(Known("here", DAY, {"alice": 1.0}))  # it was read before
        other.tell(Settled("alice", 0.0, 0.5, (DAY,), "there"))
        other.tell(Known("there", DAY, {"alice": 0.25}))
        await done(one)
        await done(other)
        day, month = await one.ask(Totals((DAY, MONTH)))
        assert day == pytest.approx({"alice": 3.5, "bob": 1.0})
        assert month == pytest.approx({"alice": 2.0})

    team(test)


def test_what_a_gateway_holds_is_told_again_after_an_interruption(team):
    async def test(those: Team) -> None:
        one, other = await those.join(), await those.join()
        one.tell(Holding("alice", 9.0))
        one.tell(Holding("alice", 10.0))
        await done(one)
        assert (await other.ask(Admit("alice", budgets=BUDGETS, reserve=1.0))).over == "day"
        one.tell(Settled("alice", 10.0, 0.0, (DAY,), "ledger"))
        await done(one)
        assert not (await other.ask(Admit("alice", budgets=BUDGETS, reserve=1.0))).over

    team(test)


def test_nothing_is_known_of_a_user_who_was_deleted(team):
    async def test(those: Team) -> None:
        one, other = await those.join(), await those.join()
        await other.ask(Admit("alice", rpm=1))
        await one.ask(Admit("alice", session="s1", sessions=1))
        one.tell(Settled("alice", 0.0, 50.0, (DAY, MONTH), "ledger"))
        one.tell(Settled("bob", 0.0, 5.0, (DAY,), "ledger"))
        one.tell(Forgotten("alice", (DAY, MONTH)))
        await done(one)
        fresh = Admit("alice", rpm=1, session="s2", sessions=1, budgets=BUDGETS, reserve=1.0)
        assert await other.ask(fresh) == Admitted(seated=True, spent=(0.0, 0.0))
        assert await other.ask(Totals((DAY,))) == [{"bob": 5.0}]
        one.tell(Known("ledger", DAY, {"alice": 1.0}))
        await done(one)
        assert (await other.ask(Totals((DAY,))))[0]["alice"] == pytest.approx(1.0)

    team(test)


# Users


def test_of_two_changes_of_a_user_the_later_one_holds(team):
    async def test(those: Team) -> None:
        one, other = await those.join(), await those.join()
        one.tell(UserChanged("a1", 5.0, ["a1", "alice", None]))
        await done(one)
        other.tell(UserChanged("a1", 4.0, None))
        other.tell(UserChanged("b1", 4.0, ["b1", "bob", 0.5]))
        other.tell(UserChanged("b1", 6.0, None))
        await done(other)
        found = {public: (changed, row) for public, (changed, row) in (await one.ask(AllUsers())).items()}
        assert found == {"a1": (5.0, ["a1", "alice", None]), "b1": (6.0, None)}

    team(test)


# Sums of days


def test_what_a_ledger_has_summed_up_is_there_for_others(team):
    async def test(those: Team) -> None:
        one, other = await those.join(), await those.join()
        one.tell(Summed("here", "2026-11-28", "v1", (("alice", 1, None),)))
        one.tell(Summed("here", "2026-11-28", "v2", (("alice", 2, None), ("bob", 1, 0.5))))
        other.tell(Summed("there", "2026-11-28", "v1", ()))
        await done(one)
        await done(other)
        asked = DaysSummed(("2026-11-28", "2026-11-27"))
        assert await other.ask(asked) == [{"here": "v2", "there": "v1"}, {}]
        rows = await other.ask(SumsOf("here", "2026-11-28"))
        assert [list(row) for row in rows] == [["alice", 2, None], ["bob", 1, 0.5]]
        assert not await other.ask(SumsOf("here", "2026-11-27"))

    team(test)


# What only one may do


def test_one_of_all_may_do_it(team):
    async def test(those: Team) -> None:
        members = [await those.join() for _ in range(3)]
        asked = [member.ask(Claim("alert:alice", f"m{number}", 60.0)) for number, member in enumerate(members)]
        who = set(await asyncio.gather(*asked))
        assert len(who) == 1
        assert await members[0].ask(Claim("alert:alice", "late", 60.0)) in who
        assert await members[0].ask(Claim("alert:bob", "late", 60.0)) == "late"

    team(test)


def test_a_claim_is_over_after_its_time(team):
    async def test(those: Team) -> None:
        one, other = await those.join(), await those.join()
        assert await one.ask(Claim("x", "one", 60.0)) == "one"
        await those.advance(61)
        assert await other.ask(Claim("x", "other", 60.0)) == "other"

    team(test)


# Who is gone


def test_what_a_gateway_that_is_gone_had_reserved_is_free(team):
    async def test(those: Team) -> None:
        one, other = await those.join(), await those.join()
        await one.ask(Admit("alice", budgets=BUDGETS, reserve=20.0))
        assert (await other.ask(Admit("alice", budgets=BUDGETS, reserve=1.0))).over
        await one.leave()
        assert not (await other.ask(Admit("alice", budgets=BUDGETS, reserve=1.0))).over

    team(test)


def test_the_session_of_a_gateway_that_is_gone_loses_its_place(team):
    async def test(those: Team) -> None:
        one, other = await those.join(), await those.join()
        await one.ask(Admit("alice", session="s1", sessions=1))
        await one.leave()
        await those.advance(pace.SESSION_LASTS + 1)
        assert (await other.ask(Admit("alice", session="s2", sessions=1))).seated

    team(test)


# Alone


def test_who_is_alone_tells_nobody_and_asks_nobody():
    shared = Shared()
    shared.tell(Resumed("a"))
    assert shared.status == "local" and shared.ask(Totals(())) is None


def test_news_reach_every_listener_whatever_one_of_them_does(caplog):
    shared, heard = Shared(), list[News]()
    shared.on(Resumed, lambda news: 1 / 0)
    shared.on(Resumed, heard.append)
    shared.hear(Resumed("a"))
    shared.hear(Refused("a", 1.0, ""))
    assert heard == [Resumed("a")]
    assert "ZeroDivisionError" in caplog.text


def test_an_answer_wakes_whoever_waits_once():
    woken, asked = [], Asked()
    asked.wake = lambda: woken.append(asked.answer)
    asked.settle("a")
    asked.settle("b")
    assert woken == ["a"] and asked.answer == "a" and not asked.lost and not asked.waits


def test_what_came_too_late_is_taken_back():
    question = Admit("alice", session="s", sessions=1, budgets=BUDGETS, reserve=2.0)
    assert undone(question, Admitted(wait=3.0)) == []
    assert undone(question, Admitted(soonest=3.0)) == []
    assert undone(question, Admitted(seated=True, over="day", spent=(9.0, 9.0))) == [Left("alice", "s")]
    assert undone(question, Admitted(seated=True, spent=(9.0, 9.0))) == [
        Left("alice", "s"),
        Settled("alice", 2.0, 0.0, (), ""),
    ]
    assert undone(Sit("s", "claude", "a"), "a") == []
