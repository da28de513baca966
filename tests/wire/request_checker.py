"""What a strict provider would refuse of a request: Anthropic by its documented errors, the others by what the
strictest of them is known to refuse.

`check` raises Refused with the place. It shares no code with the steps that it judges.
"""

import re
from collections.abc import Collection
from typing import Any

Body = dict[str, Any]
Block = dict[str, Any]

TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")
THINKING = ("thinking", "redacted_thinking")
SERVER_TOOL = ("_tool_use", "_tool_result")
OTHERS_KNOW = (*THINKING, "text", "image", "document", "tool_use", "tool_result")
OTHERS_FIELDS = {
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "max_tokens",
    "thinking",
    "stream",
    "temperature",
}
TOOL_FIELDS = {"name", "description", "input_schema", "type", "cache_control"}


class Refused(AssertionError):
    """A strict server would refuse the request."""


def need(holds: object, place: str, words: str) -> None:
    """Refuse the request with these words unless something holds."""
    if not holds:
        raise Refused(f"{place}: {words}")


def check(body: Body, *, is_anthropic: bool, signatures: Collection[str]) -> None:
    """`signatures` are all that the target itself gave out (redacted data too), as it gave them out."""
    messages = body["messages"]
    need(messages, "messages", "at least one message is required")
    need(messages[0]["role"] == "user", "messages.0", "the first message must be the user's")
    roles = ("user", "assistant", "system") if is_anthropic else ("user", "assistant")
    for index, message in enumerate(messages):
        place = f"messages.{index}"
        need(message["role"] in roles, place, f"unexpected role {message['role']}")
        blocks = check_content(message["content"], f"{place}.content")
        check_thinking(blocks, place, signatures)
        if not is_anthropic:
            check_for_others(blocks, place)
            need(not index or message["role"] != messages[index - 1]["role"], place, "roles must take turns")
    # Where system messages stand is the client's business.
    said = [message for message in messages if message["role"] != "system"]
    seen: set[str] = set()
    for index in range(len(said)):
        check_tools(said, index, seen)
    check_system(body.get("system"), is_anthropic)
    if is_anthropic:
        check_thinking_mode(body)
    else:
        check_fields_for_others(body)


def check_content(content: Any, place: str) -> list[Block]:
    if isinstance(content, str):
        need(content.strip(), place, "must have non-empty content")
        return []
    need(isinstance(content, list) and content, place, "must have non-empty content")
    for index, block in enumerate(content):
        if block["type"] == "text":
            need(block["text"].strip(), f"{place}.{index}", "text content blocks must be non-empty")
        inner = block.get("content") if block["type"] == "tool_result" else None
        if isinstance(inner, list) and inner:
            check_content(inner, f"{place}.{index}.content")
    return list(content)


def check_thinking(blocks: list[Block], place: str, signatures: Collection[str]) -> None:
    for block in blocks:
        if block["type"] in THINKING:
            signature = block.get("signature" if block["type"] == "thinking" else "data")
            need(signature in signatures, place, f"Invalid `signature` in `thinking` block: {signature!r}")


def check_tools(messages: list[Body], index: int, seen: set[str]) -> None:
    """Each tool use is answered at the start of the next message, and each result belongs to one."""
    place = f"messages.{index} (system messages not counted)"
    blocks = blocks_of(messages[index])
    uses = [block["id"] for block in blocks if block["type"] == "tool_use"]
    need(not uses or messages[index]["role"] == "assistant", place, "tool_use belongs to the assistant")
    need(seen.isdisjoint(uses) and len(set(uses)) == len(uses), place, "`tool_use` ids must be unique")
    seen.update(uses)
    if uses and index + 1 < len(messages):
        answers = [block.get("tool_use_id") for block in blocks_of(messages[index + 1])[: len(uses)]]
        need(set(answers) == set(uses), place, "`tool_use` ids were found without `tool_result` blocks")
    results = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
    before = blocks_of(messages[index - 1]) if index else []
    asked = {block["id"] for block in before if block["type"] == "tool_use"}
    need(results <= asked, place, "unexpected `tool_use_id` found in `tool_result` blocks")
    for block in blocks:
        if block["type"] in ("tool_use", "server_tool_use"):
            need(isinstance(block.get("input"), dict), place, "tool_use.input: Input should be a valid dictionary")
    use_ids = [block["id"] for block in blocks if block["type"].endswith("_tool_use")]
    result_ids = [block["tool_use_id"] for block in blocks if block["type"].endswith("_tool_result")]
    need(use_ids == result_ids, place, "a server tool use without its result, or the other way round")


def check_ids(body: Body) -> None:
    """Anthropic's rule for ids; others take any."""
    for index, message in enumerate(body["messages"]):
        for block in blocks_of(message):
            for name in ("id", "tool_use_id"):
                need(TOOL_ID.fullmatch(block.get(name, "x")), f"messages.{index}", f"invalid id {block.get(name)!r}")


def check_for_others(blocks: list[Block], place: str) -> None:
    for block in blocks:
        kind = block["type"]
        need(kind in OTHERS_KNOW or kind.endswith(SERVER_TOOL), place, f"unknown type {kind}")
        need("caller" not in block, place, "unknown field caller")
        need(set(block.get("cache_control") or {}) <= {"type"}, place, "unknown fields in cache_control")
        inner = block.get("content")
        check_for_others(inner if isinstance(inner, list) else [], place)


def check_fields_for_others(body: Body) -> None:
    need(set(body) <= OTHERS_FIELDS, "body", f"unknown fields {set(body) - OTHERS_FIELDS}")
    for index, tool in enumerate(body.get("tools", [])):
        need(set(tool) <= TOOL_FIELDS, f"tools.{index}", f"unknown fields {set(tool) - TOOL_FIELDS}")
        need(tool.get("type", "custom") == "custom", f"tools.{index}", "unknown type")
    mode = body.get("thinking") or {}
    need(mode.get("type", "disabled") in ("enabled", "disabled"), "thinking", f"unknown type in {mode}")
    need(set(mode) <= {"type", "budget_tokens"}, "thinking", f"unknown fields in {mode}")
    check_budget(body)


def check_budget(body: Body) -> None:
    mode = body.get("thinking") or {}
    if mode.get("type") == "enabled":
        budget = mode["budget_tokens"]
        need(1024 <= budget < body["max_tokens"], "thinking", f"budget_tokens of {budget} does not fit")


def check_system(system: Any, is_anthropic: bool) -> None:
    if system is not None:
        check_content(system, "system")
    words = system if isinstance(system, str) else "".join(block["text"] for block in system or ())
    need(is_anthropic or "x-anthropic-billing-header" not in words, "system", "changes with every request")


def check_thinking_mode(body: Body) -> None:
    """Anthropic's rules for the turn that is still open, and for what belongs to thinking."""
    check_budget(body)
    kind = (body.get("thinking") or {}).get("type", "disabled")
    edits = (body.get("context_management") or {}).get("edits", [])
    clears = any(edit["type"].startswith("clear_thinking") for edit in edits)
    words = "`clear_thinking_20251015` strategy requires `thinking` to be enabled or adaptive"
    need(not clears or kind != "disabled", "context_management", words)
    turn: list[Body] = []
    for message in reversed(body["messages"]):
        if message["role"] == "assistant":
            turn.insert(0, message)
        elif message["role"] == "user" and not any(b["type"] == "tool_result" for b in blocks_of(message)):
            break
    if turn and kind == "enabled":
        first = blocks_of(turn[0])[0]["type"]
        need(first in THINKING, "messages", f"Expected `thinking` or `redacted_thinking`, but found `{first}`")
    if turn and kind == "disabled":
        thinks = any(block["type"] in THINKING for block in blocks_of(turn[-1]))
        need(not thinks, "messages", "an `assistant` message in the final position cannot contain `thinking`")


def blocks_of(message: Body) -> list[Block]:
    content = message["content"]
    return content if isinstance(content, list) else [{"type": "text", "text": content}]
