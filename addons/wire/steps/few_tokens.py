"""The step that keeps a call for a few tokens from being thought away.

Auto mode's check asks for 64 tokens and a verdict. A model that thinks unless it is told not to spends them before the
first word, and the answer is empty. So it is told not to, or, where it can't be, given room for both; the usage that
the client is told is what was used, thoughts included.
"""

from __future__ import annotations

from typing import Final

from addons.wire.messages.body import Draft
from addons.wire.steps.context import Context
from addons.wire.steps.thinking_mode import LEAST_BUDGET, turn_off
from addons.wire.steps.thinking_rules import DISABLED, is_off

PROBE: Final = 1
"""Tokens of a call whose answer nobody reads: Claude Code asks so whether a model is there."""

ROOM: Final = 4096
"""Tokens that a model gets to think in, beside those that the client asked for."""


def few_tokens(draft: Draft, context: Context) -> str | None:
    """Turn thinking off where there is no room for it, or make room."""
    rules, asked = context.rules, draft.get("max_tokens")
    if not isinstance(asked, int) or asked > LEAST_BUDGET or not (rules.by_default or not rules.can_be_off):
        return None
    if rules.can_be_off:
        if is_off(draft):
            return None
        turn_off(draft)
        draft.set("thinking", DISABLED)
        return f"turned thinking off: max_tokens {asked} leaves no room for it"
    if asked <= PROBE:
        return None
    draft.set("max_tokens", asked + ROOM)
    return f"max_tokens {asked} → {asked + ROOM}: the model thinks before it answers"
