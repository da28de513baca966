"""What must hold between the messages of a conversation, and how it is kept when blocks are taken out.

Rules that hold here: only messages that an edit emptied are touched. What the client itself sent in a wrong
order stays in that order: refusing it is the provider's business, and its words are better.
"""

from collections.abc import Sequence
from typing import Final

from addons.wire import pieces
from addons.wire.messages import Message

NO_CONTENT: Final = pieces.dump({"type": "text", "text": "(no content)"})
"""Holds the place of a message (the words are Claude Code's own for an empty one)."""


def settled(before: Sequence[Message], after: Sequence[Message]) -> list[Message]:
    """The messages after an edit (`after[i]` is what became of `before[i]`), without those that it emptied.

    The user messages that meet where one is left out are joined: no provider minds, and some insist on taking turns.
    Two kinds keep their place, with words that say that there are none: a user message, without which the
    conversation would start or end with the assistant; and an answer that ended a tool loop, without which that loop
    and the turn after it would be one.
    """
    kept: list[Message] = []
    gap = False
    for index, (old, new) in enumerate(zip(before, after, strict=True)):
        if new is not old and not new.blocks:
            if new.role != "user" and not ends_tool_loop(new, kept, before, index):
                gap = True
                continue
            new = new.with_pieces([NO_CONTENT])
        if gap and kept and kept[-1].role == new.role == "user":
            kept[-1] = kept[-1].with_pieces([*kept[-1].pieces, *new.pieces])
        else:
            kept.append(new)
        gap = False
    return kept


def ends_tool_loop(message: Message, kept: Sequence[Message], before: Sequence[Message], index: int) -> bool:
    """Whether it is the assistant's answer to tool results (at `index` of `before`, and `kept` stands in front of it),
    and the user had the next word."""
    earlier = next((said for said in reversed(kept) if said.role != "system"), None)
    later = next((before[i] for i in range(index + 1, len(before)) if before[i].role != "system"), None)
    if earlier is None or later is None:
        return False
    return message.role == "assistant" and earlier.has("tool_result") and later.role == "user"


def open_turn(messages: Sequence[Message]) -> list[Message]:
    """The assistant messages of the turn that is not over, oldest first: those since the user last said
    something other than tool results. Empty when it is the user's own words that wait for an answer."""
    turn: list[Message] = []
    for message in reversed(messages):
        if message.role == "assistant":
            turn.append(message)
        elif message.role == "user" and not message.has("tool_result"):
            break
    return turn[::-1]


def counted(number: int, noun: str) -> str:
    """The number and the noun: `1 block`, `2 blocks`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
