"""Traits of messages, `system` and tools: what a step may have to act on.

They are found once, when a body is parsed, so that each step looks only where there may be something for it.

Rules that hold here: whatever a step would change has the trait that the step asks for, and other things may have it
too; an edit gives a message no trait that it didn't have before.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from addons.wire import raw_json
from addons.wire.errors import BadRequest
from addons.wire.limits import NESTED_RESULTS
from addons.wire.messages.schema import Block, MessageHead, decode_blocks
from addons.wire.messages.tool_input import is_object
from addons.wire.names import check_tool_name
from addons.wire.provenance import PLAIN_TOOL_ID, UNWRAPPED
from addons.wire.raw_json import Optional

type Traits = frozenset[str]

BETA_TOOLS: Final = "beta tools"
CACHE_CONTROL: Final = "cache control"
COMPACTION: Final = "compaction"
EMPTY_TEXT: Final = "empty text"
SERVER_TOOLS: Final = "server tools"
SYSTEM_MESSAGES: Final = "system messages"
TOOL_IDS: Final = "tool ids"
TOOL_INPUT: Final = "tool input"
"""A tool call whose input is no object."""
THINKING: Final = "thinking"
GUEST_THINKING: Final = "guest thinking"
"""Thinking that is not plainly Anthropic's own."""

NOTHING: Final[Traits] = frozenset()

THINKING_TYPES: Final = ("thinking", "redacted_thinking")
BETA_FIELDS: Final = ("defer_loading", "input_examples", "eager_input_streaming", "strict", "allowed_callers")
EXTENDED_CACHE_FIELDS: Final = ("ttl", "scope")
OTHER_ANTHROPIC_TYPES: Final = ("mcp_tool_listing", "container_upload", "fallback")
"""Blocks without an id that mean something to Anthropic's servers only."""

_ONLY_EMPTY_TEXT: Final[Traits] = frozenset((EMPTY_TEXT,))
_sets: Final[dict[Traits, Traits]] = {}
"""Each set of traits once: there are few, and messages are many."""

_PLAIN_CACHE: Final = Raw(b'{"type":"ephemeral"}')


class ToolHead(msgspec.Struct, gc=False):
    """The fields of a tool definition that not every provider knows."""

    name: Optional = UNSET
    type: Optional = UNSET
    cache_control: Optional = UNSET
    defer_loading: Optional = UNSET
    input_examples: Optional = UNSET
    eager_input_streaming: Optional = UNSET
    strict: Optional = UNSET
    allowed_callers: Optional = UNSET


_PLAIN_TOOL: Final = ToolHead()
_decode_tools: Final = msgspec.json.Decoder(list[ToolHead]).decode


def of_message(head: MessageHead) -> Traits:
    """The traits of a message."""
    content, is_system = head.content, head.role == "system"
    if isinstance(content, list) and content:
        found = of_blocks(content)
    elif isinstance(content, str):
        found = NOTHING if content and not content.isspace() else _ONLY_EMPTY_TEXT
    else:
        # A system message may have no content at all: it sets something.
        found = NOTHING if is_system else _ONLY_EMPTY_TEXT
    return _same(found | {SYSTEM_MESSAGES}) if is_system else found


def of_blocks(blocks: Sequence[Block], depth: int = 0) -> Traits:
    """The traits of content blocks: those of a message, of `system`, of a tool result. Raises BadRequest when tool
    results hold each other without end: every step looks into them."""
    found: set[str] = set()
    for block in blocks:
        kind = block.type
        if kind == "text":
            if raw_json.blank(block.text):
                found.add(EMPTY_TEXT)
        elif kind == "tool_use":
            check_tool_name(block.name, "messages: the name of a tool")
            if not is_object(block.input):
                found.add(TOOL_INPUT)
            if not _is_plain_id(block.id):
                found.add(TOOL_IDS)
            if block.caller is not UNSET:
                found.add(BETA_TOOLS)
        elif kind == "tool_result":
            if not _is_plain_id(block.tool_use_id):
                found.add(TOOL_IDS)
            if not isinstance(block.content, UnsetType) and raw_json.first(block.content) == "[":
                if depth == NESTED_RESULTS:
                    raise BadRequest("messages", "tool results are nested too deeply")
                found |= _of_array(block.content, depth + 1)
        elif kind in THINKING_TYPES:
            found.add(THINKING)
            carried = block.signature if kind == "thinking" else block.data
            if isinstance(carried, UnsetType) or not UNWRAPPED.match(carried):
                found.add(GUEST_THINKING)
        elif kind == "tool_reference":
            found.add(BETA_TOOLS)
        elif is_server_tool(kind):
            found.add(SERVER_TOOLS)
            if calls_tool(kind):
                check_tool_name(block.name, "messages: the name of a tool")
                if not is_object(block.input):
                    found.add(TOOL_INPUT)
        elif kind == "compaction":
            found.add(COMPACTION)
        if block.cache_control is not UNSET and _is_extended(block.cache_control):
            found.add(CACHE_CONTROL)
    return _same(frozenset(found)) if found else NOTHING


def of_text(text: Optional) -> Traits:
    """The traits of `system` when it is a text."""
    return _ONLY_EMPTY_TEXT if raw_json.blank(text) else NOTHING


def of_tools(tools: Optional) -> Traits:
    """The traits of the tool definitions. Raises BadRequest."""
    if isinstance(tools, UnsetType) or raw_json.first(tools) != "[":
        return NOTHING
    try:
        heads = _decode_tools(tools)
    except msgspec.ValidationError:
        return frozenset((BETA_TOOLS, CACHE_CONTROL))
    found: set[str] = set()
    for index, head in enumerate(heads):
        check_tool_name(head.name, f"tools.{index}.name")
        head.name = UNSET
        if head != _PLAIN_TOOL:
            if _is_extended(head.cache_control):
                found.add(CACHE_CONTROL)
            if raw_json.string(head.type) not in (None, "custom") or any(
                getattr(head, name) is not UNSET for name in BETA_FIELDS
            ):
                found.add(BETA_TOOLS)
    return frozenset(found)


def is_server_tool(block_type: str) -> bool:
    """Whether a block is of a tool that a provider runs itself: `mcp_tool_use`, `web_search_tool_result` …"""
    return block_type.endswith(("_tool_use", "_tool_result")) or block_type in OTHER_ANTHROPIC_TYPES


def calls_tool(block_type: str) -> bool:
    """Whether a block is a call of a tool, whoever runs it."""
    return block_type == "tool_use" or block_type.endswith("_tool_use")


def _same(traits: Traits) -> Traits:
    """The one object that is used for a set of traits."""
    return _sets.setdefault(traits, traits)


def _of_array(array: Raw, depth: int) -> Traits:
    try:
        blocks = decode_blocks(array)
    except msgspec.ValidationError:
        return NOTHING
    return of_blocks(blocks, depth)


def _is_plain_id(piece: Optional) -> bool:
    return isinstance(piece, UnsetType) or PLAIN_TOOL_ID.fullmatch(piece) is not None


def _is_extended(cache_control: Optional) -> bool:
    if cache_control == _PLAIN_CACHE:
        return False
    fields = raw_json.split_object(cache_control) or {}
    return not fields.keys().isdisjoint(EXTENDED_CACHE_FIELDS)
