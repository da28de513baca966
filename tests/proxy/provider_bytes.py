"""What a provider puts on the wire, in pieces small enough to cut a conversation anywhere between them.

Rules of this file: bytes only, no timing and no connection; `tests/fakes` is the place for whole providers.
"""

import json
from typing import Any

from addons.wire.sse import frame

LAST_CHUNK = b"0\r\n\r\n"
PING = b'event: ping\ndata: {"type": "ping"}\n\n'

START = frame(
    "message_start",
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 7, "output_tokens": 1},
        },
    },
)
BLOCK_START = frame(
    "content_block_start",
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
)
BLOCK_STOP = frame("content_block_stop", {"type": "content_block_stop", "index": 0})
STOP_REASON = frame(
    "message_delta",
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 9},
    },
)
STOP = frame("message_stop", {"type": "message_stop"})
ENDING = BLOCK_STOP + STOP_REASON + STOP


def delta(text: str) -> bytes:
    """One piece of the answer's text."""
    return frame(
        "content_block_delta",
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
    )


def events(text: str = "hello") -> bytes:
    """A whole answer as events."""
    return START + BLOCK_START + delta(text) + ENDING


def error_event(kind: str = "overloaded_error", words: str = "Overloaded") -> bytes:
    """An error in place of (the rest of) a stream."""
    return frame("error", {"type": "error", "error": {"type": kind, "message": words}})


def message(text: str = "hello") -> bytes:
    """A whole answer as JSON."""
    return encode(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 7, "output_tokens": 9},
        }
    )


def encode(value: Any) -> bytes:
    return json.dumps(value).encode()


def head(status: int, *lines: str) -> bytes:
    """A response head with these header lines."""
    return "\r\n".join([f"HTTP/1.1 {status} Status", *lines, "", ""]).encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


STREAM_HEAD = head(200, "content-type: text/event-stream", "transfer-encoding: chunked")


def stream(data: bytes) -> bytes:
    """A whole streamed answer in one piece."""
    return STREAM_HEAD + chunk(data) + LAST_CHUNK


def answer(status: int, body: bytes, *lines: str) -> bytes:
    """A whole answer of known length."""
    return head(status, "content-type: application/json", f"content-length: {len(body)}", *lines) + body


def error(status: int, kind: str = "api_error", words: str = "no", *lines: str) -> bytes:
    """An HTTP error in the Anthropic envelope."""
    return answer(status, encode({"type": "error", "error": {"type": kind, "message": words}}), *lines)
