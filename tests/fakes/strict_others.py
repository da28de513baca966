"""What other providers refuse: they understand the Messages API without what only Anthropic has."""

import re
from collections.abc import Iterator
from typing import Any

from .request import Request
from .strict import (
    BASIC_FIELDS,
    COMMON_RULES,
    TOOL_ID,
    Check,
    Issued,
    Refusal,
    all_blocks,
    betas_of,
    is_checked,
    model_unknown,
)

CLIENT_HEADERS = re.compile(r"x-claude-code-|x-stainless-|x-app$|anthropic-dangerous-|sec-|origin$|referer$")
BASIC_BLOCKS = frozenset(["text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking"])
BETA_TOOL_FIELDS = ("defer_loading", "input_examples", "eager_input_streaming", "strict")


def for_others(*, betas: frozenset[str], allow: frozenset[str]) -> Check:
    """The rules of a provider that understands the Messages API without Anthropic's extras.

    betas: the beta flags that may arrive.
    allow: names of fields that this provider takes nevertheless ("metadata").
    """

    def check(request: Request, issued: Issued) -> Refusal | None:
        if not is_checked(request):
            return None
        if "sk-ant-" in repr(request.headers):
            return Refusal(401, "a credential of Anthropic arrived")
        if refusal := model_unknown(request):
            return refusal
        if strange := betas_of(request) - betas:
            return Refusal(400, f"unknown beta flags: {', '.join(sorted(strange))}")
        for rule in (
            *COMMON_RULES,
            _basic_headers,
            _basic_fields,
            _basic_tools,
            _basic_blocks,
            _cache_control,
        ):
            for problem in rule(request, issued):
                if problem.partition(":")[0].rpartition(".")[2] not in allow:
                    return Refusal(400, problem)
        return None

    return check


def _basic_headers(request: Request, issued: Issued) -> Iterator[str]:
    yield from (f"{name}: this header is for Anthropic" for name in request.headers if CLIENT_HEADERS.match(name))


def _basic_fields(request: Request, issued: Issued) -> Iterator[str]:
    yield from (f"{name}: unknown field" for name in request.fields if name not in BASIC_FIELDS)
    thinking = request.fields.get("thinking") or {}
    if thinking.get("type", "enabled") not in ("enabled", "disabled"):
        yield f"thinking.type: {thinking['type']} is unknown"
    yield from (f"thinking.{name}: unknown field" for name in thinking if name not in ("type", "budget_tokens"))
    system = request.fields.get("system")
    texts = [block.get("text", "") for block in system] if isinstance(system, list) else [system or ""]
    if any(text.startswith("x-anthropic-billing-header") for text in texts):
        yield "system.billing: x-anthropic-billing-header is no prompt"
    for index, message in enumerate(request.messages):
        if message["role"] not in ("user", "assistant"):
            yield f"messages.{index}.role: {message['role']} is unknown"


def _basic_tools(request: Request, issued: Issued) -> Iterator[str]:
    for index, tool in enumerate(request.fields.get("tools") or []):
        yield from (f"tools.{index}.{name}: unknown field" for name in BETA_TOOL_FIELDS if name in tool)
        if tool.get("type", "custom") != "custom":
            yield f"tools.{index}.type: {tool['type']} is unknown"


def _basic_blocks(request: Request, issued: Issued) -> Iterator[str]:
    for place, block in all_blocks(request):
        tool_id = block.get("id") or block.get("tool_use_id") or ""
        if block["type"] not in BASIC_BLOCKS and tool_id not in issued.tool_ids:
            yield f"{place}.type: {block['type']} is unknown"
        if tool_id and not TOOL_ID.fullmatch(tool_id) and tool_id not in issued.tool_ids:
            yield f"{place}.id: {tool_id} is no tool-use id"


def _cache_control(request: Request, issued: Issued) -> Iterator[str]:
    def walk(value: Any, place: str) -> Iterator[str]:
        if isinstance(value, dict):
            control = value.get("cache_control")
            if isinstance(control, dict):
                yield from (f"{place}.cache_control.{name}: unknown field" for name in control if name != "type")
            for key, item in value.items():
                if key not in ("input", "input_schema"):
                    yield from walk(item, f"{place}.{key}")
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from walk(item, f"{place}.{index}")

    for name in ("system", "tools", "messages"):
        yield from walk(request.fields.get(name), name)
