"""The search addon on flows: what it answers in place of a target, and what it leaves to it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from addons.config.config import Config, Target
from addons.search import Search
from addons.state.exchange import Own, Trying
from addons.wire.errands import Ask, Fetch
from addons.wire.errors import ProviderError
from addons.wire.messages.body import RequestBody
from addons.wire.raw_json import dump
from addons.wire.search.settings import SearchSettings
from tests.exchanges import exchange, provider, target, trying

TOOL: dict[str, Any] = {"type": "web_search_20250305", "name": "web_search"}
ASKED = {"role": "user", "content": "Perform a web search for the query: x"}
SETTINGS = SearchSettings(provider="searxng", url="http://searx.test")


def asked(at: Target, settings: SearchSettings | None = SETTINGS, tools: Any = (TOOL,), **changes: Any) -> Trying:
    """The attempt at this target."""
    made = exchange(at, config=Config(providers={}, models=(), search=settings))
    made.body = RequestBody.parse(bytes(dump({"model": "asked", "messages": [ASKED], "tools": tools})))
    for name, value in changes.items():
        setattr(made, name, value)
    tried = trying(made)
    Search().attempt(tried)
    return tried


def with_provider(**fields: Any) -> Target:
    return replace(target("zai"), provider=provider("zai", **fields))


def test_a_search_is_made_in_place_of_the_target() -> None:
    tried = asked(target("zai"))
    assert isinstance(tried.attempt.instead, Generator)
    fetch = next(tried.attempt.instead)
    assert isinstance(fetch, Fetch)
    assert fetch.url == "http://searx.test/search?q=x&format=json"
    assert tried.exchange.trail[-1].what == "zai has no web search: searxng is asked"
    assert tried.attempt.asked is None


def test_without_a_service_it_says_so() -> None:
    tried = asked(target("zai"), None)
    assert tried.attempt.instead
    with pytest.raises(StopIteration) as end:
        next(tried.attempt.instead)
    assert not isinstance(end.value.value, ProviderError)
    assert b"No web search was made" in end.value.value


@pytest.mark.parametrize(
    "at",
    [
        target("anthropic"),
        with_provider(web_search=True),
        with_provider(steps={"beta-tools": False}),
        with_provider(host="api.anthropic.com"),
    ],
)
def test_who_searches_itself_is_left_to_it(at: Target) -> None:
    assert asked(at).attempt.instead is None
    assert asked(at, None).attempt.instead is None


def test_tools_that_are_passed_on_by_the_translator_are_not() -> None:
    chat = with_provider(format="openai-chat", steps={"beta-tools": False})
    assert asked(chat).attempt.instead


def test_among_other_tools_it_is_left_out_or_offered_as_a_function() -> None:
    bash, loop = {"name": "Bash", "input_schema": {"type": "object"}}, msgspec.structs.replace(SETTINGS, loop=True)
    assert asked(target("zai"), SETTINGS, [TOOL, bash]).attempt.instead is None
    tried = asked(target("zai"), loop, [TOOL, bash])
    assert tried.attempt.instead
    assert isinstance(next(tried.attempt.instead), Ask)
    assert asked(target("anthropic"), loop, [TOOL, bash]).attempt.instead is None
    assert asked(target("zai"), loop, [TOOL, {**bash, "name": "web_search"}]).attempt.instead is None


@pytest.mark.parametrize(
    "changes",
    [{"kind": "count_tokens"}, {"own": Own("search", "req_0")}, {"body": None}],
)
def test_what_is_no_search_of_a_client(changes: dict[str, Any]) -> None:
    assert asked(target("zai"), **changes).attempt.instead is None
    bash = {"name": "Bash", "input_schema": {"type": "object"}}
    assert asked(target("zai"), tools=[TOOL, bash]).attempt.instead is None
