"""Requests that continue a conversation which only Anthropic's servers hold."""

from __future__ import annotations

import json
from typing import Any

import pytest

from addons.config.config import Target
from addons.state.exchange import Trying
from addons.threads import Threads
from addons.wire.messages.body import RequestBody
from tests.exchanges import exchange, provider, target, trying

THREADS = [{"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}]
CHAT = Target(alias="asked", provider=provider("ollama", format="openai-chat"), model="m")


def tried(at: Target, thread: Any) -> Trying:
    made = exchange(at)
    made.body = RequestBody.parse(json.dumps({"model": "asked", "messages": [], "thread": thread}).encode())
    attempt = trying(made)
    Threads().attempt(attempt)
    return attempt


@pytest.mark.parametrize("thread", THREADS)
@pytest.mark.parametrize("at", [target("zai"), CHAT], ids=["messages", "chat"])
def test_others_want_the_whole_conversation(at: Target, thread: Any) -> None:
    """In the words by which Anthropic's SDK knows that it must send that."""
    made = tried(at, thread)
    assert made.flow.response
    assert made.flow.response.status_code == 400
    error = json.loads(made.flow.response.content or b"")["error"]
    assert error["type"] == "invalid_request_error"
    assert error["details"]["error_code"] == "thread_unsupported_request"
    assert [step.who for step in made.exchange.steps] == ["threads"]


@pytest.mark.parametrize("thread", THREADS)
def test_anthropic_holds_it(thread: Any) -> None:
    assert tried(target("anthropic"), thread).flow.response is None


def test_a_request_without_one_is_nothing_special() -> None:
    assert tried(CHAT, None).flow.response is None
