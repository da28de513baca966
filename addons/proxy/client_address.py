"""Who is who behind a proxy: the address of a client whose connection comes from a proxy that the operator trusts.

Rules of this file: pure functions. `X-Forwarded-For` is read from its end, where the nearest proxy has written, and
only as far as trusted proxies go: what stands before that is whatever somebody has claimed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

from addons.proxy.browsers import address, host_of

Network = IPv4Network | IPv6Network


def read_networks(text: str) -> tuple[Network, ...]:
    """The value of `gateway_trusted_proxies`: addresses or networks, separated by commas. Raises ValueError."""
    return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())


def is_within(text: str, networks: Sequence[Network]) -> bool:
    """Whether this is an address in one of the networks."""
    found = address(text)
    return found is not None and any(found.version == one.version and found in one for one in networks)


def client_address(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The address that counts as the client's.

    peer: of the connection. forwarded: the values of `X-Forwarded-For`, in order. Without trusted proxies, and for
    everybody else's connections, it is the peer's; from a trusted one the last address that isn't trusted, and where
    that can't be read, the proxy that has passed it on.
    """
    client = plain(peer)
    if not trusted:
        return client
    hops = from_the_end(forwarded)
    while is_within(client, trusted):
        hop = next(hops, None)
        if hop is None or (found := host_of(hop)) is None or address(found) is None:
            break
        client = found
    return client


def plain(peer: str) -> str:
    """An address in its short form, an IPv4 one that a socket shows as IPv6 as IPv4."""
    if ":" not in peer:
        return peer  # one of IPv4 has no other form
    found = address(peer)
    return str(found) if found else peer


def from_the_end(forwarded: Sequence[str]) -> Iterator[str]:
    """The entries of `X-Forwarded-For`, the nearest hop first, each without white space."""
    for value in reversed(forwarded):
        end = len(value)
        while end >= 0:
            comma = value.rfind(",", 0, end)
            yield value[comma + 1 : end].strip()
            end = comma
