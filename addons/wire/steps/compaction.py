"""The step for `compaction` blocks: Anthropic's summary of what was said before them, which no one else can read.

Rules that hold here: Anthropic shows its model nothing of what stands before the last summary, so no one else is
sent it either (it may be more than they hold); system messages stay, as they say how things are. The summary becomes
words of the user, because a conversation begins with the user. A summary that failed (`content: null`) is nothing.
"""

from collections.abc import Collection
from typing import Final

from msgspec import UNSET, Raw

from addons.wire import raw_json
from addons.wire.messages.body import Draft
from addons.wire.messages.edited_messages import EditedMessages
from addons.wire.messages.message import Message, new_message
from addons.wire.messages.traits import COMPACTION
from addons.wire.steps.context import Context, counted

HEAD: Final = "This is the summary of the conversation so far:\n\n"
"""What is said before a summary."""


def compaction(draft: Draft, context: Context) -> str | None:
    """Give the text of the last summary in place of all that it summarizes."""
    messages = draft.messages
    holding = {index for index in messages.with_trait(COMPACTION) if messages[index].has("compaction")}
    if not holding:
        return None
    last, place, words = last_summary(messages, holding)
    kept: list[Message] = []
    left_out = 0
    meets_summary = False
    for index in messages.indexes():
        message = messages[index]
        if index < last and message.role != "system":
            left_out += 1
            continue
        content = without(message, place + 1 if index == last else 0) if index in holding else None
        if index == last and words is not None:
            kept.append(new_message("user", [words]))
            meets_summary = True
        if content is not None:
            if not content:
                continue
            message = message.with_pieces(content)
        if meets_summary and message.role == "user":
            kept[-1] = kept[-1].with_more(message.pieces)
            continue
        meets_summary = False
        kept.append(message)
    draft.set_messages([message.raw for message in kept])
    if words is None:
        return f"dropped {counted(len(holding), 'compaction')} without a summary"
    instead = f", in place of {counted(left_out, 'earlier message')}" if left_out else ""
    return f"wrote the summary of a compaction as text of the user{instead}"


def last_summary(messages: EditedMessages, holding: Collection[int]) -> tuple[int, int, Raw | None]:
    """The index of the message with the last summary, its place in that message, and its text as a block; -1 and None
    when no compaction has one."""
    for index in sorted(holding, reverse=True):
        message = messages[index]
        for at in range(len(message.blocks) - 1, -1, -1):
            if message.blocks[at].type == "compaction" and (words := summary(message.pieces[at])) is not None:
                return index, at, words
    return -1, -1, None


def without(message: Message, start: int) -> list[Raw]:
    """The content of a message from one block on, without compactions."""
    pieces, blocks = message.pieces, message.blocks
    return [pieces[at] for at in range(start, len(blocks)) if blocks[at].type != "compaction"]


def summary(piece: Raw) -> Raw | None:
    """The text block for a compaction; None when it has no words."""
    fields = raw_json.split_object(piece) or {}
    content = fields.get("content", UNSET)
    text = raw_json.string(content)
    if text is None:
        parts = [raw_json.split_object(part) or {} for part in raw_json.split_array(content) or []]
        text = "\n\n".join(filter(None, (raw_json.string(part.get("text", UNSET)) for part in parts)))
    if not text.strip():
        return None
    block = {"type": raw_json.dump("text"), "text": raw_json.dump(HEAD + text)}
    if "cache_control" in fields:
        block["cache_control"] = fields["cache_control"]
    return raw_json.join_object(block)
