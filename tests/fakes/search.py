"""Search services as they answer, each in its own shape: the same hits in all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from .answers import Answer


class Hit(NamedTuple):
    url: str
    title: str = "A title"
    text: str = "What the page says."
    date: str = "2026-11-02"


def _json(value: Any, status: int = 200) -> Answer:
    headers = (("content-type", "application/json"),)
    return Answer(status=status, headers=headers, pieces=(json.dumps(value).encode(),))


def searxng(hits: Sequence[Hit]) -> Answer:
    found = [{"url": h.url, "title": h.title, "content": h.text, "publishedDate": h.date, "engine": "x"} for h in hits]
    return _json({"query": "q", "number_of_results": 0, "results": found, "answers": [], "suggestions": []})


def brave(hits: Sequence[Hit]) -> Answer:
    found = [
        {
            "type": "search_result",
            "url": h.url,
            "title": h.title,
            "description": h.text,
            "page_age": h.date,
            "age": None,
        }
        for h in hits
    ]
    return _json({"type": "search", "query": {"original": "q"}, "web": {"type": "search", "results": found}})


def tavily(hits: Sequence[Hit]) -> Answer:
    found = [{"url": h.url, "title": h.title, "content": h.text, "score": 0.9, "published_date": h.date} for h in hits]
    return _json({"query": "q", "answer": None, "images": [], "results": found, "response_time": 1.1})


def exa(hits: Sequence[Hit]) -> Answer:
    found = [{"id": h.url, "url": h.url, "title": h.title, "text": h.text, "publishedDate": h.date} for h in hits]
    return _json({"requestId": "r", "results": found, "costDollars": {"total": 0.005}})


def perplexity(hits: Sequence[Hit]) -> Answer:
    found = [{"url": h.url, "title": h.title, "snippet": h.text, "date": h.date, "last_updated": None} for h in hits]
    return _json({"id": "s", "results": found})


def duckduckgo(hits: Sequence[Hit]) -> Answer:
    first, *others = hits
    topics = [{"FirstURL": h.url, "Text": f"{h.title} - {h.text}", "Result": "<a>", "Icon": {}} for h in others]
    found = {"Heading": first.title, "AbstractURL": first.url, "AbstractText": first.text, "Type": "A", "Results": []}
    related = [*topics[:1], {"Name": "See also", "Topics": topics[1:]}] if topics else []
    return _json({**found, "RelatedTopics": related})


SERVICES: Final[dict[str, Callable[[Sequence[Hit]], Answer]]] = {
    "searxng": searxng,
    "brave": brave,
    "tavily": tavily,
    "exa": exa,
    "perplexity": perplexity,
    "duckduckgo": duckduckgo,
}
