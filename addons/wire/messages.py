"""The messages of a request and their content blocks: looked at as heads, edited block by block.

Rules that hold here:
- A *head* holds the few fields of a block that decide anything. Heads are decoded by name, so that no
  spelling (escapes, white space, order of keys) can hide a block from a step.
- The bytes are only taken apart where something changes; what no edit touches keeps the client's own.
- Nothing is changed in place: an edit gives a new message, and the same one when nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from addons.wire import pieces
from addons.wire.pieces import Optional


class Block(msgspec.Struct, frozen=True, gc=False):
    """The head of one content block, of any type. A field that the block doesn't have is UNSET."""

    type: str = ""
    id: Optional = UNSET
    tool_use_id: Optional = UNSET
    signature: Optional = UNSET
    data: Optional = UNSET
    text: Optional = UNSET
    content: Optional = UNSET
    cache_control: Optional = UNSET
    caller: Optional = UNSET
    tool_name: Optional = UNSET


class MessageHead(msgspec.Struct, gc=False):
    """How a message is decoded. Content is missing in system messages that only set something."""

    role: str
    content: str | list[Block] | UnsetType = UNSET


class Verdict(Enum):
    KEEP = "keep"
    DROP = "drop"


KEEP: Final = Verdict.KEEP
DROP: Final = Verdict.DROP

Changes = dict[str, Optional]
"""Fields to set in a block, with their new values; UNSET takes a field out."""

Edit = Callable[[Block], Verdict | Changes]
"""What becomes of a block."""

decode_heads: Final[Callable[[Raw], list[MessageHead]]] = msgspec.json.Decoder(list[MessageHead]).decode
decode_blocks: Final[Callable[[Raw], list[Block]]] = msgspec.json.Decoder(list[Block]).decode
_decode_block: Final[Callable[[Raw], Block]] = msgspec.json.Decoder(Block).decode


class Message:
    """One message: an edited one here, the client's own in `ClientMessage`."""

    __slots__ = ("_fields", "_pieces", "_raw", "blocks", "role", "text")

    def __init__(
        self,
        role: str,
        blocks: Sequence[Block],
        fields: dict[str, Raw] | None = None,
        own_pieces: list[Raw] | None = None,
    ) -> None:
        self.role = role
        self.blocks = blocks
        """The heads of its content blocks; none when the content is a string, or missing."""
        self.text: str | None = None
        """The content when it is a string."""
        self._raw: Raw | None = None
        self._fields = fields
        self._pieces = own_pieces

    @property
    def raw(self) -> Raw:
        """The whole message as it is sent."""
        if self._raw is None:
            self._raw = pieces.join_object(self.fields | {"content": pieces.join_array(self.pieces)})
        return self._raw

    @property
    def fields(self) -> dict[str, Raw]:
        """Its fields, the content as the client sent it."""
        if self._fields is None:
            self._fields = pieces.split_object(self.raw) or {}
        return self._fields

    @property
    def pieces(self) -> list[Raw]:
        """Its content blocks as they are sent. A content string is one text block, an empty string none."""
        if self._pieces is None:
            if self.text:
                self._pieces = [pieces.dump({"type": "text", "text": self.fields["content"]})]
            else:
                self._pieces = pieces.split_array(self.fields.get("content", UNSET)) or []
        return self._pieces

    def has(self, *types: str) -> bool:
        """Whether a block of one of these types is in it."""
        return any(block.type in types for block in self.blocks)

    def edit(self, edit: Edit) -> Message:
        """The message with each block edited."""
        edited = _edited(self.blocks, lambda: self.pieces, edit)
        return self if edited is None else Message(self.role, edited[0], self.fields, edited[1])

    def with_pieces(self, content: list[Raw]) -> Message:
        """The message with these content blocks instead of its own."""
        return Message(self.role, [_decode_block(piece) for piece in content], self.fields, content)


class ClientMessage(Message):
    """A message as the client sent it: the one at `index` of what `own` gives when its bytes are needed."""

    __slots__ = ("_index", "_own")

    def __init__(self, head: MessageHead, own: Callable[[], list[Raw]], index: int) -> None:
        content = head.content
        super().__init__(head.role, content if isinstance(content, list) else ())
        if isinstance(content, str):
            self.text = content
        self._own = own
        self._index = index

    @property
    def raw(self) -> Raw:
        """The whole message, with the client's own bytes."""
        return self._own()[self._index]


def new_message(role: str, content: list[Raw]) -> Message:
    """A message that no client sent."""
    return Message(role, (), {"role": pieces.dump(role)}).with_pieces(content)


def edit_blocks(array: Optional, edit: Edit) -> Raw | None:
    """Edit the blocks of an array that is not a message's content: `system`, or what a tool result holds.

    None when nothing changes, and for anything that is no array of blocks.
    """
    if isinstance(array, UnsetType) or pieces.first(array) != "[":
        return None
    try:
        blocks = decode_blocks(array)
    except msgspec.ValidationError:
        return None
    edited = _edited(blocks, lambda: pieces.split_array(array) or [], edit)
    return None if edited is None else pieces.join_array(edited[1])


def _edited(
    blocks: Sequence[Block], own_pieces: Callable[[], list[Raw]], edit: Edit
) -> tuple[list[Block], list[Raw]] | None:
    """The blocks and their pieces after the edit; None when every block was kept."""
    verdicts = [edit(block) for block in blocks]
    if all(verdict is KEEP for verdict in verdicts):
        return None
    new_blocks: list[Block] = []
    new_pieces: list[Raw] = []
    for block, piece, verdict in zip(blocks, own_pieces(), verdicts, strict=True):
        if isinstance(verdict, dict):
            new_pieces.append(_changed(piece, verdict))
            new_blocks.append(_decode_block(new_pieces[-1]))
        elif verdict is KEEP:
            new_pieces.append(piece)
            new_blocks.append(block)
    return new_blocks, new_pieces


def _changed(piece: Raw, changes: Changes) -> Raw:
    fields = pieces.split_object(piece) or {}
    return pieces.join_object(
        {name: value for name, value in (fields | changes).items() if not isinstance(value, UnsetType)}
    )
