"""The cookie by which a browser stays signed in on the page: who it was, until when, and a seal.

The seal is made with this gateway's own secret and what is kept of the key that was shown, so that a cookie ends with
its key, and whoever reads the database can't make one. Rules of this file: pure, no clock (`now` is epoch seconds); a
cookie holds nothing that would be a key; what isn't exactly a cookie of ours is none.
"""

from __future__ import annotations

import hmac
import re
from typing import Final, NamedTuple

NAME: Final = "gateway_session"
PATH: Final = "/gateway"
LIFE: Final = 7 * 86_400
"""Seconds for which a browser stays signed in."""
LONGEST: Final = 200
"""Characters of a cookie of ours, and more."""
VALUE: Final = re.compile(r"([a-z0-9]{1,40})\.([0-9]{1,12})\.([0-9a-f]{64})", re.ASCII)


class Claim(NamedTuple):
    """What a cookie says; whether it is true is seen by its seal."""

    holder: str
    """The public id of a user, or `admin`, or `shared`."""
    until: int
    seal: str


def make(holder: str, secret: str, digest: bytes, now: float) -> str:
    """The value of a cookie for whoever has shown the key with this digest."""
    until = int(now) + LIFE
    return f"{holder}.{until}.{seal(holder, until, secret, digest)}"


def seal(holder: str, until: int, secret: str, digest: bytes) -> str:
    """What nobody else can make."""
    return hmac.new(secret.encode() + b"|" + digest, f"{NAME}.{holder}.{until}".encode(), "sha256").hexdigest()


def read(header: str) -> Claim | None:
    """What a Cookie header says of a session; None when it has none."""
    for part in header.split(";", 64)[:64]:
        name, _, value = part.strip().partition("=")
        if name == NAME and len(value) <= LONGEST and (found := VALUE.fullmatch(value)):
            return Claim(found[1], int(found[2]), found[3])
    return None


def holds(claim: Claim, secret: str, digest: bytes, now: float) -> bool:
    """Whether a cookie is one of ours and its time isn't over."""
    true = hmac.compare_digest(seal(claim.holder, claim.until, secret, digest), claim.seal)
    return bool(secret and digest) and true and now < claim.until


def set_cookie(value: str, *, secure: bool) -> str:
    """The Set-Cookie header that signs in; with an empty value the one that signs out."""
    age = LIFE if value else 0
    return f"{NAME}={value}; Path={PATH}; Max-Age={age}; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")
