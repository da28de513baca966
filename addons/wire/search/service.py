"""What a search service is to the gateway, and what its adapters share.

Rules that hold here: an adapter is two pure functions, one that makes the request and one that reads the answer's JSON;
it never raises on what a service has sent. What it returns is filtered by the request's domains afterwards, whether the
service was told of them or not.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from addons.wire import raw_json
from addons.wire.errands import Fetch
from addons.wire.limits import SEARCH_ANSWER
from addons.wire.search.question import Question
from addons.wire.search.settings import SearchSettings

TIMEOUT: Final = 15.0
"""Seconds for one answer of a service; they take one or two."""

LONGEST_URL: Final = 2_000
"""Characters of an address; longer ones are left out."""
LONGEST_TITLE: Final = 300
LONGEST_SNIPPET: Final = 1_500
"""Characters of what a service says of one result; longer ones are cut."""
MOST_SITES: Final = 10
"""Domains that are written into a query: engines take a few."""

MARKUP: Final = re.compile(r"</?[a-zA-Z]{1,10}>")
"""What services put around the words that were searched for."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One result."""

    url: str
    title: str
    snippet: str
    age: str
    """When the page was made or changed, in the service's words; empty: it doesn't say."""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A search service."""

    title: str
    """As people know it."""
    url: str
    """Where it is; empty: wherever somebody runs it."""
    path: str
    """What comes behind `url`."""
    key: bool | None
    """Whether it needs a key; None: it may have one."""
    ask: Callable[[Question, SearchSettings, str], Fetch]
    """The request for a question; the last argument is the address."""
    read: Callable[[Any], Iterable[Found | None]]
    """The results in the JSON of its answer, None for what is none."""
    hints: Mapping[int, str]
    """What a status means that says little by itself."""


def get(url: str, parameters: Mapping[str, str | int], credential: Mapping[str, str] | None = None) -> Fetch:
    """A GET with these parameters."""
    query = urlencode({name: str(value) for name, value in parameters.items()}, errors="replace")
    return Fetch(
        purpose="search",
        url=f"{url}?{query}",
        headers={"accept": "application/json"},
        credential=credential or {},
        timeout=TIMEOUT,
        longest=SEARCH_ANSWER,
    )


def post(url: str, body: Mapping[str, Any], credential: Mapping[str, str]) -> Fetch:
    """A POST of these fields, without the empty ones, as JSON."""
    return Fetch(
        purpose="search",
        url=url,
        method="POST",
        headers={"accept": "application/json", "content-type": "application/json"},
        body=bytes(raw_json.dump({name: value for name, value in body.items() if value not in ("", [])})),
        credential=credential,
        timeout=TIMEOUT,
        longest=SEARCH_ANSWER,
    )


def bearer(settings: SearchSettings) -> dict[str, str]:
    """The key as a bearer token, if there is one."""
    return {"authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}


def with_sites(question: Question) -> str:
    """The query with the request's domains as operators, for engines that know `site:`."""
    allowed, blocked = question.domains.hosts()
    sites = " OR ".join(f"site:{host}" for host in allowed) if len(allowed) <= MOST_SITES else ""
    if len(allowed) > 1 and sites:
        sites = f"({sites})"
    return " ".join(filter(None, [question.text, sites, *(f"-site:{host}" for host in blocked[:MOST_SITES])]))


def items(value: Any, *path: str) -> list[dict[str, Any]]:
    """The objects in the array that is found by these keys."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def found(
    item: Mapping[str, Any], *, url: str = "url", title: str = "title", snippet: str, age: str = ""
) -> Found | None:
    """The result that an object is, by the names of its fields; None when it has no address."""
    address = item.get(url)
    if not isinstance(address, str) or not 0 < len(address) <= LONGEST_URL:
        return None
    return Found(
        url=address.strip(),
        title=plain(item.get(title), LONGEST_TITLE) or address.strip(),
        snippet=plain(item.get(snippet), LONGEST_SNIPPET),
        age=plain(item.get(age), 100),
    )


def plain(text: Any, longest: int) -> str:
    """A text of a service in one line, without markup; empty when it is none."""
    if not isinstance(text, str):
        return ""
    words = " ".join(html.unescape(MARKUP.sub("", text[: 4 * longest])).split())
    words = words if words.isprintable() else "".join(char for char in words if char.isprintable())
    return words if len(words) <= longest else f"{words[: longest - 1]}…"
