"""What must hold between the messages of a conversation, and how it is kept when blocks are taken out.

Rules that hold here: only messages that an edit emptied are touched. What the client itself sent in a wrong
order stays in that order: refusing it is the provider's business, and its words are better.
"""

from collections.abc import Sequence
from typing import Final

from addons.wire import pieces
from addons.wire.messages import Message

NO_CONTENT: Final = pieces.dump({"type": "text", "text": "(no content)"})
"""Holds the place of a user message (the words are Claude Code's own for an empty message)."""


def settled(before: Sequence[Message], after: Sequence[Message]) -> list[Message]:
    """The messages after an edit (`after[i]` is what became of `before[i]`), without those that it emptied.

    An assistant or system message is left out, and the user messages that thereby meet are joined: no
    provider minds, and some insist on taking turns. A user message keeps its place: without it the
    conversation would start, or end, with the assistant.
    """
    kept: list[Message] = []
    gap = False
    for old, new in zip(before, after, strict=True):
        emptied = new is not old and not new.blocks
        if emptied and new.role != "user":
            gap = True
            continue
        if emptied:
            new = new.with_pieces([NO_CONTENT])
        if gap and kept and kept[-1].role == new.role == "user":
            kept[-1] = kept[-1].with_pieces([*kept[-1].pieces, *new.pieces])
        else:
            kept.append(new)
        gap = False
    return kept


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
