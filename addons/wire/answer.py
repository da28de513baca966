"""The answer side of the Anthropic wire: what a provider's message becomes on its way to the client.

Rules that hold here:
- What needs no change leaves as the provider's own bytes, a whole chunk at a time when all of it passes. What an
  event becomes depends on that event and on the blocks that are open, never on how the bytes were split.
- Which blocks are thinking is learnt from their `content_block_start`, read as JSON, so no spelling of it is
  missed; a delta is then known by its index. A text delta is not parsed where it is spelt as everybody spells it.
- Anthropic's answers (`Rewrite.own`) are only watched. All other providers' thinking leaves wrapped
  (provenance.py) or not at all, their tool ids are made valid, their server-tool ids wrapped, their blocks
  numbered from 0.
- An error ends the answer and is not sent on: the caller decides between failover and telling the client.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from msgspec import UNSET, Raw

from addons.wire import pieces
from addons.wire.blocks import EMPTY_TEXT, THINKING, kind_of, stamp, stamp_all
from addons.wire.errors import ProviderError, read_error
from addons.wire.provenance import wrap_signature
from addons.wire.sse import BOM, Event, EventTooLarge, Fields, Splitter, frame, parse, read_object, split

_MESSAGE_EVENTS: Final = frozenset({"message_start", "message_delta", "message_stop"})
_BLOCK_EVENTS: Final = frozenset({"content_block_start", "content_block_delta", "content_block_stop"})

_DELTA: Final = b"event: content_block_delta\n"
_DELTA_STARTS: Final = (_DELTA, b"event: content_block_delta\r\n")
_DELTA_ENDS: Final = (b"}\n\n", b"}\r\n\r\n")
# The way every provider seen spells the start of a delta; any other spelling is read as JSON.
_DELTA_HEAD: Final = re.compile(
    rb'event: content_block_delta\r?\ndata: ?\{"type": ?"content_block_delta", ?"index": ?(\d{1,9})'
    rb'(?:, ?"delta": ?\{"type": ?"(\w+)")?(?=[,}])'
)
_BARE_ERROR: Final = re.compile(rb"error:\s*\{")
_THINKING_DELTAS: Final = ("thinking_delta", "signature_delta")
_NULL: Final = Raw(b"null")
_STRIPPED: Final = -1


@dataclass(slots=True)
class Usage:
    """Tokens of one answer. `input_tokens` are those neither read from a cache nor written to one."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0

    def update(self, usage: Fields) -> None:
        """Takes over the numbers of a `usage` object. They are cumulative, and the last that isn't zero counts:
        some providers begin with zeros (Z.AI), others leave out at the end what they said at the start.
        """
        for name in self.__slots__:
            number = _number(usage, name)
            if number is not None and 0 < number < 1e15:
                setattr(self, name, int(number))


class AnswerStream(Protocol):
    """Reads one provider's event stream and gives the client's: Anthropic's events, whatever was spoken.

    After an error or the end of the message nothing more comes out.
    """

    def feed(self, data: bytes) -> list[bytes]:
        """The provider's bytes as they come, in any split; complete events come out (one piece may be several)."""

    def end(self) -> list[bytes]:
        """The provider ended properly: what the client must still be sent to have a whole message."""

    @property
    def started(self) -> bool:
        """Something complete came: an event or a comment."""

    @property
    def content(self) -> bool:
        """An event other than message_start and ping came, even if it is not for the client."""

    @property
    def error(self) -> ProviderError | None:
        """What the provider sent in place of the (rest of the) message. It was not passed on."""

    @property
    def finished(self) -> bool:
        """The message is whole: message_stop came, or a stop reason and then the end."""

    @property
    def usage(self) -> Usage:
        """As far as it is known."""

    @property
    def stop_reason(self) -> str | None:
        """None until it is known."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What has to happen to one provider's answers."""

    provider: str
    """Its name in the configuration: what is wrapped says this name."""
    own: bool
    """The provider is Anthropic: nothing is wrapped, dropped or renumbered."""
    strip_thinking: bool
    """Thinking never reaches the client."""


def rewrite_message(body: bytes, rewrite: Rewrite) -> tuple[bytes, Usage, str | None] | ProviderError:
    """A JSON answer (`stream: false`) for the client: (body, usage, stop_reason), or why it is no message.

    The body is the one passed in when nothing had to change. An error object under a 200 is an error.
    """
    message = read_object(body.removeprefix(BOM)) or {}
    content = _content(message)
    if content is None and _is_error(message):
        return read_error(200, "application/json", body)
    if content is None:
        what = "JSON that is no message" if message else "an answer that is not JSON"
        return ProviderError(502, "api_error", f"{rewrite.provider} sent {what}: {_excerpt(body)}")
    usage = Usage()
    usage.update(_child(message, "usage"))
    if not rewrite.own:
        blocks = stamp_all(content, rewrite.provider, strip_thinking=rewrite.strip_thinking)
        if blocks is not None:
            message["content"] = pieces.join_array(blocks)
            body = bytes(pieces.join_object(message))
    return body, usage, pieces.string(message.get("stop_reason", UNSET))


@dataclass(slots=True)
class _Block:
    """A content block between its start and its stop."""

    index: int  # the client's, or _STRIPPED
    thinking: bool = False
    given: str = ""  # the signature in its start
    signature: list[str] = field(default_factory=list)  # the pieces in its deltas, which replace that one


class MessagesAnswer:
    """The `AnswerStream` of a provider that speaks Anthropic's Messages API."""

    def __init__(self, rewrite: Rewrite) -> None:
        self.started = False
        self.content = False
        self.error: ProviderError | None = None
        self.finished = False
        self.usage = Usage()
        self.stop_reason: str | None = None
        self._rewrite = rewrite
        self._splitter = Splitter()
        self._open: dict[int, _Block] = {}  # by the provider's index
        self._next_index = 0
        self._stripped = False
        self._has_content = False  # the client was sent a block, or message_start had some
        self._held = b""  # the message_delta that ends the message, kept back while blocks are open
        # No delta needs a look: Anthropic's, or the open blocks are neither thinking nor renumbered.
        self._deltas_pass = rewrite.own

    def feed(self, data: bytes) -> list[bytes]:
        """See `AnswerStream`. All that is complete comes out as one piece."""
        if self.error or self.finished:
            return []
        try:
            batch = self._splitter.take(data)
        except EventTooLarge as error:
            self._fail(f"sent {error}")
            return []
        if not batch:
            return []
        self.started = True
        if self._deltas_pass and _only_deltas(batch):
            self.content = True
            return [batch]
        out = b"".join(self._events(batch))
        return [out] if out else []

    def end(self) -> list[bytes]:
        """See `AnswerStream`. A last event without its blank line counts when its JSON is whole."""
        if self.error or self.finished:
            return []
        out = b""
        rest = self._splitter.rest.rstrip(b"\r\n")
        event = parse(rest)
        if read_object(event.data) is not None or _BARE_ERROR.match(event.other):
            self.started = True
            out = self._event(rest + b"\n\n")
        if self.stop_reason and not self.error and not self.finished:
            out += self._finish() + frame("message_stop", {"type": "message_stop"})
        return [out] if out else []

    def _events(self, batch: bytes) -> Iterator[bytes]:
        for raw in split(batch):
            yield self._event(raw)
            if self.error or self.finished:
                return

    def _event(self, raw: bytes) -> bytes:
        """One event of the provider: what the client gets for it, maybe nothing."""
        if raw.startswith(_DELTA_STARTS) and raw.endswith(_DELTA_ENDS):
            self.content = True
            if self._deltas_pass:
                return raw
            head = _DELTA_HEAD.match(raw)
            block = self._open.get(int(head[1])) if head else None
            if head and block:
                if block.index == _STRIPPED:
                    return b""
                if not block.thinking or head[2] == b"thinking_delta":
                    return b"%b%d%b" % (raw[: head.start(1)], block.index, raw[head.end(1) :])
        event = parse(raw)
        if not event.data:
            if not _BARE_ERROR.match(event.other):
                return raw  # a comment, a blank line, `retry:`
            event = Event("error", event.other, b"")
        if event.type == "ping":
            return raw
        if event.data.strip() == b"[DONE]":
            return b""
        read = read_object(event.data)
        json = read or {}
        if event.type in ("", "message") and kind_of(json):
            # Clients know an event by its `event:` line, which some providers leave out.
            event = event._replace(type=kind_of(json))
            raw = frame(*event)
        known = event.type in _MESSAGE_EVENTS or event.type in _BLOCK_EVENTS
        if event.type == "error" or (_is_error(json) and not known):
            self.error = read_error(200, "text/event-stream", event.data)
            return b""
        if read is None and (known or event.type in ("", "message")):
            self._fail(f"sent an event that is not JSON: {_excerpt(event.data)}")
            return b""
        if event.type not in ("message_start", "ping"):
            self.content = True
        if event.type in _MESSAGE_EVENTS:
            return self._message_event(event, json, raw)
        if event.type in _BLOCK_EVENTS:
            return self._block_event(event, json, raw)
        return raw

    def _message_event(self, event: Event, json: Fields, raw: bytes) -> bytes:
        if event.type == "message_start":
            return self._message_start(event, json, raw)
        if event.type == "message_delta":
            return self._message_delta(json, raw)
        if self._rewrite.own:
            self.finished = True
            return raw
        return self._finish() + raw

    def _message_start(self, event: Event, json: Fields, raw: bytes) -> bytes:
        message = _child(json, "message")
        self.usage.update(_child(message, "usage"))
        content = _content(message)
        if self._rewrite.own or not content:
            return raw
        self._has_content = True
        strip_thinking = self._rewrite.strip_thinking
        blocks = stamp_all(content, self._rewrite.provider, strip_thinking=strip_thinking)
        if blocks is None:
            return raw
        message["content"] = pieces.join_array(blocks)
        return _reframe(event, json, message=pieces.join_object(message))

    def _message_delta(self, json: Fields, raw: bytes) -> bytes:
        self.usage.update(_child(json, "usage"))
        stop_reason = pieces.string(_child(json, "delta").get("stop_reason", UNSET))
        self.stop_reason = stop_reason or self.stop_reason
        if self._rewrite.own or not (stop_reason or self._held):
            return raw
        if self._open:
            self._held += raw
            return b""
        return self._filler() + raw

    def _finish(self) -> bytes:
        """All that has to come before message_stop."""
        stops = [self._block_stop(index) for index in tuple(self._open)]
        self.finished = True
        return b"".join(stops) + self._filler() + self._held

    def _filler(self) -> bytes:
        """An empty text block, when stripping left nothing: a client that gets no block asks again."""
        if not self._stripped or self._has_content:
            return b""
        self._has_content = True
        index = self._next_index
        self._next_index += 1
        return _block_frame("start", index, content_block=EMPTY_TEXT) + _block_frame("stop", index)

    def _block_event(self, event: Event, json: Fields, raw: bytes) -> bytes:
        index = _number(json, "index")
        if not isinstance(index, int):
            return raw
        own = self._rewrite.own
        if event.type == "content_block_delta":
            return raw if own else self._block_delta(index, event, json, raw)
        if event.type == "content_block_stop":
            out = self._block_stop(index, event, json, raw)
        elif own:
            self._open[index] = _Block(index)
            out = raw
        else:
            # A block that starts where one is open ends that one: clients lose a text that is never stopped.
            before = self._block_stop(index) if index in self._open else b""
            out = before + self._block_start(index, event, json, raw)
        untouched = [number == block.index and not block.thinking for number, block in self._open.items()]
        self._deltas_pass = own or (any(untouched) and all(untouched))
        return out

    def _block_start(self, index: int, event: Event, json: Fields, raw: bytes) -> bytes:
        fields = _child(json, "content_block")
        kind = kind_of(fields)
        if self._rewrite.strip_thinking and kind in THINKING:
            self._stripped = True
            self._open[index] = _Block(_STRIPPED)
            return b""
        block = _Block(self._next_index, thinking=kind == "thinking")
        self._next_index += 1
        self._open[index] = block
        self._has_content = True
        if block.thinking:
            block.given = pieces.string(fields.get("signature", UNSET)) or ""
        changes = {}
        # Thinking that starts unsigned stays so here: its signature comes with its stop.
        if (block.given or not block.thinking) and stamp(fields, self._rewrite.provider):
            changes["content_block"] = pieces.join_object(fields)
        if block.index != index:
            changes["index"] = pieces.dump(block.index)
        return _reframe(event, json, **changes) if changes else raw

    def _block_delta(self, index: int, event: Event, json: Fields, raw: bytes) -> bytes:
        block = self._open.get(index)
        delta = _child(json, "delta")
        kind = kind_of(delta)
        if block is None:  # its start got lost
            return b"" if self._rewrite.strip_thinking and kind in _THINKING_DELTAS else raw
        if block.index == _STRIPPED:
            return b""
        if block.thinking and kind == "signature_delta":
            block.signature.append(pieces.string(delta.get("signature", UNSET)) or "")
            return b""
        return raw if block.index == index else _reframe(event, json, index=pieces.dump(block.index))

    def _block_stop(
        self, index: int, event: Event | None = None, json: Fields | None = None, raw: bytes = b""
    ) -> bytes:
        """The end of a block, as the provider said it or (without `event`) overdue. Kept thinking is signed
        here, in one piece: clients take the last signature_delta for the whole signature.
        """
        block = self._open.pop(index, None)
        if block is None:
            return raw if self._rewrite.own else b""
        if block.index == _STRIPPED:
            return b""
        out = b""
        if block.thinking:
            signature = wrap_signature(self._rewrite.provider, "".join(block.signature) or block.given)
            delta = {"type": "signature_delta", "signature": signature}
            out = _block_frame("delta", block.index, delta=delta)
        if event is None or json is None:
            return out + _block_frame("stop", block.index)
        return out + (raw if block.index == index else _reframe(event, json, index=pieces.dump(block.index)))

    def _fail(self, what: str) -> None:
        self.error = ProviderError(502, "api_error", f"{self._rewrite.provider} {what}")


def _only_deltas(batch: bytes) -> bool:
    """Whether `batch` is nothing but deltas that end in a brace: the same as asking each of its events."""
    events = batch.count(b"}\n\n")
    return (
        batch.startswith(_DELTA)
        and batch.count(b"\n\n" + _DELTA) + 1 == events == batch.count(b"\n\n")
        and b"\r" not in batch
    )


def _is_error(json: Fields) -> bool:
    return kind_of(json) == "error" or json.get("error", _NULL) != _NULL


def _content(message: Fields) -> list[Raw] | None:
    return pieces.split_array(message["content"]) if "content" in message else None


def _child(json: Fields, key: str) -> Fields:
    """The fields of an object inside an object; none when it is missing or something else."""
    return (pieces.split_object(json[key]) if key in json else None) or {}


def _number(json: Fields, key: str) -> int | float | None:
    value = pieces.load(json[key]) if key in json else None
    return value if isinstance(value, int | float) else None


def _reframe(event: Event, json: Fields, **changes: Raw) -> bytes:
    return frame(event.type, bytes(pieces.join_object(json | changes)), event.other)


def _block_frame(kind: str, index: int, **more: Any) -> bytes:
    name = f"content_block_{kind}"
    return frame(name, {"type": name, "index": index, **more})


def _excerpt(data: bytes) -> str:
    return data[:200].decode("utf-8", "replace")
