"""The step for tools that only Anthropic knows: types, fields, and what they leave behind in messages.

Rules that hold here: a tool that the client itself runs (no type, or `custom`) is kept, with its name,
description and schema; one that Anthropic runs or defines has no meaning elsewhere and is dropped.
"""

import functools
from collections import Counter
from typing import Final, NamedTuple

from msgspec import UNSET, Raw, UnsetType

from addons.wire import raw_json as pieces
from addons.wire.messages.body import Draft
from addons.wire.messages.message import KEEP, Changes, Verdict, edit_blocks
from addons.wire.messages.schema import Block
from addons.wire.messages.traits import BETA_FIELDS, BETA_TOOLS
from addons.wire.steps.context import Context, counted


def beta_tools(draft: Draft, context: Context) -> str | None:
    """Keep what every provider knows of `tools`, `tool_choice`, and tool blocks."""
    said = definitions(draft) if BETA_TOOLS in draft.body.tools_concerns else []
    references = callers = 0

    def plain(block: Block) -> Verdict | Changes:
        nonlocal references, callers
        if block.type == "tool_use" and block.caller is not UNSET:
            callers += 1
            return {"caller": UNSET}
        if block.type == "tool_reference":
            references += 1
            name = pieces.string(block.tool_name) or "?"
            return {"type": TEXT, "text": pieces.dump(f"Tool loaded: {name}"), "tool_name": UNSET}
        if block.type == "tool_result" and (content := edit_blocks(block.content, plain)) is not None:
            return {"content": content}
        return KEEP

    draft.messages.edit(draft.messages.concerned(BETA_TOOLS), plain)
    if callers:
        said.append(f"removed caller from {counted(callers, 'tool use')}")
    if references:
        said.append(f"wrote {counted(references, 'tool reference')} as text")
    return "; ".join(said) or None


TEXT: Final = pieces.dump("text")


def definitions(draft: Draft) -> list[str]:
    """The same for `tools` and `tool_choice` alone: what was done, in words."""
    tools = draft.piece("tools")
    if isinstance(tools, UnsetType):
        return []
    edited = (remembered if len(tools) <= REMEMBERED else edition)(bytes(tools))
    if not edited.said:
        return []
    if edited.tools is not None:
        draft.set_piece("tools", edited.tools)
    else:
        draft.drop("tools")
    said = list(edited.said)
    if edited.drops:
        choice = draft.get("tool_choice")
        named = choice.get("name") if isinstance(choice, dict) and choice.get("type") == "tool" else None
        goes = edited.tools is None or (named is not None and named not in edited.names)
        if goes and draft.drop("tool_choice"):
            said.append("dropped tool_choice")
    return said


class Edition(NamedTuple):
    """What became of `tools`."""

    tools: Raw | None
    """None when none is left."""
    names: frozenset[str | None]
    """Those of the tools that are left."""
    drops: bool
    said: tuple[str, ...]
    """Nothing when nothing changed."""


def edition(array: bytes) -> Edition:
    kept: list[Raw] = []
    names: set[str | None] = set()
    dropped: list[str] = []
    removed: Counter[str] = Counter()
    for tool in pieces.split_array(Raw(array)) or []:
        fields = pieces.split_object(tool)
        if fields is None:
            kept.append(tool)
            continue
        name = pieces.string(fields.get("name", UNSET))
        kind = pieces.string(fields.get("type", UNSET))
        if kind not in (None, "custom"):
            dropped.append(name or kind or "?")
            continue
        names.add(name)
        present = [field for field in BETA_FIELDS if field in fields]
        removed.update(present)
        kept.append(
            pieces.join_object({key: value for key, value in fields.items() if key not in present}) if present else tool
        )
    said = []
    if dropped:
        said.append(f"dropped {counted(len(dropped), 'tool')} that only Anthropic has ({', '.join(dropped)})")
    if removed:
        said.append(f"removed {', '.join(f'{field} ({number})' for field, number in sorted(removed.items()))}")
    return Edition(pieces.join_array(kept) if kept else None, frozenset(names), bool(dropped), tuple(said))


remembered: Final = functools.lru_cache(maxsize=8)(edition)
"""A client sends the same tools with every request."""
REMEMBERED: Final = 200_000
"""Bytes of tools at most that are worth the memory."""
