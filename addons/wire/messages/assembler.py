"""Messages and the event streams that carry them: a stream put together, a message taken apart.

Rules that hold here:
- The events of any provider can be put together, cut and odd streams too: what is not understood is kept as well as
  can be, and nothing raises.
- Putting together what `message_events(m)` made gives `m` back.
"""

import json
from typing import Any, Final

import msgspec

from addons.wire import raw_json
from addons.wire.sse import BOM, Splitter, frame, parse, read_object

Json = dict[str, Any]

PARTIAL_JSON: Final = "partial_json"
"""The key that holds a tool's input as text when that is not JSON: the stream was cut inside it."""

_AT_END: Final = ("stop_reason", "stop_sequence", "stop_details", "container", "safeguard_results")
"""What a stream tells of the message in the `delta` of its message_delta."""

_TELLING: Final = ("message_start", "content_block_start", "content_block_delta", "message_delta")
"""Events without which a message isn't whole."""

_DELTA_KEYS: Final = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": PARTIAL_JSON,
}
_ORPHANS: Final = {"input_json_delta": "tool_use", "signature_delta": "thinking", "citations_delta": "text"}
"""The block type that a delta must be of whose content_block_start got lost, where the name doesn't say it."""


class Assembler:
    """Puts the events of one answer together."""

    def __init__(self) -> None:
        self.complete = False
        """message_stop came."""
        self.error: Json | None = None
        """The data of an `error` event, if one came."""
        self.is_torn = False
        """An event came that can't be read: what it said is missing."""
        self._splitter = Splitter(limit=1 << 62)  # the bytes are in memory already
        self._fields: Json = {"type": "message", "role": "assistant"}
        self._usage: Json | None = None
        self._blocks: list[_Block] = []
        self._by_index: dict[int, _Block] = {}

    def feed(self, data: bytes) -> None:
        """Bytes of the stream, in any split."""
        for raw in self._splitter.feed(data):
            event = parse(raw)
            value = _value(event.data)
            if not value and event.type in _TELLING:
                self.is_torn = True
                continue
            kind = value.get("type") or event.type
            match kind:
                case "message_start":
                    self._message_start(_object(value, "message"))
                case "content_block_start":
                    self._by_index[_index(value)] = self._add(_object(value, "content_block"))
                case "content_block_delta":
                    self._block_delta(_index(value), _object(value, "delta"))
                case "message_delta":
                    self._message_delta(value)
                case "message_stop":
                    self.complete = True
                case "error":
                    self.error = value

    def message(self) -> Json:
        """The message as far as it has come; whole when `complete`."""
        message = {**self._fields, "content": [block.build() for block in self._blocks]}
        if self._usage is not None:
            message["usage"] = dict(self._usage)
        return message

    def _message_start(self, message: Json) -> None:
        for block in message.pop("content", None) or []:
            self._add(block)
        usage = message.pop("usage", None)
        self._use(usage)
        self._fields.update(message)

    def _message_delta(self, value: Json) -> None:
        self._use(value.pop("usage", None))
        changes = {**_object(value, "delta"), **value}
        for key in changes.keys() - {"type", "delta"}:
            if changes[key] is not None or key not in self._fields:
                self._fields[key] = changes[key]

    def _use(self, usage: Any) -> None:
        """Numbers are cumulative; zeros and nulls say nothing about what is known already."""
        if isinstance(usage, dict):
            known = self._usage = self._usage or {}
            known.update((key, value) for key, value in usage.items() if value or key not in known)
            if usage.get("input_tokens") == 0 and usage.get("cache_read_input_tokens"):
                known["input_tokens"] = 0  # all of it was cached

    def _add(self, block: Any) -> "_Block":
        added = _Block(block)
        self._blocks.append(added)
        return added

    def _block_delta(self, index: int, delta: Json) -> None:
        kind = str(delta.pop("type", ""))
        block = self._by_index.get(index)
        if block is None:
            block = self._add({"type": _ORPHANS.get(kind, kind.removesuffix("_delta"))})
            self._by_index[index] = block
        block.add(kind, delta)


class _Block(msgspec.Struct):
    start: Any
    texts: dict[str, list[str]] = msgspec.field(default_factory=dict)
    lists: dict[str, list[Any]] = msgspec.field(default_factory=dict)
    values: Json = msgspec.field(default_factory=dict)

    def add(self, kind: str, delta: Json) -> None:
        """One delta, without its type. Of one that is not known all strings, lists and values are taken over."""
        if kind == "citations_delta":
            self.lists.setdefault("citations", []).append(delta.get("citation"))
            return
        keys = [_DELTA_KEYS[kind]] if kind in _DELTA_KEYS else list(delta)
        for key in keys:
            match delta.get(key):
                case str(text):
                    self.texts.setdefault(key, []).append(text)
                case list(items):
                    self.lists.setdefault(key, []).extend(items)
                case value:
                    self.values[key] = value

    def build(self) -> Any:
        if not isinstance(self.start, dict):
            return self.start
        block = {**self.start, **self.values}
        for key, items in self.lists.items():
            before = block.get(key)
            block[key] = [*before, *items] if isinstance(before, list) else items
        for key, parts in self.texts.items():
            text = "".join(parts)
            if key == PARTIAL_JSON:
                block.update(_input(text))
            elif key == "signature":
                block[key] = text or block.get(key, "")  # clients let a signature_delta replace what was there
            else:
                before = block.get(key)
                block[key] = before + text if isinstance(before, str) else text
        return block


def message_in(body: bytes) -> Json:
    """The message in a JSON body. Takes what JSON parsers refuse and `rewrite_message` lets through: a byte order mark,
    halves of surrogate pairs. {} when there is no object."""
    return _value(body.removeprefix(BOM))


def message_events(message: Json) -> list[bytes]:
    """The stream that a message (a JSON answer) would have been: each event by itself, as Anthropic frames it."""
    usage = message.get("usage")
    start = {**message, "content": []}
    end: Json = {"type": "message_delta", "delta": {key: message[key] for key in _AT_END if key in message}}
    start.update((key, None) for key in end["delta"])
    if "context_management" in message:
        end["context_management"] = start.pop("context_management")
    if isinstance(usage, dict):
        end["usage"] = usage
        start["usage"] = {**usage, "output_tokens": 0} if "output_tokens" in usage else usage
    content = message.get("content")
    events: list[Json] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(content if isinstance(content, list) else []):
        first, deltas = _block_parts(block)
        events.append({"type": "content_block_start", "index": index, "content_block": first})
        events.extend({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
        events.append({"type": "content_block_stop", "index": index})
    events += [end, {"type": "message_stop"}]
    return [frame(event["type"], event) for event in events]


def _block_parts(block: Any) -> tuple[Any, list[Json]]:
    """A block's content_block_start and its deltas. Blocks without deltas of their own are whole from the start."""
    match block:
        case {"type": "text", "text": str(text)}:
            deltas: list[Json] = [{"type": "text_delta", "text": text}] if text else []
            first = {**block, "text": ""}
            if isinstance(block.get("citations"), list):
                first["citations"] = []
                deltas += [{"type": "citations_delta", "citation": citation} for citation in block["citations"]]
            return first, deltas
        case {"type": "thinking", "thinking": str(text)}:
            deltas = [{"type": "thinking_delta", "thinking": text}] if text else []
            first = {**block, "thinking": ""}
            if isinstance(block.get("signature"), str) and block["signature"]:
                first["signature"] = ""
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
            return first, deltas
        case {"type": str(kind), "input": value} if kind.endswith("tool_use"):
            text = bytes(raw_json.dump(value)).decode()
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": text}]
    return block, []


def _input(text: str) -> Json:
    """What the joined input_json_deltas say: the input, or the text of it when it was cut."""
    if not text.strip():
        return {}
    try:
        return {"input": msgspec.json.decode(text)}
    except (ValueError, RecursionError):
        return {PARTIAL_JSON: text}


def _value(data: bytes) -> Json:
    fields = read_object(data)
    if fields is not None:
        return {key: raw_json.load(value) for key, value in fields.items()}
    try:  # NaN, and control characters as they are
        text = data.decode("utf-8", "replace").encode()
        value = json.loads(raw_json.without_lone_surrogates(text)[0], strict=False)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _object(value: Json, key: str) -> Json:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _index(value: Json) -> int:
    index = value.get("index")
    return index if isinstance(index, int) else -1
