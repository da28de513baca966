"""Who tries wrong keys: answers to them come the later, the more an address has tried.

Rules of this file: no clock (`now` is monotonic seconds); a right key is never slowed, from whatever address it comes;
the table has a bounded number of addresses, and an address that has been quiet leaves it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from addons.wire.limits import SLOWED, SLOWED_ADDRESSES, WRONG_KEYS

EVERY = 1.0
"""Seconds after which an address has one wrong key more."""


class WrongKeys:
    """For each address, when all that it has tried would have been allowed for at the slow pace."""

    def __init__(self) -> None:
        self.tell: Callable[[str], object] = lambda _network: None
        """Told of each network that has tried a wrong key, while that makes a difference."""
        self.paid_at: OrderedDict[str, float] = OrderedDict()

    def wait(self, address: str, now: float) -> float:
        """Note a wrong key, and tell of it. Returns the seconds for which its answer waits."""
        neighbours = network(address)
        if self.paid_at.get(neighbours, 0.0) < now + WRONG_KEYS * EVERY + SLOWED:
            self.tell(neighbours)
        return self.note(neighbours, now)

    def note(self, neighbours: str, now: float) -> float:
        """Note a wrong key that was tried from a network, here or elsewhere."""
        paid_at = max(self.paid_at.pop(neighbours, now), now) + EVERY
        self.paid_at[neighbours] = min(paid_at, now + WRONG_KEYS * EVERY + SLOWED)
        if len(self.paid_at) > SLOWED_ADDRESSES:
            self.make_room(now)
        return min(max(0.0, paid_at - now - WRONG_KEYS * EVERY), SLOWED)

    def make_room(self, now: float) -> None:
        """Forget the addresses that have been quiet, or else the one that has been so for longest."""
        for address in [address for address, paid_at in self.paid_at.items() if paid_at <= now]:
            del self.paid_at[address]
        while len(self.paid_at) > SLOWED_ADDRESSES:
            self.paid_at.popitem(last=False)


def network(address: str) -> str:
    """Who counts as one: an IPv4 address, and of IPv6 the network of a household (/64)."""
    if ":" not in address:
        return address
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(IPv6Address(int(found) >> 64 << 64)) if isinstance(found, IPv6Address) else address
