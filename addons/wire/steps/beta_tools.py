"""The step for tools that only Anthropic knows: types, fields, and what they leave behind in messages.

Rules that hold here: a tool that the client itself runs (no type, or `custom`) is kept, with its name,
description and schema; one that Anthropic runs or defines has no meaning elsewhere and is dropped.
"""

import functools
from collections import Counter
from typing import Final, NamedTuple

from msgspec import UNSET, Raw, UnsetType

from addons.wire import raw_json
from addons.wire.messages.body import Draft
from addons.wire.messages.message import KEEP, BlockEdit, edit_blocks
from addons.wire.messages.schema import Block
from addons.wire.messages.traits import BETA_FIELDS, BETA_TOOLS
from addons.wire.steps.context import Context, counted
from addons.wire.words import listed


def beta_tools(draft: Draft, context: Context) -> str | None:
    """Keep what every provider knows of `tools`, `tool_choice`, and tool blocks."""
    said = definitions(draft, search=context.web_search) if BETA_TOOLS in draft.tools_traits else []
    references = callers = 0

    def plain(block: Block) -> BlockEdit:
        nonlocal references, callers
        if block.type == "tool_use" and block.caller is not UNSET:
            callers += 1
            return {"caller": UNSET}
        if block.type == "tool_reference":
            references += 1
            name = raw_json.string(block.tool_name) or "?"
            return {"type": TEXT, "text": raw_json.dump(f"Tool loaded: {name}"), "tool_name": UNSET}
        if block.type == "tool_result" and (content := edit_blocks(block.content, plain)) is not None:
            return {"content": content}
        return KEEP

    draft.messages.edit(draft.messages.with_trait(BETA_TOOLS), plain)
    if callers:
        said.append(f"removed caller from {counted(callers, 'tool use')}")
    if references:
        said.append(f"wrote {counted(references, 'tool reference')} as text")
    return "; ".join(said) or None


TEXT: Final = raw_json.dump("text")
WEB_SEARCH: Final = "web_search_"
PLACEHOLDER: Final = "DeferredToolPlaceholder"
"""A tool of Claude Code's requests that stands for those which Anthropic's servers look up: nobody can call it."""


def definitions(draft: Draft, *, search: bool) -> list[str]:
    """Keep what every provider knows of `tools` and `tool_choice`: what was done, in words. `search`: the web search,
    too."""
    tools = draft.piece("tools")
    if isinstance(tools, UnsetType):
        return []
    edited = (remembered_tools if len(tools) <= REMEMBERED else edited_tools)(bytes(tools), search)
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


class EditedTools(NamedTuple):
    """The tool definitions after the step."""

    tools: Raw | None
    """The array; None when no tool is left."""
    names: frozenset[str | None]
    """The names of the tools that are left."""
    drops: bool
    said: tuple[str, ...]
    """What was done, in words; empty when nothing changed."""


def edited_tools(array: bytes, search: bool = False) -> EditedTools:
    kept: list[Raw] = []
    names: set[str | None] = set()
    dropped: list[str] = []
    removed: Counter[str] = Counter()
    for tool in raw_json.split_array(Raw(array)) or []:
        fields = raw_json.split_object(tool)
        if fields is None:
            kept.append(tool)
            continue
        name = raw_json.string(fields.get("name", UNSET))
        kind = raw_json.string(fields.get("type", UNSET))
        runs = search and kind is not None and kind.startswith(WEB_SEARCH)
        if (kind not in (None, "custom") and not runs) or name == PLACEHOLDER:
            dropped.append(name or kind or "?")
            continue
        names.add(name)
        present = [field for field in BETA_FIELDS if field in fields]
        removed.update(present)
        kept.append(
            raw_json.join_object({key: value for key, value in fields.items() if key not in present})
            if present
            else tool
        )
    said = []
    if dropped:
        said.append(f"dropped {counted(len(dropped), 'tool')} that only Anthropic has ({listed(dropped)})")
    if removed:
        said.append(f"removed {', '.join(f'{field} ({number})' for field, number in sorted(removed.items()))}")
    return EditedTools(raw_json.join_array(kept) if kept else None, frozenset(names), bool(dropped), tuple(said))


remembered_tools: Final = functools.lru_cache(maxsize=8)(edited_tools)
"""`edited_tools`, remembered: a client sends the same tools with every request."""
REMEMBERED: Final = 200_000
"""Bytes of tool definitions that are worth remembering, at most."""
