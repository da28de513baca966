"""The steps that drop top-level fields of a request which only Anthropic acts on."""

from collections.abc import Callable
from typing import Final

from addons.wire.messages.body import Draft
from addons.wire.steps.context import Context

ANTHROPIC_FIELDS: Final = (
    "anthropic_beta",
    "anthropic_version",
    "betas",
    "billing_policy",
    "cache_control",
    "compaction",
    "container",
    "diagnostics",
    "fallback_credit_token",
    "fallbacks",
    "inference_geo",
    "mcp_servers",
    "output_format",
    "safeguards",
    "service_tier",
    "speed",
    "thread",
    "user_profile_id",
    "workspace_id",
)
"""The fields that only Anthropic's servers act on, by its API reference and Claude Code's requests."""


def dropping(*names: str) -> Callable[[Draft, Context], str | None]:
    """A step that takes top-level fields out."""

    def step(draft: Draft, context: Context) -> str | None:
        if draft.fields.keys().isdisjoint(names):
            return None
        dropped = [name for name in names if draft.drop(name)]
        return f"dropped {', '.join(dropped)}"

    return step
