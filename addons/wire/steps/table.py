"""What is done to a request body on its way to one provider, as a list of named steps.

Rules that hold here:
- A step is a function `(draft, context) -> str | None`: it edits the draft and says in plain words what it
  did, or leaves every byte as it is and says nothing.
- A provider switches steps on and off by name (`steps:` in the configuration). For Anthropic only those are
  on by default that keep what it must not get or would refuse; for everybody else all are.
- What thinking may travel is nobody's choice: `keep_own_thinking` always runs.
- The order is that of `STEPS`. A compaction goes before all that looks at messages, changes of tools before what looks
  at tools. System messages become user text before any message is left out, so that what then
  meets is joined. Empty text and server tools go before thinking, which decides by the conversation that is sent.
  max_tokens is final before a thinking budget is made from it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from addons.wire.claude_models import Claude
from addons.wire.messages.body import Draft
from addons.wire.steps.anthropic_fields import ANTHROPIC_FIELDS, dropping
from addons.wire.steps.beta_tools import beta_tools
from addons.wire.steps.billing_header import billing_header
from addons.wire.steps.cache_control import cache_control
from addons.wire.steps.claude_generation import claude_generation
from addons.wire.steps.compaction import compaction
from addons.wire.steps.context import Context, counted
from addons.wire.steps.empty_text import empty_text
from addons.wire.steps.few_tokens import few_tokens
from addons.wire.steps.hidden_credentials import hidden_credentials
from addons.wire.steps.max_tokens import max_tokens
from addons.wire.steps.output_config import output_config
from addons.wire.steps.server_tools import server_tools
from addons.wire.steps.system_messages import system_messages
from addons.wire.steps.thinking import keep_own_thinking
from addons.wire.steps.thinking_mode import thinking_adaptive, thinking_display
from addons.wire.steps.thinking_rules import forced_tool, missing_thinking, thinking_off
from addons.wire.steps.tool_changes import tool_changes
from addons.wire.steps.tool_ids import tool_ids
from addons.wire.steps.tool_input import tool_input


class Step(NamedTuple):
    """One entry of the table."""

    name: str
    run: Callable[[Draft, Context], str | None]
    for_anthropic: bool = False
    """Whether the step is on by default for Anthropic too."""
    for_claude: Callable[[Claude], bool] = lambda claude: False
    """Whether the step is on by default for Anthropic when the request goes to this Claude, and not to the one that was
    asked for."""
    always: bool = False
    """Whether the step has no switch."""


STEPS: Final = (
    Step("hidden-credentials", hidden_credentials, for_anthropic=True),
    Step("billing-header", billing_header),
    Step("context-management", dropping("context_management")),
    Step("output-config", output_config),
    Step("metadata", dropping("metadata")),
    Step("anthropic-fields", dropping(*ANTHROPIC_FIELDS)),
    Step("claude-generation", claude_generation, for_anthropic=True),
    Step("compaction", compaction, for_claude=lambda claude: not claude.takes_compaction),
    Step("tool-input", tool_input, for_anthropic=True),
    Step("tool-changes", tool_changes, for_claude=lambda claude: not claude.takes_system_messages),
    Step("beta-tools", beta_tools),
    Step("system-messages", system_messages, for_claude=lambda claude: not claude.takes_system_messages),
    Step("empty-text", empty_text, for_anthropic=True),
    Step("server-tools", server_tools, for_anthropic=True),
    Step("thinking", keep_own_thinking, always=True),
    Step("thinking-force", forced_tool),
    Step("few-tokens", few_tokens),
    Step("thinking-off", thinking_off),
    Step("thinking-missing", missing_thinking),
    Step("tool-ids", tool_ids, for_anthropic=True),
    Step("cache-control", cache_control),
    Step("max-tokens", max_tokens, for_anthropic=True),
    Step("thinking-display", thinking_display),
    Step("thinking-adaptive", thinking_adaptive),
)

STEP_NAMES: Final = frozenset(step.name for step in STEPS if not step.always)
"""The steps that a provider can switch on and off."""


def apply(draft: Draft, context: Context, switches: Mapping[str, bool]) -> list[tuple[str, str]]:
    """Run the steps that are on for this target: (name, what it did) of each that did something.

    `switches` are the provider's own (name → on); a step that they don't name has its default.
    """
    done = []
    if draft.body.repaired:
        done.append(("surrogates", f"replaced {counted(draft.body.repaired, 'lone surrogate')} by U+FFFD"))
    done += [(step.name, line) for step in chosen(context, switches) if (line := step.run(draft, context))]
    return done


def chosen(context: Context, switches: Mapping[str, bool]) -> Sequence[Step]:
    """The steps that are on for this target."""
    if not context.is_anthropic and not switches:
        return STEPS
    return [step for step in STEPS if step.always or switches.get(step.name, is_default(step, context))]


def is_default(step: Step, context: Context) -> bool:
    """Whether a step is on for this target unless the provider switches it off."""
    claude = context.claude
    return step.for_anthropic or not context.is_anthropic or (claude is not None and step.for_claude(claude))


__all__ = ["STEPS", "STEP_NAMES", "Context", "Step", "apply"]
