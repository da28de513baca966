"""The address of a client behind proxies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.proxy.client_address import client_address, read_networks

TRUSTED = "10.0.0.1, 10.1.0.0/16,::1,2001:db8::/32"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.7"], "198.51.100.7"),
        ("::1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1,198.51.100.7 , 10.1.2.3,10.1.9.9"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.7", "10.1.2.3"], "198.51.100.7"),
        ("10.0.0.1", ["10.1.2.3"], "10.1.2.3"),
        ("10.0.0.1", ["198.51.100.7:5060"], "198.51.100.7"),
        ("10.0.0.1", ["[2001:db9::7]:5060"], "2001:db9::7"),
        ("10.0.0.1", ["2001:DB9:0::7"], "2001:db9::7"),
        ("10.0.0.1", ["198.51.100.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, _hidden, 10.1.2.3"], "10.1.2.3"),
        ("10.0.0.1", ["198.51.100.7,"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
    ],
)
def test_the_last_address_that_is_not_trusted(peer: str, forwarded: list[str], client: str) -> None:
    assert client_address(peer, forwarded, read_networks(TRUSTED)) == client
    assert client_address(peer, forwarded, ()) == peer.removeprefix("::ffff:")


@pytest.mark.parametrize("text", ["x", "10.0.0.0/33", "10.0.0.1 10.0.0.2", "a.example"])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        read_networks(f"10.0.0.1,{text}")
    assert read_networks(" , ") == ()


@given(st.lists(st.text("0123456789.,:[] ax", max_size=30), max_size=3))
def test_nobody_chooses_the_address_of_a_connection_that_is_not_trusted(claimed: list[str]) -> None:
    assert client_address("192.0.2.1", claimed, read_networks(TRUSTED)) == "192.0.2.1"
    behind = client_address("10.0.0.1", [*claimed, "198.51.100.7"], read_networks(TRUSTED))
    assert behind == "198.51.100.7", "and behind a trusted proxy only that proxy says who it is"
