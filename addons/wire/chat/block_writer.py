"""Content blocks written one after another, out of pieces that come in any order.

Anthropic's blocks follow each other: one starts when the last has stopped. A chat provider may send pieces of two
calls in turn, or a text while a call is open.

Rules that hold here:
- Blocks are written in the order in which they began. The first that is not done is open, and what comes for it goes
  out at once; the others wait, with all that comes for them.
- A text or thinking block is done when another one has begun, a call when its arguments are a whole object too.
- Indexes count from 0, without gaps.
"""

import hashlib
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from addons.wire.chat.reasoning import Reasoning
from addons.wire.chat.tool_calls import Call
from addons.wire.messages.stamps import EMPTY_TEXT
from addons.wire.provenance import wrap_signature

_encode: Final = msgspec.json.Encoder().encode

_STARTS: Final = {"text": EMPTY_TEXT, "thinking": {"type": "thinking", "thinking": "", "signature": ""}}
_TEXT: Final = b'text_delta","text":'
_THINKING: Final = b'thinking_delta","thinking":'
_SIGNATURE: Final = b'signature_delta","signature":'
_INPUT: Final = b'input_json_delta","partial_json":'
_OPENING: Final = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b'
DELTA_END: Final = b"}}\n\n"
"""What follows the string of a delta."""


class Written(msgspec.Struct):
    """A text or thinking block."""

    kind: str
    """text or thinking; thinking that never has a text becomes redacted_thinking."""
    reasoning: Reasoning | None = None
    waiting: list[str] = msgspec.field(default_factory=list)
    said: Any = None
    """A hash of all the text of a thinking block, which may be long."""

    def add(self, text: str) -> None:
        """More of what a thinking block says."""
        if self.said is None:
            self.said = hash_of(text)
        else:
            self.said.update(text.encode("utf-8", "surrogatepass"))

    def says(self, text: str) -> bool:
        """Whether this is all that a thinking block says."""
        return bool(hash_of(text).digest() == self.said.digest()) if self.said else not text


def hash_of(text: str) -> Any:
    """A hash of a text, to which more can be added."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16)


class Blocks:
    """The content of one message on its way out."""

    def __init__(
        self, provider: str, *, start: Callable[[], bytes], name_call: Callable[[Call], tuple[str, str]]
    ) -> None:
        """`start` gives the message_start, when the first block starts; `name_call` the id and the name that the
        client knows a call by."""
        self.count = 0
        """Blocks that have started."""
        self.out = bytearray()
        """Events to be sent; the owner takes them."""
        self.kept = 0
        """Characters that could not be sent when they came."""
        self._provider = provider
        self._start = start
        self._name_call = name_call
        self._queue: deque[Written | Call] = deque()
        self._open = False
        self._calls: set[Call] = set()

    @property
    def last(self) -> Written | Call | None:
        """The block that began last; None before the first."""
        return self._queue[-1] if self._queue else None

    @property
    def thinks(self) -> bool:
        """Whether the block that began last is thinking."""
        return isinstance(last := self.last, Written) and last.kind == "thinking"

    @property
    def running(self) -> Written | Call | None:
        """The block that is open, if no other waits behind it."""
        return self._queue[0] if self._open and len(self._queue) == 1 else None

    @property
    def opening(self) -> bytes:
        """What stands before the string of a delta of the open block."""
        return _OPENING % (self.count - 1, _head(self._queue[0]))

    def text(self, text: str) -> None:
        """A piece of text."""
        last = self.last
        if not isinstance(last, Written) or last.kind != "text":
            last = self._begin(Written("text"))
        last.waiting.append(text)
        if len(self._queue) > 1:
            self.kept += len(text)
        self._write()

    def thinking(self, text: str, reasoning: Reasoning) -> None:
        """A piece of thinking, maybe without text; `reasoning` is what there is to remember of this piece."""
        last = self.last
        known = last.reasoning if isinstance(last, Written) else None
        if not isinstance(last, Written) or known is None or not known.joins(reasoning):
            last = self._begin(Written("thinking", reasoning))
        elif known is not reasoning:
            known.add(reasoning)
        if text:
            last.waiting.append(text)
        if len(self._queue) > 1:
            self.kept += len(text)
        self._write()

    def has(self, call: Call) -> bool:
        """Whether the call has begun."""
        return call in self._calls

    def call(self, call: Call) -> None:
        """A call whose name is known has begun, or has got more arguments."""
        if call not in self._calls:
            self._calls.add(call)
            self._queue.append(call)
        self.kept += call.arguments.kept + (call.new if self._queue and self._queue[0] is not call else 0)
        call.arguments.kept = call.new = 0
        self._write()

    def finish(self) -> None:
        """End every block: nothing more comes."""
        while self._queue:
            self._write()
            if self._queue:
                self._stop(self._queue.popleft())

    def empty_text(self) -> None:
        """An empty text block, where there would be none: a client that gets no block asks again."""
        self._begin(Written("text"))
        self.finish()

    def _begin(self, block: Written) -> Written:
        self._queue.append(block)
        return block

    def _write(self) -> None:
        """Sends what can be sent."""
        while self._queue:
            block = self._queue[0]
            if isinstance(block, Call):
                self._write_call(block)
                done = block.arguments.complete
            else:
                if block.waiting:
                    self._write_text(block)
                done = True
            if not done or len(self._queue) == 1:
                return
            self._stop(block)
            self._queue.popleft()

    def _write_text(self, block: Written) -> None:
        if not self._open:
            self._start_block(_STARTS[block.kind])
        head = _head(block)
        for text in block.waiting:
            self._delta(head, text)
        if block.kind == "thinking":
            for text in block.waiting:
                block.add(text)
        block.waiting.clear()

    def _write_call(self, call: Call) -> None:
        if not self._open:
            call_id, name = self._name_call(call)
            self._start_block({"type": "tool_use", "id": call_id, "name": name, "input": {}})
        for piece in call.ready:
            self._delta(_INPUT, piece)
        call.ready.clear()

    def _stop(self, block: Written | Call) -> None:
        if isinstance(block, Call):
            if rest := block.arguments.close():
                self._delta(_INPUT, rest)
        elif block.reasoning is not None:
            self._sign(block, block.reasoning)
        if not self._open:
            self._start_block(_STARTS["text"])
        self.out += b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % (self.count - 1)
        self._open = False

    def _sign(self, block: Written, reasoning: Reasoning) -> None:
        """Thinking remembers where it came from: in its signature, or in its data when it has no text."""
        record = wrap_signature(self._provider, reasoning.record(block.says))
        if self._open:
            self._delta(_SIGNATURE, record)
        else:
            self._start_block({"type": "redacted_thinking", "data": record})

    def _start_block(self, block: dict[str, Any]) -> None:
        if not self.count:
            self.out += self._start()
        event = {"type": "content_block_start", "index": self.count, "content_block": block}
        self.out += b"event: content_block_start\ndata: %b\n\n" % _encode(event)
        self.count += 1
        self._open = True

    def _delta(self, head: bytes, text: str) -> None:
        self.out += _OPENING % (self.count - 1, head) + _encode(text) + DELTA_END


def _head(block: Written | Call) -> bytes:
    """What says of a delta that it is of this block."""
    if isinstance(block, Call):
        return _INPUT
    return _TEXT if block.kind == "text" else _THINKING
