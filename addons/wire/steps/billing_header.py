"""The step that drops the billing header which Claude Code puts before its system prompt."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Raw

from addons.wire import raw_json
from addons.wire.messages.body import Draft
from addons.wire.messages.message import DROP, KEEP, BlockEdit, edit_blocks
from addons.wire.messages.schema import Block
from addons.wire.steps.context import Context

BILLING_HEADER: Final = "x-anthropic-billing-header"
_PLAIN_BILLING: Final = re.compile(rb'\[\{"type":"text","text":"x-anthropic-billing-header[^"\\]*"\},')
"""The billing header's block as Claude Code writes it, with others behind it."""


def billing_header(draft: Draft, context: Context) -> str | None:
    """Drop the system block that only api.anthropic.com takes out again. It differs from request to request,
    and so would the start of every prompt that another provider tries to find in its cache."""
    system = draft.piece("system")
    if isinstance(system, Raw) and (plain := _PLAIN_BILLING.match(system)):
        draft.set_piece("system", Raw(b"[" + memoryview(system)[plain.end() :]))
        return "dropped the billing header block of system"
    text = raw_json.string(system)
    if text is not None:
        line, _, rest = text.partition("\n")
        if not line.startswith(BILLING_HEADER):
            return None
        if rest.strip():
            draft.set("system", rest.lstrip("\n"))
        else:
            draft.drop("system")
        return "dropped the billing header line of system"
    first = True

    def leading(block: Block) -> BlockEdit:
        nonlocal first
        was_first, first = first, False
        text = raw_json.string(block.text) if was_first else None
        if text is None or not text.startswith(BILLING_HEADER):
            return KEEP
        rest = text.partition("\n")[2]
        return {"text": raw_json.dump(rest.lstrip("\n"))} if rest.strip() else DROP

    array = edit_blocks(system, leading)
    if array is None:
        return None
    if raw_json.split_array(array):
        draft.set_piece("system", array)
    else:
        draft.drop("system")
    return "dropped the billing header block of system"
