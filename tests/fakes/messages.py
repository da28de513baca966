"""Messages as providers send them, on Anthropic's wire and on OpenAI's: JSON or a stream, as is asked for.

Rules of this file: the same request always gets the same bytes, and the quirks are switches named after what
was seen on real wires.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import Any

from .answers import Answer
from .request import Request

type Block = Mapping[str, Any]
AUTO = "auto"
REDACTED = "redacted"  # what the data of redacted thinking is made from
USAGE: Mapping[str, Any] = MappingProxyType(
    {
        "input_tokens": 120,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 34,
    }
)


def sign(provider: str, value: str) -> str:
    """The signature this provider gives to a thinking text."""
    digest = hashlib.sha256(f"{provider}\0{value}".encode()).hexdigest()[:32]
    return base64.b64encode(f"{provider}/{digest}".encode()).decode()


def text(value: str) -> Block:
    return {"type": "text", "text": value}


def thinking(value: str, *, signature: str | None = None) -> Block:
    """A thinking block; signed by the provider that sends it unless a signature is given ("" for none)."""
    return {"type": "thinking", "thinking": value, "signature": signature}


def redacted_thinking(data: str | None = None) -> Block:
    """A redacted thinking block; its data is made by the provider that sends it unless it is given."""
    return {"type": "redacted_thinking", "data": data}


def tool_use(name: str, arguments: Mapping[str, Any], *, tool_id: str | None = None) -> Block:
    """A tool call; the id is made from provider, request and position unless it is given."""
    return {"type": "tool_use", "id": tool_id, "name": name, "input": dict(arguments)}


@dataclass(frozen=True, kw_only=True)
class Message:
    """A reply: a message of the Anthropic wire, streamed when the request says `stream: true`."""

    blocks: tuple[Block, ...]
    stop_reason: str | None = AUTO  # "auto": tool_use when a tool is called, else end_turn
    model: str | None = None  # None: the model that was asked for
    usage: Mapping[str, Any] = USAGE
    delta_size: int = 12  # characters in one delta
    usage_at_start: bool = True  # False: message_start says zero and the numbers come in message_delta (Z.AI)
    crlf: bool = False
    event_lines: bool = True
    pings: bool = False  # after each content_block_start, as Anthropic does
    comments: tuple[str, ...] = ()  # before the first event (OpenRouter)
    padding: int = 0  # spaces before the last brace of each event, as Anthropic does
    done: bool = False  # `data: [DONE]` at the end (OpenRouter)
    content_type: str = "text/event-stream; charset=utf-8"  # of the stream

    def __call__(self, request: Request) -> Answer:
        blocks = [_finished(block, request, index) for index, block in enumerate(self.blocks)]
        message = self._message(blocks, request)
        if request.stream:
            content_type, pieces = self.content_type, tuple(self._stream(message))
        else:
            content_type, pieces = "application/json", (json.dumps(message).encode(),)
        return Answer(
            headers=(
                ("content-type", content_type),
                ("request-id", f"req_{request.provider}_{request.number}"),
            ),
            pieces=pieces,
            framing="chunked" if request.stream else "content-length",
            signatures=frozenset(
                (block.get("signature") or block.get("data", ""), block.get("thinking", ""))
                for block in blocks
                if block["type"] in ("thinking", "redacted_thinking")
            ),
            tool_ids=frozenset(block["id"] for block in blocks if "id" in block),
        )

    def _message(self, blocks: list[Block], request: Request) -> dict[str, Any]:
        stop_reason = self.stop_reason
        if stop_reason == AUTO:
            stop_reason = "tool_use" if any(block["type"] == "tool_use" for block in blocks) else "end_turn"
        return {
            "id": f"msg_{request.provider}_{request.number}",
            "type": "message",
            "role": "assistant",
            "model": request.model if self.model is None else self.model,
            "content": blocks,
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": dict(self.usage),
        }

    def _stream(self, message: dict[str, Any]) -> Iterator[bytes]:
        for comment in self.comments:
            yield self._lines(f": {comment}")
        start_usage = {**self.usage, "output_tokens": 1} if self.usage_at_start else dict.fromkeys(self.usage, 0)
        start = {**message, "content": [], "stop_reason": None, "usage": start_usage}
        yield self._event("message_start", message=start)
        for index, block in enumerate(message["content"]):
            yield self._event("content_block_start", index=index, content_block=_opened(block))
            if self.pings:
                yield self._event("ping")
            for delta in _deltas(block, self.delta_size):
                yield self._event("content_block_delta", index=index, delta=delta)
            yield self._event("content_block_stop", index=index)
        stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
        yield self._event("message_delta", delta=stop, usage=message["usage"])
        yield self._event("message_stop")
        if self.done:
            yield self._lines("data: [DONE]")

    def _event(self, event: str, **data: Any) -> bytes:
        encoded = json.dumps({"type": event, **data})
        encoded = encoded[:-1] + " " * self.padding + "}"
        return self._lines(*([f"event: {event}"] if self.event_lines else []), f"data: {encoded}")

    def _lines(self, *lines: str) -> bytes:
        newline = "\r\n" if self.crlf else "\n"
        return "".join(line + newline for line in (*lines, "")).encode()


def message(*blocks: Block, **options: Any) -> Message:
    """A message with these blocks; the options are the fields of `Message`."""
    return Message(blocks=blocks, **options)


def say(value: str, **options: Any) -> Message:
    """A message with one text block."""
    return message(text(value), **options)


def event(kind: str, **fields: Any) -> bytes:
    """One server-sent event by itself, to insert into a stream."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def chat(value: str, *, model: str | None = None, delta_size: int = 12) -> "ChatCompletion":
    """A reply: a chat completion of the OpenAI wire with one text."""
    return ChatCompletion(value=value, model=model, delta_size=delta_size)


@dataclass(frozen=True, kw_only=True)
class ChatCompletion:
    """A reply: a chat completion of the OpenAI wire, streamed when the request says `stream: true`."""

    value: str
    model: str | None = None
    delta_size: int = 12

    def __call__(self, request: Request) -> Answer:
        common = {"id": f"chatcmpl-{request.number}", "created": 0, "model": self.model or request.model}
        usage = {"prompt_tokens": 120, "completion_tokens": 34, "total_tokens": 154}
        if not request.stream:
            choice = {
                "index": 0,
                "message": {"role": "assistant", "content": self.value},
                "finish_reason": "stop",
            }
            whole = {**common, "object": "chat.completion", "choices": [choice], "usage": usage}
            return Answer(headers=(("content-type", "application/json"),), pieces=(json.dumps(whole).encode(),))
        deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant", "content": ""}, None)]
        deltas += [({"content": part}, None) for part in _split(self.value, self.delta_size)]
        deltas.append(({}, "stop"))
        chunks: list[dict[str, Any]] = [
            {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]} for delta, reason in deltas
        ]
        chunks.append({"choices": [], "usage": usage})
        lines = (json.dumps({**common, "object": "chat.completion.chunk", **chunk}) for chunk in chunks)
        return Answer(
            headers=(("content-type", "text/event-stream"),),
            pieces=tuple(f"data: {line}\n\n".encode() for line in chain(lines, ["[DONE]"])),
            framing="chunked",
        )


def _finished(block: Block, request: Request, index: int) -> Block:
    """The block with what only the provider can fill in."""
    if block["type"] == "thinking" and block["signature"] is None:
        return {**block, "signature": sign(request.provider, block["thinking"])}
    if block["type"] == "redacted_thinking" and block["data"] is None:
        return {**block, "data": sign(request.provider, REDACTED)}
    if block["type"] == "tool_use" and block["id"] is None:
        return {**block, "id": f"toolu_{request.provider}_{request.number}_{index}"}
    return block


def _opened(block: Block) -> dict[str, Any]:
    """The block as its content_block_start shows it."""
    empty: dict[str, dict[str, Any]] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
        "server_tool_use": {"input": {}},
    }
    return {**block, **empty.get(block["type"], {})}


def _deltas(block: Block, size: int) -> Iterator[dict[str, str]]:
    match block["type"]:
        case "text":
            yield from ({"type": "text_delta", "text": part} for part in _split(block["text"], size))
        case "thinking":
            yield from ({"type": "thinking_delta", "thinking": part} for part in _split(block["thinking"], size))
            if block["signature"]:
                yield {"type": "signature_delta", "signature": block["signature"]}
        case "tool_use" | "server_tool_use":
            encoded = json.dumps(block["input"])
            parts: Iterable[str] = chain([""], _split(encoded, size))  # the first one is empty, as Anthropic sends it
            yield from ({"type": "input_json_delta", "partial_json": part} for part in parts)


def _split(value: str, size: int) -> Iterator[str]:
    return (value[start : start + size] for start in range(0, len(value), size))
