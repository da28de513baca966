"""Perplexity, by its Search API, which gives results and no answer of a model (docs.perplexity.ai)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from addons.wire.errands import Fetch
from addons.wire.search.question import Question
from addons.wire.search.service import Found, Service, bearer, found, items, post
from addons.wire.search.settings import SearchSettings

MOST_DOMAINS: Final = 20
"""Domains that it takes, either to search in or (with a minus before them) to leave out."""


def ask(question: Question, settings: SearchSettings, url: str) -> Fetch:
    allowed, blocked = question.domains.hosts()
    listed = allowed or [f"-{host}" for host in blocked][:MOST_DOMAINS]
    fields = {
        "query": question.text,
        "max_results": settings.results,
        "search_domain_filter": listed if len(listed) <= MOST_DOMAINS else [],
        "country": question.country,
    }
    return post(url, fields, bearer(settings))


def read(answer: Any) -> Iterable[Found | None]:
    for item in items(answer, "results"):
        yield found(item, snippet="snippet", age="date" if isinstance(item.get("date"), str) else "last_updated")


PERPLEXITY: Final = Service(
    title="Perplexity",
    url="https://api.perplexity.ai",
    path="/search",
    key=True,
    ask=ask,
    read=read,
    hints={},
)
