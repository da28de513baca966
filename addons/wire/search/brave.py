"""Brave Search, by its Web Search API (api-dashboard.search.brave.com)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from addons.wire.errands import Fetch
from addons.wire.search.question import Question
from addons.wire.search.service import Found, Service, found, get, items, with_sites
from addons.wire.search.settings import MOST_RESULTS, SearchSettings


def ask(question: Question, settings: SearchSettings, url: str) -> Fetch:
    filtered = question.domains.only or question.domains.blocked
    country = {"country": question.country} if question.country else {}
    parameters: dict[str, str | int] = {
        "q": with_sites(question),
        "count": MOST_RESULTS if filtered else settings.results,
        "result_filter": "web",
        "text_decorations": "false",
        **country,
    }
    return get(url, parameters, {"x-subscription-token": settings.api_key})


def read(answer: Any) -> Iterable[Found | None]:
    for item in items(answer, "web", "results"):
        yield found(item, snippet="description", age="age" if isinstance(item.get("age"), str) else "page_age")


BRAVE: Final = Service(
    title="Brave Search",
    url="https://api.search.brave.com",
    path="/res/v1/web/search",
    key=True,
    ask=ask,
    read=read,
    hints={422: "it takes 400 characters and 50 words, or doesn't know the key"},
)
