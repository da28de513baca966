"""Content blocks on their way from a provider to the client: whose they are is written into them.

Rules that hold here: Anthropic's blocks are not stamped; the input of a tool call is an object; a block that needs no
change stays in the provider's bytes; what has no known type, or is no object, passes.
"""

from typing import Final

from msgspec import UNSET, Raw

from addons.wire import raw_json
from addons.wire.messages.tool_input import as_object, is_object
from addons.wire.messages.traits import THINKING_TYPES, calls_tool
from addons.wire.names import clean_tool_name
from addons.wire.provenance import encode_tool_id, valid_tool_id, wrap_signature
from addons.wire.sse import Fields

EMPTY_TEXT: Final = {"type": "text", "text": ""}

_STAMPED: Final = {
    "thinking": "signature",
    "redacted_thinking": "data",
    "tool_use": "id",
    "server_tool_use": "id",
    "mcp_tool_use": "id",
}
"""The field that says whose a block is. In all `*_tool_result` blocks it is `tool_use_id`."""


def stamp(block: Fields, provider: str) -> bool:
    """Writes the provider into a block, in place. Returns whether anything changed.

    Thinking gets a wrapped signature even if it had none, redacted thinking wrapped data. A tool_use id is
    encoded when it is not a valid one; the ids of server tools and of their results always are, because nothing
    else tells whose they are.
    """
    kind = kind_of(block)
    key = _STAMPED.get(kind) or ("tool_use_id" if kind.endswith("_tool_result") else "")
    if not key:
        return False
    old = raw_json.string(block.get(key, UNSET))
    if kind in THINKING_TYPES:
        new = wrap_signature(provider, old or "")
    elif old is None or (kind == "tool_use" and valid_tool_id(old)):
        return False
    else:
        new = encode_tool_id(provider, old)
    if new == old:
        return False
    block[key] = raw_json.dump(new)
    return True


def repair(block: Fields) -> bool:
    """Makes the input of a tool call an object and its name one that fits into a line, in place. Returns whether they
    were none."""
    if not calls_tool(kind_of(block)):
        return False
    renamed = rename(block)
    if is_object(block.get("input", UNSET)):
        return renamed
    block["input"] = as_object(block.get("input", UNSET))
    return True


def rename(block: Fields) -> bool:
    """Makes the name of a tool that is called fit into a line, in place. Returns whether it changed."""
    name = raw_json.string(block.get("name", UNSET))
    if name is None or (clean := clean_tool_name(name)) == name:
        return False
    block["name"] = raw_json.dump(clean)
    return True


def stamp_all(blocks: list[Raw], provider: str | None, *, strip_thinking: bool) -> list[Raw] | None:
    """The blocks of a message as the client gets them, or None when they need no change.

    Without a `provider` they are Anthropic's. With `strip_thinking` the thinking is left out; what that empties gets
    one empty text block.
    """
    kept = []
    changed = False
    for block in blocks:
        fields = raw_json.split_object(block) or {}
        if strip_thinking and kind_of(fields) in THINKING_TYPES:
            changed = True
        elif (provider is not None and stamp(fields, provider)) | repair(fields):
            changed = True
            kept.append(raw_json.join_object(fields))
        else:
            kept.append(block)
    if not changed:
        return None
    return kept or [raw_json.dump(EMPTY_TEXT)]


def kind_of(block: Fields) -> str:
    """A block's (or a delta's) type; empty when it has none."""
    return raw_json.string(block.get("type", UNSET)) or ""
