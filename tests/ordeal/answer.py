"""What a client makes of an answer: strict, pure, and written without a look at the gateway's own readers."""

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Told:
    """An answer as far as it can be read. `wrong` is what no client should ever see; "" for a well-formed answer."""

    blocks: list[dict[str, Any]] = field(default_factory=list)
    complete: bool = False
    """A whole message."""
    error: str = ""
    """The type of the error that it is, or ends with."""
    wrong: str = ""


OPENED = {"text": "text", "thinking": "thinking", "tool_use": "input"}
DELTAS = {"text_delta": ("text", "text"), "thinking_delta": ("thinking", "thinking")}


def read_answer(status: int, content_type: str, body: bytes) -> Told:
    """Reads a response of POST /v1/messages, streamed or not, an error or not."""
    try:
        if status != 200:
            return read_envelope(body)
        if content_type.startswith("text/event-stream"):
            return read_stream(body)
        return read_message(json.loads(body))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        return Told(wrong=f"unreadable: {error!r}")


def read_envelope(body: bytes) -> Told:
    """An error response: Anthropic's envelope and nothing else."""
    value = json.loads(body)
    kind = value["error"]["type"]
    if value["type"] != "error" or not isinstance(value["error"]["message"], str):
        return Told(wrong="an error in another shape")
    return Told(error=kind)


def read_message(value: Any) -> Told:
    """A whole JSON message."""
    if value["type"] != "message" or value["role"] != "assistant" or not value["stop_reason"]:
        return Told(wrong="no message, or one without an end")
    return Told(blocks=value["content"], complete=True)


def read_stream(body: bytes) -> Told:
    """A stream, to its end or as far as it came."""
    told = Told()
    text = body.decode().replace("\r\n", "\n")  # the provider's own bytes pass, and some have these
    *whole, rest = text.split("\n\n")
    arguments: dict[int, str] = {}
    opened: int | None = None
    phase = "before"
    for block in whole:
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if not lines:
            continue
        if phase in ("after", "failed"):
            told.wrong = f"something follows the end: {lines[0]}"
            return told
        if len(lines) != 2 or not lines[0].startswith("event: ") or not lines[1].startswith("data: "):
            told.wrong = f"no event: {block[:80]!r}"
            return told
        kind, data = lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))
        if kind != data["type"]:
            told.wrong = f"{kind} says it is {data['type']}"
        if kind == "ping":
            continue
        if kind == "error":
            told.error, phase = data["error"]["type"], "failed"
        elif kind == "message_start" and phase == "before":
            phase = "open"
        elif kind == "content_block_start" and phase == "open" and opened is None:
            opened = data["index"]
            if opened != len(told.blocks):
                told.wrong = f"block {opened} after {len(told.blocks)} blocks"
            told.blocks.append(dict(data["content_block"]))
        elif kind == "content_block_delta" and opened is not None and data["index"] == opened:
            delta, last = data["delta"], told.blocks[-1]
            if delta["type"] in DELTAS:
                key, source = DELTAS[delta["type"]]
                last[key] += delta[source]
            elif delta["type"] == "input_json_delta":
                arguments[opened] = arguments.get(opened, "") + delta["partial_json"]
                last["partial"] = arguments[opened]
            else:
                last["signature"] = delta["signature"]
        elif kind == "content_block_stop" and opened is not None and data["index"] == opened:
            if opened in arguments:
                told.blocks[-1]["input"] = json.loads(arguments[opened] or "{}")
                told.blocks[-1].pop("partial", None)
            opened = None
        elif kind == "message_delta" and phase == "open" and opened is None:
            phase = "ending" if data["delta"].get("stop_reason") else phase
        elif kind == "message_stop" and phase == "ending":
            phase = "after"
        elif not kind.startswith("x-"):  # what nobody knows may pass
            told.wrong = f"{kind} does not belong here ({phase})"
            return told
    told.complete = phase == "after"
    if rest.strip():
        told.wrong = told.wrong or f"half an event at the end: {rest[:80]!r}"
    return told
