"""The errand of one search: a question in, what was found or why nothing was, out.

Rules that hold here: never an invented result. Whatever a service sends that can't be read is a failure, which has the
error code that clients know; of a service's own words nothing is passed on but its results.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec
from msgspec import Raw

from addons.wire import raw_json
from addons.wire.errands import Errand, Reply
from addons.wire.limits import SEARCH_QUERY
from addons.wire.search.domains import Domains
from addons.wire.search.question import Question
from addons.wire.search.service import TIMEOUT, Found, Service
from addons.wire.search.services import SERVICES
from addons.wire.search.settings import SearchSettings

ErrorCode = Literal["invalid_tool_input", "unavailable", "max_uses_exceeded", "too_many_requests", "query_too_long"]
"""Of a `web_search_tool_result_error` (Anthropic's Python SDK)."""

CODES: Final[dict[int, ErrorCode]] = {
    400: "invalid_tool_input",
    413: "query_too_long",
    414: "query_too_long",
    422: "invalid_tool_input",
    429: "too_many_requests",
    432: "too_many_requests",
}
PASSING: Final = frozenset({0, 500, 502, 503})
"""Statuses after which a service is asked once more: a kept connection may have died of age."""


class Outcome(msgspec.Struct, frozen=True):
    """What came of a search."""

    query: str
    service: str
    """Its name; empty: none was asked."""
    results: tuple[Found, ...] = ()
    error: ErrorCode | None = None
    why: str = ""
    """With `error`: why it has failed, in a sentence without an end."""


def search(question: Question, settings: SearchSettings) -> Errand[Outcome]:
    """Make one search."""
    service = SERVICES[settings.provider]
    if not question.text:
        return Outcome("", "", error="invalid_tool_input", why="there is nothing to search for")
    if len(question.text) > SEARCH_QUERY:
        why = f"the query is longer than {SEARCH_QUERY:,} characters"
        return Outcome(question.text, "", error="query_too_long", why=why)
    fetch = service.ask(question, settings, f"{settings.url or service.url}{service.path}")
    reply = yield fetch
    if reply.status in PASSING and not reply.timed_out:
        reply = yield fetch
    return outcome(question, settings, service, reply)


def outcome(question: Question, settings: SearchSettings, service: Service, reply: Reply) -> Outcome:
    """What a service's reply says."""
    failed: ErrorCode = CODES.get(reply.status, "unavailable")
    if reply.timed_out:
        why = f"{service.title} didn't answer within {TIMEOUT:.0f} seconds"
    elif reply.status == 0:
        why = f"{service.title} sent no answer, or one that is too long"
    elif not 200 <= reply.status < 300:
        why = f"{service.title} answered {reply.status}"
        hint = service.hints.get(reply.status) or HINTS.get(reply.status // 100 if reply.status < 400 else reply.status)
        why += f": {hint}" if hint else ""
    else:
        answer = object_in(reply.body)
        if answer is not None:
            results = tuple(admitted(service.read(answer), question.domains, settings.results))
            return Outcome(question.text, service.title, results)
        why = f"{service.title} sent something other than JSON"
    return Outcome(question.text, service.title, error=failed, why=why)


HINTS: Final = {
    3: "a redirect, which is not followed: `search.url` must be the address itself",
    401: "it doesn't take the gateway's key",
    403: "it doesn't take the gateway's key",
    429: "its limit is reached",
}


def object_in(body: bytes) -> Any:
    """The JSON object that the body is; None when it is none."""
    try:
        data, fields, _ = raw_json.checked(body)
    except ValueError:
        return None
    return None if fields is None else raw_json.load(Raw(data))


def admitted(found: Iterable[Found | None], domains: Domains, most: int) -> Iterable[Found]:
    """The first results that the request's domains admit, each address once."""
    seen: set[str] = set()
    for one in found:
        if one and one.url not in seen and domains.admit(one.url):
            seen.add(one.url)
            yield one
            if len(seen) == most:
                return
