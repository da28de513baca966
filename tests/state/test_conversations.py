"""What is remembered of conversations, and how long."""

from __future__ import annotations

from addons.config.rules import Bound, Rule, When
from addons.state.conversations import EXPIRY, SAVED_EVERY, Conversations, Key, Size

RULE = Rule(when=When(tokens=Bound(">", 1000)), to="large")


def key(session: str = "s", agent: str = "", opening: bytes = b"o") -> Key:
    return Key(session, agent, opening)


def test_a_rule_holds_on_to_the_conversation_that_it_decided_for() -> None:
    known = Conversations()
    known.hold(key(), RULE, 0)
    assert known.held(key(), 1) == {RULE}
    for other in (key(session="t"), key(agent="a"), key(opening=b"p"), None):
        assert known.held(other, 1) == set()


def test_it_says_when_that_is_to_be_saved() -> None:
    known = Conversations()
    assert known.hold(key(), RULE, 0)
    assert not known.hold(key(), RULE, 1)
    assert known.hold(key(), Rule(when=RULE.when, to="other"), 2)
    assert known.hold(key(), RULE, 2 + SAVED_EVERY), "it is used still"
    assert known.release(key())
    assert not known.release(key())


def test_it_holds_on_in_the_next_process_for_the_rest_of_the_day() -> None:
    known = Conversations()
    known.restore(key(), RULE, -1000)
    assert known.held(key(), EXPIRY - 1001) == {RULE}
    assert known.held(key(), EXPIRY - 1000) == set()


def test_it_lets_go() -> None:
    known = Conversations()
    known.release(key())
    known.hold(key(), RULE, 0)
    known.count(key(), Size(5, 1, 10), 0)
    known.release(key())
    assert known.held(key(), 0) == set()
    found = known.find(key(), 0)
    assert found and found.counted == Size(5, 1, 10)


def test_what_nobody_has_used_for_a_day_is_forgotten() -> None:
    known = Conversations()
    known.hold(key(), RULE, 0)
    assert known.held(key(), EXPIRY - 1)
    assert not known.held(key(), EXPIRY)
    known.count(key(), Size(5, 1, 10), EXPIRY)
    assert not known.held(key(), EXPIRY)


def test_there_are_only_so_many() -> None:
    known = Conversations(most=2)
    for session in "ab":
        known.hold(key(session), RULE, 0)
    known.count(key("a"), Size(5, 1, 10), 1)
    known.hold(key("c"), RULE, 2)
    assert [known.find(key(session), 3) is not None for session in "abc"] == [True, False, True]
