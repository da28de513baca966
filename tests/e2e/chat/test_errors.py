"""Chat Completions providers that fail, break off or dawdle: what the client sees of it is the Messages API."""

import json
from typing import Any

import anthropic as sdk
import pytest

from tests.e2e.chat.server import CHAT_KEY, MODEL, OPENAI, answers
from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import (
    NO_RETRY,
    Gate,
    Reply,
    drop,
    empty_error,
    end,
    hang,
    html_error,
    insert,
    openai_error,
    plain_error,
    silent_close,
)
from tests.received import either_way
from tests.wire.chat.dialects import DIALECTS, Called, Said
from tests.wire.checker import check, content_of

TEXT = Said(text="Hello there, how are you?")
CALL = Said(calls=(Called("Bash", {"command": "echo hi"}),))


# Nothing is held back


@pytest.mark.parametrize("name", ["openai", "deepseek", "openrouter", "ollama", "zai", "perplexity", "databricks"])
def test_the_first_text_is_there_before_the_second_chunk(gateway: Gateway, server: Provider, name: str) -> None:
    """The server waits with all that follows until the client has the first piece."""
    dialect, gate = DIALECTS[name], Gate()
    first = next(number for number, event in enumerate(dialect.events(TEXT), 1) if TEXT.text[:4].encode() in event)
    server.always(insert(answers(TEXT, dialect), gate, after=first))
    with gateway.stream(MODEL) as stream:
        stream.until("content_block_delta")
        assert TEXT.text.startswith(stream.text)
        gate.open()
        stream.read()
    check(stream.raw)
    assert stream.text == TEXT.text


def test_a_call_is_announced_with_its_name(gateway: Gateway, server: Provider) -> None:
    gate = Gate()
    first = next(number for number, event in enumerate(OPENAI.events(CALL), 1) if b'"Bash"' in event)
    server.always(insert(answers(CALL), gate, after=first))
    with gateway.stream(MODEL) as stream:
        started = stream.until("content_block_start").json["content_block"]
        gate.open()
        stream.read()
    assert (started["type"], started["name"]) == ("tool_use", "Bash")


def test_a_client_that_hangs_up_ends_the_generation(gateway: Gateway, server: Provider) -> None:
    server.always(hang(answers(TEXT), events=3))
    with gateway.stream(MODEL) as stream:
        stream.until("content_block_delta")
    server.wait_for(lambda: server.closed_by_peer)


# Errors


@pytest.mark.parametrize(
    ("reply", "status", "kind", "words"),
    [
        (openai_error(400, "bad tools", code="invalid"), 400, "invalid_request_error", "chat: bad tools (invalid)"),
        (openai_error(401, "Incorrect API key"), 403, "permission_error", "Incorrect API key"),
        (openai_error(404, "model 'm' not found", code=None), 404, "not_found_error", "model 'm' not found"),
        (openai_error(429, "Rate limit reached", headers=NO_RETRY), 429, "rate_limit_error", "Rate limit reached"),
        (openai_error(500, "The server had an error", headers=NO_RETRY), 500, "api_error", "The server had an error"),
        (plain_error(422, '{"detail":"Extra inputs"}'), 422, "invalid_request_error", "Extra inputs"),
        (plain_error(400, '{"error":{"code":"401","message":"Azure says"}}'), 400, "invalid_request_error", "Azure"),
        (html_error(502), 502, "api_error", "502"),
        (empty_error(503), 503, "overloaded_error", "503"),
    ],
)
@either_way
def test_errors_are_in_the_envelope(
    gateway: Gateway, server: Provider, reply: Reply, status: int, kind: str, words: str, stream: bool
) -> None:
    server.always(reply)
    answer = gateway.post(MODEL, stream=stream)
    assert answer.status_code == status
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == kind
    assert words in answer.json()["error"]["message"]
    assert answer.headers["request-id"] == answer.json()["request_id"]


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 131072 tokens. However, you requested 140000 tokens",
        "the request exceeds the available context size (131072 tokens), try increasing it",
    ],
)
def test_an_overflow_makes_the_client_compact(gateway: Gateway, server: Provider, words: str) -> None:
    server.always(openai_error(400, words, code="context_length_exceeded"))
    with pytest.raises(sdk.BadRequestError, match=r"prompt is too long.*131072") as caught:
        gateway.anthropic().messages.create(model=MODEL, max_tokens=5, messages=[{"role": "user", "content": "hi"}])
    assert words in str(caught.value)


UNDER_200: dict[str, bytes] = {
    "groq": b'event: error\ndata: {"error":{"message":"it broke","type":"server_error"}}\n\n',
    "openrouter": b'data: {"id":"x","error":{"code":502,"message":"it broke"},"choices":[{"index":0,"delta":{}}]}\n\n',
    "gpustack": b'error: {"code": 500, "message": "it broke"}\n\n',
}


@pytest.mark.parametrize("event", UNDER_200.values(), ids=UNDER_200)
def test_an_error_under_200_before_anything_else(gateway: Gateway, server: Provider, event: bytes) -> None:
    server.always(insert(answers(TEXT), event, after=0, rest=False))
    answer = gateway.post(MODEL, stream=True)
    assert answer.status_code >= 400
    assert "it broke" in answer.json()["error"]["message"]


@pytest.mark.parametrize("event", UNDER_200.values(), ids=UNDER_200)
def test_an_error_under_200_in_mid_stream(gateway: Gateway, server: Provider, event: bytes) -> None:
    server.always(insert(answers(TEXT), event, after=4, rest=False))
    with gateway.stream(MODEL) as stream:
        stream.read()
    assert stream.answer[-1] == "error"
    assert "it broke" in stream.events[-1].json["error"]["message"]
    assert TEXT.text.startswith(stream.text)
    assert "message_stop" not in stream.types
    assert stream.cut is None


def test_an_error_under_200_that_is_json(gateway: Gateway, server: Provider) -> None:
    server.always(openai_error(200, "it broke"))
    for stream in (True, False):
        answer = gateway.post(MODEL, stream=stream)
        assert answer.status_code >= 400
        assert "it broke" in answer.json()["error"]["message"]


# Ends


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_stream_that_is_cut(gateway: Gateway, server: Provider, how: Any) -> None:
    server.always(drop(answers(TEXT), events=4, then=how))
    with gateway.stream(MODEL) as stream:
        stream.read()
    assert stream.answer[-1] == "error"
    assert stream.events[-1].json["error"]["type"] in ("api_error", "overloaded_error")
    assert stream.cut is None


def test_a_stream_that_ends_without_a_reason_was_cut(gateway: Gateway, server: Provider) -> None:
    server.always(end(answers(TEXT), events=4))
    with gateway.stream(MODEL) as stream:
        stream.read()
    assert stream.answer[-1] == "error"


@pytest.mark.parametrize("left_out", [1, 2], ids=["[DONE]", "usage and [DONE]"])
@pytest.mark.parametrize("how", ["fin", "rst", "properly"])
@pytest.mark.parametrize("said", [TEXT, CALL], ids=["text", "call"])
def test_a_stream_that_is_cut_after_its_reason_is_whole(
    gateway: Gateway, server: Provider, left_out: int, how: Any, said: Said
) -> None:
    reply, events = answers(said), len(OPENAI.events(said)) - left_out
    server.always(end(reply, events=events) if how == "properly" else drop(reply, events=events, then=how))
    with gateway.stream(MODEL) as stream:
        stream.read()
    content = content_of(check(stream.raw))
    assert content[0].get("text", "") == said.text
    assert stream.events[-2].json["delta"]["stop_reason"] == ("tool_use" if said.calls else "end_turn")


def test_a_server_that_streams_unasked_or_does_not_stream(gateway: Gateway, server: Provider) -> None:
    """The client gets what it asked for."""
    streamed, whole = OPENAI.stream(TEXT), OPENAI.body(TEXT)
    server.always(plain_error(200, streamed))
    answer = gateway.post(MODEL)
    assert answer.json()["content"] == [{"type": "text", "text": TEXT.text}]
    server.always(plain_error(200, whole))
    with gateway.stream(MODEL) as stream:
        stream.read()
    assert content_of(check(stream.raw)) == [{"type": "text", "text": TEXT.text}]


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>busy</html>", b"data: [DONE]\n\n", b": ping\n\n", b"data: 5\n\n"])
@either_way
def test_what_is_no_answer(gateway: Gateway, server: Provider, body: bytes, stream: bool) -> None:
    server.always(plain_error(200, body))
    answer = gateway.post(MODEL, stream=stream)
    assert answer.status_code >= 500
    assert answer.json()["type"] == "error"


# The request, and the key


@pytest.mark.parametrize("model", [MODEL, "backed"])
@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"tool_choice": {"type": "nonsense"}}, "tool_choice.type"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}, "messages.0.content.0"),
    ],
)
@either_way
def test_what_cannot_be_said_is_a_400_that_names_it(
    gateway: Gateway, server: Provider, openrouter: Provider, model: str, fields: Any, place: str, stream: bool
) -> None:
    answer = gateway.post(model, stream=stream, **fields)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert place in answer.json()["error"]["message"]
    assert server.requests == openrouter.requests == []


def test_the_key_is_masked(gateway: Gateway, server: Provider) -> None:
    """Also where the provider repeats it. That no log line has it is looked at when the gateway ends."""
    server.always(openai_error(401, f"Incorrect API key provided: {CHAT_KEY}"))
    answer = gateway.post(MODEL)
    assert server.last.token == CHAT_KEY
    assert CHAT_KEY not in answer.text + repr(answer.headers)
    server.always(answers(Said(text="fine")))
    assert CHAT_KEY not in gateway.post(MODEL).text


def test_the_next_provider_answers(gateway: Gateway, server: Provider, openrouter: Provider) -> None:
    for reply in (openai_error(500, "down"), silent_close(), insert(answers(TEXT), UNDER_200["groq"], after=0)):
        server.always(reply)
        openrouter.always(answers(TEXT))
        with gateway.stream("backed") as stream:
            stream.read()
        assert stream.headers["x-gateway-fallback"] == "second"
        assert content_of(check(stream.raw)) == [{"type": "text", "text": TEXT.text}]
        assert json.loads(openrouter.last.body)["model"] == "m"
