"""Each search service: what it is asked, and how its answer is read.

Of wire/search/searxng.py, wire/search/brave.py, wire/search/tavily.py, wire/search/exa.py,
wire/search/perplexity.py, wire/search/duckduckgo.py, wire/search/service.py and wire/search/settings.py.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.wire.errands import Fetch
from addons.wire.search.domains import domains_of
from addons.wire.search.question import Question
from addons.wire.search.service import LONGEST_SNIPPET, LONGEST_URL, TIMEOUT, Found
from addons.wire.search.services import SERVICES
from addons.wire.search.settings import SERVICE_NAMES, SearchSettings, ServiceName
from tests.fakes import search as fakes
from tests.fakes.search import Hit

KEY = "search-key-0123456789"
QUESTION = Question(text="größe & 100%", country="DE", domains=domains_of(["a.org", "b.org"], ["c.org"]))


def asked(name: ServiceName, question: Question = QUESTION, **settings: Any) -> Fetch:
    service = SERVICES[name]
    given = SearchSettings(provider=name, api_key=KEY, **settings)
    return service.ask(question, given, (service.url or "http://searx.test:8888") + service.path)


def told(fetch: Fetch) -> dict[str, Any]:
    """What stands in the body, or in the address."""
    return json.loads(fetch.body) if fetch.body else dict(parse_qsl(urlsplit(fetch.url).query))


SITES = "größe & 100% (site:a.org OR site:b.org) -site:c.org"


@pytest.mark.parametrize(
    ("name", "address", "credential", "fields"),
    [
        (
            "searxng",
            "http://searx.test:8888/search",
            {"authorization": f"Bearer {KEY}"},
            {"q": SITES, "format": "json"},
        ),
        (
            "brave",
            "https://api.search.brave.com/res/v1/web/search",
            {"x-subscription-token": KEY},
            {"q": SITES, "count": "20", "country": "DE", "result_filter": "web", "text_decorations": "false"},
        ),
        (
            "tavily",
            "https://api.tavily.com/search",
            {"authorization": f"Bearer {KEY}"},
            {
                "query": "größe & 100%",
                "max_results": 8,
                "include_domains": ["a.org", "b.org"],
                "exclude_domains": ["c.org"],
            },
        ),
        (
            "exa",
            "https://api.exa.ai/search",
            {"x-api-key": KEY},
            {
                "query": "größe & 100%",
                "numResults": 8,
                "includeDomains": ["a.org", "b.org"],
                "excludeDomains": ["c.org"],
                "userLocation": "DE",
                "contents": {"text": {"maxCharacters": LONGEST_SNIPPET}},
            },
        ),
        (
            "perplexity",
            "https://api.perplexity.ai/search",
            {"authorization": f"Bearer {KEY}"},
            {
                "query": "größe & 100%",
                "max_results": 8,
                "search_domain_filter": ["a.org", "b.org"],
                "country": "DE",
            },
        ),
        (
            "duckduckgo",
            "https://api.duckduckgo.com/",
            {},
            {"q": "größe & 100%", "format": "json", "no_html": "1", "no_redirect": "1", "skip_disambig": "1"},
        ),
    ],
)
def test_what_a_service_is_asked(
    name: ServiceName, address: str, credential: dict[str, str], fields: dict[str, Any]
) -> None:
    fetch = asked(name)
    assert fetch.url.partition("?")[0] == address
    assert fetch.credential == credential
    assert told(fetch) == fields
    assert (fetch.method, bool(fetch.body)) == (("POST", True) if fetch.body else ("GET", False))
    assert (fetch.purpose, fetch.timeout, fetch.url.isascii()) == ("search", TIMEOUT, True)
    assert KEY not in fetch.url + repr(fetch) + str(fetch.headers) + fetch.body.decode()


def test_without_wishes_nothing_is_said_of_them() -> None:
    assert told(asked("tavily", Question(text="x"), results=3)) == {"query": "x", "max_results": 3}
    assert told(asked("perplexity", Question(text="x"))) == {"query": "x", "max_results": 8}
    assert told(asked("brave", Question(text="x")))["count"] == "8"
    assert told(asked("searxng", Question(text="x")))["q"] == "x"


def test_more_domains_than_a_service_takes_are_left_to_the_filter() -> None:
    many = Question(text="x", domains=domains_of([f"{n}.org" for n in range(30)], None))
    assert "site:" not in told(asked("brave", many))["q"]
    assert "search_domain_filter" not in told(asked("perplexity", many))
    blocked = Question(text="x", domains=domains_of(None, ["a.org"]))
    assert told(asked("perplexity", blocked))["search_domain_filter"] == ["-a.org"]


@pytest.mark.parametrize("name", SERVICE_NAMES)
def test_what_it_has_found(name: ServiceName) -> None:
    hits = [Hit("https://a.org/1"), Hit("https://a.org/2", "T <b>2</b> &amp;", "One\n<strong>two</strong>\x1b[0m")]
    answer = json.loads(b"".join(piece for piece in fakes.SERVICES[name](hits).pieces if isinstance(piece, bytes)))
    first, second = (one for one in SERVICES[name].read(answer) if one)
    dated = "" if name == "duckduckgo" else "2026-11-02"
    assert first == Found(url="https://a.org/1", title="A title", snippet="What the page says.", age=dated)
    assert second.url == "https://a.org/2"
    assert second.title == "T 2 &"
    assert second.snippet.endswith("One two[0m")


@pytest.mark.parametrize("name", SERVICE_NAMES)
def test_a_result_without_an_address_or_with_an_endless_one_is_none(name: ServiceName) -> None:
    hits = [Hit("https://a.org/" + "x" * LONGEST_URL), Hit("https://a.org/2", text="y" * 10_000)]
    answer = json.loads(b"".join(piece for piece in fakes.SERVICES[name](hits).pieces if isinstance(piece, bytes)))
    (found,) = [one for one in SERVICES[name].read(answer) if one]
    assert len(found.snippet) == LONGEST_SNIPPET


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["web", "results", "RelatedTopics", "Topics", "url", "title", "Text"]), inner)
    ),
    max_leaves=10,
)


@given(JSON)
def test_nothing_raises(answer: Any) -> None:
    for service in SERVICES.values():
        list(service.read(answer))


def test_every_name_has_a_service() -> None:
    assert set(SERVICES) == set(SERVICE_NAMES) == set(fakes.SERVICES)
