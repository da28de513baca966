"""A request's facts: of which kind it is, and how large."""

from __future__ import annotations

import json
from typing import Any

import pytest

from addons.state.conversations import Conversations, Size
from addons.state.request_facts import RequestFacts
from addons.wire.messages.body import RequestBody
from addons.wire.token_estimate import estimate_request

SEARCH = {"type": "web_search_20250305", "name": "web_search"}


def facts(
    *texts: str,
    known: Conversations | None = None,
    session: str | None = "s",
    caller: str = "anyone",
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> RequestFacts:
    """Those of a request with these messages of the user."""
    messages = [{"role": "user", "content": text} for text in texts or ("hi",)]
    body = RequestBody.parse(json.dumps({"model": "claude-via-glm", "messages": messages, **fields}).encode())
    return RequestFacts(
        body,
        headers=(headers or {}).items(),
        session=session,
        caller=caller,
        conversations=known or Conversations(),
        now=0.0,
    )


@pytest.mark.parametrize(
    ("headers", "fields", "request_class"),
    [
        ({}, {}, "main"),
        ({"X-Claude-Code-Request-Class": "compaction"}, {}, "compaction"),
        ({"x-claude-code-request-class": "safeguard"}, {}, "main"),
        ({"x-claude-code-request-class": "invented", "x-claude-code-agent-id": "a1"}, {}, "subagent"),
        ({"x-claude-code-agent-type": "Explore"}, {}, "subagent"),
        ({}, {"tools": [SEARCH]}, "auxiliary"),
        ({"x-claude-code-request-class": "main"}, {"tools": [SEARCH]}, "main"),
        ({"x-claude-code-agent-id": "a1"}, {"tools": [SEARCH]}, "subagent"),
    ],
)
def test_the_class(headers: dict[str, str], fields: dict[str, Any], request_class: str) -> None:
    assert facts(headers=headers, **fields).request_class == request_class


def test_simple_facts() -> None:
    asked = facts(headers={"X-Claude-Code-Agent-Type": "Explore", "X-A": "b"}, tools=[SEARCH], caller="alice")
    assert (asked.model, asked.agent, asked.user) == ("glm", "Explore", "alice")
    assert (asked.header("x-a"), asked.header("x-b")) == ("b", "")
    assert "web_search" in asked.tools
    assert not asked.image
    assert facts(caller="token").user == "shared"


def test_without_a_session_there_is_no_conversation() -> None:
    assert facts(session=None).conversation is None
    assert facts(session=None).counted is None
    assert facts().conversation == facts("hi", "more").conversation != facts("ho").conversation


def test_a_small_request_is_not_measured() -> None:
    small = facts("x" * 1000)
    assert not small.exceeds(2000)
    assert not small.is_measured
    assert small.exceeds(10)
    assert small.is_measured


def test_an_estimate_must_be_far_beyond_a_limit_to_be_surely_beyond_it() -> None:
    asked = facts("word " * 1000)
    tokens = estimate_request(asked.body.fields)
    assert asked.exceeds(tokens - 1) and not asked.exceeds(tokens)
    assert asked.surely_exceeds(tokens * 3 // 4)
    assert not asked.surely_exceeds(tokens - 10)


def test_what_a_provider_counted_is_believed() -> None:
    known = Conversations()
    before = facts("word " * 1000, known=known)
    assert before.conversation
    known.count(before.conversation, before.size(5000), 0)
    after = facts("word " * 1000, "and " * 100, known=known)
    assert 5090 < after.tokens < 5150
    assert after.surely_exceeds(4800)
    assert not after.surely_exceeds(5000)


def test_a_conversation_that_has_shrunk_is_estimated_again() -> None:
    known = Conversations()
    before = facts("word " * 1000, "more", known=known)
    assert before.conversation
    known.count(before.conversation, before.size(5000), 0)
    assert facts("word " * 1000, known=known).tokens < 1100
    known.count(before.conversation, Size(5000, 1, 10**6), 0)
    assert facts("word " * 1000, "more", known=known).tokens < 1100
