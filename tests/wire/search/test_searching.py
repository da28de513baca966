"""The errand of one search, step by step."""

from __future__ import annotations

import json
from typing import Any

import pytest

from addons.wire.errands import Fetch, Reply
from addons.wire.limits import SEARCH_ANSWER, SEARCH_QUERY
from addons.wire.search.domains import domains_of
from addons.wire.search.question import Question
from addons.wire.search.searching import Outcome, search
from addons.wire.search.settings import SearchSettings

SETTINGS = SearchSettings(provider="searxng", url="http://searx.test", results=2)
HITS = [{"url": f"https://{host}.org/{n}", "title": "t", "content": "c"} for n in (1, 2) for host in ("a", "b")]


def found(results: Any = HITS) -> Reply:
    return Reply(status=200, body=json.dumps({"results": results}).encode())


def run(*replies: Reply, question: Question | None = None) -> tuple[list[Fetch], Outcome]:
    """What was asked, and the end."""
    errand = search(question or Question(text="x"), SETTINGS)
    asked: list[Fetch] = []
    left = list(replies)
    try:
        step = next(errand)
        while True:
            assert isinstance(step, Fetch)
            asked.append(step)
            step = errand.send(left.pop(0))
    except StopIteration as end:
        assert not left
        outcome: Outcome = end.value
        return asked, outcome


def test_the_first_results_each_once() -> None:
    asked, outcome = run(found([HITS[0], HITS[0], *HITS]))
    assert [one.url for one in outcome.results] == ["https://a.org/1", "https://b.org/1"]
    assert asked[0].longest == SEARCH_ANSWER
    assert (outcome.query, outcome.service, outcome.error) == ("x", "SearXNG", None)


def test_what_the_request_does_not_allow_is_left_out_whatever_the_service_says() -> None:
    allowed, blocked = domains_of(["b.org"], None), domains_of(None, ["a.org"])
    for domains in (allowed, blocked):
        _, outcome = run(found(), question=Question(text="x", domains=domains))
        assert [one.url for one in outcome.results] == ["https://b.org/1", "https://b.org/2"]


@pytest.mark.parametrize(
    ("reply", "code", "why"),
    [
        (Reply(status=0, timed_out=True), "unavailable", "SearXNG didn't answer within 15 seconds"),
        (Reply(status=429), "too_many_requests", "SearXNG answered 429: its limit is reached"),
        (Reply(status=400), "invalid_tool_input", "SearXNG answered 400"),
        (Reply(status=414), "query_too_long", "SearXNG answered 414"),
        (Reply(status=401), "unavailable", "SearXNG answered 401: it doesn't take the gateway's key"),
        (
            Reply(status=403),
            "unavailable",
            "SearXNG answered 403: its JSON format may be off (`search: {formats: [html, json]}` in its settings.yml)",
        ),
        (
            Reply(status=302, headers={"location": "http://evil.test"}),
            "unavailable",
            "SearXNG answered 302: a redirect, which is not followed: `search.url` must be the address itself",
        ),
        (Reply(status=200, body=b"<html>"), "unavailable", "SearXNG sent something other than JSON"),
        (Reply(status=200, body=b'{"results": ['), "unavailable", "SearXNG sent something other than JSON"),
        (Reply(status=200, body=b"[" * 100_000), "unavailable", "SearXNG sent something other than JSON"),
        (Reply(status=200, body=b"[]"), "unavailable", "SearXNG sent something other than JSON"),
        (Reply(status=200), "unavailable", "SearXNG sent something other than JSON"),
    ],
)
def test_what_fails_says_why(reply: Reply, code: str, why: str) -> None:
    asked, outcome = run(reply)
    assert (len(asked), outcome.error, outcome.why, outcome.results) == (1, code, why, ())


@pytest.mark.parametrize("first", [Reply(status=0), Reply(status=502), Reply(status=503)])
def test_what_may_pass_is_tried_once_more(first: Reply) -> None:
    asked, outcome = run(first, found())
    assert asked[0] == asked[1]
    assert outcome.results
    assert run(first, first)[1].error == "unavailable"


def test_nothing_to_search_for_and_too_much_ask_nobody() -> None:
    assert run(question=Question())[1].error == "invalid_tool_input"
    assert run(question=Question(text="x" * (SEARCH_QUERY + 1)))[1].error == "query_too_long"


def test_a_lone_surrogate_is_no_reason_to_fail() -> None:
    body = b'{"results":[{"url":"https://a.org/","title":"cut \\ud83d","content":"c"}]}'
    assert run(Reply(status=200, body=body))[1].results[0].title.startswith("cut")
    asked, _ = run(found(), question=Question(text="cut \ud83d"))
    assert asked[0].url.isascii()
