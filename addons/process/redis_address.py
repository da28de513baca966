"""The address of a Redis or Valkey, as somebody has written it: what may be shown of it, and what redis-py takes."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote, urlsplit

SCHEMES: Final = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss", "unix": "unix"}
"""What people write, and what redis-py knows it as."""


class WrongAddress(ValueError):
    """It is none; `str()` says why, without it: there may be a password in it."""


def address(url: str) -> str:
    """The address for redis-py. Raises WrongAddress."""
    scheme, colon, rest = url.strip().partition("://")
    if not colon or scheme.lower() not in SCHEMES:
        raise WrongAddress("must begin with redis://, rediss:// (TLS), valkey://, valkeys:// or unix://")
    found = f"{SCHEMES[scheme.lower()]}://{rest}"
    try:
        parts = urlsplit(found)
        _ = parts.port
    except ValueError:
        raise WrongAddress("has a host or a port that is none") from None
    if not (parts.path if parts.scheme == "unix" else parts.hostname):
        raise WrongAddress("names no host")
    return found


def shown(url: str) -> str:
    """The address without user, password and options."""
    parts = urlsplit(address(url))
    if parts.scheme == "unix":
        return f"unix:{parts.path}"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or 6379}{parts.path if parts.path != '/' else ''}"


def password(url: str) -> tuple[str, ...]:
    """What must not be seen of it: the password, as it stands there and as it is meant."""
    found = urlsplit(url).password or ""
    options = [part.partition("=")[2] for part in urlsplit(url).query.split("&") if part.startswith("password=")]
    return tuple({one for text in (found, *options) for one in (text, unquote(text)) if one})


def database(url: str) -> str:
    """The number of the database: whoever uses another one hears nothing of this one's news."""
    parts = urlsplit(url)
    options = [part.partition("=")[2] for part in parts.query.split("&") if part.startswith("db=")]
    number = options[0] if options else parts.path.strip("/") if parts.scheme != "unix" else ""
    return number if number.isdigit() else "0"
