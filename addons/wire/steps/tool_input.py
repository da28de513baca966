"""The step that makes the input of every tool call an object."""

from __future__ import annotations

from addons.wire.messages.body import Draft
from addons.wire.messages.message import KEEP, BlockEdit
from addons.wire.messages.schema import Block
from addons.wire.messages.tool_input import as_object, is_object
from addons.wire.messages.traits import TOOL_INPUT, calls_tool
from addons.wire.steps.context import Context, counted


def tool_input(draft: Draft, context: Context) -> str | None:
    """Read an object out of an input that is none: a model wrote it, and no provider takes it back."""
    messages = draft.messages.with_trait(TOOL_INPUT)
    if not messages:
        return None
    found = 0

    def repaired(block: Block) -> BlockEdit:
        nonlocal found
        if not calls_tool(block.type) or is_object(block.input):
            return KEEP
        found += 1
        return {"input": as_object(block.input)}

    draft.messages.edit(messages, repaired)
    return f"made the input of {counted(found, 'tool call')} an object" if found else None
