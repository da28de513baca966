"""What a client asks verdicts for: the `safeguards` field of its request, and the tool calls of the answer."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET

from addons.wire import raw_json
from addons.wire.messages.assembler import PARTIAL_JSON
from addons.wire.messages.body import RequestBody

FIELD: Final = "safeguards"
"""The request's field."""
RESULTS: Final = "safeguard_results"
"""The answer's: in the `delta` of the final message_delta, or beside a message's `content`."""
KIND: Final = "dangerous_tool_use"

CUT_SHORT: Final = frozenset({"max_tokens", "model_context_window_exceeded"})
"""Stop reasons after which the last tool call of an answer may not be whole, whatever it looks like."""


class ToolCall(msgspec.Struct, frozen=True):
    """A tool call of the answer, as the client sees it."""

    id: str
    name: str
    input: Any
    is_cut: bool = False
    """Its input is not whole."""


def classifier_context(body: RequestBody) -> dict[str, Any] | None:
    """What the client tells a judge of its situation; None when it asks for no verdicts on tool calls."""
    for piece in raw_json.split_array(body.fields.get(FIELD, UNSET)) or ():
        fields = raw_json.split_object(piece) or {}
        if raw_json.string(fields.get("type", UNSET)) == KIND:
            context = raw_json.load(fields["classifier_context"]) if "classifier_context" in fields else None
            return context if isinstance(context, dict) else {}
    return None


def tool_calls(content: Any, stop_reason: str | None) -> list[ToolCall]:
    """The calls of the client's tools in an answer's content blocks."""
    blocks = content if isinstance(content, list) else []
    calls = [block for block in blocks if isinstance(block, dict) and block.get("type") == "tool_use"]
    last = blocks[-1] if blocks and stop_reason in CUT_SHORT else None
    return [
        ToolCall(
            id=str(block.get("id", "")),
            name=str(block.get("name", "")),
            input=block.get("input"),
            is_cut=PARTIAL_JSON in block or block is last,
        )
        for block in calls
    ]
