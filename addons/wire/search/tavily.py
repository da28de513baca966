"""Tavily, by its search endpoint (docs.tavily.com)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from addons.wire.errands import Fetch
from addons.wire.search.question import Question
from addons.wire.search.service import Found, Service, bearer, found, items, post
from addons.wire.search.settings import SearchSettings


def ask(question: Question, settings: SearchSettings, url: str) -> Fetch:
    allowed, blocked = question.domains.hosts()
    fields = {
        "query": question.text,
        "max_results": settings.results,
        "include_domains": allowed,
        "exclude_domains": blocked,
    }
    return post(url, fields, bearer(settings))


def read(answer: Any) -> Iterable[Found | None]:
    return (found(item, snippet="content", age="published_date") for item in items(answer, "results"))


TAVILY: Final = Service(
    title="Tavily",
    url="https://api.tavily.com",
    path="/search",
    key=True,
    ask=ask,
    read=read,
    hints={432: "the key's limit is reached", 433: "the key's limit is reached"},
)
