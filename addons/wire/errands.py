"""Errands: what the gateway does itself for one client request, with requests of its own.

An errand is a generator that asks and is answered: it yields an `Ask` (a model of the gateway's) or a `Fetch` (any
address), is sent the `Reply`, may ask again, and returns what it was for. It never raises. The stream of the client's
request drives it (proxy/errand.py): pings go on, a reply that takes too long is one with status 0, and the errand is
closed when the client hangs up. So whoever writes one needs no I/O, no clock and no mitmproxy.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, Literal

import msgspec

from addons.wire.limits import ANSWER
from addons.wire.usage import Usage

Purpose = Literal["safeguard", "search"]
"""What an own request is for: its class, as rules know it."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A request to a model: as if the client had sent it, through rules, accounts, failover and ledger."""

    purpose: Purpose
    body: Mapping[str, Any]
    """A Messages request without `model` and `stream`: a whole answer comes."""
    model: str = ""
    """The name of a model of the gateway's. Empty: the target of the running attempt, without rules and fallbacks."""
    timeout: float
    """Seconds for the whole of it, over all attempts."""


class Fetch(msgspec.Struct, frozen=True, kw_only=True):
    """A plain HTTP request to an address that the configuration names. No account and no client's header goes there."""

    __repr__ = object.__repr__  # it has secrets

    purpose: Purpose
    url: str
    method: str = "GET"
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""
    credential: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Headers, lower-case, whose values nobody may see: masked in the flow, real on the wire only."""
    timeout: float
    longest: int = ANSWER
    """Bytes of the answer's body. A longer one is given up, and is a reply with status 0."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    status: int
    """The HTTP status; 0: no answer in time, or none at all."""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Lower-case names."""
    body: bytes = b""
    """Decoded. Of an `Ask`: a message, or an error in the Anthropic envelope."""
    timed_out: bool = False
    usage: Usage = msgspec.field(default_factory=Usage)
    """Of an `Ask`: what it took."""


type Errand[T] = Generator[Ask | Fetch, Reply, T]
"""Yields requests, is sent their replies, returns a T."""
