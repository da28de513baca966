"""The users that a running gateway knows: whom a key lets in, and what happens when they can't be read.

team/admission.py is tested in tests/test_auth.py too.
"""

from __future__ import annotations

import hmac
from dataclasses import replace

import msgspec
import pytest

from addons.config.config import Config
from addons.state.exchange import ClientCredential
from addons.state.users import KnownUser, Roll, User
from addons.team import users as module
from addons.team.admission import Presented, admit, refusal
from addons.team.keys import digest, make_key
from addons.team.users import NO_KEY, REPLACED, REVOKED, UNKNOWN, Found, Users
from tests.credentials import OWN, TOKEN

ALICE = User("alice", "aaaaaaaa")
KEY, OLD, OTHER = (make_key("aaaaaaaa") for _ in range(3))
KNOWN = KnownUser(ALICE, digest(KEY), digest(OLD), old_until=200.0)
CONFIG = Config(providers={}, models=())


def knowing(*users: KnownUser, version: int = 5, closed: bool = True) -> Users:
    made = Users()
    assert made.take(Roll(version, closed, users))
    return made


def test_whom_a_key_lets_in() -> None:
    users = knowing(KNOWN)
    assert users.find(KEY, 100.0) == users.find(OLD, 199.9) == Found(ALICE)
    assert users.find(OLD, 200.0) == Found(None, REPLACED)
    assert users.find(OTHER, 100.0) == Found(None, UNKNOWN)
    assert users.find(make_key("bbbbbbbb"), 100.0) == Found(None, UNKNOWN)
    assert users.find("gw-x", 100.0) == users.find("", 100.0) == NO_KEY
    users.take(Roll(6, True, (replace(KNOWN, revoked=150.0),)))
    assert users.find(KEY, 100.0) == users.find(OLD, 100.0) == Found(None, REVOKED)
    assert users.find(OTHER, 100.0) == Found(None, UNKNOWN), "only who has all of a key is told what became of it"


def test_a_user_without_a_key_is_let_in_by_none() -> None:
    """`shared` has none, nor has who has no old one."""
    users = knowing(KnownUser(ALICE, b""))
    assert users.find(KEY, 100.0) == Found(None, UNKNOWN)


def test_digests_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(given: bytes, expected: bytes) -> bool:
        compared.append((given, expected))
        return hmac.compare_digest(given, expected)

    monkeypatch.setattr(module, "hmac", type("hmac", (), {"compare_digest": staticmethod(compare)}))
    knowing(KNOWN).find(OTHER, 100.0)
    assert compared == [(digest(OTHER), digest(KEY)), (digest(OTHER), digest(OLD))]


def closed(users: Users) -> bool:
    return users.is_closed


def test_what_was_read_last_stays() -> None:
    users = knowing(KNOWN)
    users.fail("the disk is gone")
    assert users.find(KEY, 100.0).user and closed(users) and users.problem
    assert not users.take(Roll(4, False)), "another file, or an old copy"
    assert users.find(KEY, 100.0).user and closed(users)
    assert users.take(Roll(6, False))
    assert not closed(users) and users.problem == ""


def test_without_users_that_were_read_nobody_comes_in() -> None:
    users = Users()
    users.fail("no database")
    assert closed(users)
    assert users.take(Roll())
    assert not closed(users), "there are none"
    users.fail("no database")
    assert not closed(users), "it was known that there are none"


def test_who_may_still_be_here() -> None:
    users = knowing(KNOWN)
    assert users.has(ALICE) and users.has(msgspec.structs.replace(ALICE, models=("glm",))) and users.has(users.shared)
    assert not users.has(User("bob", "bbbbbbbb"))
    users.take(Roll(6, True, (replace(KNOWN, revoked=1.0),)))
    assert not users.has(ALICE)


# Admission


def test_the_first_credential_that_is_good_says_who_it_is() -> None:
    users = knowing(KNOWN)
    config = replace(CONFIG, static_token=TOKEN, admin_key="the-administrators-key")
    for token, keys, authorizations, caller in [
        (KEY, [], [], "alice"),
        ("", [KEY], [], "alice"),
        ("", [], [f"Bearer {KEY}"], "alice"),
        (KEY, [TOKEN], ["Bearer the-administrators-key"], "alice"),
        (TOKEN, [KEY], [], "token"),
        (OTHER, [KEY], [], "alice"),
        (OTHER, ["the-administrators-key"], [], "admin"),
        (OTHER, [], [], None),
    ]:
        found = admit(config, users, Presented(token, ""), authorizations, keys)
        assert found.caller == caller
        assert found.user == {"alice": ALICE, "token": users.shared}.get(caller or "")
        assert found.credential == ClientCredential()
        assert KEY not in repr(found._replace(key=""))


@pytest.mark.parametrize("users", [Users(), knowing(KNOWN)], ids=["without users", "with users"])
def test_what_is_spelt_like_a_key_is_nobodys_own(users: Users) -> None:
    mine = [f"Bearer {OTHER}", f"Basic {OTHER}", f"Bearer x, {OTHER}", f"Bearer {OWN}"]
    found = admit(CONFIG, users, Presented("", ""), mine, [KEY, OTHER, "my-own"])
    assert found.credential == ClientCredential(f"Bearer {OWN}", "my-own")


def test_what_somebody_is_told_who_stays_out() -> None:
    users = knowing(KNOWN)
    for key, words in [
        (OTHER, "missing or wrong gateway key: .* user add NAME"),
        (OLD, "the gateway key gw-aaaa….{4} has been replaced by a newer one: ask"),
        ("", "missing or wrong gateway key"),
    ]:
        found = admit(CONFIG, users, Presented(key, ""), [], [])
        assert found.caller is None
        told = refusal(users, found.why_not)
        assert pytest.raises(AssertionError, match=words).matches(AssertionError(told))
        assert key not in told or not key
    assert refusal(Users(), "").startswith("missing or wrong gateway token: ")
    unread = Users()
    unread.fail("no database")
    assert "can't read its users" in refusal(unread, "")


def test_an_open_gate_lets_everybody_in_but_those_with_a_key_that_was_good() -> None:
    users = knowing(KNOWN, closed=False)
    assert admit(CONFIG, users, Presented("", ""), [], []).caller == "anyone"
    assert admit(CONFIG, users, Presented(KEY, ""), [], []).caller == "alice"
    assert admit(CONFIG, users, Presented(OTHER, ""), [], []).caller == "anyone"
    assert admit(CONFIG, users, Presented(OLD, ""), [], []).caller is None
