"""What fuzzing begins with: requests, answers, errors and files as they were recorded."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import brotli  # type: ignore[import-untyped]  # it has no stubs
import zstandard

from tests.bench.conversation import conversation
from tests.client_messages import assistant, system, text, thinking, tool_result, tool_use, user
from tests.wire.bodies import request
from tests.wire.chat.dialects import DIALECTS, Called, Said
from tests.wire.streams import sse, tool, whole
from tests.wire.streams import text as said
from tests.wire.streams import thinking as thought

ROOT = Path(__file__).parents[2]
ERRORS: tuple[Any, ...] = (
    {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    {"error": {"message": "maximum context length is 8192 tokens, however you requested 9000", "code": 400}},
    {"error": {"code": "1210", "message": '{"error":{"message":"inner"}}'}},
    {"detail": [{"loc": ["body", "model"], "msg": "field required", "type": "missing"}]},
    [{"error": {"code": 429, "message": "Resource has been exhausted", "status": "RESOURCE_EXHAUSTED"}}],
    {"error": {"message": "Provider returned error", "metadata": {"raw": '{"message":"x"}', "provider_name": "Z"}}},
    {"base_resp": {"status_code": 1004, "status_msg": "login fail"}},
)
PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><!-- x --><h1>502 &#66;ad</h1></body></html>"


def bodies() -> Iterable[bytes]:
    """Requests: short ones of every kind of block, and one as Claude Code sends it."""
    yield conversation(2_000, model="glm", signed_by="gw1.zai.", stream=True)
    content = user(text("b"), tool_result("t1", [text("")]), {"type": "image", "source": {"type": "url", "url": "x"}})
    turns = ("a", assistant(thinking("gw1.kimi.s"), tool_use("i 1")), content, system("x"), assistant(text("")), "c")
    yield json.dumps(request(*turns)).encode()
    yield json.dumps(request("hi", system=[text("x-anthropic-billing-header: 1"), text("y")], stream=True)).encode()
    named = json.dumps({"user_id": '{"session_id":"x"}'}).encode()
    yield b'{"model":"glm","messages":[{"role":"user","content":"\\ud83d"}],"metadata":%b}' % named


def streams() -> Iterable[bytes]:
    """Answers in Anthropic's format."""
    events = whole(thought(0, "h", "m", signed=["a", "b"]), said(1, "a", "b"), tool(2, "t 1", '{"a":', "1}"))
    for number in range(8):
        yield bytes([number]) + sse(events)
    yield b"\1" + sse(events)[:-40]
    yield b"\0" + json.dumps({"type": "message", "content": [text("a")], "usage": {"output_tokens": 1}}).encode()
    yield b"\0" + b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"x"}}\n\n'


def chats() -> Iterable[bytes]:
    """Streams in every dialect of Chat Completions that was recorded."""
    everything = Said("so <b>", "hm", (Called("Bash", {"command": "ls"}, "c"), Called("Read", {"path": "/a"}, "d")))
    for dialect in DIALECTS.values():
        yield b"".join(dialect.events(dialect.can_say(everything)))


def errors() -> Iterable[bytes]:
    """Errors of many providers."""
    yield PAGE
    yield b"data: " + json.dumps(ERRORS[0]).encode()
    for found in ERRORS:
        yield json.dumps(found).encode()


def packed() -> Iterable[bytes]:
    """A body in each coding."""
    for pack in (gzip.compress, zlib.compress, brotli.compress, zstandard.compress):
        yield pack(PAGE * 3)


BETWEEN = b"\n=== the provider: ===\n"
"""Stands between what a client writes and what the provider answers."""

HEADS = (
    b"retry-after: 12\r\nanthropic-ratelimit-unified-status: rejected\r\n"
    b"anthropic-ratelimit-unified-5h-status: rejected\r\nanthropic-ratelimit-unified-5h-reset: 1764300000",
    b"x-litellm-api-key: TOKEN, x-claude-token-mode: passthrough\r\nretry-after: Wed, 21 Oct 2026 07:28:00 GMT",
)


def seeds(target: str) -> list[bytes]:
    """The seeds of one target."""
    match target:
        case "request" | "chat_request":
            return [*bodies()]
        case "answer":
            return [*streams()]
        case "chat_answer":
            return [*chats()]
        case "error":
            return [*errors()]
        case "unpacking":
            return [*packed()]
        case "configuration":
            return [(ROOT / "routing.yaml.example").read_bytes()]
        case "heads":
            return [*HEADS]
        case "gateway":
            return [BETWEEN.join(pair) for pair in exchanges()]
        case "masking":
            return [b'authorization: Bearer SECRET, "api_key": "SECRET"', b"token SECRET eyJhbGci.eyJzdWIi.x", *HEADS]
        case _:
            return [*bodies(), *(one[1:] for one in streams()), *errors()]


def exchanges() -> Iterable[tuple[bytes, bytes]]:
    """What a client writes, and what the provider answers."""
    body = json.dumps(request("hi", stream=True)).encode()
    posted = b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: %d\r\n\r\n%b"
    answered = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n%b"
    for stream in streams():
        yield posted % (len(body), body), answered % stream[1:]
    for found in errors():
        answer = b"HTTP/1.1 400 No\r\ncontent-length: %d\r\n\r\n%b" % (len(found), found)
        yield posted % (len(body), body), answer
    yield b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", b""
    yield b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b""
