"""The messages of a request, edited block by block.

Rules that hold here:
- The bytes are only taken apart where something changes; what no edit touches keeps the client's own.
- Nothing is changed in place: an edit gives a new message, and the same one when nothing changes.
- Where an edit only gives fields new values, and the old ones stand nowhere else in the message, the new ones are
  put in their place and nothing is taken apart at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from addons.wire import raw_json
from addons.wire.messages.schema import Block, MessageHead, decode_block, decode_blocks, decode_head
from addons.wire.messages.traits import NOTHING, Traits, of_blocks
from addons.wire.raw_json import Optional


class Choice(Enum):
    """What becomes of a block that is not changed."""

    KEEP = "keep"
    DROP = "drop"


KEEP: Final = Choice.KEEP
DROP: Final = Choice.DROP

Changes = dict[str, Optional]
"""Fields to set in a block, with their new values; UNSET takes a field out."""

MOST_REPLACED: Final = 8
"""Blocks of a message whose fields are looked for in its text: each search goes through all of it."""

type BlockEdit = Choice | Changes
"""What becomes of a block: it is kept, dropped, or changed."""

Edit = Callable[[Block], BlockEdit]
"""Decides what becomes of a block."""


class Message:
    """One message: an edited one here, the client's own in `OriginalMessage`."""

    __slots__ = ("_fields", "_pieces", "_raw", "_types", "blocks", "role", "text", "traits")

    def __init__(
        self,
        role: str,
        blocks: Sequence[Block],
        traits: Traits,
        *,
        raw: Raw | None = None,
        fields: dict[str, Raw] | None = None,
        content: list[Raw] | None = None,
    ) -> None:
        """With `raw`, or else with `fields` and `content`, which take the place of the content in them."""
        self.role = role
        self.blocks = blocks
        """The heads of its content blocks; none when the content is a string, or missing."""
        self.traits = traits
        """The traits of its content: which steps may have to act on it."""
        self.text: str | None = None
        """The content when it is a string."""
        self._raw = raw
        self._fields = fields
        self._pieces = content
        self._types: frozenset[str] | None = None

    @property
    def raw(self) -> Raw:
        """The whole message as it is sent."""
        if self._raw is None:
            self._raw = raw_json.join_object(self.fields | {"content": raw_json.join_array(self.pieces)})
        return self._raw

    @property
    def fields(self) -> dict[str, Raw]:
        """Its fields; only those besides the content are sure to be as they are sent."""
        if self._fields is None:
            self._fields = raw_json.split_object(self.raw) or {}
        return self._fields

    @property
    def pieces(self) -> list[Raw]:
        """Its content blocks as they are sent. A content string is one text block, an empty string none."""
        if self._pieces is None:
            content = self.fields.get("content", UNSET)
            if self.text:
                self._pieces = [raw_json.dump({"type": "text", "text": content})]
            else:
                self._pieces = raw_json.split_array(content) or []
        return self._pieces

    def has(self, *types: str) -> bool:
        """Whether a block of one of these types is in it."""
        if self._types is None:
            self._types = frozenset(block.type for block in self.blocks)
        return not self._types.isdisjoint(types)

    def edit(self, edit: Edit) -> Message:
        """The message with each block edited."""
        edits = _block_edits(self.blocks, edit)
        if edits is None:
            return self
        replaced = self._replaced(edits)
        if replaced:
            return replaced
        blocks, content = _edited(self.blocks, self.pieces, edits)
        return Message(self.role, blocks, self.traits, fields=self.fields, content=content)

    def with_pieces(self, content: list[Raw]) -> Message:
        """The message with these content blocks instead of its own."""
        blocks = [decode_block(piece) for piece in content]
        return Message(self.role, blocks, of_blocks(blocks), fields=self.fields, content=content)

    def with_more(self, content: list[Raw]) -> Message:
        """The message with these content blocks behind its own."""
        if not self.blocks:
            return self.with_pieces([*self.pieces, *content])
        more = [decode_block(piece) for piece in content]
        return Message(
            self.role,
            [*self.blocks, *more],
            self.traits | of_blocks(more),
            fields=self.fields,
            content=[*self.pieces, *content],
        )

    def _replaced(self, edits: list[BlockEdit]) -> Message | None:
        """The message after an edit that only gives new values to fields whose own bytes occur exactly once: that
        is where they stand, in whatever spelling. None when it is not such an edit."""
        if DROP in edits or len(edits) - edits.count(KEEP) > MOST_REPLACED:
            return None
        raw = bytes(self.raw)
        blocks = list(self.blocks)
        for index, edited in enumerate(edits):
            if not isinstance(edited, dict):
                continue
            for name, new in edited.items():
                old = getattr(blocks[index], name)
                if not isinstance(old, Raw) or not isinstance(new, Raw):
                    return None
                place = raw_json.only_place(old, raw)
                if place < 0:
                    return None
                raw = b"".join((raw[:place], new, raw[place + len(old) :]))
            blocks[index] = msgspec.structs.replace(blocks[index], **edited)
        return Message(self.role, blocks, self.traits, raw=Raw(raw))


class OriginalMessage(Message):
    """A message as the client sent it: `raw_of(index)` gives its bytes when they are needed."""

    __slots__ = ("_index", "_raw_of")

    def __init__(self, head: MessageHead, traits: Traits, raw_of: Callable[[int], Raw], index: int) -> None:
        content = head.content
        super().__init__(head.role, content if isinstance(content, list) else (), traits)
        if isinstance(content, str):
            self.text = content
        self._raw_of = raw_of
        self._index = index

    @property
    def raw(self) -> Raw:
        """The whole message, with the client's own bytes."""
        if self._raw is None:
            self._raw = self._raw_of(self._index)
        return self._raw


def new_message(role: str, content: list[Raw]) -> Message:
    """A message that no client sent."""
    return Message(role, (), NOTHING, fields={"role": raw_json.dump(role)}).with_pieces(content)


def message_of(raw: bytes, traits: Traits) -> Message:
    """The message with these bytes."""
    piece = Raw(raw)
    return OriginalMessage(decode_head(piece), traits, lambda _: piece, 0)


def edit_blocks(array: Optional, edit: Edit) -> Raw | None:
    """Edit the blocks of an array that is not a message's content: `system`, or what a tool result holds.

    None when nothing changes, and for anything that is no array of blocks.
    """
    if isinstance(array, UnsetType) or raw_json.first(array) != "[":
        return None
    try:
        blocks = decode_blocks(array)
    except msgspec.ValidationError:
        return None
    edits = _block_edits(blocks, edit)
    if edits is None:
        return None
    return raw_json.join_array(_edited(blocks, raw_json.split_array(array) or [], edits)[1])


def _block_edits(blocks: Sequence[Block], edit: Edit) -> list[BlockEdit] | None:
    """What becomes of each block; None when every one is kept."""
    edits = [edit(block) for block in blocks]
    return None if edits.count(KEEP) == len(edits) else edits


def _edited(
    blocks: Sequence[Block], content: Sequence[Raw], edits: Sequence[BlockEdit]
) -> tuple[list[Block], list[Raw]]:
    """The blocks and their pieces after the edit."""
    new_blocks: list[Block] = []
    new_pieces: list[Raw] = []
    for block, piece, edited in zip(blocks, content, edits, strict=True):
        if isinstance(edited, dict):
            new_pieces.append(_changed(piece, edited))
            new_blocks.append(decode_block(new_pieces[-1]))
        elif edited is KEEP:
            new_pieces.append(piece)
            new_blocks.append(block)
    return new_blocks, new_pieces


def _changed(piece: Raw, changes: Changes) -> Raw:
    fields = raw_json.split_object(piece) or {}
    return raw_json.join_object(
        {name: value for name, value in (fields | changes).items() if not isinstance(value, UnsetType)}
    )
