"""Steps on content wherever it stands: in `system`, in messages, and inside tool results."""

from typing import Final

from addons.wire import raw_json as pieces
from addons.wire.messages.body import Draft
from addons.wire.messages.edited_messages import counted
from addons.wire.messages.message import DROP, KEEP, Changes, Message, Verdict, edit_blocks
from addons.wire.messages.schema import Block
from addons.wire.messages.traits import CACHE_CONTROL, EMPTY_TEXT, EXTENDED_CACHE_FIELDS
from addons.wire.steps.context import Context

EMPTY: Final = pieces.dump("")


def cache_control(draft: Draft, context: Context) -> str | None:
    """Take out of every `cache_control` what came later than `{"type":"ephemeral"}`."""
    found = 0

    def plain(block: Block) -> Verdict | Changes:
        nonlocal found
        changes: Changes = {}
        fields = pieces.split_object(block.cache_control)
        if fields and not fields.keys().isdisjoint(EXTENDED_CACHE_FIELDS):
            found += 1
            kept = {name: value for name, value in fields.items() if name not in EXTENDED_CACHE_FIELDS}
            changes["cache_control"] = pieces.join_object(kept)
        if block.type == "tool_result" and (content := edit_blocks(block.content, plain)) is not None:
            changes["content"] = content
        return changes or KEEP

    concerns = {"system": draft.body.system_concerns, "tools": draft.body.tools_concerns}
    for key in concerns:
        # A tool definition has a cache_control as a block has one; nothing else of it is looked at.
        if CACHE_CONTROL in concerns[key] and (array := edit_blocks(draft.piece(key), plain)) is not None:
            draft.set_piece(key, array)
    draft.messages.edit(draft.messages.concerned(CACHE_CONTROL), plain)
    return f"removed ttl and scope from {found} cache_control" if found else None


def empty_text(draft: Draft, context: Context) -> str | None:
    """Remove text blocks that hold nothing but white space: Anthropic refuses them, whoever wrote them."""
    found = 0

    def said(block: Block) -> Verdict | Changes:
        nonlocal found
        if block.type == "text" and pieces.blank(block.text):
            found += 1
            return DROP
        if block.type == "tool_result" and (content := edit_blocks(block.content, said)) is not None:
            return {"content": content if pieces.split_array(content) else EMPTY}
        return KEEP

    def spoken(message: Message) -> Message:
        nonlocal found
        if message.blocks:
            return message.edit(said)
        if message.text and not message.text.isspace():
            return message
        found += 1
        return message.with_pieces([])

    system = draft.piece("system")
    if EMPTY_TEXT not in draft.body.system_concerns:
        pass
    elif pieces.blank(system):
        found += 1
        draft.drop("system")
    elif (array := edit_blocks(system, said)) is not None:
        if pieces.split_array(array):
            draft.set_piece("system", array)
        else:
            draft.drop("system")
    draft.messages.revise(draft.messages.concerned(EMPTY_TEXT), spoken)
    return f"removed {counted(found, 'empty text')}" if found else None
