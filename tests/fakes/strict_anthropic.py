"""What Anthropic refuses: its own rules for messages and count_tokens, as far as a gateway can break them."""

import re
from collections.abc import Iterator
from typing import Any

from .request import Request, blocks_of
from .strict import (
    BASIC_FIELDS,
    COMMON_RULES,
    TOOL_ID,
    Issued,
    Refusal,
    all_blocks,
    betas_of,
    is_checked,
    model_unknown,
)

OAUTH_BETA = "oauth-2025-04-20"
CONTEXT_BETA = "context-management-2025-06-27"
SYSTEM_ROLE_BETA = "claude-code-20250219"  # of every Claude Code that puts system messages among the others
ANTHROPIC_FIELDS = BASIC_FIELDS | {
    "metadata", "context_management", "output_config", "output_format", "service_tier", "container",
    "mcp_servers", "safeguards", "inference_geo", "speed", "cache_control",
}  # fmt: skip


def for_anthropic(request: Request, issued: Issued) -> Refusal | None:
    """Anthropic's own rules for POST /v1/messages and /v1/messages/count_tokens."""
    if not is_checked(request):
        return None
    for problem in _credential(request):
        return Refusal(401, problem)
    if refusal := model_unknown(request):
        return refusal
    for rule in (*COMMON_RULES, _anthropic_fields, _system_role, _tool_ids, _thinking_first, _generation):
        for problem in rule(request, issued):
            return Refusal(400, problem)
    return None


def _credential(request: Request) -> Iterator[str]:
    bearer = request.headers.get("authorization", "").startswith("Bearer ")
    if bearer == ("x-api-key" in request.headers):
        yield "both credentials arrived" if bearer else "x-api-key header is required"
    if bearer and OAUTH_BETA not in betas_of(request):
        yield "OAuth authentication is currently not supported."


def _anthropic_fields(request: Request, issued: Issued) -> Iterator[str]:
    fields = request.fields
    yield from (f"{name}: Extra inputs are not permitted" for name in fields if name not in ANTHROPIC_FIELDS)
    metadata = fields.get("metadata") or {}
    yield from (f"metadata.{name}: Extra inputs are not permitted" for name in metadata if name != "user_id")
    edits = (fields.get("context_management") or {}).get("edits", [])
    if "context_management" in fields and CONTEXT_BETA not in betas_of(request):
        yield "context_management: Extra inputs are not permitted"
    thinks = (fields.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    if not thinks and any(edit.get("type") == "clear_thinking_20251015" for edit in edits):
        yield "`clear_thinking_20251015` strategy requires `thinking` to be enabled or adaptive"


def _system_role(request: Request, issued: Issued) -> Iterator[str]:
    for index, message in enumerate(request.messages):
        if message["role"] == "system" and (index == 0 or SYSTEM_ROLE_BETA not in betas_of(request)):
            yield (
                'messages: Unexpected role "system". The Messages API accepts a top-level `system` '
                'parameter, not "system" as an input message role.'
            )


GENERATION = re.compile(r"claude-(?P<family>[a-z]+)-(?P<major>\d)(?:-(?P<minor>\d))?(?!\d)")


def _generation(request: Request, issued: Issued) -> Iterator[str]:
    """What the generations that are named here are known to refuse."""
    found = GENERATION.match(request.model)
    if found is None:
        return
    version = (int(found["major"]), int(found["minor"] or 0))
    mode = (request.fields.get("thinking") or {}).get("type")
    if mode == "adaptive" and version <= (4, 5):
        yield "adaptive thinking is not supported on this model"
    if mode == "enabled" and version >= (4, 7) and version < (5, 0):
        yield '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive".'
    if version <= (4, 5):
        if "effort" in (request.fields.get("output_config") or {}):
            yield "This model does not support the effort parameter."
        if request.fields.get("max_tokens", 0) > 64_000:
            yield f"max_tokens: {request.fields['max_tokens']} > 64000, which is the maximum for {request.model}"
        if any(block["type"] == "compaction" for _, block in all_blocks(request)):
            yield "messages: compaction blocks are not supported on this model"
    if version <= (4, 6) and any(message["role"] == "system" for message in request.messages):
        yield 'messages: Unexpected role "system".'


def _tool_ids(request: Request, issued: Issued) -> Iterator[str]:
    for place, block in all_blocks(request):
        name = {"tool_use": "id", "tool_result": "tool_use_id"}.get(block["type"], "")
        if name and not TOOL_ID.fullmatch(block[name]):
            yield f"{place}.{block['type']}.{name}: String should match pattern '^[a-zA-Z0-9_-]+$'"


def _thinking_first(request: Request, issued: Issued) -> Iterator[str]:
    """The turn that waits for tool results begins with thinking, when that is enabled (not when adaptive)."""
    if (request.fields.get("thinking") or {}).get("type") != "enabled":
        return
    first: tuple[int, dict[str, Any]] | None = None
    waiting = False
    for index, message in reversed(list(enumerate(request.messages))):
        if message["role"] == "assistant" and waiting:
            first = (index, message)
        elif message["role"] == "user":
            waiting = any(block["type"] == "tool_result" for block in blocks_of(message))
            if not waiting:
                break
    if first is None:
        return
    found = blocks_of(first[1])[0]["type"] if blocks_of(first[1]) else "text"
    if found not in ("thinking", "redacted_thinking"):
        yield (
            f"messages.{first[0]}.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
            f"`{found}`. When `thinking` is enabled, a final `assistant` message must start with a thinking "
            "block (preceeding the lastmost set of `tool_use` and `tool_result` blocks). We recommend you "
            "include thinking blocks from previous turns. To avoid this requirement, disable `thinking`. "
            "Please consult our documentation at "
            "https://docs.claude.com/en/docs/build-with-claude/extended-thinking"
        )
