"""A strict reader of Anthropic event streams, written from the documentation and without the code under test.

It raises AssertionError for anything that Anthropic itself would never send. Comments and blank lines are allowed.
"""

import json
from typing import Any

DELTAS = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "redacted_thinking": set[str](),
    "tool_use": {"input_json_delta"},
    "server_tool_use": {"input_json_delta"},
    "mcp_tool_use": {"input_json_delta"},
    "web_search_tool_result": set[str](),
}


def events_of(stream: bytes) -> list[tuple[str, Any]]:
    """(event type, JSON data) of a whole stream; comments left out."""
    text = stream.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    assert not text or text.endswith("\n\n"), "the stream ends inside an event"
    events = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if not lines:
            continue
        kinds = [line.split(":", 1)[1].strip() for line in lines if line.startswith("event:")]
        data = "\n".join(line.split(":", 1)[1].removeprefix(" ") for line in lines if line.startswith("data:"))
        assert len(kinds) == 1, f"an event without an event: line: {block!r}"
        events.append((kinds[0], json.loads(data)))
    return events


def check(stream: bytes, *, interleaved: bool = False) -> list[tuple[str, Any]]:
    """The events of a stream that is a whole message in every respect. `interleaved`: blocks may overlap."""
    events = events_of(stream)
    assert all(kind == data["type"] for kind, data in events)
    told = [(kind, data) for kind, data in events if kind != "ping"]
    assert told[0][0] == "message_start"
    assert told[-1][0] == "message_stop"
    assert told[-2][0] == "message_delta"
    assert told[-2][1]["delta"]["stop_reason"]
    open_blocks: dict[int, str] = {}
    started = 0
    for kind, data in told[1:-2]:
        match kind:
            case "content_block_start":
                assert interleaved or not open_blocks, "a block starts inside another"
                assert data["index"] == started, f"index {data['index']} comes after {started - 1}"
                open_blocks[started] = data["content_block"]["type"]
                started += 1
            case "content_block_delta":
                assert data["index"] in open_blocks, "a delta outside its block"
                assert data["delta"]["type"] in DELTAS[open_blocks[data["index"]]]
            case "content_block_stop":
                assert data["index"] in open_blocks, "a stop of no block"
                del open_blocks[data["index"]]
            case "message_delta":
                assert not data["delta"].get("stop_reason"), "two ends"
            case _:
                raise AssertionError(f"{kind} inside a message")
    assert not open_blocks, "a block without its stop"
    return events


def content_of(events: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    """The blocks that a client has at the end, put together as Claude Code and the SDKs do."""
    blocks: list[dict[str, Any]] = []
    inputs: dict[int, str] = {}
    for kind, data in events:
        if kind == "content_block_start":
            blocks.append(dict(data["content_block"]))
        elif kind == "content_block_delta":
            block, delta = blocks[data["index"]], data["delta"]
            match delta["type"]:
                case "text_delta":
                    block["text"] += delta["text"]
                case "thinking_delta":
                    block["thinking"] += delta["thinking"]
                case "signature_delta":
                    block["signature"] = delta["signature"]
                case "input_json_delta":
                    inputs[data["index"]] = inputs.get(data["index"], "") + delta["partial_json"]
                case "citations_delta":
                    block.setdefault("citations", []).append(delta["citation"])
    for index, text in inputs.items():
        blocks[index]["input"] = json.loads(text or "{}")
    return blocks
