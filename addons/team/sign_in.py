"""Who is signed in on the page: keys become cookies, and cookies the users whose keys they were.

Rules of this file: no clock (`now` is epoch seconds); a cookie ends when its key does: it is sealed with what is kept
of the key, and looked up anew each time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from addons.config.config import Config
from addons.team.admission import same
from addons.team.keys import digest
from addons.team.session_cookie import holds, make, read
from addons.team.users import Users
from addons.team.wrong_keys import WrongKeys

PAGE_PATHS: Final = frozenset({"/gateway", "/gateway/", "/gateway/live", "/gateway/login", "/gateway/logout"})
"""What of the gateway is for browsers; the only paths that a cookie opens."""

ADMIN: Final = "admin"
SHARED: Final = "shared"


class Holder(NamedTuple):
    """Who has a key."""

    name: str
    is_admin: bool


class SignIn:
    """Gives and reads the page's cookies."""

    def __init__(self, users: Users, wrong_keys: WrongKeys, secret: Callable[[], str]) -> None:
        """`secret`: this gateway's own, of which nobody else knows."""
        self.users, self.wrong_keys, self.secret = users, wrong_keys, secret

    def cookie(self, key: str, config: Config, now: float) -> str:
        """The value of a cookie for whoever has this key; empty when nobody has it."""
        if not self.secret():
            return ""
        if same(key, config.admin_key):
            return make(ADMIN, self.secret(), digest(config.admin_key), now)
        if same(key, config.static_token):
            return make(SHARED, self.secret(), digest(config.static_token), now)
        found = self.users.find(key, now)
        return make(found.user.id, self.secret(), digest(key), now) if found.user else ""

    def wrong(self, address: str, now: float) -> float:
        """Note a key that nobody has. Returns the seconds for which the answer waits; `now` is monotonic."""
        return self.wrong_keys.wait(address, now)

    def holder(self, header: str, config: Config, now: float) -> Holder | None:
        """Whose cookie is in a Cookie header; None where there is none that still holds."""
        claim = read(header)
        if claim is None:
            return None
        keys: list[bytes] = []
        holder = Holder(claim.holder, is_admin=claim.holder == ADMIN)
        if claim.holder == ADMIN:
            keys = [digest(config.admin_key)] if config.admin_key else []
        elif claim.holder == SHARED:
            keys = [digest(config.static_token)] if config.static_token else []
        elif (known := self.users.known.get(claim.holder)) and known.revoked is None:
            keys = [known.digest, *([known.old_digest] if known.old_digest and now < known.old_until else [])]
            holder = Holder(known.user.name, known.user.admin)
        return holder if any(holds(claim, self.secret(), key, now) for key in keys) else None
