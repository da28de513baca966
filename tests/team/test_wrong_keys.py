"""Who tries wrong keys is answered later and later; nobody else is, and the table stays small."""

from __future__ import annotations

import pytest

from addons.team.wrong_keys import WrongKeys, network
from addons.wire.limits import SLOWED, SLOWED_ADDRESSES, WRONG_KEYS


def test_the_first_are_answered_at_once_and_then_one_a_second() -> None:
    keys = WrongKeys()
    assert [keys.wait("a", 100.0) for _ in range(WRONG_KEYS)] == [0.0] * WRONG_KEYS
    assert [keys.wait("a", 100.0) for _ in range(3)] == [1.0, 2.0, 3.0]
    assert keys.wait("b", 100.0) == 0.0, "another address is another one's"
    assert keys.wait("a", 104.0) == 0.0, "three seconds for those three, one for this one"
    assert keys.wait("a", 104.0) == 1.0
    assert keys.wait("a", 104.0 + WRONG_KEYS + 10) == 0.0
    assert [keys.wait("a", 200.0) for _ in range(WRONG_KEYS - 1)] == [0.0] * (WRONG_KEYS - 1)


def test_no_wait_is_endless_and_it_is_forgotten_soon() -> None:
    keys = WrongKeys()
    waits = [keys.wait("a", 0.0) for _ in range(100_000)]
    assert max(waits) == waits[-1] == SLOWED
    assert keys.wait("a", SLOWED + 2) == 0.0


def test_the_table_is_bounded_and_the_quiet_go_first() -> None:
    keys = WrongKeys()
    for number in range(SLOWED_ADDRESSES):
        keys.wait(f"10.0.{number // 256}.{number % 256}", 0.5 if number else 0.0)
    for _ in range(200):
        keys.wait("10.0.0.1", 0.5)
    keys.wait("192.0.2.1", 0.6)
    assert len(keys.paid_at) == SLOWED_ADDRESSES
    assert "10.0.0.0" not in keys.paid_at
    assert keys.wait("10.0.0.1", 0.6) > 0
    keys.wait("192.0.2.2", 10.0)
    assert set(keys.paid_at) == {"10.0.0.1", "192.0.2.2"}


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("?", "?"),
        ("no:address", "no:address"),
    ],
)
def test_a_household_is_one(address: str, counts_as: str) -> None:
    assert network(address) == counts_as
