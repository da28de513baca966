"""DuckDuckGo, by its Instant Answer API: what an encyclopedia says of a topic, and what is related to it.

It has no API for the hits of a search (duckduckgo.com/api).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from addons.wire.errands import Fetch
from addons.wire.search.question import Question
from addons.wire.search.service import Found, Service, found, get, items
from addons.wire.search.settings import SearchSettings


def ask(question: Question, settings: SearchSettings, url: str) -> Fetch:
    return get(url, {"q": question.text, "format": "json", "no_html": 1, "no_redirect": 1, "skip_disambig": 1})


def read(answer: Any) -> Iterable[Found | None]:
    if isinstance(answer, dict) and answer.get("AbstractURL"):
        yield found(answer, url="AbstractURL", title="Heading", snippet="AbstractText")
    yield from (topic(item) for item in items(answer, "Results"))
    yield from (topic(item) for item in topics(answer))


def topics(answer: Any) -> Iterator[dict[str, Any]]:
    """The related topics, those in groups too."""
    for item in items(answer, "RelatedTopics"):
        yield from items(item, "Topics") or [item]


def topic(item: dict[str, Any]) -> Found | None:
    """`Python (language) A general-purpose language …`, with its address: the title is the beginning of the text."""
    text = item.get("Text")
    title = text.partition(" - ")[0] if isinstance(text, str) else ""
    return found({**item, "Title": title}, url="FirstURL", title="Title", snippet="Text")


DUCKDUCKGO: Final = Service(
    title="DuckDuckGo",
    url="https://api.duckduckgo.com",
    path="/",
    key=False,
    ask=ask,
    read=read,
    hints={},
)
