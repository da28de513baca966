"""The step that gives a request the shape of the Claude that it is sent to, when that is another than was asked for.

Clients write a request for the model that they name: adaptive thinking and effort for one, a budget for another. An
alias, a rule or a fallback that leads to a Claude of another generation would end in a 400. (System messages,
compactions and changes of tools have their own steps.)
"""

from __future__ import annotations

from typing import Final

from addons.wire.claude_models import Claude
from addons.wire.messages.body import Draft
from addons.wire.steps.context import Context
from addons.wire.steps.thinking_mode import LEAST_BUDGET, USUAL_BUDGET, turn_off

BUDGETS: Final = {"low": 4_096, "medium": 16_384}
"""Tokens of thinking for an effort that a model can't be told; for all others the usual budget."""
SAMPLING: Final = ("temperature", "top_p", "top_k")


def claude_generation(draft: Draft, context: Context) -> str | None:
    """Thinking, effort, sampling and max_tokens as this Claude takes them."""
    claude = context.claude
    if claude is None:
        return None
    said = [*max_tokens(draft, claude), *thinking(draft, claude)]
    said += [*output_config(draft, claude), *sampling(draft, claude), *context_management(draft, claude)]
    return f"{', '.join(said)} (as {claude.family} {'.'.join(map(str, claude.version))} takes it)" if said else None


def max_tokens(draft: Draft, claude: Claude) -> list[str]:
    most, wanted = claude.max_output_tokens, draft.get("max_tokens")
    if most is None or not isinstance(wanted, int) or wanted <= most:
        return []
    draft.set("max_tokens", most)
    return [f"max_tokens {wanted} → {most}"]


def thinking(draft: Draft, claude: Claude) -> list[str]:
    asked = draft.get("thinking")
    mode = asked.get("type") if isinstance(asked, dict) else None
    if mode not in ("enabled", "adaptive"):
        return []
    if not claude.thinks:
        turn_off(draft)
        return ["dropped thinking"]
    if mode == "enabled" and not claude.takes_budget:
        adaptive = {name: value for name, value in asked.items() if name != "budget_tokens"}
        draft.set("thinking", adaptive | {"type": "adaptive"})
        return ["a thinking budget became adaptive thinking"]
    if mode == "adaptive" and not claude.takes_adaptive:
        return [with_budget(draft, asked)]
    wanted, most = asked.get("budget_tokens"), draft.get("max_tokens")
    if mode == "enabled" and isinstance(wanted, int) and isinstance(most, int) and wanted >= most:
        draft.set("thinking", asked | {"budget_tokens": most - 1})
        return [f"budget_tokens {wanted} → {most - 1}"]
    return []


def with_budget(draft: Draft, asked: dict[str, object]) -> str:
    """Turns adaptive thinking into thinking with a budget."""
    most, config = draft.get("max_tokens"), draft.get("output_config")
    room = most if isinstance(most, int) else USUAL_BUDGET + 1
    if room <= LEAST_BUDGET:
        turn_off(draft)
        return f"dropped thinking: max_tokens {room} leaves no room for it"
    effort = config.get("effort") if isinstance(config, dict) else None
    budget = min(room - 1, BUDGETS.get(effort, USUAL_BUDGET) if isinstance(effort, str) else USUAL_BUDGET)
    draft.set("thinking", asked | {"type": "enabled", "budget_tokens": budget})
    return f"adaptive thinking became a budget of {budget} tokens"


def output_config(draft: Draft, claude: Claude) -> list[str]:
    config = draft.get("output_config")
    if not isinstance(config, dict):
        return []
    kept, said = dict(config), []
    effort, asked = config.get("effort"), draft.get("thinking")
    allowed = claude.efforts
    if isinstance(asked, dict) and asked.get("type") == "disabled" and claude.version >= (5, 0):
        allowed = tuple(known for known in allowed if known not in ("xhigh", "max"))
    if effort is not None and not allowed:
        del kept["effort"]
        said.append("dropped effort")
    elif effort in ("xhigh", "max") and effort not in allowed:
        kept["effort"] = "high"
        said.append(f"effort {effort} → high")
    if "task_budget" in kept and not claude.takes_task_budget:
        del kept["task_budget"]
        said.append("dropped task_budget")
    if not said:
        return []
    if kept:
        draft.set("output_config", kept)
    else:
        draft.drop("output_config")
    return said


def sampling(draft: Draft, claude: Claude) -> list[str]:
    if claude.takes_sampling:
        return []
    return [f"dropped {name}" for name in SAMPLING if draft.drop(name)]


def context_management(draft: Draft, claude: Claude) -> list[str]:
    management = draft.get("context_management")
    edits = management.get("edits") if isinstance(management, dict) else None
    if claude.takes_compaction or not isinstance(edits, list):
        return []
    kept = [edit for edit in edits if not (isinstance(edit, dict) and str(edit.get("type")).startswith("compact"))]
    if len(kept) == len(edits):
        return []
    if kept:
        draft.set("context_management", management | {"edits": kept})
    else:
        draft.drop("context_management")
    return ["dropped compaction"]
