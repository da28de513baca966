"""Providers that send without an end, or in a form that nobody asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import Endless, insert, say

COMMENTS = b": nothing is said here, again and again\n\n" * 1000


def test_comments_before_any_content(
    gateway: Gateway, openrouter: Provider, zai: Provider, unharmed: Callable[..., Any]
) -> None:
    """400 MB of them once cost 389 MB, until the first event was given up."""
    openrouter.always(insert(say("never"), Endless(COMMENTS, 0.002), after=0, rest=False))
    with unharmed(gateway):
        answer = gateway.post("openrouter", stream=True)
    assert answer.status_code == 502
    assert answer.json()["error"]["message"].startswith("openrouter: the provider ")
    assert len(openrouter.requests) <= 3, "twice as a stream, once as a whole answer"
