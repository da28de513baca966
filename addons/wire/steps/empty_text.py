"""The step on empty text, wherever it stands: in `system`, in messages, and inside tool results."""

from typing import Final

from addons.wire import raw_json
from addons.wire.messages.body import Draft
from addons.wire.messages.message import DROP, KEEP, BlockEdit, Message, edit_blocks
from addons.wire.messages.schema import Block
from addons.wire.messages.traits import EMPTY_TEXT
from addons.wire.steps.context import Context, counted

EMPTY: Final = raw_json.dump("")


def empty_text(draft: Draft, context: Context) -> str | None:
    """Remove text blocks that hold nothing but white space: Anthropic refuses them, whoever wrote them."""
    found = 0

    def said(block: Block) -> BlockEdit:
        nonlocal found
        if block.type == "text" and raw_json.blank(block.text):
            found += 1
            return DROP
        if block.type == "tool_result" and (content := edit_blocks(block.content, said)) is not None:
            return {"content": content if raw_json.split_array(content) else EMPTY}
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
    if EMPTY_TEXT not in draft.body.system_traits:
        pass
    elif raw_json.blank(system):
        found += 1
        draft.drop("system")
    elif (array := edit_blocks(system, said)) is not None:
        if raw_json.split_array(array):
            draft.set_piece("system", array)
        else:
            draft.drop("system")
    draft.messages.revise(draft.messages.with_trait(EMPTY_TEXT), spoken)
    return f"removed {counted(found, 'empty text')}" if found else None
