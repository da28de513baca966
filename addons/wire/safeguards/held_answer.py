"""A provider's answer whose end is held back until its tool calls have been judged.

Rules that hold here: everything but the end goes on as it comes; most of what goes by is looked through for a few words
and no more. What is kept of the calls is bounded: of longer ones only their names are.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET

from addons.wire import raw_json
from addons.wire.answer_reader import AnswerReader
from addons.wire.limits import MEGABYTE
from addons.wire.messages.assembler import Assembler, message_in
from addons.wire.safeguards.question import RESULTS, ToolCall, tool_calls
from addons.wire.sse import frame, object_in, parse, read_object, reframe, split

LONGEST_CALLS: Final = 4 * MEGABYTE
"""Bytes of the events from the first tool call on: no judge reads more."""


class HeldAnswer(AnswerReader):
    """An `AnswerReader` that keeps the final message_delta, and what comes behind it, to itself."""

    def __init__(self, **of: Any) -> None:
        super().__init__(**of)
        self.is_too_long = False
        """The tool calls are more than a judge can be shown."""
        self._ending: list[bytes] = []
        self._calls = bytearray()

    @property
    def is_held(self) -> bool:
        """Whether the end of the message has come."""
        return bool(self._ending) or self.body is not None

    def feed(self, data: bytes) -> bytes:
        return self._going_on(super().feed(data))

    def end(self) -> bytes:
        return self._going_on(super().end())

    def calls(self) -> list[ToolCall]:
        """The tool calls of the whole answer."""
        if self.body is not None and not self.stream:
            return tool_calls(message_in(self.body).get("content"), self.stop_reason)
        assembler = Assembler()
        assembler.feed(bytes(self._calls))
        return tool_calls(assembler.message()["content"], self.stop_reason)

    def ending(self, results: list[dict[str, Any]]) -> bytes:
        """The end of the stream, with these results."""
        events, self._ending = self._ending, []
        last = next((index for index in range(len(events) - 1, -1, -1) if is_final(events[index])), None)
        if last is None:  # some providers only say that it is over
            reason = self.stop_reason or ("tool_use" if self._calls else "end_turn")
            delta = {"stop_reason": reason, "stop_sequence": None, RESULTS: results}
            events.insert(0, frame("message_delta", {"type": "message_delta", "delta": delta}))
        else:
            event = parse(events[last])
            fields = read_object(event.data) or {}
            told = object_in(fields, "delta") | {RESULTS: raw_json.dump(results)}
            events[last] = reframe(event, fields, delta=raw_json.join_object(told))
        return b"".join(events)

    def _going_on(self, out: bytes) -> bytes:
        if self._ending:
            self._ending += split(out) if out else []
            return b""
        if self._calls or b"tool_use" in out:
            if len(self._calls) + len(out) <= LONGEST_CALLS:
                self._calls += out
            else:
                self.is_too_long = True
                if b"content_block_start" in out and len(out) < LONGEST_CALLS:
                    self._calls += b"".join(raw for raw in split(out) if b"content_block_start" in raw)
        if b"message_delta" not in out and b"message_stop" not in out:
            return out
        events = split(out)
        for index, raw in enumerate(events):
            if is_final(raw) or parse(raw).type == "message_stop":
                self._ending = events[index:]
                return b"".join(events[:index])
        return out


def is_final(raw: bytes) -> bool:
    """Whether this event says why the message ended."""
    if b"message_delta" not in raw or b"stop_reason" not in raw:
        return False
    event = parse(raw)
    if event.type != "message_delta":
        return False
    delta = object_in(read_object(event.data) or {}, "delta")
    return raw_json.string(delta.get("stop_reason", UNSET)) is not None
