"""Context windows: who is left out because a request is too large, and who takes what overflowed elsewhere."""

from __future__ import annotations

import json

import pytest

from addons.config.config import Target
from addons.state.context_window import larger, told_too_long, too_small
from addons.state.conversations import Conversations
from addons.state.request_facts import RequestFacts
from addons.wire.messages.body import RequestBody
from tests.exchanges import target


def facts(words: int) -> RequestFacts:
    """Those of a request with about this many tokens."""
    messages = [{"role": "user", "content": "word " * words}]
    body = RequestBody.parse(json.dumps({"model": "asked", "messages": messages}).encode())
    return RequestFacts(body, headers=(), session="s", caller="anyone", conversations=Conversations(), now=0.0)


def windows(*sizes: int | None) -> list[Target]:
    return [target("zai", context_window=size) for size in sizes]


def test_only_what_surely_does_not_fit_is_left_out() -> None:
    (small, large, unknown) = windows(1_000, 5_100, None)
    asked = facts(5_000)
    assert too_small(small, asked) == f"about {asked.tokens} tokens don't fit into 1000"
    assert too_small(large, asked) == "", "an estimate this close may be wrong"
    assert too_small(unknown, asked) == ""


def test_a_client_is_told_the_largest_window() -> None:
    asked = facts(5_000)
    told = told_too_long(windows(1_000, None, 2_000), asked)
    assert told == f"prompt is too long: {asked.tokens} tokens > 2000 maximum"


@pytest.mark.parametrize(
    ("sizes", "after", "limit", "found"),
    [
        ((100, 200), 0, None, 1),
        ((200, 200, 300), 0, None, 2),
        ((200, 100), 0, None, None),
        ((100, None, 200), 0, None, 2),
        ((100, None), 0, None, None),
        ((None, 100), 0, None, 1),
        ((None, 100, 300), 0, 250, 2),
        ((300, 200), 0, 100, None),
        ((100, 200, 300), 1, None, 2),
        ((300, 400, 100), 2, None, None),
    ],
)
def test_the_next_that_is_larger(sizes: tuple[int | None, ...], after: int, limit: int | None, found: int) -> None:
    assert larger(windows(*sizes), after, limit, None) == found


def test_a_larger_one_that_is_too_small_still_is_passed_over() -> None:
    assert larger(windows(100, 1_000, 10_000), 0, None, facts(5_000)) == 2
