"""The step for `role: system` entries inside `messages`, which few providers besides Anthropic take.

Rules that hold here: a system message becomes text of the user's turn in which it stands, marked as a
`<system-reminder>` (the form that Claude Code's prompts explain to the model). It never comes between a tool
use and its result, nothing is moved past words of the user or the assistant, and what one request turned into
what, the next one does too: provider prompt caches depend on it.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec
from msgspec import Raw

from addons.wire import pieces
from addons.wire.body import Draft
from addons.wire.context import Context
from addons.wire.conversation import counted
from addons.wire.messages import Message, new_message

KEPT_TYPES = ("image", "document", "search_result")


def system_messages(draft: Draft, context: Context) -> str | None:
    """Turn system messages into user text."""
    if not any(message.role == "system" for message in draft.messages):
        return None
    last_user = max((i for i, message in enumerate(draft.messages) if message.role == "user"), default=-1)
    result: list[Message] = []
    waiting: list[Raw] = []
    dropped: Counter[str] = Counter()
    found = 0
    for index, message in enumerate(draft.messages):
        if message.role == "system":
            found += 1
            content = [] if is_cleared(message, index < last_user) else reminders(message, dropped)
            if result and result[-1].role == "user" and content:
                result[-1] = result[-1].with_pieces([*result[-1].pieces, *content])
            else:
                waiting += content
        elif message.role == "user":
            result.append(inserted(message, waiting) if waiting else message)
            waiting = []
        else:
            if waiting:
                result.append(new_message("user", waiting))
                waiting = []
            result.append(message)
    if waiting:
        result.append(new_message("user", waiting))
    draft.messages = result
    blocks = ", ".join(f"{number} {kind}" for kind, number in sorted(dropped.items()))
    said = f"{counted(found, 'system message')} became user text"
    return f"{said}; dropped what has no other form ({blocks})" if blocks else said


def is_cleared(message: Message, user_follows: bool) -> bool:
    """Whether it was for an earlier turn only (`clear_at`: Anthropic itself stops showing it then)."""
    clear_at = message.fields.get("clear_at", msgspec.UNSET)
    return user_follows and pieces.string(clear_at) == "next_user_message"


def inserted(message: Message, content: Sequence[Raw]) -> Message:
    """The user message with content put before its own words, but behind its tool results."""
    results = [index for index, block in enumerate(message.blocks) if block.type == "tool_result"]
    place = results[-1] + 1 if results else 0
    return message.with_pieces([*message.pieces[:place], *content, *message.pieces[place:]])


def reminders(message: Message, dropped: Counter[str]) -> list[Raw]:
    """The content of a system message as blocks for a user message; counts in `dropped` what has no such
    form."""
    content: list[Raw] = []
    for piece in message.pieces:
        fields = pieces.split_object(piece) or {}
        kind = pieces.string(fields.get("type", msgspec.UNSET)) or "untyped"
        text = pieces.string(fields.get("text", msgspec.UNSET))
        if kind == "text" and text is not None:
            if text.strip():
                content.append(pieces.join_object(fields | {"text": pieces.dump(marked(text))}))
        elif kind in KEPT_TYPES:
            content.append(piece)
        else:
            dropped[kind] += 1
    return content


def marked(text: str) -> str:
    """The text as a reminder, unless it is one."""
    if text.lstrip().startswith("<system-reminder>"):
        return text
    return f"<system-reminder>\n{text}\n</system-reminder>"
