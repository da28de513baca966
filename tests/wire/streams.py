"""Provider streams for the tests: how a scripted provider would send a message, in any of the recorded dialects."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

START: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "glm-5",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 25, "output_tokens": 1, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 4},
}


def message_start(**changes: Any) -> dict[str, Any]:
    return {"type": "message_start", "message": START | changes}


def start(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **values: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": f"{kind}_delta", **values}}


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def message_delta(stop_reason: str | None = "end_turn", **usage: Any) -> dict[str, Any]:
    changes = {"stop_reason": stop_reason, "stop_sequence": None}
    return {"type": "message_delta", "delta": changes, "usage": usage or {"output_tokens": 15}}


MESSAGE_STOP = {"type": "message_stop"}
PING = {"type": "ping"}


def text(index: int, *parts: str) -> list[dict[str, Any]]:
    deltas = [delta(index, "text", text=part) for part in parts]
    return [start(index, type="text", text=""), *deltas, stop(index)]


def thinking(index: int, *parts: str, signed: Sequence[str] = (), **more: Any) -> list[dict[str, Any]]:
    return [
        start(index, type="thinking", thinking="", **more),
        *[delta(index, "thinking", thinking=part) for part in parts],
        *[delta(index, "signature", signature=part) for part in signed],
        stop(index),
    ]


def tool(index: int, tool_id: str, *parts: str, kind: str = "tool_use") -> list[dict[str, Any]]:
    deltas = [delta(index, "input_json", partial_json=part) for part in parts]
    return [start(index, type=kind, id=tool_id, name="Bash", input={}), *deltas, stop(index)]


def sse(events: Sequence[dict[str, Any]], *, spaced: bool = False, named: bool = True) -> bytes:
    """The events as Anthropic frames them; `spaced`: as Python's json does; `named`: with their `event:` line."""
    separators = (", ", ": ") if spaced else (",", ":")
    out = ""
    for event in events:
        data = json.dumps(event, separators=separators, ensure_ascii=False)
        out += (f"event: {event['type']}\n" if named else "") + f"data: {data}\n\n"
    return out.encode()


def whole(*blocks: list[dict[str, Any]], end: Sequence[dict[str, Any]] = (message_delta(), MESSAGE_STOP)) -> list[Any]:
    return [message_start(), *[event for block in blocks for event in block], *end]


WORDS = st.text(max_size=8) | st.sampled_from(
    ["", "ü€😀", '"index":1', "\n\nevent: error\n", "event: content_block_delta", "thinking", "}\n\n", "\r", "\\u0065"]
)
PARTS = st.lists(WORDS, max_size=3)


@st.composite
def blocks(draw: Any, index: int) -> list[dict[str, Any]]:
    match draw(st.sampled_from(["text", "thinking", "redacted", "tool", "server"])):
        case "text":
            return text(index, *draw(PARTS))
        case "thinking":
            given = draw(st.sampled_from([{}, {"signature": ""}, {"signature": "given"}]))
            return thinking(index, *draw(PARTS), signed=draw(PARTS), **given)
        case "redacted":
            return [start(index, type="redacted_thinking", data=draw(WORDS)), stop(index)]
        case "tool":
            tool_id = draw(st.sampled_from(["toolu_1", "functions.Bash:0", "", "call-2"]))
            return tool(index, tool_id, *draw(st.sampled_from([[], ['{"a":', '"ü"}'], ["", "{}"]])))
        case _:
            return tool(index, draw(WORDS), "{}", kind="server_tool_use")


@st.composite
def messages(draw: Any) -> list[dict[str, Any]]:
    """The events of one message; the provider's indexes may start anywhere and have gaps."""
    index = draw(st.integers(0, 2))
    events: list[dict[str, Any]] = [message_start()]
    for _ in range(draw(st.integers(0, 4))):
        events += draw(blocks(index))
        index += draw(st.sampled_from([1, 1, 1, 2]))
    events += draw(st.sampled_from([[], [message_delta(None, output_tokens=3)]]))
    events += [message_delta(), MESSAGE_STOP]
    for position in draw(st.lists(st.integers(1, len(events)), max_size=2)):
        events.insert(position, PING)
    # A ping after message_stop is not part of the message.
    return events[: events.index(MESSAGE_STOP) + 1]


@st.composite
def bytes_of(draw: Any, events: Sequence[dict[str, Any]]) -> bytes:
    """The events in one of the dialects that were recorded."""
    data = sse(events, spaced=draw(st.booleans()), named=draw(st.sampled_from([True, True, False])))
    if draw(st.booleans()):
        data = data.replace(b"event: ping", b": keep-alive\n\nevent: ping")
    if draw(st.booleans()):
        data = data.replace(b"\n", b"\r\n")
    if draw(st.booleans()):
        data = data.replace(b"data: ", b"data:")
    after: bytes = draw(st.sampled_from([b"", b"data: [DONE]\n\n", b"\n"]))
    return data + after


@st.composite
def pieces_of(draw: Any, data: bytes) -> list[bytes]:
    """The same bytes in any split."""
    edges = [0, *sorted(draw(st.lists(st.integers(0, len(data)), max_size=12))), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]
