"""Steps that apply a provider's `ThinkingRules` to a request in Anthropic's format.

Rules that hold here: without rules nothing changes; thinking that is missing is stood in for, never made up.
"""

from __future__ import annotations

from addons.wire import raw_json
from addons.wire.messages.body import Draft
from addons.wire.messages.traits import THINKING_TYPES
from addons.wire.steps.context import Context, counted
from addons.wire.steps.thinking_mode import turn_off

DISABLED = {"type": "disabled"}


def forced_tool(draft: Draft, context: Context) -> str | None:
    """Turn thinking off where a tool is forced, or leave the force out, for a provider that refuses both together."""
    if not context.rules.forced_tool_excludes:
        return None
    choice = draft.get("tool_choice")
    if not isinstance(choice, dict) or choice.get("type") not in ("any", "tool") or is_off(draft):
        return None
    if context.rules.can_be_off:
        turn_off(draft)
        draft.set("thinking", DISABLED)
        return "turned thinking off: no tool can be forced with it"
    draft.set("tool_choice", {key: value for key, value in choice.items() if key != "name"} | {"type": "auto"})
    return "tool_choice became auto: no tool can be forced while the model thinks"


def thinking_off(draft: Draft, context: Context) -> str | None:
    """Leave `disabled` out for a model that always thinks."""
    if context.rules.can_be_off or not is_off(draft):
        return None
    draft.drop("thinking")
    return "dropped thinking: the model can't be told to think no more"


def missing_thinking(draft: Draft, context: Context) -> str | None:
    """Give each assistant message with tool calls thinking, for a provider that refuses one without."""
    if not context.rules.calls_need_it or is_off(draft):
        return None
    words = context.rules.placeholder
    block = raw_json.dump({"type": "thinking", "thinking": words, "signature": ""})
    found = 0
    for index in list(draft.messages.indexes()):
        message = draft.messages[index]
        if message.role == "assistant" and message.has("tool_use") and not message.has(*THINKING_TYPES):
            draft.messages[index] = message.with_pieces([block, *message.pieces])
            found += 1
    return f"thinking stands in for what {counted(found, 'tool message')} lacks" if found else None


def is_off(draft: Draft) -> bool:
    """Whether the request asks for no thinking."""
    thinking = draft.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") == "disabled"
