"""The page's cookie: it holds for its holder, its key and its time, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.team.session_cookie import LIFE, NAME, holds, make, read, set_cookie

NOW = 1_790_000_000.0
SECRET = "secret-of-this-gateway"
VALUE = make("abcd2345", SECRET, b"digest", NOW)


def test_a_cookie_holds_until_its_time_is_over() -> None:
    claim = read(f"other=1; {NAME}={VALUE}; more=2")
    assert claim
    assert claim.holder == "abcd2345"
    assert holds(claim, SECRET, b"digest", NOW)
    assert holds(claim, SECRET, b"digest", NOW + LIFE - 1)
    assert not holds(claim, SECRET, b"digest", NOW + LIFE)


def test_it_ends_with_its_key_and_belongs_to_one_gateway() -> None:
    claim = read(f"{NAME}={VALUE}")
    assert claim
    for secret, digest in ((SECRET, b"another"), ("another", b"digest"), ("", b"digest"), (SECRET, b"")):
        assert not holds(claim, secret, digest, NOW)
    bare = read(f"{NAME}={make('admin', '', b'', NOW)}")
    assert bare
    assert not holds(bare, "", b"", NOW)


def test_nothing_in_it_can_be_changed() -> None:
    claim = read(f"{NAME}={VALUE}")
    assert claim
    for changed in (
        claim._replace(holder="admin"),
        claim._replace(until=claim.until + 1),
        claim._replace(seal="0" * 64),
    ):
        assert not holds(changed, SECRET, b"digest", NOW)


@given(st.text())
def test_anything_else_is_no_cookie(header: str) -> None:
    assert read(header) is None
    assert read(f"{NAME}={header}") is None


@pytest.mark.parametrize("value", [VALUE + "0", VALUE[:-1], VALUE.upper(), "admin.1.", f"a b.{VALUE[9:]}", "x" * 9999])
def test_what_is_not_spelt_like_one_is_none(value: str) -> None:
    assert read(f"{NAME}={value}") is None


def test_the_header() -> None:
    assert set_cookie("v", secure=True) == (
        f"{NAME}=v; Path=/gateway; Max-Age={LIFE}; HttpOnly; SameSite=Strict; Secure"
    )
    assert set_cookie("", secure=False) == f"{NAME}=; Path=/gateway; Max-Age=0; HttpOnly; SameSite=Strict"
