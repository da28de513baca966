"""The step that reduces `cache_control` to the form that every provider with Anthropic's format knows."""

from __future__ import annotations

from addons.wire import raw_json
from addons.wire.messages.body import Draft
from addons.wire.messages.message import KEEP, BlockEdit, Changes, edit_blocks
from addons.wire.messages.schema import Block
from addons.wire.messages.traits import CACHE_CONTROL, EXTENDED_CACHE_FIELDS
from addons.wire.steps.context import Context


def cache_control(draft: Draft, context: Context) -> str | None:
    """Take out of every `cache_control` what came later than `{"type":"ephemeral"}`."""
    traits = {"system": draft.body.system_traits, "tools": draft.tools_traits}
    # A tool definition has a cache_control as a block has one; nothing else of it is looked at.
    arrays = [key for key in traits if CACHE_CONTROL in traits[key]]
    messages = draft.messages.with_trait(CACHE_CONTROL)
    if not (arrays or messages):
        return None
    found = 0

    def plain(block: Block) -> BlockEdit:
        nonlocal found
        changes: Changes = {}
        fields = raw_json.split_object(block.cache_control)
        if fields and not fields.keys().isdisjoint(EXTENDED_CACHE_FIELDS):
            found += 1
            kept = {name: value for name, value in fields.items() if name not in EXTENDED_CACHE_FIELDS}
            changes["cache_control"] = raw_json.join_object(kept)
        if block.type == "tool_result" and (content := edit_blocks(block.content, plain)) is not None:
            changes["content"] = content
        return changes or KEEP

    for key in arrays:
        if (array := edit_blocks(draft.piece(key), plain)) is not None:
            draft.set_piece(key, array)
    draft.messages.edit(messages, plain)
    return f"removed ttl and scope from {found} cache_control" if found else None
