"""What a hub's state doesn't show to those who ask it (tests/state/test_shared.py asks): none of its tables grows for
ever."""

from __future__ import annotations

from addons.process.hub import encode, estate_of
from addons.state.shared import Admit, Claim, Cooled, Holding, Left, Moved, RoomSeen, Settled, Sit, Span
from addons.team import hub_state
from addons.team.hub_state import HubState
from addons.team.pace import SESSION_LASTS

NOW = 1_800_000_000.0
DAY = Span("day", NOW - 1000, NOW + 1000)


def test_sessions_accounts_and_claims_make_room(monkeypatch):
    for name in ("MOST_SESSIONS", "MOST_ACCOUNTS", "MOST_CLAIMS"):
        monkeypatch.setattr(hub_state, name, 10)
    state = HubState()
    for number in range(50):
        state.handle("w", Sit(f"s{number}", "claude", "a"), NOW)
        state.handle("w", Moved(f"m{number}", "claude", "a"), NOW)
        state.handle("w", RoomSeen(f"{number}", 0.5), NOW)
        state.handle("w", Cooled(f"{number}", None, NOW + 60, ""), NOW)
        state.handle("w", Claim(f"{number}", "w", 60.0), NOW)
    assert [len(table) for table in (state.seats, state.rooms, state.cooldowns, state.claims)] == [10] * 4
    assert ("s49", "claude") in state.seats and ("s0", "claude") not in state.seats


def test_a_session_that_nobody_has_asked_for_in_a_day_sits_down_anew():
    state = HubState()
    assert state.handle("w", Sit("s", "claude", "a"), NOW) == "a"
    assert state.handle("w", Sit("s", "claude", "b"), NOW + 80_000) == "a"
    assert state.handle("w", Sit("s", "claude", "b"), NOW + 160_000) == "a"
    assert state.handle("w", Sit("s", "claude", "b"), NOW + 250_000) == "b"


def test_what_is_over_is_forgotten():
    state = HubState()
    state.handle("w", Settled("alice", 0.0, 1.0, (DAY,), "ledger"), NOW)
    state.handle("w", Cooled("a", None, NOW + 10, ""), NOW)
    assert state.join("late", NOW + 20) == []
    state.handle("w", Cooled("b", None, NOW + 5000, ""), NOW + 2000)
    state.handle("w", Settled("alice", 0.0, 0.0, (), ""), NOW + 2000)
    assert not state.spent and list(state.cooldowns) == [("b", None)]


def test_nobody_frees_what_others_hold():
    state = HubState()
    budgets = ((DAY, 10.0),)
    state.handle("one", Admit("alice", session="s", sessions=1, budgets=budgets, reserve=10.0), NOW)
    state.handle("other", Settled("alice", 10.0, 0.0, (DAY,), "ledger"), NOW)
    state.handle("other", Left("alice", "s"), NOW)
    assert state.handle("other", Admit("alice", budgets=budgets, reserve=1.0), NOW).over == "day"
    assert state.sessions.seats["alice"]["s"].running == 1
    state.handle("one", Holding("alice", 0.0), NOW)
    assert state.handle("other", Admit("alice", budgets=budgets, reserve=1.0), NOW).over == ""


def test_what_only_the_hub_knows_goes_on_in_another_program():
    before, after = HubState(), HubState()
    admit = Admit("alice", rpm=2, session="s", sessions=1)
    assert before.handle("w", admit, NOW).seated
    assert before.handle("w", Sit("s", "claude", "a"), NOW) == "a"
    assert before.handle("w", Claim("tell", "w", 60.0), NOW) == "w"
    after.inherit(estate_of(encode(before.estate(NOW))))
    assert not after.handle("w", Admit("alice", rpm=2, session="other", sessions=1), NOW + 1).seated
    assert after.handle("w", admit, NOW + 1).wait == 59.0, "two in this minute"
    assert after.handle("w", Sit("s", "claude", "b"), NOW + 1) == "a"
    assert after.handle("w", Claim("tell", "v", 60.0), NOW + 1) == "w"
    later = NOW + SESSION_LASTS + 1
    assert after.handle("w", Admit("alice", session="other", sessions=1), later).seated, "nobody has said that it runs"
