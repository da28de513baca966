"""What any provider refuses, and the vocabulary of the strict checks.

Rules of the three files that check requests (this one, `strict_anthropic.py`, `strict_others.py`):
- A check looks at one request and at what its provider has issued so far, and returns a refusal or None.
- A rule yields what is wrong. The words are Anthropic's where they are known (Claude Code's recovery reads
  them); elsewhere they begin with the name of the field or header.
- Only what is certain is refused: a field that no rule knows is looked at no further.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .messages import REDACTED, sign
from .request import Request, blocks_of

OWN_HEADERS = re.compile(r"x-litellm-|x-gateway-|x-claude-token-mode|cookie$|proxy-|te$|trailer$|upgrade$|keep-alive$")
TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")
BASIC_FIELDS = {
    "model", "messages", "system", "tools", "tool_choice", "max_tokens", "thinking", "stream", "temperature",
    "top_p", "top_k", "stop_sequences",
}  # fmt: skip


@dataclass
class Issued:
    """What a provider has given away and will know again."""

    # Each signature with the thinking it belongs to, and the data of redacted thinking with "".
    signatures: frozenset[tuple[str, str]] = frozenset()
    tool_ids: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Refusal:
    status: int
    message: str


type Check = Callable[[Request, Issued], Refusal | None]
type Rule = Callable[[Request, Issued], Iterator[str]]


def is_checked(request: Request) -> bool:
    return request.method == "POST" and request.path.endswith(("/v1/messages", "/v1/messages/count_tokens"))


def betas_of(request: Request) -> set[str]:
    return {flag.strip() for flag in request.headers.get("anthropic-beta", "").split(",")} - {""}


def all_blocks(request: Request) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each block of each message, with its place as Anthropic writes it."""
    for index, message in enumerate(request.messages):
        for position, block in enumerate(blocks_of(message)):
            yield f"messages.{index}.content.{position}", block


def _shape(request: Request, issued: Issued) -> Iterator[str]:
    if not request.fields:
        yield "The request body is not valid JSON"
    required = ["model", "messages"] + ["max_tokens"] * request.path.endswith("/v1/messages")
    yield from (f"{name}: Field required" for name in required if name not in request.fields)


def _headers(request: Request, issued: Issued) -> Iterator[str]:
    yield from (f"{name}: this header must stay in the gateway" for name in request.headers if OWN_HEADERS.match(name))
    if request.headers.get("accept-encoding", "identity") != "identity":
        yield "accept-encoding: the gateway can only read identity"


def _signatures(request: Request, issued: Issued) -> Iterator[str]:
    for place, block in all_blocks(request):
        if block["type"] == "thinking":
            signature, value = block.get("signature"), block.get("thinking")
            if signature is None or value is None:
                yield f"{place}.thinking.{'signature' if signature is None else 'thinking'}: Field required"
            elif not _is_ours(request, issued, signature, value):
                yield f"{place}: Invalid `signature` in `thinking` block"
        elif block["type"] == "redacted_thinking":
            data = block.get("data") or ""
            if (data, "") not in issued.signatures and data != sign(request.provider, REDACTED):
                yield f"{place}: Invalid `data` in `redacted_thinking` block"


def _is_ours(request: Request, issued: Issued, signature: str, thinking: str) -> bool:
    return signature == sign(request.provider, thinking) or (signature, thinking) in issued.signatures


def _texts(request: Request, issued: Issued) -> Iterator[str]:
    messages = request.messages
    for index, message in enumerate(messages):
        final = index == len(messages) - 1 and message.get("role") == "assistant"
        if not message.get("content") and not final:
            yield (
                f"messages.{index}: all messages must have non-empty content except for the optional final "
                "assistant message"
            )
    system = request.fields.get("system")
    places = [("system", block) for block in system] if isinstance(system, list) else []
    for place, block in [*places, *(("messages", block) for _, block in all_blocks(request))]:
        if block["type"] == "text" and not block["text"]:
            yield f"{place}: text content blocks must be non-empty"
        elif block["type"] == "text" and not block["text"].strip():
            yield f"{place}: text content blocks must contain non-whitespace text"


def _tool_pairs(request: Request, issued: Issued) -> Iterator[str]:
    turns: list[tuple[int, str, list[dict[str, Any]]]] = []  # messages of one role in a row count as one
    for index, message in enumerate(request.messages):
        if message["role"] == "system":
            continue
        if turns and turns[-1][1] == message["role"]:
            turns[-1][2].extend(blocks_of(message))
        else:
            turns.append((index, message["role"], list(blocks_of(message))))
    open_calls: set[str] = set()
    seen: set[str] = set()
    for index, _, blocks in [*turns, (len(request.messages), "", [])]:
        results = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if missing := sorted(open_calls - results):
            yield (
                f"messages.{index - 1}: `tool_use` ids were found without `tool_result` blocks immediately "
                f"after: {', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` "
                "block in the next message."
            )
        for stray in sorted(results - open_calls):
            yield (
                f"messages.{index}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: "
                f"{stray}. Each `tool_result` block must have a corresponding `tool_use` block in the "
                "previous message."
            )
        open_calls = {block["id"] for block in blocks if block["type"] == "tool_use"}
        if open_calls & seen:
            yield "messages: `tool_use` ids must be unique"
        seen |= open_calls


def model_unknown(request: Request) -> Refusal | None:
    """No provider knows a model whose name has a mark like `[1m]` behind it."""
    return Refusal(404, f"model: {request.model}") if "[" in request.model else None


def _tool_inputs(request: Request, issued: Issued) -> Iterator[str]:
    for place, block in all_blocks(request):
        if block["type"] in ("tool_use", "server_tool_use") and not isinstance(block.get("input", {}), dict):
            yield f"{place}.{block['type']}.input: Input should be a valid dictionary"


def _begins_with_the_user(request: Request, issued: Issued) -> Iterator[str]:
    roles = [message.get("role") for message in request.messages if message.get("role") != "system"]
    if roles[:1] == ["assistant"] and not any(block["type"] == "compaction" for _, block in all_blocks(request)):
        yield 'messages: first message must use the "user" role'


COMMON_RULES: tuple[Rule, ...] = (
    _shape,
    _headers,
    _signatures,
    _texts,
    _tool_pairs,
    _tool_inputs,
    _begins_with_the_user,
)
