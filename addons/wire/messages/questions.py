"""What rules and windows ask of a body: its tools, whether there is an image in it, how its conversation opens.

Rules that hold here: nothing is decoded that the question isn't about, and nothing raises on what a client sent.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any, Final

from msgspec import UNSET, Raw

from addons.wire import raw_json
from addons.wire.limits import NESTED_RESULTS
from addons.wire.messages.body import RequestBody
from addons.wire.messages.traits import BETA_TOOLS

IMAGE: Final = b'"image"'
"""As a client writes the type of an image; in a text its quotes would be escaped."""

DATED: Final = re.compile(r"_\d{8}$")
WEB_SEARCH: Final = "web_search"


def tool_names(body: RequestBody) -> frozenset[str]:
    """The names of the request's tools; of those that the provider runs also their types, with and without the date."""
    names: set[str] = set()
    for fields in _tools(body):
        kind, name = raw_json.string(fields.get("type", UNSET)), raw_json.string(fields.get("name", UNSET))
        names.update(filter(None, (name,)))
        if kind and kind != "custom":
            names |= {kind, DATED.sub("", kind)}
    return frozenset(names)


def is_web_search(body: RequestBody) -> bool:
    """Whether its one tool is the provider's web search: how Claude Code searches, in a request of its own."""
    if BETA_TOOLS not in body.tools_traits:
        return False  # every tool is the client's own
    tools = raw_json.split_array(body.fields.get("tools", UNSET)) or ()
    if len(tools) != 1:
        return False
    kind = raw_json.string((raw_json.split_object(tools[0]) or {}).get("type", UNSET))
    return bool(kind) and DATED.sub("", kind or "") == WEB_SEARCH


def _tools(body: RequestBody) -> list[dict[str, Raw]]:
    return [raw_json.split_object(tool) or {} for tool in raw_json.split_array(body.fields.get("tools", UNSET)) or ()]


def has_image(body: RequestBody) -> bool:
    """Whether there is an image in a message, also in a tool's result or in a document."""
    return IMAGE in body.raw and any(
        IMAGE in (raw := bytes(message.raw)) and _holds_image(raw_json.load(Raw(raw))) for message in body.messages
    )


def _holds_image(value: Any, depth: int = 0) -> bool:
    if isinstance(value, list):
        return any(_holds_image(item, depth) for item in value)
    if not isinstance(value, dict) or depth == NESTED_RESULTS:
        return False
    return value.get("type") == "image" or any(_holds_image(value.get(key), depth + 1) for key in ("content", "source"))


def opening(body: RequestBody) -> bytes:
    """A digest of the first message's texts: the same for as long as a conversation is not compacted. What clients move
    on with each request (`cache_control`) is not in it."""
    digest = blake2b(digest_size=16)
    if len(body.messages):
        first = body.messages[0]
        texts = (
            [first.text or ""] if not first.blocks else [raw_json.string(block.text) or "" for block in first.blocks]
        )
        for text in texts:
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.digest()
