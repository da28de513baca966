"""Secrets that nobody must ever see again, and the search for them.

Rule of this file: what may be shown of a secret is its public prefix and its last four characters. Anything more of it,
plain or in another encoding, is a leak: every piece of eleven characters of what is between them is found.
"""

import base64
import random
import string
from collections.abc import Iterable
from urllib.parse import quote

PIECE, STRIDE = 8, 4


class Canary:
    """One secret. `where` says where it can come from."""

    def __init__(self, where: str, prefix: str = "", *, alphabet: str = string.ascii_letters + string.digits) -> None:
        chance = random.Random(where)
        self.where = where
        self.core = "".join(chance.choices(alphabet, k=24))
        self.value = f"{prefix}{self.core}{''.join(chance.choices(string.digits, k=4))}"
        pieces = [self.core[start : start + PIECE] for start in range(0, len(self.core) - PIECE + 1, STRIDE)]
        self.traces = [piece.encode() for piece in pieces]
        self.traces += [self.core.encode().hex().encode(), quote(self.core, safe="").encode()]
        for shift in range(3):
            # Whatever comes before and after it, these characters of its base64 are the same.
            encoded = base64.b64encode(b"x" * shift + self.core.encode())
            self.traces += [encoded[4:-4], encoded[4:-4].replace(b"+", b"-").replace(b"/", b"_")]

    def __str__(self) -> str:
        return self.value


def leaks(canaries: Iterable[Canary], artifacts: Iterable[tuple[str, bytes]]) -> list[str]:
    """One line for each artifact with something of a canary in it, and what is around the first place."""
    found = []
    for name, data in artifacts:
        for canary in canaries:
            places = [place for trace in canary.traces if (place := data.find(trace)) >= 0]
            if places:
                start = max(0, min(places) - 100)
                found.append(f"{name}: {canary.where}: {data[start : min(places) + 40]!r}")
    return found
