"""Steps on the `thinking` field of a request: whether and how the model is asked to think."""

from __future__ import annotations

from typing import Any, Final

from addons.wire.messages.body import Draft
from addons.wire.steps.context import Context
from addons.wire.thinking_rules import BUDGETS


def turn_off(draft: Draft) -> None:
    """Ask for no thinking. The edits of `context_management` that clear thinking go too: Anthropic refuses
    them without ("`clear_thinking_20251015` strategy requires `thinking` to be enabled or adaptive")."""
    draft.drop("thinking")
    management = draft.get("context_management")
    edits = management.get("edits") if isinstance(management, dict) else None
    if not isinstance(edits, list):
        return
    kept = [edit for edit in edits if not clears_thinking(edit)]
    if len(kept) == len(edits):
        return
    if kept:
        draft.set("context_management", management | {"edits": kept})
    else:
        draft.drop("context_management")


def clears_thinking(edit: Any) -> bool:
    return isinstance(edit, dict) and str(edit.get("type")).startswith("clear_thinking")


LEAST_BUDGET: Final = 1024
"""Tokens of thinking below which nobody takes a budget."""

USUAL_BUDGET: Final = 31_999
"""Tokens of thinking that Claude Code asks for where it gives a budget."""


def thinking_display(draft: Draft, context: Context) -> str | None:
    """Drop the fields of `thinking` that only Anthropic has."""
    thinking = draft.get("thinking")
    names = [name for name in ("display", "block_binding") if isinstance(thinking, dict) and name in thinking]
    if not names:
        return None
    draft.set("thinking", {name: value for name, value in thinking.items() if name not in names})
    return f"dropped {', '.join(f'thinking.{name}' for name in names)}"


def thinking_adaptive(draft: Draft, context: Context) -> str | None:
    """Adaptive thinking becomes thinking with a budget, the form that other providers know; how large, says the
    client's effort."""
    thinking = draft.get("thinking")
    if not isinstance(thinking, dict) or thinking.get("type") != "adaptive" or context.rules.form == "adaptive":
        return None
    if context.claude and not context.claude.takes_budget:
        return None
    if context.rules.form == "switch":
        draft.set("thinking", thinking | {"type": "enabled"})
        return "adaptive thinking became enabled"
    most = draft.get("max_tokens")
    most = most if isinstance(most, int) else USUAL_BUDGET + 1
    if most <= LEAST_BUDGET:
        turn_off(draft)
        return f"dropped thinking: max_tokens {most} leaves no room for it"
    config = draft.body.get("output_config")  # which may not be sent
    effort = config.get("effort") if isinstance(config, dict) else None
    budget = min(most - 1, BUDGETS.get(effort, USUAL_BUDGET) if isinstance(effort, str) else USUAL_BUDGET)
    draft.set("thinking", thinking | {"type": "enabled", "budget_tokens": budget})
    return f"adaptive thinking became a budget of {budget} tokens"
