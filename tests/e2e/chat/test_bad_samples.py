"""Answers that failed by chance: the same provider samples once more, then the fallback is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.chat.server import MODEL, answers
from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import Reply, insert, openai_error
from tests.wire.chat.dialects import Called, Said, chunk
from tests.wire.checker import check, content_of

TEXT = Said(text="Hello there, how are you?")
CALL = Said(calls=(Called("Bash", {"command": "echo hi"}),))
WORDS = "Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details."
GROQ = {"error": {"message": WORDS, "type": "invalid_request_error", "code": "tool_use_failed", "status_code": 400}}
EVENT = f"event: error\ndata: {json.dumps(GROQ)}\n\n".encode()
ABORTED = f"data: {json.dumps(chunk({}, 'abort'))}\n\n".encode()
BAD: dict[str, Reply] = {
    "400": openai_error(400, WORDS, code="tool_use_failed"),
    "error event": insert(answers(TEXT), EVENT, after=0, rest=False),
    "error event after the role": insert(answers(TEXT), EVENT, after=1, rest=False),
    "aborted": insert(answers(TEXT), ABORTED, after=1, rest=False),
}


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    return {**routing, "failover": {**routing["failover"], "retries": 1}}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_sampled_again_once_and_then_the_fallback(
    gateway: Gateway, server: Provider, openrouter: Provider, bad: Reply
) -> None:
    server.always(bad)
    openrouter.always(answers(CALL))
    with gateway.stream("backed") as stream:
        stream.read()
    assert (len(server.requests), len(openrouter.requests)) == (2, 1)
    assert server.requests[0].body == server.requests[1].body
    assert (stream.headers["x-gateway-attempts"], stream.headers["x-gateway-fallback"]) == ("3", "second")
    assert content_of(check(stream.raw))[-1]["input"] == {"command": "echo hi"}


def test_the_second_sample_is_the_answer(gateway: Gateway, server: Provider, openrouter: Provider) -> None:
    server.script(BAD["400"], answers(CALL))
    answer = gateway.post("backed")
    assert answer.json()["content"][-1]["name"] == "Bash"
    assert (len(server.requests), openrouter.requests) == (2, [])


def test_without_a_fallback_the_client_hears_it(gateway: Gateway, server: Provider) -> None:
    server.always(BAD["400"])
    answer = gateway.post(MODEL, stream=True)
    assert (answer.status_code, len(server.requests)) == (400, 2)
    assert WORDS in answer.json()["error"]["message"]


@pytest.mark.parametrize("said", [TEXT, CALL], ids=["half a sentence", "half a call"])
def test_an_abort_after_content_is_an_error_event(
    gateway: Gateway, server: Provider, openrouter: Provider, said: Said
) -> None:
    server.always(insert(answers(said), ABORTED, after=3, rest=False))
    with gateway.stream("backed") as stream:
        stream.read()
    assert stream.answer[-1] == "error"
    assert "abort" in stream.events[-1].json["error"]["message"]
    assert {"message_delta", "message_stop"}.isdisjoint(stream.types)
    assert (len(server.requests), openrouter.requests) == (1, [])
