"""Exa, by its search endpoint, with an excerpt of each page (docs.exa.ai)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from addons.wire.errands import Fetch
from addons.wire.search.question import Question
from addons.wire.search.service import LONGEST_SNIPPET, Found, Service, found, items, post
from addons.wire.search.settings import SearchSettings


def ask(question: Question, settings: SearchSettings, url: str) -> Fetch:
    allowed, blocked = question.domains.hosts()
    fields = {
        "query": question.text,
        "numResults": settings.results,
        "includeDomains": allowed,
        "excludeDomains": blocked,
        "userLocation": question.country,
        "contents": {"text": {"maxCharacters": LONGEST_SNIPPET}},
    }
    return post(url, fields, {"x-api-key": settings.api_key})


def read(answer: Any) -> Iterable[Found | None]:
    return (found(item, snippet="text", age="publishedDate") for item in items(answer, "results"))


EXA: Final = Service(
    title="Exa",
    url="https://api.exa.ai",
    path="/search",
    key=True,
    ask=ask,
    read=read,
    hints={402: "the account has no credits left"},
)
