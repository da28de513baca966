"""Which token the next request goes out with."""

from collections import Counter

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from addons.state import pool as pool_module
from addons.state.pool import LONGEST_BENCH, Bench, Pick, Token, TokenPool

NOW = 1_790_000_000.0
OPUS, HAIKU = "claude-opus-5-5", "claude-haiku-5-5"
A, B, C = (f"sk-ant-oat01-{letter * 80}{letter}001" for letter in "abc")


def make(*values, strategy="session"):
    pool = TokenPool(strategy)
    pool.update(values)
    return pool


def picked(pool, session, now=NOW, model=OPUS, exclude=()):
    pick = pool.pick(session, model, now, exclude)
    return pick.token.value if pick else None


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
    assert pool.view(NOW) == []


def test_a_token_given_twice_is_one():
    assert [t.value for t in make(A, B, A).tokens] == [A, B]


def test_a_session_moves_when_its_token_is_benched_and_stays_where_it_moved():
    pool = make(A, B)
    first = pool.pick("s1", OPUS, NOW)
    assert first is not None
    assert not first.moved
    pool.bench(first.token, NOW + 60, NOW)
    assert pool.pick("s1", OPUS, NOW) == Pick(pool.tokens[1], moved=True)
    assert pool.pick("s1", OPUS, NOW + 61) == Pick(pool.tokens[1], moved=False)


def test_a_bench_ends():
    pool = make(A)
    pool.bench(pool.tokens[0], NOW + 60, NOW)
    assert picked(pool, "s1", NOW + 59.9) is None
    assert picked(pool, "s1", NOW + 60) == A


def test_a_model_bench_leaves_the_other_models():
    pool = make(A, B)
    assert picked(pool, "s1") == A
    pool.bench(pool.tokens[0], NOW + 60, NOW, model=OPUS)
    assert picked(pool, "s2", model=HAIKU) == B
    assert picked(pool, "s3", model=HAIKU) == A
    assert picked(pool, "s1", model=HAIKU) == A
    assert picked(pool, "s1", model=OPUS) == B


def test_an_excluded_token_keeps_its_session():
    pool = make(A, B, C)
    assert picked(pool, "s1") == A
    assert picked(pool, "s1", exclude={pool.tokens[0]}) == B
    assert picked(pool, "s1", exclude={pool.tokens[0], pool.tokens[1]}) == C
    assert picked(pool, "s1", exclude=set(pool.tokens)) is None
    assert picked(pool, "s1") == A


def test_a_bench_is_never_shortened_and_never_longer_than_a_day():
    pool = make(A)
    token = pool.tokens[0]
    assert pool.bench(token, NOW + 3 * 3600, NOW, reason="5h limit") is not None
    assert pool.bench(token, NOW + 60, NOW, reason="429 without a time") is None
    assert pool.next_reset(OPUS, NOW) == NOW + 3 * 3600
    longer = pool.bench(token, NOW + 30 * LONGEST_BENCH, NOW, reason="7d limit")
    assert longer == Bench(token.fingerprint, None, NOW + LONGEST_BENCH, "7d limit")
    assert pool.next_reset(OPUS, NOW) == NOW + LONGEST_BENCH


def test_a_bench_in_the_past_is_none():
    pool = make(A)
    assert pool.bench(pool.tokens[0], NOW, NOW) is None
    assert pool.benches == {}


def test_a_bench_that_is_over_is_forgotten_with_the_next():
    pool = make(A, B)
    pool.bench(pool.tokens[0], NOW + 5, NOW)
    kept = pool.bench(pool.tokens[1], NOW + 60, NOW + 5)
    assert list(pool.benches.values()) == [kept]


def test_a_refused_token_is_out_until_the_configuration_changes():
    pool = make(A, B)
    assert picked(pool, "s1") == A
    pool.refuse(pool.tokens[0], "OAuth token has been revoked")
    assert picked(pool, "s1", NOW + 9 * LONGEST_BENCH) == B
    assert pool.soonest(OPUS, NOW, exclude=[pool.tokens[1]]) is None
    pool.update([A, B])
    assert picked(pool, "s2") == A
    assert picked(pool, "s1") == B


def test_a_changed_configuration_keeps_benches_and_sessions_of_the_tokens_that_stay():
    pool = make(A, B)
    assert [picked(pool, "s1"), picked(pool, "s2")] == [A, B]
    pool.bench(pool.tokens[0], NOW + 60, NOW)
    pool.update([C, B, A])
    assert [t.place for t in pool.tokens] == ["1 of 3", "2 of 3", "3 of 3"]
    second = pool.pick("s2", OPUS, NOW)
    assert second is not None
    assert (second.token.value, second.token.place, second.moved) == (B, "2 of 3", False)
    assert pool.next_reset(OPUS, NOW) == NOW
    assert [row.state for row in pool.view(NOW)] == ["usable", "usable", "benched"]
    pool.update([A])
    assert picked(pool, "s2") is None
    assert picked(pool, "s2", NOW + 61) == A


def test_the_soonest_is_the_last_resort():
    pool = make(A, B, C)
    a, b, c = pool.tokens
    pool.bench(a, NOW + 300, NOW)
    pool.bench(b, NOW + 100, NOW)
    pool.bench(c, NOW + 200, NOW, model=OPUS)
    assert picked(pool, "s1") is None
    assert pool.soonest(OPUS, NOW) == (b, NOW + 100)
    assert pool.soonest(OPUS, NOW, exclude={b}) == (c, NOW + 200)
    assert pool.next_reset(OPUS, NOW) == NOW + 100
    assert pool.soonest(HAIKU, NOW) == (c, NOW)


def test_old_sessions_are_forgotten(monkeypatch):
    monkeypatch.setattr(pool_module, "MOST_SESSIONS", 2)
    pool = make(A, B)
    assert [picked(pool, session) for session in ("s1", "s2", "s1", "s3", "s1")] == [A, B, A, A, A]
    assert list(pool.sessions) == ["s3", "s1"]


def test_benches_survive_a_restart():
    pool = make(A, B)
    pool.bench(pool.tokens[0], NOW + 3600, NOW, reason="5h limit")
    pool.bench(pool.tokens[1], NOW + 60, NOW, model=OPUS, reason="7d_oi limit")
    pool.bench(pool.tokens[1], NOW + 5, NOW, model=HAIKU)
    rows = list(pool.benches.values())
    assert A not in str(rows)
    restarted = make(B, A)
    restarted.restore([*rows, Bench("unknown", None, NOW + 99, ""), Bench("x", None, 9e99, "")], NOW + 10)
    assert picked(restarted, "s1", NOW + 10) is None
    assert picked(restarted, "s1", NOW + 10, model=HAIKU) == B
    assert restarted.view(NOW + 10)[1].reason == "5h limit"
    assert max(bench.until for bench in restarted.benches.values()) == NOW + 10 + LONGEST_BENCH


def test_the_view_shows_no_token():
    pool = make(A, B, C)
    picked(pool, "s1"), picked(pool, "s2"), picked(pool, "s3"), picked(pool, "s4")
    pool.bench(pool.tokens[0], NOW + 60, NOW, reason="5h limit")
    pool.bench(pool.tokens[1], NOW + 90, NOW, model=OPUS, reason="7d_oi limit")
    pool.refuse(pool.tokens[2], "revoked")
    a, b, c = pool.view(NOW)
    assert (a.number, a.masked, a.state, a.until, a.reason) == (
        1,
        "sk-ant-oat01…a001",
        "benched",
        NOW + 60,
        "5h limit",
    )
    assert (b.state, b.until, b.reason, b.models) == (
        "usable",
        None,
        f"{OPUS}: 7d_oi limit",
        {OPUS: NOW + 90},
    )
    assert (c.state, c.until, c.reason) == ("refused", None, "revoked")
    assert [a.sessions, b.sessions, c.sessions] == [2, 1, 1]
    for shown in [
        repr(pool.view(NOW)),
        repr(pool.tokens),
        str(pool.benches),
        repr(pool.pick("s2", HAIKU, NOW)),
    ]:
        assert not any(value in shown for value in (A, B, C))


@pytest.mark.parametrize("benched", [0, 1, 2])
def test_new_sessions_are_spread_evenly_over_the_usable_tokens(benched):
    pool = make(*(f"token-{n}" for n in range(5)))
    for token in pool.tokens[1 : 1 + benched]:
        pool.bench(token, NOW + 60, NOW)
    counts = Counter(picked(pool, f"s{n}") for n in range(103))
    assert len(counts) == 5 - benched
    assert max(counts.values()) - min(counts.values()) <= 1


def test_the_sessions_of_a_benched_token_are_spread_over_the_others():
    pool = make(A, B, C)
    for n in range(30):
        picked(pool, f"s{n}")
    pool.bench(pool.tokens[0], NOW + 60, NOW)
    counts = Counter(picked(pool, f"s{n}") for n in range(30))
    assert counts == {B: 15, C: 15}


class PoolMachine(RuleBasedStateMachine):
    """Any sequence of events, against a model that only knows when each token may be used again."""

    models = st.sampled_from([OPUS, HAIKU])
    sessions = st.sampled_from(["s1", "s2", "s3"])
    numbers = st.integers(0, 4)
    seconds = st.floats(0.5, 2 * LONGEST_BENCH)

    @initialize(count=st.integers(1, 5))
    def start(self, count):
        self.now = NOW
        self.pool = TokenPool()
        self.names = [f"token-{n}" for n in range(count)]
        self.pool.update(self.names)
        self.rests: dict[tuple[str, str | None], float] = {}
        self.dead: set[str] = set()
        self.seats: dict[str, str] = {}

    def usable(self, name, model):
        ends = [self.rests.get((name, scope), 0) for scope in (None, model)]
        return name in self.names and name not in self.dead and max(ends) <= self.now

    def token(self, number):
        return self.pool.tokens[number % len(self.pool.tokens)]

    @rule(session=sessions, model=models, excluded=st.sets(numbers, max_size=2))
    def pick(self, session, model, excluded):
        exclude = {self.token(number) for number in excluded}
        pick = self.pool.pick(session, model, self.now, exclude)
        seat = self.seats.get(session)
        seat_usable = seat is not None and self.usable(seat, model)
        if pick is None:
            assert not [t for t in self.pool.tokens if t not in exclude and self.usable(t.value, model)]
            return
        assert self.usable(pick.token.value, model)
        assert pick.token not in exclude
        if seat_usable:
            assert pick.token.value == seat or seat in {t.value for t in exclude}
        else:
            self.seats[session] = pick.token.value
        assert pick.moved == (seat is not None and not seat_usable)

    @rule(model=models)
    def pick_without_a_session(self, model):
        pick = self.pool.pick(None, model, self.now)
        assert (pick is not None) == any(self.usable(name, model) for name in self.names)
        assert pick is None or self.usable(pick.token.value, model)

    @rule(number=numbers, seconds=seconds, model=models | st.none())
    def bench(self, number, seconds, model):
        token = self.token(number)
        self.pool.bench(token, self.now + seconds, self.now, model=model)
        until = self.now + min(seconds, LONGEST_BENCH)
        self.rests[token.value, model] = max(until, self.rests.get((token.value, model), 0))

    @rule(number=numbers)
    def refuse(self, number):
        token = self.token(number)
        self.pool.refuse(token, "revoked")
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
        rows = list(self.pool.benches.values())
        self.pool = TokenPool()
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
            assert (soonest is None) == (not ends)
            if soonest:
                assert soonest[1] == min(ends.values()) == ends[soonest[0].value]
                assert self.pool.next_reset(model, self.now) == soonest[1]


TestPoolMachine = PoolMachine.TestCase


def test_a_token_is_known_by_its_value_and_named_by_its_fingerprint():
    assert Token(A, 1, 5) == Token(A, 2, 3)
    assert Token(A, 1, 5) != Token(B, 1, 5)
    assert len(Token(A, 1, 1).fingerprint) == 64
    assert Token(A, 2, 5).place == "2 of 5"
    assert Token(A, 2, 5).masked == "sk-ant-oat01…a001"
    assert A not in repr(Token(A, 1, 1))
