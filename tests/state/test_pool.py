"""Which token the next request goes out with."""

from collections import Counter

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from addons.state.account_table import view
from addons.state.pool import (
    LATEST_PROBE,
    LONGEST_COOLDOWN,
    PROBE_TIME,
    REFUSED_FOR,
    SOONEST_PROBE,
    Account,
    AccountPool,
    Cooldown,
    Pick,
)
from addons.wire.rate_limits import Room

NOW = 1_790_000_000.0
OPUS, HAIKU = "claude-opus-5-5", "claude-haiku-5-5"
A, B, C = (f"sk-ant-oat01-{letter * 80}{letter}001" for letter in "abc")


def make(*values, strategy="session"):
    pool = AccountPool(strategy)
    pool.update(values)
    return pool


def picked(pool, session, now=NOW, model=OPUS, exclude=()):
    pick = pool.pick(session, model, now, exclude)
    return pick.account.value if pick else None


def test_new_sessions_take_turns_and_stay():
    pool = make(A, B, C)
    assert [picked(pool, session) for session in ("s1", "s2", "s3", "s4")] == [A, B, C, A]
    assert [picked(pool, session) for session in ("s1", "s2", "s3", "s4")] == [A, B, C, A]


def test_requests_without_a_session_take_turns():
    pool = make(A, B)
    assert [picked(pool, None) for _ in range(4)] == [A, B, A, B]


def test_strategy_request_takes_the_next_token_every_time():
    pool = make(A, B, strategy="request")
    assert [picked(pool, "s1") for _ in range(4)] == [A, B, A, B]


def test_an_empty_pool_has_nothing():
    pool = make()
    assert pool.pick("s1", OPUS, NOW) is None
    assert pool.soonest(OPUS, NOW) is None
    assert pool.next_reset(OPUS, NOW) is None
    assert view(pool, NOW) == []


def test_a_token_given_twice_is_one():
    assert [t.value for t in make(A, B, A).accounts] == [A, B]


def test_a_session_moves_when_its_token_is_cooling_and_stays_where_it_moved():
    pool = make(A, B)
    first = pool.pick("s1", OPUS, NOW)
    assert first is not None
    assert not first.moved
    pool.cool_down(first.account, NOW + 60, NOW)
    assert pool.pick("s1", OPUS, NOW) == Pick(pool.accounts[1], moved=True, seated=True)
    assert pool.pick("s1", OPUS, NOW + 61) == Pick(pool.accounts[1], moved=False)


def test_a_cooldown_ends():
    pool = make(A)
    pool.cool_down(pool.accounts[0], NOW + 60, NOW)
    assert picked(pool, "s1", NOW + 59.9) is None
    assert picked(pool, "s1", NOW + 60) == A


def test_a_model_cooldown_leaves_the_other_models():
    pool = make(A, B)
    assert picked(pool, "s1") == A
    pool.cool_down(pool.accounts[0], NOW + 60, NOW, model=OPUS)
    assert picked(pool, "s2", model=HAIKU) == B
    assert picked(pool, "s3", model=HAIKU) == A
    assert picked(pool, "s1", model=HAIKU) == A
    assert picked(pool, "s1", model=OPUS) == B


def test_an_excluded_token_keeps_its_session():
    pool = make(A, B, C)
    assert picked(pool, "s1") == A
    assert picked(pool, "s1", exclude={pool.accounts[0]}) == B
    assert picked(pool, "s1", exclude={pool.accounts[0], pool.accounts[1]}) == C
    assert picked(pool, "s1", exclude=set(pool.accounts)) is None
    assert picked(pool, "s1") == A


def test_a_cooldown_is_never_shortened_and_never_longer_than_a_day():
    pool = make(A)
    token = pool.accounts[0]
    assert pool.cool_down(token, NOW + 3 * 3600, NOW, reason="5h limit") is not None
    assert pool.cool_down(token, NOW + 60, NOW, reason="429 without a time") is None
    assert pool.next_reset(OPUS, NOW) == NOW + 3 * 3600
    longer = pool.cool_down(token, NOW + 30 * LONGEST_COOLDOWN, NOW, reason="7d limit")
    assert longer == Cooldown(token.fingerprint, None, NOW + LONGEST_COOLDOWN, "7d limit")
    assert pool.next_reset(OPUS, NOW) == NOW + LONGEST_COOLDOWN


def test_a_cooldown_in_the_past_is_none():
    pool = make(A)
    assert pool.cool_down(pool.accounts[0], NOW, NOW) is None
    assert pool.cooldowns == {}


def test_a_cooldown_that_is_over_is_forgotten_with_the_next():
    pool = make(A, B)
    pool.cool_down(pool.accounts[0], NOW + 5, NOW)
    kept = pool.cool_down(pool.accounts[1], NOW + 60, NOW + 5)
    assert list(pool.cooldowns.values()) == [kept]


def test_a_refused_account_is_out_for_an_hour_or_until_the_configuration_changes():
    pool = make(A, B)
    assert picked(pool, "s1") == A
    pool.refuse(pool.accounts[0], "OAuth token has been revoked", NOW)
    assert picked(pool, "s1", NOW + REFUSED_FOR - 1) == B
    assert pool.soonest(OPUS, NOW, exclude=[pool.accounts[1]]) == (pool.accounts[0], NOW + REFUSED_FOR)
    assert {picked(pool, None, NOW + REFUSED_FOR) for _ in range(2)} == {A, B}, "another chance after an hour"
    pool.refuse(pool.accounts[0], "OAuth token has been revoked", NOW)
    pool.update([A, B])
    assert picked(pool, "s2") == A
    assert picked(pool, "s1") == B


def test_a_changed_configuration_keeps_cooldowns_and_sessions_of_the_tokens_that_stay():
    pool = make(A, B)
    assert [picked(pool, "s1"), picked(pool, "s2")] == [A, B]
    pool.cool_down(pool.accounts[0], NOW + 60, NOW)
    pool.update([C, B, A])
    assert [t.place for t in pool.accounts] == ["1 of 3", "2 of 3", "3 of 3"]
    second = pool.pick("s2", OPUS, NOW)
    assert second is not None
    assert (second.account.value, second.account.place, second.moved) == (B, "2 of 3", False)
    assert pool.next_reset(OPUS, NOW) == NOW
    assert [row.state for row in view(pool, NOW)] == ["usable", "usable", "cooling"]
    pool.update([A])
    assert picked(pool, "s2") is None
    assert picked(pool, "s2", NOW + 61) == A


def test_the_soonest_is_the_last_resort():
    pool = make(A, B, C)
    a, b, c = pool.accounts
    pool.cool_down(a, NOW + 300, NOW)
    pool.cool_down(b, NOW + 100, NOW)
    pool.cool_down(c, NOW + 200, NOW, model=OPUS)
    assert picked(pool, "s1") is None
    assert pool.soonest(OPUS, NOW) == (b, NOW + 100)
    assert pool.soonest(OPUS, NOW, exclude={b}) == (c, NOW + 200)
    assert pool.next_reset(OPUS, NOW) == NOW + 100
    assert pool.soonest(HAIKU, NOW) == (c, NOW)


def test_old_sessions_are_forgotten(monkeypatch):
    monkeypatch.setattr("addons.state.pool.MOST_SESSIONS", 2)
    pool = make(A, B)
    assert [picked(pool, session) for session in ("s1", "s2", "s1", "s3", "s1")] == [A, B, A, A, A]
    assert list(pool.sessions) == ["s3", "s1"]


def test_cooldowns_survive_a_restart():
    pool = make(A, B)
    pool.cool_down(pool.accounts[0], NOW + 3600, NOW, reason="5h limit")
    pool.cool_down(pool.accounts[1], NOW + 60, NOW, model=OPUS, reason="7d_oi limit")
    pool.cool_down(pool.accounts[1], NOW + 5, NOW, model=HAIKU)
    rows = list(pool.cooldowns.values())
    assert A not in str(rows)
    restarted = make(B, A)
    restarted.restore([*rows, Cooldown("unknown", None, NOW + 99, ""), Cooldown("x", None, 9e99, "")], NOW + 10)
    assert picked(restarted, "s1", NOW + 10) is None
    assert picked(restarted, "s1", NOW + 10, model=HAIKU) == B
    assert view(restarted, NOW + 10)[1].reason == "5h limit"
    assert max(row.until for row in restarted.cooldowns.values()) == NOW + 10 + LONGEST_COOLDOWN


def test_the_view_shows_no_token():
    pool = make(A, B, C)
    picked(pool, "s1"), picked(pool, "s2"), picked(pool, "s3"), picked(pool, "s4")
    pool.cool_down(pool.accounts[0], NOW + 60, NOW, reason="5h limit")
    pool.cool_down(pool.accounts[1], NOW + 90, NOW, model=OPUS, reason="7d_oi limit")
    pool.refuse(pool.accounts[2], "revoked", NOW)
    a, b, c = view(pool, NOW)
    assert (a.number, a.masked, a.state, a.until, a.reason) == (
        1,
        "sk-ant-oat01…a001",
        "cooling",
        NOW + 60,
        "5h limit",
    )
    assert (b.state, b.until, b.reason, b.models) == (
        "usable",
        None,
        f"{OPUS}: 7d_oi limit",
        {OPUS: NOW + 90},
    )
    assert (c.state, c.until, c.reason) == ("refused", NOW + REFUSED_FOR, "revoked")
    assert [a.sessions, b.sessions, c.sessions] == [2, 1, 1]
    for shown in [
        repr(view(pool, NOW)),
        repr(pool.accounts),
        str(pool.cooldowns),
        repr(pool.pick("s2", HAIKU, NOW)),
    ]:
        assert not any(value in shown for value in (A, B, C))


@pytest.mark.parametrize("cooling", [0, 1, 2])
def test_new_sessions_are_spread_evenly_over_the_usable_tokens(cooling):
    pool = make(*(f"token-{n}" for n in range(5)))
    for token in pool.accounts[1 : 1 + cooling]:
        pool.cool_down(token, NOW + 60, NOW)
    counts = Counter(picked(pool, f"s{n}") for n in range(103))
    assert len(counts) == 5 - cooling
    assert max(counts.values()) - min(counts.values()) <= 1


def test_the_sessions_of_a_cooling_token_are_spread_over_the_others():
    pool = make(A, B, C)
    for n in range(30):
        picked(pool, f"s{n}")
    pool.cool_down(pool.accounts[0], NOW + 60, NOW)
    counts = Counter(picked(pool, f"s{n}") for n in range(30))
    assert counts == {B: 15, C: 15}


class PoolMachine(RuleBasedStateMachine):
    """Any sequence of events, against a model that only knows when each token may be used again."""

    models = st.sampled_from([OPUS, HAIKU])
    sessions = st.sampled_from(["s1", "s2", "s3"])
    numbers = st.integers(0, 4)
    seconds = st.floats(0.5, 2 * LONGEST_COOLDOWN)

    @initialize(count=st.integers(1, 5))
    def start(self, count):
        self.now = NOW
        self.pool = AccountPool()
        self.names = [f"token-{n}" for n in range(count)]
        self.pool.update(self.names)
        self.rests: dict[tuple[str, str | None], float] = {}
        self.dead: set[str] = set()
        self.seats: dict[str, str] = {}

    def usable(self, name, model):
        ends = [self.rests.get((name, scope), 0) for scope in (None, model)]
        return name in self.names and name not in self.dead and max(ends) <= self.now

    def account(self, number):
        return self.pool.accounts[number % len(self.pool.accounts)]

    @rule(session=sessions, model=models, excluded=st.sets(numbers, max_size=2))
    def pick(self, session, model, excluded):
        exclude = {self.account(number) for number in excluded}
        pick = self.pool.pick(session, model, self.now, exclude)
        seat = self.seats.get(session)
        seat_usable = seat is not None and self.usable(seat, model)
        if pick is None:
            assert not [t for t in self.pool.accounts if t not in exclude and self.usable(t.value, model)]
            return
        assert self.usable(pick.account.value, model)
        assert pick.account not in exclude
        if seat_usable:
            assert pick.account.value == seat or seat in {t.value for t in exclude}
        else:
            self.seats[session] = pick.account.value
        assert pick.moved == (seat is not None and not seat_usable)

    @rule(model=models)
    def pick_without_a_session(self, model):
        pick = self.pool.pick(None, model, self.now)
        assert (pick is not None) == any(self.usable(name, model) for name in self.names)
        assert pick is None or self.usable(pick.account.value, model)

    @rule(number=numbers, seconds=seconds, model=models | st.none())
    def cool_down(self, number, seconds, model):
        token = self.account(number)
        self.pool.cool_down(token, self.now + seconds, self.now, model=model)
        until = self.now + min(seconds, LONGEST_COOLDOWN)
        self.rests[token.value, model] = max(until, self.rests.get((token.value, model), 0))

    @rule(number=numbers)
    def refuse(self, number):
        token = self.account(number)
        self.pool.refuse(token, "revoked", self.now + 9e9)
        self.dead.add(token.value)

    @rule(seconds=seconds)
    def wait(self, seconds):
        self.now += seconds

    @rule(names=st.lists(st.integers(0, 6), min_size=1, max_size=5, unique=True))
    def change_configuration(self, names):
        self.names = [f"token-{n}" for n in names]
        self.pool.update(self.names)
        self.dead.clear()
        self.seats = {session: seat for session, seat in self.seats.items() if seat in self.names}

    @rule()
    def restart(self):
        rows = list(self.pool.cooldowns.values())
        self.pool = AccountPool()
        self.pool.update(self.names)
        self.pool.restore(rows, self.now)
        self.dead.clear()
        self.seats.clear()

    @precondition(lambda self: hasattr(self, "pool"))
    @invariant()
    def the_soonest_is_right(self):
        for model in (OPUS, HAIKU):
            alive = [name for name in self.names if name not in self.dead]
            ends = {
                name: max(self.now, *(self.rests.get((name, scope), 0) for scope in (None, model))) for name in alive
            }
            soonest = self.pool.soonest(model, self.now)
            assert soonest is not None
            assert (self.pool.next_reset(model, self.now) is None) == (not ends)
            if ends:
                assert soonest[1] == min(ends.values()) == ends[soonest[0].value]
                assert self.pool.next_reset(model, self.now) == soonest[1]


TestPoolMachine = PoolMachine.TestCase


def test_a_token_is_known_by_its_value_and_named_by_its_fingerprint():
    assert Account(A, 1, 1, 5) == Account(A, 2, 2, 3)
    assert Account(A, 1, 1, 5) != Account(B, 1, 1, 5)
    assert Account(A, 1, 1, 1, "zai") != Account(A, 1, 1, 1, "zai-chat"), "one key, two providers"
    assert len(Account(A, 1, 1, 1).fingerprint) == 64
    assert Account(A, 3, 2, 5, "zai").name == "zai:3"


def test_names_stay_over_a_reload():
    pool = make(A, B)
    pool.update([B, C])
    assert [(a.value, a.name, a.place) for a in pool.accounts] == [(B, "claude:2", "1 of 2"), (C, "claude:1", "2 of 2")]
    pool.update([A, C, B])
    assert [a.name for a in pool.accounts] == ["claude:3", "claude:1", "claude:2"]


class TestProbes:
    """A limit that a header has told may be over before its time."""

    def cooling(self, seconds, **how):
        pool = make(A, B, **how)
        for account in pool.accounts:
            pool.cool_down(account, NOW + seconds, NOW, stated=True)
        return pool

    def test_one_request_at_a_time_asks_after_a_tenth_of_the_wait(self):
        pool = self.cooling(3600)
        assert picked(pool, "s1", NOW + 359) is None
        pick = pool.pick("s1", OPUS, NOW + 360)
        assert (pick.account.value, pick.probe) == (A, True)
        assert picked(pool, "s2", NOW + 360) == B
        assert picked(pool, "s3", NOW + 360) is None, "both are being asked"
        assert picked(pool, "s3", NOW + 360 + PROBE_TIME) == A, "nothing was heard of it"

    def test_not_before_a_minute_and_not_after_an_hour(self):
        assert picked(self.cooling(100), "s", NOW + SOONEST_PROBE - 1) is None
        assert picked(self.cooling(100), "s", NOW + SOONEST_PROBE) == A
        assert picked(self.cooling(80_000), "s", NOW + LATEST_PROBE) == A

    def test_a_success_ends_the_cooldown_of_that_model(self):
        pool = self.cooling(3600)
        pool.cool_down(pool.accounts[0], NOW + 3600, NOW, model=HAIKU)
        assert pool.resume(pool.accounts[0], OPUS)
        assert picked(pool, "s1") == A
        assert picked(pool, "s1", model=HAIKU) is None

    def test_a_failure_puts_the_next_one_off(self):
        pool = self.cooling(3600)
        pick = pool.pick("s1", OPUS, NOW + 360)
        pool.cool_down(pick.account, NOW + 3600, NOW + 360, stated=True)
        pool.cool_down(pool.accounts[1], NOW + 3600, NOW + 360, stated=True)
        assert picked(pool, "s1", NOW + 360 + 323) is None
        assert picked(pool, "s1", NOW + 360 + 324) == A

    def test_who_can_go_elsewhere_is_not_moved(self):
        pool = make(A, B)
        assert [picked(pool, "s1"), picked(pool, "s2")] == [A, B]
        pool.cool_down(pool.accounts[0], NOW + 3600, NOW, stated=True)
        assert picked(pool, "s2", NOW + 400) == B

    def test_counting_tokens_is_none(self):
        assert self.cooling(3600).pick("s1", OPUS, NOW + 400, probes=False) is None

    def test_a_limit_without_a_time_is_waited_for(self):
        pool = make(A)
        pool.cool_down(pool.accounts[0], NOW + 3600, NOW)
        assert picked(pool, "s1", NOW + 3599) is None


class TestRoom:
    """Which account a new session gets, once their room is known."""

    def full(self, pool, *rooms):
        for account, room in zip(pool.accounts, rooms, strict=False):
            pool.rooms[account.fingerprint] = room

    def test_the_one_with_the_most_room(self):
        pool = make(A, B, C)
        self.full(pool, Room(0.9, NOW + 99, 0.1), Room(0.2, NOW + 99, 0.8, NOW + 999), Room(0.5, None, 0.5))
        assert {picked(pool, f"s{n}") for n in range(4)} == {C}

    def test_among_equals_in_turn(self):
        pool = make(A, B)
        self.full(pool, Room(0.51), Room(0.55))
        assert [picked(pool, f"s{n}") for n in range(4)] == [A, B, A, B]

    def test_a_window_that_is_over_is_empty(self):
        pool = make(A, B)
        self.full(pool, Room(0.9, NOW - 1), Room(0.5, NOW + 99))
        assert picked(pool, "s") == A

    def test_one_of_which_nothing_is_known_comes_first(self):
        pool = make(A, B)
        self.full(pool, Room(0.1))
        assert picked(pool, "s") == B

    def test_a_session_stays(self):
        pool = make(A, B)
        assert picked(pool, "s") == A
        self.full(pool, Room(0.99), Room(0.0))
        assert picked(pool, "s") == A

    def test_drain_takes_the_one_whose_week_ends_first(self):
        pool = make(A, B, C, strategy="drain")
        self.full(
            pool, Room(0.1, None, 0.1, NOW + 500), Room(0.9, None, 0.9, NOW + 100), Room(0.5, None, 0.5, NOW + 300)
        )
        assert {picked(pool, f"s{n}") for n in range(4)} == {B}
        pool.cool_down(pool.accounts[1], NOW + 100, NOW)
        assert picked(pool, "s9") == C
        assert picked(pool, "s0") == C, "its account cools down"


def test_sessions_come_back_to_their_accounts():
    pool = make(A, B)
    pool.restore_seats([("s1", pool.accounts[1].fingerprint), ("s2", "unknown")])
    assert [picked(pool, "s1"), picked(pool, "s2")] == [B, A]
    assert Account(A, 3, 2, 5).place == "2 of 5"
    assert Account(A, 3, 2, 5).masked == "sk-ant-oat01…a001"
    assert A not in repr(Account(A, 1, 1, 1))
