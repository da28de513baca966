"""SearXNG, a search engine that one runs oneself, by its JSON API (docs.searxng.org, Search API)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from addons.wire.errands import Fetch
from addons.wire.search.question import Question
from addons.wire.search.service import Found, Service, bearer, found, get, items, with_sites
from addons.wire.search.settings import SearchSettings


def ask(question: Question, settings: SearchSettings, url: str) -> Fetch:
    return get(url, {"q": with_sites(question), "format": "json"}, bearer(settings))


def read(answer: Any) -> Iterable[Found | None]:
    return (found(item, snippet="content", age="publishedDate") for item in items(answer, "results"))


SEARXNG: Final = Service(
    title="SearXNG",
    url="",
    path="/search",
    key=None,
    ask=ask,
    read=read,
    hints={403: "its JSON format may be off (`search: {formats: [html, json]}` in its settings.yml)"},
)
