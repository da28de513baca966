"""The answer side of the Anthropic wire: what a provider's message becomes on its way to the client.

Rules that hold here:
- What needs no change leaves as the provider's own bytes, a whole chunk at a time when all of it passes. What an
  event becomes depends on that event and on the blocks that are open, never on how the bytes were split.
- Nearly every chunk is one text or thinking delta, and must cost next to nothing: `feed` knows it by its head.
- Anthropic's answers (`Rewrite.is_anthropic`) are only watched. All other providers' thinking leaves wrapped
  (provenance.py) or not at all, their tool ids are made valid, their server-tool ids wrapped, their blocks
  numbered from 0 (answer_blocks.py).
- An error ends the answer and is not sent on: the caller decides between failover and telling the client.
"""

from typing import Final, NamedTuple

from msgspec import UNSET, Raw

from addons.wire import raw_json
from addons.wire.error_reading import read_error
from addons.wire.errors import ProviderError
from addons.wire.limits import ENDINGS
from addons.wire.messages.answer_blocks import DELTA, AnswerBlocks
from addons.wire.messages.stamps import kind_of, stamp_all
from addons.wire.sse import (
    BARE_ERROR,
    BOM,
    Event,
    EventTooLarge,
    Fields,
    Splitter,
    frame,
    is_long,
    object_in,
    parse,
    read_object,
    reframe,
    split,
    value_in,
)
from addons.wire.usage import Usage

_MESSAGE_EVENTS: Final = frozenset({"message_start", "message_delta", "message_stop"})
_BLOCK_EVENTS: Final = frozenset({"content_block_start", "content_block_delta", "content_block_stop"})
_KNOWN_EVENTS: Final = _MESSAGE_EVENTS | _BLOCK_EVENTS

_DELTA_STARTS: Final = (DELTA, b"event: content_block_delta\r\n")
_DELTA_ENDS: Final = (b"}\n\n", b"}\r\n\r\n")
_FIRST_LINE: Final = len(DELTA)
_AROUND: Final = {"text": 115, "thinking": 123, "tool_use": 129, "server_tool_use": 129}
"""Bytes of a delta beside what it says, by the type of its block."""
_SPACES: Final = 8
"""Those of them that some providers have besides, behind each colon and comma."""
_CR: Final = ord("\r")
_NULL: Final = Raw(b"null")


class Rewrite(NamedTuple):
    """What has to happen to one provider's answers."""

    provider: str
    """Its name in the configuration: what is wrapped says this name."""
    is_anthropic: bool
    """The provider is Anthropic: nothing is wrapped, dropped or renumbered."""
    strip_thinking: bool
    """Thinking never reaches the client."""


def rewrite_message(body: bytes, rewrite: Rewrite) -> tuple[bytes, Usage, str | None] | ProviderError:
    """A JSON answer (`stream: false`) for the client: (body, usage, stop_reason), or why it is no message.

    The body is the one passed in when nothing had to change. An error object under a 200 is an error.
    """
    message = read_object(body.removeprefix(BOM)) or {}
    is_message = "content" in message and raw_json.first(message["content"]) == "["
    if not is_message and _is_error(message):
        return read_error(200, "application/json", body)
    if not is_message:
        what = "JSON that is no message" if message else "an answer that is not JSON"
        return ProviderError(502, "api_error", f"{rewrite.provider} sent {what}: {_excerpt(body)}")
    usage = Usage()
    usage.update(value_in(message, "usage"), at_end=True)
    content = raw_json.split_array(message["content"]) or []
    if rewrite.is_anthropic:
        blocks = stamp_all(content, None, strip_thinking=False)
    else:
        blocks = stamp_all(content, rewrite.provider, strip_thinking=rewrite.strip_thinking)
    if blocks is not None:
        message["content"] = raw_json.join_array(blocks)
        body = bytes(raw_json.join_object(message))
    return body, usage, raw_json.string(message.get("stop_reason", UNSET))


class MessagesAnswer:
    """The `AnswerStream` of a provider that speaks Anthropic's Messages API."""

    def __init__(self, rewrite: Rewrite) -> None:
        self.started = False
        self.content = False
        self.spoke = False
        self.error: ProviderError | None = None
        self.finished = False
        self.usage = Usage()
        self.stop_reason: str | None = None
        self.streamed = 0
        self._around = _AROUND["text"]
        self._rewrite = rewrite
        self._splitter = Splitter()
        self._blocks = AnswerBlocks(
            rewrite.provider, is_anthropic=rewrite.is_anthropic, strip_thinking=rewrite.strip_thinking
        )
        self._held: list[bytes] = []  # the message_delta that ends the message, kept back while blocks are open
        # As in `_blocks`, while nothing of the next event has come.
        self._head: bytes | tuple[()] = ()
        self._instead: bytes | None = None

    def feed(self, data: bytes) -> bytes:
        """The provider's next bytes; the events for the client that are complete now."""
        size = len(data)
        if (  # one delta, in two lines
            data.startswith(self._head)
            and data.endswith(b"}\n\n")
            and data.find(b"\n", _FIRST_LINE) == size - 2
            and _CR not in data
        ):
            self.spoke = True
            self.streamed += size - self._around
            if self._instead is None:
                return data
            return self._instead and self._instead + data[len(self._head) :]
        return self._feed(data)

    def end(self) -> bytes:
        """The provider ended properly. A last event without its blank line counts when its JSON is whole."""
        if self.error or self.finished:
            return b""
        out = b""
        rest = self._splitter.unfinished.rstrip(b"\r\n")
        event = parse(rest)
        if read_object(event.data) is not None or BARE_ERROR.match(event.other):
            self.started = True
            out = self._event(rest + b"\n\n")
        if self.stop_reason and not self.error and not self.finished:
            out += self._finish() + frame("message_stop", {"type": "message_stop"})
        return out

    def _feed(self, data: bytes) -> bytes:
        self.spoke = False
        self._head = ()
        if self.error or self.finished:
            return b""
        try:
            out = self._splitter.take(data)
        except EventTooLarge as error:
            self._fail(f"sent {error}")
            return b""
        if out:
            self.started = True
            if self._blocks.passing and _only_deltas(out):
                self.content = self.spoke = True
                self.streamed += len(out) - self._around * out.count(DELTA)
            else:
                out = self._events(out)
                if self.error or self.finished:
                    return out
        if not self._splitter.between:
            self.spoke = self.spoke or (bool(data) and self._splitter.tells)
        elif self.content:
            self._head, self._instead = self._blocks.head, self._blocks.instead
        return out

    def _events(self, batch: bytes) -> bytes:
        out = []
        for raw in split(batch):
            out.append(self._event(raw))
            if self.error or self.finished:
                break
        return b"".join(out)

    def _event(self, raw: bytes) -> bytes:
        """One event of the provider: what the client gets for it, maybe nothing."""
        usual = raw.startswith(_DELTA_STARTS) and raw.endswith(_DELTA_ENDS)
        if usual:
            self.content = self.spoke = True
            self.streamed += len(raw) - self._around
            delta = self._blocks.delta(raw)
            if delta is not None:
                return delta
        event = parse(raw)
        if not event.data and BARE_ERROR.match(event.other):
            event = Event("error", event.other, b"")
        if event.type == "ping" or not event.data:  # the latter: a comment, a blank line, `retry:`
            self.spoke = self.spoke or is_long(raw)
            return raw
        if event.data.strip() == b"[DONE]":
            self.spoke = True
            return b""
        read = read_object(event.data)
        json = read or {}
        came = raw
        if event.type in ("", "message") and kind_of(json):
            # Clients know an event by its `event:` line, which some providers leave out.
            event = event._replace(type=kind_of(json))
            raw = frame(*event)
        self.spoke = self.spoke or event.type != "ping" or is_long(came)
        known = event.type in _KNOWN_EVENTS
        if event.type == "error" or (not known and _is_error(json)):
            self.error = read_error(200, "text/event-stream", event.data)
            return b""
        if read is None and (known or event.type in ("", "message")):
            self._fail(f"sent an event that is not JSON: {_excerpt(event.data)}")
            return b""
        if known and event.type != "message_start":
            self.content = True
        if event.type in _MESSAGE_EVENTS:
            return self._message_event(event, json, raw)
        if event.type in _BLOCK_EVENTS:
            if event.type == "content_block_start":
                kind = kind_of(object_in(json, "content_block"))
                self._around = _AROUND.get(kind, _AROUND["text"]) + _SPACES * (b'{"type": ' in raw)
            elif event.type == "content_block_delta" and not usual:
                self.streamed += max(len(raw) - self._around, 0)
            out = self._blocks.event(event, json, raw)
            if self._blocks.is_too_much:
                self._fail("left more open than any answer has")
            return out
        return raw

    def _message_event(self, event: Event, json: Fields, raw: bytes) -> bytes:
        if event.type == "message_start":
            return self._message_start(event, json, raw)
        if event.type == "message_delta":
            return self._message_delta(json, raw)
        if self._rewrite.is_anthropic:
            self.finished = True
            return raw
        return self._finish() + raw

    def _message_start(self, event: Event, json: Fields, raw: bytes) -> bytes:
        message = object_in(json, "message")
        self.usage.update(value_in(message, "usage"))
        content = None if self._rewrite.is_anthropic else raw_json.split_array(message.get("content", UNSET))
        if not content:
            return raw
        blocks = self._blocks.given(content)
        if blocks is None:
            return raw
        message["content"] = raw_json.join_array(blocks)
        return reframe(event, json, message=raw_json.join_object(message))

    def _message_delta(self, json: Fields, raw: bytes) -> bytes:
        self.usage.update(value_in(json, "usage"), at_end=True)
        stop_reason = raw_json.string(object_in(json, "delta").get("stop_reason", UNSET))
        self.stop_reason = stop_reason or self.stop_reason
        if self._rewrite.is_anthropic or not (stop_reason or self._held):
            return raw
        if not self._blocks.all_stopped:
            self._held.append(raw)
            if len(self._held) > ENDINGS:
                self._fail("goes on and on about the end of its answer")
            return b""
        return self._blocks.filler() + raw

    def _finish(self) -> bytes:
        """All that has to come before message_stop."""
        self.finished = True
        return b"".join((self._blocks.finish(), *self._held))

    def _fail(self, what: str) -> None:
        self.error = ProviderError(502, "api_error", f"{self._rewrite.provider} {what}")


def _only_deltas(batch: bytes) -> bool:
    """Whether `batch` is nothing but deltas that end in a brace: the same as asking each of its events."""
    events = batch.count(b"}\n\n")
    return (
        batch.startswith(DELTA)
        and batch.count(b"\n\n" + DELTA) + 1 == events == batch.count(b"\n\n")
        and _CR not in batch
    )


def _is_error(json: Fields) -> bool:
    return kind_of(json) == "error" or json.get("error", _NULL) != _NULL


def _excerpt(data: bytes) -> str:
    return data[:200].decode("utf-8", "replace")
