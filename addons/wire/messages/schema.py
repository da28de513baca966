"""The heads of messages and of their content blocks: the few fields that decide anything.

Rules that hold here: heads are decoded by name, so that no spelling (escapes, white space, order of keys) can hide a
block from a step. What is large is not decoded: a block's own fields are pieces.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from addons.wire.raw_json import Optional


class Block(msgspec.Struct, frozen=True, gc=False):
    """The head of one content block, of any type. A field that the block doesn't have is UNSET."""

    type: str = ""
    id: Optional = UNSET
    tool_use_id: Optional = UNSET
    thinking: Optional = UNSET
    signature: Optional = UNSET
    data: Optional = UNSET
    text: Optional = UNSET
    content: Optional = UNSET
    cache_control: Optional = UNSET
    caller: Optional = UNSET
    tool_name: Optional = UNSET
    name: Optional = UNSET
    input: Optional = UNSET


class MessageHead(msgspec.Struct, gc=False):
    """How a message is decoded. Content is missing in system messages that only set something."""

    role: str
    content: str | list[Block] | UnsetType = UNSET


decode_heads: Final[Callable[[Raw], list[MessageHead]]] = msgspec.json.Decoder(list[MessageHead]).decode
decode_head: Final[Callable[[Raw], MessageHead]] = msgspec.json.Decoder(MessageHead).decode
decode_blocks: Final[Callable[[Raw], list[Block]]] = msgspec.json.Decoder(list[Block]).decode
decode_block: Final[Callable[[Raw], Block]] = msgspec.json.Decoder(Block).decode
