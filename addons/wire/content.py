"""Steps on content wherever it stands: in `system`, in messages, and inside tool results."""

from typing import Final

from addons.wire import pieces
from addons.wire.body import Draft
from addons.wire.context import Context
from addons.wire.conversation import counted, settled
from addons.wire.messages import DROP, KEEP, Block, Changes, Message, Verdict, edit_blocks

EXTENDED_CACHE_FIELDS: Final = ("ttl", "scope")
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

    for key in ("system", "tools"):
        # A tool definition has a cache_control as a block has one; nothing else of it is looked at.
        if (array := edit_blocks(draft.piece(key), plain)) is not None:
            draft.set_piece(key, array)
    draft.messages = [message.edit(plain) for message in draft.messages]
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
        # A system message may have no content at all: it sets something.
        says_nothing = message.role != "system" if message.text is None else not message.text.strip()
        if not says_nothing:
            return message
        found += 1
        return message.with_pieces([])

    system = draft.piece("system")
    if pieces.blank(system):
        found += 1
        draft.drop("system")
    elif (array := edit_blocks(system, said)) is not None:
        if pieces.split_array(array):
            draft.set_piece("system", array)
        else:
            draft.drop("system")
    before = draft.messages
    draft.messages = settled(before, [spoken(message) for message in before])
    return f"removed {counted(found, 'empty text')}" if found else None
