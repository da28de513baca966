"""Keys of users: `gw-<public id>-<secret>`.

The public id names the user, in lists and in the file; it stays when a key is replaced by a new one. The secret has
256 random bits, so a plain SHA-256 is enough to keep of it: there is nothing to guess. Rule of this file: no key is in
an error.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

PREFIX: Final = "gw-"
ID_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
ID_LENGTH: Final = 8
SECRET_BYTES: Final = 32

KEY: Final = re.compile(rf"{PREFIX}([a-z2-7]{{{ID_LENGTH}}})-[A-Za-z0-9_-]{{43}}", re.ASCII)
LENGTH: Final = len(PREFIX) + ID_LENGTH + 1 + 43


def make_id() -> str:
    """A new public id."""
    return "".join(secrets.choice(ID_LETTERS) for _ in range(ID_LENGTH))


def make_key(public_id: str) -> str:
    """A new key of the user with this public id."""
    return f"{PREFIX}{public_id}-{secrets.token_urlsafe(SECRET_BYTES)}"


def public_id(text: str) -> str | None:
    """The public id in a key; None when the text isn't spelt like a key."""
    if len(text) != LENGTH or not text.startswith(PREFIX):
        return None
    found = KEY.fullmatch(text)
    return found[1] if found else None


def digest(key: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).digest()
