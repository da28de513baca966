"""The step that gives tool ids back to the provider that made them, as it made them."""

from __future__ import annotations

from msgspec import UnsetType

from addons.wire import raw_json
from addons.wire.messages.body import Draft
from addons.wire.messages.message import KEEP, BlockEdit
from addons.wire.messages.schema import Block
from addons.wire.messages.traits import TOOL_IDS
from addons.wire.provenance import PLAIN_TOOL_ID, decode_tool_id, encode_tool_id, valid_tool_id
from addons.wire.steps.context import Context, counted


def tool_ids(draft: Draft, context: Context) -> str | None:
    """Ids go back to the provider that made them as they were; Anthropic gets none that it doesn't take."""
    messages = draft.messages.with_trait(TOOL_IDS)
    if not messages:
        return None
    decoded: set[str] = set()
    encoded: set[str] = set()

    def travel(block: Block) -> BlockEdit:
        if block.type == "tool_use":
            name, piece = "id", block.id
        elif block.type == "tool_result":
            name, piece = "tool_use_id", block.tool_use_id
        else:
            return KEEP
        if isinstance(piece, UnsetType) or PLAIN_TOOL_ID.fullmatch(piece):
            return KEEP
        tool_id = raw_json.string(piece)
        if tool_id is None:
            return KEEP
        made = decode_tool_id(tool_id)
        if made and made[0] == context.provider and (valid_tool_id(made[1]) or not context.is_anthropic):
            decoded.add(tool_id)
            return {name: raw_json.dump(made[1])}
        if context.is_anthropic and not valid_tool_id(tool_id):
            encoded.add(tool_id)
            return {name: raw_json.dump(encode_tool_id("unknown", tool_id))}
        return KEEP

    draft.messages.edit(messages, travel)
    said = []
    if decoded:
        said.append(f"gave {counted(len(decoded), 'tool id')} back to {context.provider}")
    if encoded:
        said.append(f"encoded {counted(len(encoded), 'tool id')} that Anthropic doesn't take")
    return "; ".join(said) or None
