"""`search:` of routing.yaml."""

from __future__ import annotations

import pytest

from addons.config.config import ConfigError
from addons.wire.search.settings import SearchSettings
from tests.config.routing_texts import KEYS, config, with_section

KEY = "search-key-0123456789"


def read(text: str) -> SearchSettings | None:
    return config(with_section(f"search: {text}")).search


def test_what_is_not_written_has_its_default() -> None:
    assert config().search is None
    assert read("{provider: duckduckgo}") == SearchSettings(
        provider="duckduckgo", url="https://api.duckduckgo.com", results=8
    )
    assert read("{provider: searxng, url: 'http://127.0.0.1:8888/searx/', results: 20, loop: true}") == SearchSettings(
        provider="searxng", url="http://127.0.0.1:8888/searx", results=20, loop=True
    )


def test_the_key_is_a_secret() -> None:
    made = config(with_section("search: {provider: brave, api_key: '${SEARCH_KEY}'}"), {**KEYS, "SEARCH_KEY": KEY})
    assert made.search
    assert made.search.api_key == KEY
    assert KEY in made.secrets()
    assert KEY not in repr(made)


def test_without_its_variable_it_is_off_and_says_so() -> None:
    made = config(with_section("search: {provider: brave, api_key: '${SEARCH_KEY}'}"))
    assert made.search is None
    assert made.warnings[-1] == "SEARCH_KEY is not set: the web search (search:) is off"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("off", "search: must be a mapping of provider, url, api_key, results, loop"),
        ("{results: 3}", "search: provider is missing (one of searxng, brave, tavily, exa, perplexity, duckduckgo)"),
        ("{provider: barve}", "search.provider: must be one of searxng, brave, tavily, exa, perplexity, duckduckgo "),
        ("{provider: searxng}", "search: url is missing (where your SearXNG is)"),
        ("{provider: exa}", "search: api_key is missing (exa needs one)"),
        ("{provider: duckduckgo, api_key: x}", "search.api_key: has no meaning with provider: duckduckgo"),
        ("{provider: searxng, url: searx.test}", "search.url: must be an address that begins with http:// or https://"),
        (
            "{provider: searxng, url: 'http://searx.test/search'}",
            "search.url: must not end in /search: the gateway adds that itself",
        ),
        ("{provider: exa, api_key: 'a b'}", "search.api_key: "),
        ("{provider: duckduckgo, results: 0}", "search.results: must be at least 1"),
        ("{provider: duckduckgo, results: 21}", "search.results: must be at most 20"),
        ("{provider: duckduckgo, loop: 3}", "search.loop: must be true or false"),
        ("{provider: duckduckgo, result: 3}", "search.result: unknown key (did you mean results?)"),
    ],
)
def test_mistakes_name_their_line_and_key(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(text)
    assert str(raised.value).startswith(f"routing.yaml:8: {message}")
