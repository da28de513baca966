"""Signing in on the page: whose key it is, and when the cookie that it has made ends."""

from dataclasses import replace

import msgspec
import pytest

from addons.config.config import Config
from addons.state.users import KnownUser, Roll, User
from addons.team.keys import digest
from addons.team.session_cookie import LIFE, NAME
from addons.team.sign_in import Holder, SignIn
from addons.team.users import Users
from addons.team.wrong_keys import WrongKeys

NOW = 1_790_000_000.0
CONFIG = Config(providers={}, models=(), admin_key="admin-key", static_token="static-token")
KEY, OLD = f"gw-abcd2345-{'x' * 43}", f"gw-abcd2345-{'y' * 43}"
ALICE = KnownUser(User("alice", "abcd2345"), digest(KEY))


@pytest.fixture
def users() -> Users:
    known = Users()
    known.take(Roll(1, is_closed=True, users=(ALICE,)))
    return known


@pytest.fixture
def sign_in(users: Users) -> SignIn:
    return SignIn(users, WrongKeys(), lambda: "secret")


def header(sign_in: SignIn, key: str, config: Config = CONFIG) -> str:
    """What a browser sends that has signed in with this key."""
    return f"{NAME}={sign_in.cookie(key, config, NOW)}"


def become(users: Users, known: KnownUser) -> None:
    """Alice is changed."""
    users.take(Roll(users.roll.version + 1, is_closed=True, users=(known,)))


def test_everybody_with_a_key_signs_in(sign_in: SignIn) -> None:
    assert sign_in.holder(header(sign_in, KEY), CONFIG, NOW) == Holder("alice", is_admin=False)
    assert sign_in.holder(header(sign_in, "admin-key"), CONFIG, NOW) == Holder("admin", is_admin=True)
    assert sign_in.holder(header(sign_in, "static-token"), CONFIG, NOW) == Holder("shared", is_admin=False)
    for wrong in ("", "wrong", OLD, "gw-"):
        assert sign_in.cookie(wrong, CONFIG, NOW) == ""
    assert sign_in.holder("", CONFIG, NOW) is None


def test_it_ends_after_a_week(sign_in: SignIn) -> None:
    assert sign_in.holder(header(sign_in, KEY), CONFIG, NOW + LIFE) is None


def test_it_ends_when_the_user_is_revoked_or_deleted(sign_in: SignIn, users: Users) -> None:
    cookie = header(sign_in, KEY)
    become(users, replace(ALICE, revoked=NOW))
    assert sign_in.holder(cookie, CONFIG, NOW) is None
    users.take(Roll(users.roll.version + 1, is_closed=True))
    assert sign_in.holder(cookie, CONFIG, NOW) is None


def test_it_ends_with_the_key_that_made_it(sign_in: SignIn, users: Users) -> None:
    become(users, replace(ALICE, digest=digest(OLD)))
    cookie = header(sign_in, OLD)
    become(users, replace(ALICE, old_digest=digest(OLD), old_until=NOW + 60))
    assert sign_in.holder(cookie, CONFIG, NOW) == Holder("alice", is_admin=False)
    assert sign_in.holder(cookie, CONFIG, NOW + 60) is None
    assert sign_in.holder(header(sign_in, KEY), CONFIG, NOW + 60) == Holder("alice", is_admin=False)


def test_it_ends_when_the_administrators_key_is_another(sign_in: SignIn) -> None:
    cookies = [header(sign_in, key) for key in ("admin-key", "static-token")]
    for config in (replace(CONFIG, admin_key="new", static_token="new"), Config(providers={}, models=())):
        assert [sign_in.holder(cookie, config, NOW) for cookie in cookies] == [None, None]


def test_an_administrator_among_users_is_one_as_long_as_that_is_said(sign_in: SignIn, users: Users) -> None:
    become(users, replace(ALICE, user=msgspec.structs.replace(ALICE.user, admin=True)))
    cookie = header(sign_in, KEY)
    assert sign_in.holder(cookie, CONFIG, NOW) == Holder("alice", is_admin=True)
    become(users, ALICE)
    assert sign_in.holder(cookie, CONFIG, NOW) == Holder("alice", is_admin=False)
