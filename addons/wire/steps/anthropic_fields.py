"""Steps on the top-level fields of a request."""

import re
from collections.abc import Callable
from typing import Any, Final

from msgspec import Raw

from addons.wire import raw_json as pieces
from addons.wire.messages.body import Draft
from addons.wire.messages.message import DROP, KEEP, Verdict, edit_blocks
from addons.wire.messages.schema import Block
from addons.wire.steps.context import Context
from addons.wire.steps.thinking import turn_off

BILLING_HEADER: Final = "x-anthropic-billing-header"

_PLAIN_BILLING: Final = re.compile(rb'\[\{"type":"text","text":"x-anthropic-billing-header[^"\\]*"\},')
"""The block as Claude Code writes it, with others behind it."""

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
"""What only Anthropic's servers act on, by its API reference and Claude Code's requests."""

CREDENTIAL_KEYS: Final = frozenset(
    {
        "api_key",
        "apikey",
        "authorization",
        "cookie",
        "default_headers",
        "extra_headers",
        "headers",
        "proxy_authorization",
        "proxy_server_request",
        "x_api_key",
        "x_litellm_api_key",
    }
)
"""In lower case, with `_` for `-`."""

LEAST_BUDGET: Final = 1024
"""Tokens of thinking below which nobody takes a budget."""

USUAL_BUDGET: Final = 31_999
"""What Claude Code asks for where it gives a budget."""


def dropping(*names: str) -> Callable[[Draft, Context], str | None]:
    """A step that takes top-level fields out."""

    def step(draft: Draft, context: Context) -> str | None:
        dropped = [name for name in names if draft.drop(name)]
        return f"dropped {', '.join(dropped)}" if dropped else None

    return step


def billing_header(draft: Draft, context: Context) -> str | None:
    """Drop the system block that only api.anthropic.com takes out again. It differs from request to request,
    and so would the start of every prompt that another provider tries to find in its cache."""
    system = draft.piece("system")
    text = pieces.string(system)
    if text is not None:
        line, _, rest = text.partition("\n")
        if not line.startswith(BILLING_HEADER):
            return None
        if rest.strip():
            draft.set("system", rest.lstrip("\n"))
        else:
            draft.drop("system")
        return "dropped the billing header line of system"
    if isinstance(system, Raw) and (plain := _PLAIN_BILLING.match(system)):
        draft.set_piece("system", Raw(b"[" + memoryview(system)[plain.end() :]))
        return "dropped the billing header block of system"
    first = True

    def leading(block: Block) -> Verdict:
        nonlocal first
        was_first, first = first, False
        text = pieces.string(block.text) if was_first else None
        return DROP if text is not None and text.startswith(BILLING_HEADER) else KEEP

    array = edit_blocks(system, leading)
    if array is None:
        return None
    if pieces.split_array(array):
        draft.set_piece("system", array)
    else:
        draft.drop("system")
    return "dropped the billing header block of system"


def hidden_credentials(draft: Draft, context: Context) -> str | None:
    """Remove keys under which clients of other gateways hide headers and credentials: anywhere but in
    `system`, `tools`, `messages` and JSON schemas, where they are somebody's words."""
    found: list[str] = []
    for key, piece in list(draft.fields.items()):
        if is_credential(key):
            draft.drop(key)
            found.append(key)
        elif key not in ("system", "tools", "messages") and pieces.first(piece) in "{[":
            value = pieces.load(piece)
            if names := take_credentials(value):
                draft.set(key, value)
                found += [f"{key} … {name}" for name in names]
    return f"removed {', '.join(found)}" if found else None


def is_credential(key: str) -> bool:
    return key.lower().replace("-", "_") in CREDENTIAL_KEYS


def take_credentials(value: Any) -> list[str]:
    """Delete the keys from a decoded value, at any depth, and name them."""
    names: list[str] = []
    # No recursion: how deep it goes is the client's choice.
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif isinstance(item, dict):
            for name in [name for name in item if is_credential(name)]:
                del item[name]
                names.append(name)
            is_schema = item.get("type") == "json_schema"
            waiting += [inner for name, inner in item.items() if not (is_schema and name == "schema")]
    return names


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


def thinking_display(draft: Draft, context: Context) -> str | None:
    """Drop the fields of `thinking` that only Anthropic has."""
    thinking = draft.get("thinking")
    names = [name for name in ("display", "block_binding") if isinstance(thinking, dict) and name in thinking]
    if not names:
        return None
    draft.set("thinking", {name: value for name, value in thinking.items() if name not in names})
    return f"dropped {', '.join(f'thinking.{name}' for name in names)}"


def thinking_adaptive(draft: Draft, context: Context) -> str | None:
    """Adaptive thinking becomes thinking with a budget, the form that other providers know."""
    thinking = draft.get("thinking")
    if not isinstance(thinking, dict) or thinking.get("type") != "adaptive":
        return None
    most = draft.get("max_tokens")
    most = most if isinstance(most, int) else USUAL_BUDGET + 1
    if most <= LEAST_BUDGET:
        turn_off(draft)
        return f"dropped thinking: max_tokens {most} leaves no room for it"
    budget = min(most - 1, USUAL_BUDGET)
    draft.set("thinking", thinking | {"type": "enabled", "budget_tokens": budget})
    return f"adaptive thinking became a budget of {budget} tokens"
