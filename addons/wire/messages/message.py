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

from addons.wire import raw_json as pieces
from addons.wire.messages.schema import Block, MessageHead, decode_block, decode_blocks, decode_head
from addons.wire.messages.traits import NOTHING, Concerns, of_blocks
from addons.wire.raw_json import Optional


class Verdict(Enum):
    KEEP = "keep"
    DROP = "drop"


KEEP: Final = Verdict.KEEP
DROP: Final = Verdict.DROP

Changes = dict[str, Optional]
"""Fields to set in a block, with their new values; UNSET takes a field out."""

Edit = Callable[[Block], Verdict | Changes]
"""What becomes of a block."""


class Message:
    """One message: an edited one here, the client's own in `ClientMessage`."""

    __slots__ = ("_fields", "_pieces", "_raw", "blocks", "concerns", "role", "text")

    def __init__(
        self,
        role: str,
        blocks: Sequence[Block],
        concerns: Concerns,
        *,
        raw: Raw | None = None,
        fields: dict[str, Raw] | None = None,
        own_pieces: list[Raw] | None = None,
    ) -> None:
        """With `raw`, or else with `fields` and `own_pieces`, which take the place of the content in them."""
        self.role = role
        self.blocks = blocks
        """The heads of its content blocks; none when the content is a string, or missing."""
        self.concerns = concerns
        """Which steps it may concern."""
        self.text: str | None = None
        """The content when it is a string."""
        self._raw = raw
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
        """Its fields; only those besides the content are sure to be as they are sent."""
        if self._fields is None:
            self._fields = pieces.split_object(self.raw) or {}
        return self._fields

    @property
    def pieces(self) -> list[Raw]:
        """Its content blocks as they are sent. A content string is one text block, an empty string none."""
        if self._pieces is None:
            content = self.fields.get("content", UNSET)
            if self.text:
                self._pieces = [pieces.dump({"type": "text", "text": content})]
            else:
                self._pieces = pieces.split_array(content) or []
        return self._pieces

    def has(self, *types: str) -> bool:
        """Whether a block of one of these types is in it."""
        return any(block.type in types for block in self.blocks)

    def edit(self, edit: Edit) -> Message:
        """The message with each block edited."""
        verdicts = _verdicts(self.blocks, edit)
        if verdicts is None:
            return self
        replaced = self._replaced(verdicts)
        if replaced:
            return replaced
        blocks, content = _edited(self.blocks, self.pieces, verdicts)
        return Message(self.role, blocks, self.concerns, fields=self.fields, own_pieces=content)

    def with_pieces(self, content: list[Raw]) -> Message:
        """The message with these content blocks instead of its own."""
        blocks = [decode_block(piece) for piece in content]
        return Message(self.role, blocks, of_blocks(blocks), fields=self.fields, own_pieces=content)

    def with_more(self, content: list[Raw]) -> Message:
        """The message with these content blocks behind its own."""
        if not self.blocks:
            return self.with_pieces([*self.pieces, *content])
        more = [decode_block(piece) for piece in content]
        return Message(
            self.role,
            [*self.blocks, *more],
            self.concerns | of_blocks(more),
            fields=self.fields,
            own_pieces=[*self.pieces, *content],
        )

    def _replaced(self, verdicts: list[Verdict | Changes]) -> Message | None:
        """The message after an edit that only gives new values to fields whose own bytes occur exactly once: that
        is where they stand, in whatever spelling. None when it is not such an edit."""
        if DROP in verdicts:
            return None
        raw = bytes(self.raw)
        blocks = list(self.blocks)
        for index, verdict in enumerate(verdicts):
            if not isinstance(verdict, dict):
                continue
            for name, new in verdict.items():
                old = getattr(blocks[index], name)
                if not isinstance(old, Raw) or not isinstance(new, Raw):
                    return None
                place = pieces.only_place(old, raw)
                if place < 0:
                    return None
                raw = b"".join((raw[:place], new, raw[place + len(old) :]))
            blocks[index] = msgspec.structs.replace(blocks[index], **verdict)
        return Message(self.role, blocks, self.concerns, raw=Raw(raw))


class ClientMessage(Message):
    """A message as the client sent it: the one at `index` of what `own` gives when its bytes are needed."""

    __slots__ = ("_index", "_own")

    def __init__(self, head: MessageHead, concerns: Concerns, own: Callable[[int], Raw], index: int) -> None:
        content = head.content
        super().__init__(head.role, content if isinstance(content, list) else (), concerns)
        if isinstance(content, str):
            self.text = content
        self._own = own
        self._index = index

    @property
    def raw(self) -> Raw:
        """The whole message, with the client's own bytes."""
        if self._raw is None:
            self._raw = self._own(self._index)
        return self._raw


def new_message(role: str, content: list[Raw]) -> Message:
    """A message that no client sent."""
    return Message(role, (), NOTHING, fields={"role": pieces.dump(role)}).with_pieces(content)


def message_of(raw: bytes, concerns: Concerns) -> Message:
    """The message with these bytes."""
    piece = Raw(raw)
    return ClientMessage(decode_head(piece), concerns, lambda _: piece, 0)


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
    verdicts = _verdicts(blocks, edit)
    if verdicts is None:
        return None
    return pieces.join_array(_edited(blocks, pieces.split_array(array) or [], verdicts)[1])


def _verdicts(blocks: Sequence[Block], edit: Edit) -> list[Verdict | Changes] | None:
    """What becomes of each block; None when every one is kept."""
    verdicts = [edit(block) for block in blocks]
    return None if verdicts.count(KEEP) == len(verdicts) else verdicts


def _edited(
    blocks: Sequence[Block], own_pieces: Sequence[Raw], verdicts: Sequence[Verdict | Changes]
) -> tuple[list[Block], list[Raw]]:
    """The blocks and their pieces after the edit."""
    new_blocks: list[Block] = []
    new_pieces: list[Raw] = []
    for block, piece, verdict in zip(blocks, own_pieces, verdicts, strict=True):
        if isinstance(verdict, dict):
            new_pieces.append(_changed(piece, verdict))
            new_blocks.append(decode_block(new_pieces[-1]))
        elif verdict is KEEP:
            new_pieces.append(piece)
            new_blocks.append(block)
    return new_blocks, new_pieces


def _changed(piece: Raw, changes: Changes) -> Raw:
    fields = pieces.split_object(piece) or {}
    return pieces.join_object(
        {name: value for name, value in (fields | changes).items() if not isinstance(value, UnsetType)}
    )
