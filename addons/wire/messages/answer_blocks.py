"""The content blocks of a streamed answer: numbered from 0, their thinking signed by its provider or left out.

Rules that hold here:
- Which blocks are thinking is learnt from their `content_block_start`, read as JSON, so no spelling of it is missed;
  a delta is then known by its index.
- A delta is not parsed where its head is spelt as everybody spells it, and not even looked for its index where its
  head is the last one's: until a block starts or stops it gets what that one got (`head`, `instead`).
- The input of a tool call is an object. What begins as something else is held until the block stops, and then sent as
  the object that was meant.
- Of Anthropic's own blocks nothing is changed but such an input.
"""

import re
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from addons.wire import raw_json
from addons.wire.limits import KEPT_BACK, OPEN_BLOCKS
from addons.wire.messages.stamps import EMPTY_TEXT, kind_of, rename, stamp, stamp_all
from addons.wire.messages.tool_input import EMPTY, as_object, is_object, object_in_text
from addons.wire.messages.traits import THINKING_TYPES, calls_tool
from addons.wire.provenance import wrap_signature
from addons.wire.raw_json import Optional
from addons.wire.sse import Event, Fields, frame, object_in, reframe, value_in

DELTA: Final = b"event: content_block_delta\n"

# The way every provider seen spells the head of a delta; any other spelling is read as JSON.
_HEAD: Final = re.compile(
    rb'event: content_block_delta\r?\ndata: ?\{"type": ?"content_block_delta", ?"index": ?(\d{1,9})'
    rb'(?:, ?"delta": ?\{"type": ?"(\w+)")?[,}]'
)
_THINKING_DELTAS: Final = ("thinking_delta", "signature_delta")
_STRIPPED: Final = -1


class _Block(msgspec.Struct):
    """A content block between its start and its stop."""

    index: int  # the client's, or _STRIPPED
    thinking: bool = False
    given: str = ""  # the signature in its start
    settled: bool = True  # False: a tool call of whose input it isn't known yet that it is an object
    input: Optional = UNSET  # the input in its start, if that is no object
    held: list[str] = msgspec.field(default_factory=list)  # the text of an input that is none
    signature: list[str] = msgspec.field(default_factory=list)  # the pieces in its deltas, which replace that one


class AnswerBlocks:
    """The blocks of one answer, on their way to the client."""

    def __init__(self, provider: str, *, is_anthropic: bool, strip_thinking: bool) -> None:
        """`is_anthropic` and `strip_thinking` are those of `Rewrite`."""
        self.passing = is_anthropic
        """No delta needs a look: Anthropic's, or the open blocks are neither thinking nor renumbered."""
        self.head: bytes | tuple[()] = DELTA if is_anthropic else ()
        """What a delta begins with whose fate is known; () for none."""
        self.instead: bytes | None = None
        """What such a delta gets in place of its head: None for the head itself, empty when nothing of it is sent."""
        self._provider = provider
        self._is_anthropic = is_anthropic
        self._strip_thinking = strip_thinking
        self._open: dict[int, _Block] = {}  # by the provider's index
        self._next_index = 0
        self._stripped = False
        self._looked_at: set[int] = set()  # those of the open ones whose deltas need a look
        self._kept = 0  # characters of signatures and inputs that were kept back
        self._has_content = False  # the client was sent a block, or message_start had some

    @property
    def is_too_much(self) -> bool:
        """More blocks are open, or more was kept back, than any answer has."""
        return len(self._open) > OPEN_BLOCKS or self._kept > KEPT_BACK

    @property
    def all_stopped(self) -> bool:
        return not self._open

    def given(self, content: list[Raw]) -> list[Raw] | None:
        """The blocks in a message_start as the client gets them, or None when they need no change."""
        self._has_content = True
        return stamp_all(content, self._provider, strip_thinking=self._strip_thinking)

    def event(self, event: Event, json: Fields, raw: bytes) -> bytes:
        """One event of a block: what the client gets for it, maybe nothing."""
        index = value_in(json, "index")
        if not isinstance(index, int):
            return raw
        if event.type == "content_block_delta":
            return self._delta(index, event, json, raw)
        if event.type == "content_block_stop":
            out = self._stop(index, event, json, raw)
        elif self._is_anthropic:
            self._open[index] = block = _Block(index)
            fields = object_in(json, "content_block")
            changed = start_call(block, fields)
            out = reframe(event, json, content_block=raw_json.join_object(fields)) if changed else raw
        else:
            # A block that starts where one is open ends that one: clients lose a text that is never stopped.
            before = self._stop(index) if index in self._open else b""
            out = before + self._start(index, event, json, raw)
        self._look(index)
        return out

    def _look(self, index: int) -> None:
        """Find out whether deltas need a look, after something has become of this block."""
        block = self._open.get(index)
        if block is None or (block.settled and (self._is_anthropic or (index == block.index and not block.thinking))):
            self._looked_at.discard(index)
        else:
            self._looked_at.add(index)
        self.passing = not self._looked_at and (self._is_anthropic or bool(self._open))
        self.head, self.instead = DELTA if self.passing else (), None

    def delta(self, raw: bytes) -> bytes | None:
        """What the client gets for a delta that may be spelt as usual; None when it has to be read as JSON."""
        if self.passing:
            return raw
        if not raw.startswith(self.head):
            found = _HEAD.match(raw)
            block = self._open.get(int(found[1])) if found else None
            if found is None or block is None or not block.settled:
                return None
            if block.thinking and found[2] != b"thinking_delta":
                return None
            self.head, self.instead = found[0], None
            if block.index == _STRIPPED:
                self.instead = b""
            elif found[1] != b"%d" % block.index:
                self.instead = b"%b%d%b" % (raw[: found.start(1)], block.index, raw[found.end(1) : found.end()])
        if self.instead is None:
            return raw
        return self.instead and self.instead + raw[len(self.head) :]

    def finish(self) -> bytes:
        """The message is over: the stops that are overdue, and what a client needs that would get no block."""
        return b"".join([self._stop(index) for index in tuple(self._open)]) + self.filler()

    def filler(self) -> bytes:
        """An empty text block, when stripping left nothing: a client that gets no block asks again."""
        if not self._stripped or self._has_content:
            return b""
        self._has_content = True
        index = self._next_index
        self._next_index += 1
        return _frame("start", index, content_block=EMPTY_TEXT) + _frame("stop", index)

    def _start(self, index: int, event: Event, json: Fields, raw: bytes) -> bytes:
        fields = object_in(json, "content_block")
        kind = kind_of(fields)
        if self._strip_thinking and kind in THINKING_TYPES:
            self._stripped = True
            self._open[index] = _Block(_STRIPPED)
            return b""
        block = _Block(self._next_index, thinking=kind == "thinking")
        self._next_index += 1
        self._open[index] = block
        self._has_content = True
        if block.thinking:
            block.given = raw_json.string(fields.get("signature", UNSET)) or ""
        changes = {}
        # Thinking that starts unsigned stays so here: its signature comes with its stop.
        stamped = (block.given or not block.thinking) and stamp(fields, self._provider)
        if start_call(block, fields) or stamped:
            changes["content_block"] = raw_json.join_object(fields)
        if block.index != index:
            changes["index"] = raw_json.dump(block.index)
        return reframe(event, json, **changes) if changes else raw

    def _delta(self, index: int, event: Event, json: Fields, raw: bytes) -> bytes:
        block = self._open.get(index)
        delta = object_in(json, "delta")
        kind = kind_of(delta)
        if block is not None and not block.settled and kind == "input_json_delta":
            text, is_text = partial_json(delta)
            begin = text.lstrip()[:1]
            if block.held or not is_text or (begin and begin != "{"):
                block.held.append(text)
                self._kept += len(text)
                return b""
            if begin:
                block.settled = True
                self._look(index)
        if self._is_anthropic:
            return raw
        if block is None:  # its start got lost
            return b"" if self._strip_thinking and kind in _THINKING_DELTAS else raw
        if block.index == _STRIPPED:
            return b""
        if block.thinking and kind == "signature_delta":
            block.signature.append(raw_json.string(delta.get("signature", UNSET)) or "")
            self._kept += len(block.signature[-1])
            return b""
        return raw if block.index == index else reframe(event, json, index=raw_json.dump(block.index))

    def _stop(self, index: int, event: Event | None = None, json: Fields | None = None, raw: bytes = b"") -> bytes:
        """The end of a block, as the provider said it or (without `event`) overdue. Kept thinking is signed
        here, in one piece: clients take the last signature_delta for the whole signature.
        """
        block = self._open.pop(index, None)
        if block is None:
            return raw if self._is_anthropic else b""
        if block.index == _STRIPPED:
            return b""
        out = b""
        if not block.settled and (block.held or not isinstance(block.input, UnsetType)):
            value = object_in_text("".join(block.held)) if block.held else as_object(block.input)
            delta = {"type": "input_json_delta", "partial_json": bytes(value).decode()}
            out = _frame("delta", block.index, delta=delta)
        if block.thinking:
            signature = wrap_signature(self._provider, "".join(block.signature) or block.given)
            out = _frame("delta", block.index, delta={"type": "signature_delta", "signature": signature})
        if event is None or json is None:
            return out + _frame("stop", block.index)
        return out + (raw if block.index == index else reframe(event, json, index=raw_json.dump(block.index)))


def partial_json(delta: Fields) -> tuple[str, bool]:
    """A piece of a tool's input, and whether it is text; some send the object itself."""
    value = delta.get("partial_json", UNSET)
    text = raw_json.string(value)
    if text is not None or isinstance(value, UnsetType) or not is_object(value):
        return text or "", True
    return bytes(value).decode(), False


def start_call(block: _Block, fields: Fields) -> bool:
    """Looks at the start of a block that may be a tool call. An input that is no object is kept back: the client gets
    an empty one, in `fields`, and with the block's stop what was meant. Returns whether anything in `fields` has
    changed."""
    if not calls_tool(kind_of(fields)):
        return False
    block.settled = False
    renamed = rename(fields)
    if "input" not in fields or is_object(fields["input"]):
        return renamed
    block.input, fields["input"] = fields["input"], EMPTY
    return True


def _frame(kind: str, index: int, **more: Any) -> bytes:
    name = f"content_block_{kind}"
    return frame(name, {"type": name, "index": index, **more})
