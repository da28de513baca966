"""The users that a running gateway knows, and who of them a key lets in.

Rules of this file: no clock (`now` is epoch seconds) and no file; what was read last stays until something newer is
read; a gate that was closed is opened only by somebody who has said so.
"""

from __future__ import annotations

import hmac
from typing import NamedTuple

from addons.state.users import SHARED, KnownUser, Roll, User
from addons.team.keys import digest, public_id

UNKNOWN = "unknown"
REVOKED = "revoked"
REPLACED = "replaced"


class Found(NamedTuple):
    """What a key says of whoever has shown it."""

    user: User | None
    why_not: str = ""
    """Where it lets nobody in: what it is instead. Only whoever has the whole key is told more than that it is unknown.
    Empty: it is no key of ours at all."""


NO_KEY = Found(None)


class Users:
    """All users, by their public ids."""

    def __init__(self) -> None:
        self.roll = Roll()
        self.known: dict[str, KnownUser] = {}
        self.is_closed = False
        """Nobody comes in without a key."""
        self.was_read = False
        self.problem = ""
        """Why the users can't be read; empty when they can."""
        self.shared = User(SHARED, SHARED)
        """Whoever has PROXY_STATIC_TOKEN."""

    def take(self, roll: Roll) -> bool:
        """Take over what was read. False: it is older than what is known, so the file is another one, and what is known
        stays."""
        if roll.version < self.roll.version:
            return False
        if roll == self.roll:
            roll = self.roll  # the users stay the same objects: what is known of them by who they are stays
        self.roll, self.problem, self.was_read = roll, "", True
        self.known = {known.user.id: known for known in roll.users}
        self.is_closed = roll.is_closed
        self.shared = self.known[SHARED].user if SHARED in self.known else User(SHARED, SHARED)
        return True

    def fail(self, why: str) -> None:
        """The users can't be read: those that were read last stay, and without any nobody comes in."""
        self.problem = why
        self.is_closed = self.is_closed or not self.was_read

    def find(self, key: str, now: float) -> Found:
        """Whom a key lets in."""
        public = public_id(key)
        if public is None:
            return NO_KEY
        known = self.known.get(public)
        if known is None:
            return Found(None, UNKNOWN)
        given = digest(key)
        if hmac.compare_digest(given, known.digest):
            return Found(known.user) if known.revoked is None else Found(None, REVOKED)
        if known.old_digest and hmac.compare_digest(given, known.old_digest):
            if known.revoked is not None:
                return Found(None, REVOKED)
            return Found(known.user) if now < known.old_until else Found(None, REPLACED)
        return Found(None, UNKNOWN)

    def has(self, user: User) -> bool:
        """Whether somebody who has come in as this user may still be here."""
        known = self.known.get(user.id)
        return user.id == SHARED or (known is not None and known.revoked is None)
