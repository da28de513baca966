"""A stand-in for mitmproxy's addon that listens."""

from collections.abc import Sequence


class Proxyserver:
    """Knows the addresses on which mitmproxy's would listen."""

    def __init__(self, *addresses: Sequence[str | int]) -> None:
        self.addresses = addresses

    def listen_addrs(self) -> Sequence[Sequence[str | int]]:
        return self.addresses
