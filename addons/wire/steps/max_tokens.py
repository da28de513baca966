"""The step that asks a model for no more tokens than it can give."""

from __future__ import annotations

from addons.wire.messages.body import Draft
from addons.wire.steps.context import Context
from addons.wire.steps.thinking_mode import LEAST_BUDGET, turn_off


def max_tokens(draft: Draft, context: Context) -> str | None:
    """Ask for no more than the model can give, and keep the thinking budget below that."""
    limit = context.max_output_tokens
    if limit is None:
        return None
    said = []
    wanted = draft.get("max_tokens")
    if isinstance(wanted, int) and wanted > limit:
        draft.set("max_tokens", limit)
        said.append(f"max_tokens {wanted} → {limit}")
    thinking = draft.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    if isinstance(budget, int) and budget >= limit:
        if limit > LEAST_BUDGET:
            draft.set("thinking", thinking | {"budget_tokens": limit - 1})
            said.append(f"budget_tokens {budget} → {limit - 1}")
        else:
            turn_off(draft)
            said.append("dropped thinking, for which that leaves no room")
    return ", ".join(said) or None
