"""The content block that an answer is in the middle of, and the chunks that say more of it and nothing else.

Nearly every chunk of a stream is one: a piece of text, of thinking, or of a call's arguments. Rules that hold here:
- A chunk counts only if one string is all that the usual way (`ChatAnswer`) would find in it. Whatever is odd about the
  chunk, its event or that string is left to the usual way, untouched.
- A chunk with the bytes of an earlier one around its string says that string where the other said its own: it need not
  be read. Any other is read, but only for the fields that the usual way looks at.

Measured on a busy machine, 100 streams in turn: 1.3 µs a chunk of text instead of 18; 4.9 instead of 26 where no two
are alike (OpenAI pads them); 2.6 instead of 27 for arguments.
"""

from functools import cache
from types import GenericAlias
from typing import Any, Final, Literal

import msgspec
from msgspec import Raw, defstruct

from addons.wire.chat.answer_content import AnswerContent
from addons.wire.chat.block_writer import DELTA_END, Written
from addons.wire.chat.reasoning import FIELDS, LISTS, OPAQUE
from addons.wire.chat.tool_calls import Call

LONGEST: Final = 2048
"""Bytes of an event that is looked at. In fewer there is no number with more digits, and nothing nested more deeply,
than Python reads: which would make it no JSON at all."""

MOST_MISSES: Final = 8
"""Chunks running that say more than one thing: after them no others of the block are looked at."""

CALLS: Final = "tool_calls"

_CR: Final = ord("\r")

_string: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.Encoder().encode


class RunningBlock:
    """A block that is open, and the last one that began."""

    __slots__ = ("_begin", "_end", "_head", "_is_text", "_misses", "_opening", "_read", "_said", "_tail", "block")

    def __init__(self, block: Written | Call, said: AnswerContent) -> None:
        self.block = block
        self._said = said
        self._opening = said.blocks.opening
        self._is_text = isinstance(block, Written) and block.reasoning is None
        self._read = reader(field_of(block))
        self._misses = 0
        # The bytes around the text of an earlier chunk, with its quotes: white space before them may end an event.
        # () before the first.
        self._head: bytes | tuple[()] = ()
        self._tail = b""
        self._begin = self._end = 0

    def take(self, raw: bytes) -> bytes:
        """The client's event for one of the provider's. Nothing if it is to be taken the usual way."""
        try:
            if raw.startswith(self._head) and raw.endswith(self._tail):
                text = _string(raw[self._begin : self._end])
            else:
                text = self._found(raw)
        except ValueError:
            text = self._found(raw)
        if not text or not (self._is_text or self._more(text)):
            return b""
        self._said.characters += len(text)
        return self._opening + _encode(text) + DELTA_END

    def _more(self, text: str) -> bool:
        """Take in more of thinking, or of arguments if they are none that have to be looked at."""
        if isinstance(self.block, Call):
            return self.block.arguments.passes(text)
        self.block.add(text)
        return True

    def _found(self, raw: bytes) -> str:
        """What a chunk says, if that is one string; empty if it isn't."""
        if (
            self._misses >= MOST_MISSES
            or len(raw) > LONGEST
            or not (raw.startswith(b"data:") and raw.find(b"\n") == len(raw) - 2 and raw.endswith(b"\n\n"))
            or _CR in raw
        ):
            return ""
        try:
            said: Any = self._read(raw[5:-2]).choices[0].delta.said
            if isinstance(self.block, Call):
                if said[0].index != self.block.index:
                    return ""
                said = said[0].function.arguments
            literal = bytes(said)
            text = _string(literal)
        except (ValueError, RecursionError):
            self._misses += 1
            return ""
        self._misses = 0
        begin = raw.find(literal)
        if begin == raw.rfind(literal):  # so this is where it stands
            self._begin, self._end = begin, begin + len(literal) - len(raw)
            self._head, self._tail = raw[: begin + 1], raw[self._end - 1 :]
        return text


def running_block(before: RunningBlock | None, said: AnswerContent) -> RunningBlock | None:
    """The block that runs now; `before`: the one that did before the last chunk."""
    block = said.runs
    if before and before.block is block:
        return before
    return RunningBlock(block, said) if block else None


def field_of(block: Written | Call) -> str:
    """The field of a delta in which more of a block comes."""
    if isinstance(block, Call):
        return CALLS
    return block.reasoning.form if block.reasoning else "content"


@cache
def reader(field: str) -> Any:
    """Reads chunks that say something in one field of their delta (`said`) and nothing in any other. Raises ValueError
    for others."""
    nothing = Literal[""] | None | tuple[()]

    def fields(*names: str) -> list[tuple[str, Any, Any]]:
        return [(name, nothing, None) for name in names if name != field]

    function = defstruct("Function", [("arguments", Raw), *fields("name")])
    call = defstruct("Call", [("function", function), ("index", int), *fields("id", "extra_content")])
    others = fields("content", *FIELDS, *LISTS, *OPAQUE, "refusal", CALLS, "function_call")
    delta = defstruct(
        "Delta", [("said", GenericAlias(tuple, call) if field == CALLS else Raw), *others], rename={"said": field}
    )
    about = [("index", Literal[0] | None, 0), *fields("error", "usage", "finish_reason")]
    choice = defstruct("Choice", [("delta", delta), *about])
    chunk = defstruct("Chunk", [("choices", GenericAlias(tuple, choice)), *fields("error", "usage", "x_groq", "type")])
    return msgspec.json.Decoder(chunk).decode
