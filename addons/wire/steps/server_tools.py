"""The step for server tools, which a provider runs itself: whose blocks travel, and under which id.

Rules that hold here: an id that `provenance.encode_tool_id` made says which provider it is from and goes back
to that provider as it was. The two halves of a pair carry the same id, so that what is decided by the id
alone is decided for both.
"""

from collections import Counter
from typing import Final

from addons.wire import raw_json
from addons.wire.messages.body import Draft
from addons.wire.messages.message import DROP, KEEP, BlockEdit
from addons.wire.messages.schema import Block
from addons.wire.messages.traits import SERVER_TOOLS, is_server_tool
from addons.wire.provenance import decode_tool_id
from addons.wire.steps.context import Context, counted

ANTHROPIC: Final = "Anthropic"


def id_field(block: Block) -> tuple[str, str | None]:
    """The name of the field that holds a tool block's id, and the id; None where there is none."""
    name = "tool_use_id" if block.type.endswith("tool_result") else "id"
    return name, raw_json.string(block.tool_use_id if name == "tool_use_id" else block.id)


def server_tools(draft: Draft, context: Context) -> str | None:
    """A provider's server-tool blocks go to that provider only. Ids that nobody encoded are Anthropic's."""
    found = draft.messages.with_trait(SERVER_TOOLS)
    if not found:
        return None
    dropped: Counter[str] = Counter()
    given_back = 0

    def travel(block: Block) -> BlockEdit:
        nonlocal given_back
        if not is_server_tool(block.type):
            return KEEP
        name, tool_id = id_field(block)
        made = decode_tool_id(tool_id) if tool_id else None
        if made and made[0] == context.provider:
            given_back += 1
            return {name: raw_json.dump(made[1])}
        if not made and context.is_anthropic:
            return KEEP
        dropped[made[0] if made else ANTHROPIC] += 1
        return DROP

    draft.messages.edit(found, travel)
    said = []
    if given_back:
        said.append(f"gave {counted(given_back, 'server-tool block')} back to {context.provider}")
    if dropped:
        origins = ", ".join(f"{number} of {origin}" for origin, number in sorted(dropped.items()))
        said.append(f"dropped {counted(dropped.total(), 'server-tool block')} ({origins})")
    return "; ".join(said) or None
