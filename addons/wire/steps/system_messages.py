"""The step for `role: system` entries inside `messages`, which few providers besides Anthropic take.

Rules that hold here: a system message becomes text of the user's turn in which it stands, marked as a
`<system-reminder>` (the form that Claude Code's prompts explain to the model). It never comes between a tool
use and its result, nothing is moved past words of the user or the assistant, and what one request turned into
what, the next one does too: provider prompt caches depend on it.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Raw, UnsetType

from addons.wire import raw_json
from addons.wire.messages.body import Draft
from addons.wire.messages.edited_messages import EditedMessages
from addons.wire.messages.message import Message, new_message
from addons.wire.messages.traits import SYSTEM_MESSAGES
from addons.wire.steps.context import Context, counted

KEPT_TYPES: Final = ("image", "document", "search_result")
PLAIN: Final = re.compile(rb'"[A-Za-z0-9#]')
"""The beginning, as JSON, of a text that is no reminder."""


def system_messages(draft: Draft, context: Context) -> str | None:
    """Turn system messages into user text."""
    messages = draft.messages
    found = messages.with_trait(SYSTEM_MESSAGES)
    if not found:
        return None
    dropped: Counter[str] = Counter()
    last_user: int | None = None
    content: list[Raw] = []
    """Of the system messages that follow each other."""
    for index, following in zip(found, [*found[1:], None], strict=True):
        message = messages[index]
        # For an earlier turn only: Anthropic itself stops showing it then.
        if raw_json.string(message.fields.get("clear_at", msgspec.UNSET)) == "next_user_message":
            last_user = last_of_user(messages) if last_user is None else last_user
            is_cleared = index < last_user
        else:
            is_cleared = False
        if not is_cleared:
            content += reminders(message, dropped)
        del messages[index]
        if content and (following is None or messages.after(index) != following):
            say(messages, index, content)
            content = []
    blocks = ", ".join(f"{number} {kind}" for kind, number in sorted(dropped.items()))
    said = f"{counted(len(found), 'system message')} became user text"
    return f"{said}; dropped what has no other form ({blocks})" if blocks else said


def last_of_user(messages: EditedMessages) -> int:
    """The index of the user's last message; -1 when there is none."""
    at = messages.before(len(messages.original))
    while at is not None and messages[at].role != "user":
        at = messages.before(at)
    return -1 if at is None else at


def say(messages: EditedMessages, index: int, content: list[Raw]) -> None:
    """Let the user say this where a message has been left out."""
    before, after = messages.before(index), messages.after(index)
    if before is not None and messages[before].role == "user":
        messages[before] = messages[before].with_more(content)
    elif after is not None and messages[after].role == "user":
        messages[after] = inserted(messages[after], content)
    else:
        messages[index] = new_message("user", content)


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
        fields = raw_json.split_object(piece) or {}
        kind = raw_json.string(fields.get("type", msgspec.UNSET)) or "untyped"
        words = fields.get("text", msgspec.UNSET)
        if kind == "text" and not isinstance(words, UnsetType) and raw_json.first(words) == '"':
            if not raw_json.blank(words):
                content.append(raw_json.join_object(fields | {"text": marked(words)}))
        elif kind in KEPT_TYPES:
            content.append(piece)
        else:
            dropped[kind] += 1
    return content


def marked(words: Raw) -> Raw:
    """A string as a reminder, unless it is one."""
    spelled = bytes(words)
    if not PLAIN.match(spelled):
        text = raw_json.string(words) or ""
        if text.lstrip().startswith("<system-reminder>"):
            return words
    return Raw(rb'"<system-reminder>\n%b\n</system-reminder>"' % spelled[1:-1])
