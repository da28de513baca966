"""The step for changes of the tools in the middle of a conversation, which only newer Claudes understand.

A system message may hold `tool_addition` and `tool_removal` blocks. Elsewhere there is only `tools`: it gets what the
changes come to, in their order. A tool that is named by reference is in `tools` already; one that is given by value
(`{"type": "tool_definition", "definition": {…}}`, or the definition itself) takes the place of one with its name.
"""

from typing import Final

from msgspec import UNSET, Raw

from addons.wire import raw_json
from addons.wire.messages.body import Draft
from addons.wire.messages.traits import SYSTEM_MESSAGES
from addons.wire.steps.context import Context

CHANGES: Final = ("tool_addition", "tool_removal")


def tool_changes(draft: Draft, context: Context) -> str | None:
    """Carry out in `tools` what system messages change of them, and drop the changes."""
    messages = draft.messages
    concerned = [index for index in messages.with_trait(SYSTEM_MESSAGES) if messages[index].has(*CHANGES)]
    if not concerned:
        return None
    given = raw_json.split_array(draft.piece("tools")) or []
    tools = {name_of(tool) or f"#{number}": tool for number, tool in enumerate(given)}
    removed: dict[str, Raw] = {}
    said: dict[str, str] = {}
    for index in concerned:
        kept: list[Raw] = []
        message = messages[index]
        for block, piece in zip(message.blocks, message.pieces, strict=True):
            if block.type not in CHANGES:
                kept.append(piece)
                continue
            fields = raw_json.split_object(piece) or {}
            definition = definition_of(fields)
            name = (name_of(definition) if definition else None) or named(fields)
            if name is None:
                continue
            if block.type == "tool_removal":
                if name in tools:
                    removed[name] = tools.pop(name)
                said[name] = f"removed {name}"
            elif definition is not None:
                tools[name] = definition
                said[name] = f"added {name}"
            elif name in removed:
                tools[name] = removed.pop(name)
                said.pop(name, None)
        if kept:
            messages[index] = message.with_pieces(kept)
        else:
            del messages[index]
    result = list(tools.values())
    if result != given:
        draft.set_tools(result)
        drop_lost_choice(draft, set(tools))
    return ", ".join(said.values()) or "dropped changes of tools that change nothing"


def drop_lost_choice(draft: Draft, names: set[str]) -> None:
    choice = draft.get("tool_choice")
    if isinstance(choice, dict) and (not names or (choice.get("type") == "tool" and choice.get("name") not in names)):
        draft.drop("tool_choice")


def definition_of(fields: dict[str, Raw]) -> Raw | None:
    """The definition that a change gives by value; None when it names a tool."""
    for holder in ("tool", "definition"):
        inner = raw_json.split_object(fields.get(holder, UNSET))
        if inner is None:
            continue
        if "definition" in inner:
            return inner["definition"]
        if holder == "definition" or "input_schema" in inner:
            return fields[holder]
    return None


def named(fields: dict[str, Raw]) -> str | None:
    """The name of the tool that a change is about."""
    for holder in (raw_json.split_object(fields.get("tool", UNSET)) or {}, fields):
        for key in ("name", "tool_name"):
            if name := raw_json.string(holder.get(key, UNSET)):
                return name
    return raw_json.string(fields.get("tool", UNSET))


def name_of(tool: Raw) -> str | None:
    return raw_json.string((raw_json.split_object(tool) or {}).get("name", UNSET))
