"""Which addresses a search may return: the `allowed_domains` and `blocked_domains` of a request.

Anthropic's rules (its web search documentation): a domain covers its subdomains, a path what begins with it, one `*`
in the path any text. Rules that hold here: linear time; what is no address of the web is never admitted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

MOST_DOMAINS: Final = 1000
"""Entries of one list that are looked at; more are nobody's."""


class Domain(msgspec.Struct, frozen=True):
    """One entry of a list: `example.com`, `docs.example.com/api`, `example.com/*/news`."""

    host: str
    path: str = ""
    """Empty: any."""

    def covers(self, host: str, path: str) -> bool:
        """Whether an address is of this domain."""
        if host != self.host and not host.endswith(f".{self.host}"):
            return False
        before, star, after = self.path.partition("*")
        if not star:
            return path.startswith(before)
        return len(path) >= len(before) + len(after) and path.startswith(before) and after in path[len(before) :]


class Domains(msgspec.Struct, frozen=True):
    """Both lists of a request; usually one of them is empty."""

    allowed: tuple[Domain, ...] = ()
    blocked: tuple[Domain, ...] = ()
    only: bool = False
    """Nothing but `allowed` may be returned, also where none of its entries can be read."""

    def admit(self, url: str) -> bool:
        """Whether a result with this address may be returned."""
        place = place_of(url)
        if place is None:
            return False
        host, path = place
        if any(domain.covers(host, path) for domain in self.blocked):
            return False
        return not self.only or any(domain.covers(host, path) for domain in self.allowed)

    def hosts(self) -> tuple[list[str], list[str]]:
        """The hosts, each once, for services that can be told: those to search in, and those to leave out (of which
        only whole ones can be left out)."""
        return (
            list(dict.fromkeys(domain.host for domain in self.allowed)),
            list(dict.fromkeys(domain.host for domain in self.blocked if not domain.path)),
        )


def domains_of(allowed: Any, blocked: Any) -> Domains:
    """The domains that these lists of a request name."""
    return Domains(tuple(read(allowed)), tuple(read(blocked)), only=isinstance(allowed, list) and bool(allowed))


def read(listed: Any) -> Iterable[Domain]:
    """The entries of a list that can be read, each once."""
    texts = [text for text in listed if isinstance(text, str)] if isinstance(listed, list) else []
    found = (domain(text) for text in texts[:MOST_DOMAINS])
    return dict.fromkeys(one for one in found if one)


def domain(text: str) -> Domain | None:
    """An entry as it is written, with or without a scheme before it; None when it is none."""
    place = place_of(text if "://" in text else f"https://{text}")
    return Domain(place[0], place[1].rstrip("/")) if place and "*" not in place[0] else None


def place_of(url: str) -> tuple[str, str] | None:
    """The host and the path of a web address; None when it is none."""
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").rstrip(".")
        host = host if host.isascii() else host.encode("idna").decode()
    except ValueError:  # UnicodeError is one
        return None
    return (host, parts.path or "/") if host and parts.scheme in ("http", "https") else None
