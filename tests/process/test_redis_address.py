"""The address of a Redis: what is one, and what may be seen of it."""

import pytest

from addons.process.redis_address import WrongAddress, address, database, password, shown

SECRET = "p%40ss-word-1"


@pytest.mark.parametrize(
    ("written", "meant", "visible"),
    [
        ("redis://cache:6380/2", "redis://cache:6380/2", "cache:6380/2"),
        ("redis://cache", "redis://cache", "cache:6379"),
        (f"rediss://me:{SECRET}@cache/", f"rediss://me:{SECRET}@cache/", "cache:6379"),
        (f"valkey://:{SECRET}@[::1]:7000", f"redis://:{SECRET}@[::1]:7000", "[::1]:7000"),
        (f"VALKEYS://:{SECRET}@cache?ssl_cert_reqs=none", f"rediss://:{SECRET}@cache?ssl_cert_reqs=none", "cache:6379"),
        (f"unix://:{SECRET}@/run/redis.sock?db=3", f"unix://:{SECRET}@/run/redis.sock?db=3", "unix:/run/redis.sock"),
    ],
)
def test_an_address(written, meant, visible):
    assert address(written) == meant
    assert shown(written) == visible and SECRET not in shown(written)


@pytest.mark.parametrize(
    "written", ["cache:6379", "http://cache", "redis://", f"redis://:{SECRET}@", f"redis://:{SECRET}@a:b", "unix://"]
)
def test_what_is_none_is_not_repeated(written):
    with pytest.raises(WrongAddress) as error:
        address(written)
    assert SECRET not in str(error.value)


def test_the_password_is_known_in_every_form():
    assert set(password(f"redis://me:{SECRET}@cache")) == {SECRET, "p@ss-word-1"}
    assert set(password(f"redis://cache?password={SECRET}")) == {SECRET, "p@ss-word-1"}
    assert password("redis://cache") == ()


@pytest.mark.parametrize(
    ("written", "number"),
    [("redis://a/2", "2"), ("redis://a", "0"), ("redis://a/x", "0"), ("redis://a?db=4", "4"), ("unix:///r?db=3", "3")],
)
def test_the_number_of_the_database(written, number):
    assert database(written) == number
