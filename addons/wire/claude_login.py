"""A login of Claude Code, as the client keeps it in `.credentials.json`: reading it, renewing it, writing it back.

Rules that hold here:
- Bytes in, values or bytes out: who sends, reads and writes them is elsewhere, and time is given.
- What the client keeps beside the login, or will keep there one day, stays in the file as it is.
- No token is in an error, a reason or a repr.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from addons.wire.error_reading import read_error
from addons.wire.masking import mask_text
from addons.wire.rate_limits import retry_after

CLIENT_ID: Final = "9d1c250a-e61b-44d9-88ed-5944d1962f5e"
"""Claude Code's own (read in its bundle, 2.1.332)."""
SECTION: Final = "claudeAiOauth"

EARLY: Final = 300.0
"""Seconds before its end at which a token is renewed: the client's own rule."""
SHORTEST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds to wait before the token endpoint is asked again, whatever it says."""

VISIBLE: Final = re.compile(r"[\x21-\x7e]+")


class Login(msgspec.Struct, frozen=True):
    """A login as the file has it: its tokens, and when the access token ends."""

    __repr__ = object.__repr__  # it has secrets

    access_token: str
    refresh_token: str = ""
    """Empty: it can't be renewed."""
    expires_at: float | None = None
    """Epoch seconds; None: it doesn't say."""
    scopes: tuple[str, ...] = ()

    def is_due(self, now: float) -> bool:
        """Whether it is to be renewed now."""
        return self.expires_at is not None and now + EARLY >= self.expires_at

    def is_over(self, now: float) -> bool:
        """Whether its access token can't be used any more."""
        return self.expires_at is not None and now >= self.expires_at


class Renewed(msgspec.Struct, frozen=True):
    """New tokens."""

    __repr__ = object.__repr__  # it has secrets

    access_token: str
    refresh_token: str = ""
    """Empty: the old one stays."""
    expires_in: float | None = None
    refresh_expires_in: float | None = None
    scopes: tuple[str, ...] = ()


class Refused(msgspec.Struct, frozen=True):
    """This login can't be renewed any more: somebody has to log in again."""

    reason: str


class Later(msgspec.Struct, frozen=True):
    """A renewal that has failed for now, and why."""

    reason: str
    wait: float | None = None
    """Seconds, when the endpoint gave a time."""


def read_login(data: bytes) -> Login:
    """The login in a file. Raises ValueError, which says what is wrong with the file."""
    section = _document(data).get(SECTION)
    if not isinstance(section, dict):
        raise ValueError(f"there is no {SECTION} in it")
    access, refresh = _token(section.get("accessToken")), _token(section.get("refreshToken"))
    if not access:
        raise ValueError("there is no access token in it: log in again")
    scopes = section.get("scopes")
    return Login(
        access,
        refresh,
        _number(section.get("expiresAt"), 1000),
        tuple(filter(None, map(_token, scopes))) if isinstance(scopes, list) else (),
    )


def renewal(login: Login) -> bytes:
    """The body of the request for new tokens."""
    fields = {"grant_type": "refresh_token", "refresh_token": login.refresh_token, "client_id": CLIENT_ID}
    if login.scopes:
        fields["scope"] = " ".join(login.scopes)
    return json.dumps(fields).encode()


def read_renewal(status: int, headers: Mapping[str, str], body: bytes, now: float) -> Renewed | Refused | Later:
    """What the token endpoint answered; header names in lower case."""
    if 200 <= status < 300:
        return _read_tokens(body)
    error = read_error(status, headers.get("content-type", ""), body)
    said = f"{status} {mask_text(error.message, ())[:300]}"
    if status == 404 or (status in (400, 401) and "invalid_grant" in error.message):
        return Refused(f"the refresh token is not valid any more ({said})")
    if status in (400, 401, 403) and "https://" in error.message:
        return Refused(f"the account is on hold ({said})")
    wait = retry_after(headers, now) if status in (429, 503) else None
    return Later(said, None if wait is None else min(max(wait, SHORTEST_PAUSE), LONGEST_PAUSE))


def _read_tokens(body: bytes) -> Renewed | Later:
    try:
        fields = _document(body)
    except ValueError:
        fields = {}
    access, refresh, scope = (
        _token(fields.get("access_token")),
        _token(fields.get("refresh_token")),
        fields.get("scope"),
    )
    if not access:
        return Later("the token endpoint answered without an access token")
    return Renewed(
        access,
        refresh,
        _number(fields.get("expires_in")),
        _number(fields.get("refresh_token_expires_in")),
        tuple(scope.split()) if isinstance(scope, str) else (),
    )


def renewed(data: bytes, tokens: Renewed, now: float) -> bytes:
    """The file with the new tokens in it. `data` is one that `read_login` could read."""
    document = _document(data)
    section: dict[str, Any] = document[SECTION]
    section["accessToken"] = tokens.access_token
    if tokens.refresh_token:
        section["refreshToken"] = tokens.refresh_token
    if tokens.expires_in is not None:
        section["expiresAt"] = round((now + tokens.expires_in) * 1000)
    if tokens.refresh_expires_in is not None:
        section["refreshTokenExpiresAt"] = round((now + tokens.refresh_expires_in) * 1000)
    if tokens.scopes:
        section["scopes"] = list(tokens.scopes)
    return json.dumps(document).encode()


def _document(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    return value


def _token(value: object) -> str:
    """The value, when a header can carry it; else nothing."""
    return value if isinstance(value, str) and VISIBLE.fullmatch(value) else ""


def _number(value: object, divisor: int = 1) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value / divisor if is_number and 0 < value < 1e15 else None  # type: ignore[operator]
