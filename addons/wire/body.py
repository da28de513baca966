"""The body of a request to /v1/messages (or count_tokens): parsed once, edited once per attempt.

Rules that hold here:
- What nobody edits is sent with the client's own bytes; a body that nobody edits is the client's own object.
- A `RequestBody` never changes; what was taken apart for one attempt is kept in it for the next.
- Parsing judges only what the gateway itself depends on; the rest is the provider's to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw

from addons.wire import pieces
from addons.wire.errors import BadRequest
from addons.wire.messages import ClientMessage, Message, MessageHead, decode_blocks, decode_heads
from addons.wire.pieces import Optional


class OwnPieces:
    """The messages with the client's own bytes, taken apart when they are first needed. Not a part of `RequestBody`:
    its messages would point back at it, and a circle with a whole conversation in it waits for the collector."""

    __slots__ = ("_fields", "_pieces")

    def __init__(self, fields: dict[str, Raw]) -> None:
        self._fields = fields
        self._pieces: list[Raw] | None = None

    def __call__(self) -> list[Raw]:
        if self._pieces is None:
            self._pieces = pieces.split_array(self._fields["messages"]) or []
        return self._pieces


class RequestBody:
    """What the client asked for."""

    def __init__(self, raw: bytes, fields: dict[str, Raw], model: str, heads: list[MessageHead], repaired: int) -> None:
        self.raw = raw
        """What is sent when no step changes anything."""
        self.fields = fields
        """The top-level values by name, each with the client's own bytes."""
        self.model = model
        self.stream = bytes(fields["stream"]) == b"true" if "stream" in fields else False
        self.repaired = repaired
        """How many lone surrogates were replaced in `raw`: see `pieces.checked`."""
        self.message_pieces = own = OwnPieces(fields)
        """Each message with the client's own bytes."""
        self.messages: Sequence[Message] = [ClientMessage(head, own, index) for index, head in enumerate(heads)]
        self._block_types: frozenset[str] | None = None

    @classmethod
    def parse(cls, data: bytes) -> RequestBody:
        """Raises BadRequest, which names the field at fault in Anthropic's way: `messages.3.content.1`."""
        try:
            raw, fields, repaired = pieces.checked(data)
        except pieces.NotJson as error:
            raise BadRequest("", f"the request body is not valid JSON: {error}") from None
        if fields is None:
            raise BadRequest("", "the request body must be a JSON object")
        model = pieces.string(_required(fields, "model"))
        if not model:
            raise BadRequest("model", "must be a string that is not empty")
        if "stream" in fields and bytes(fields["stream"]) not in (b"true", b"false"):
            raise BadRequest("stream", "must be true or false")
        if "tools" in fields and pieces.first(fields["tools"]) not in "[n":
            raise BadRequest("tools", "must be an array")
        if "system" in fields and pieces.first(fields["system"]) not in '"n':
            _validated("system", fields["system"], decode_blocks)
        heads = _validated("messages", _required(fields, "messages"), decode_heads)
        for index, head in enumerate(heads):
            if head.content is UNSET and head.role != "system":
                raise BadRequest(f"messages.{index}.content", "is missing")
        return cls(raw, fields, model, heads, repaired)

    def get(self, key: str) -> Any:
        """The decoded value of a top-level field; None when there is none."""
        return pieces.load(self.fields[key]) if key in self.fields else None

    @property
    def block_types(self) -> frozenset[str]:
        """The types of all content blocks of all messages. No step adds one, but for text: what isn't here isn't
        in any draft of this body."""
        if self._block_types is None:
            self._block_types = frozenset(block.type for message in self.messages for block in message.blocks)
        return self._block_types


class Draft:
    """One attempt's edition of the body. Steps edit it; `encode` is what is sent."""

    def __init__(self, body: RequestBody) -> None:
        self.body = body
        self.messages = body.messages
        """Assign a new sequence to change it."""
        self._fields = body.fields

    @property
    def fields(self) -> Mapping[str, Raw]:
        """The top-level fields as they are sent, but for `messages`."""
        return self._fields

    def get(self, key: str) -> Any:
        """The decoded value of a top-level field; None when there is none. A copy: `set` changes it."""
        return pieces.load(self._fields[key]) if key in self._fields else None

    def piece(self, key: str) -> Optional:
        """A top-level field as it is sent; UNSET when there is none."""
        return self._fields.get(key, UNSET)

    def set(self, key: str, value: Any) -> None:
        """Give a top-level field a new value: in its place or, when it is new, behind the others."""
        self.set_piece(key, pieces.dump(value))

    def set_piece(self, key: str, piece: Raw) -> None:
        """The same with a value that is encoded already."""
        if self._fields.get(key) != piece:
            self._own_fields()[key] = piece

    def drop(self, key: str) -> bool:
        """Take a top-level field out; False when it is not there."""
        return key in self._fields and self._own_fields().pop(key) is not None

    def encode(self) -> bytes:
        """The body to send: `body.raw` itself when nothing changed."""
        before, after = self.body.messages, self.messages
        fields = self._fields
        if after is not before and (
            len(after) != len(before) or any(new is not old for new, old in zip(after, before, strict=True))
        ):
            fields = fields | {"messages": pieces.join_array([message.raw for message in after])}
        if fields is self.body.fields:
            return self.body.raw
        return bytes(pieces.join_object(fields))

    def _own_fields(self) -> dict[str, Raw]:
        if self._fields is self.body.fields:
            self._fields = dict(self._fields)
        return self._fields


def _required(fields: dict[str, Raw], name: str) -> Raw:
    if name not in fields:
        raise BadRequest(name, "is missing")
    return fields[name]


def _validated[T](name: str, piece: Raw, decode: Callable[[Raw], T]) -> T:
    try:
        return decode(piece)
    except msgspec.ValidationError as error:
        raise _misshapen(name, str(error)) from None


_PLACE: Final = re.compile(r"`\$(.*)`$")
_MISSING: Final = re.compile(r"missing required field `(\w+)`")


def _misshapen(name: str, error: str) -> BadRequest:
    """msgspec's "Expected `object`, got `str` - at `$[3].content[1]`", in words for people."""
    place = _PLACE.search(error)
    field = name + re.sub(r"\[(\d+)\]", r".\1", place[1] if place else "")
    if missing := _MISSING.search(error):
        return BadRequest(f"{field}.{missing[1]}", "is missing")
    if field.endswith((".role", ".type")):
        return BadRequest(field, "must be a string")
    if field.endswith(".content"):
        return BadRequest(field, "must be a string or an array of content blocks")
    if field == "system":
        return BadRequest(field, "must be a string or an array of text blocks")
    return BadRequest(field, "must be an array" if field == name else "must be an object")
