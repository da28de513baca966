"""What one JSON object of a chat provider says: a chunk of a stream, or a whole answer.

Rules that hold here:
- Providers are told apart by what they send, never by their names. What a field means when it is missing, null, empty
  or of another type than OpenAI's is decided here and nowhere else.
- Nothing raises on what a provider sent.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from addons.wire import raw_json as pieces
from addons.wire.chat.reasoning import DETAILS, FIELDS, text_of
from addons.wire.errors import ProviderError
from addons.wire.usage import Usage

Json = dict[str, Any]

_decode: Final = msgspec.json.Decoder().decode

STOP_REASONS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "max_tokens": "max_tokens",
    "model_length": "max_tokens",  # Mistral
    "model_context_window_exceeded": "model_context_window_exceeded",  # Z.AI
    "content_filter": "refusal",
    "refusal": "refusal",
    "safety": "refusal",  # Gemini
    "sensitive": "refusal",  # Z.AI
}
"""What a finish_reason means when no tool was called; any other is an end like `stop`."""

_FAILURES: Final = {
    "error": 500,  # OpenRouter, Mistral
    "network_error": 500,  # Z.AI
    "insufficient_system_resource": 529,  # DeepSeek
    "engine_overloaded": 529,
}
"""A finish_reason that means that the answer failed, and the status it stands for."""

_CACHED: Final = (
    ("prompt_tokens_details", "cached_tokens"),  # OpenAI and most
    ("prompt_cache_hit_tokens",),  # DeepSeek
    ("num_cached_tokens",),  # Mistral
    ("cached_tokens",),  # Moonshot, Together
    ("cache_read_input_tokens",),  # Databricks
)
_CREATED: Final = (
    ("cache_creation_input_tokens",),  # Databricks
    ("prompt_tokens_details", "cache_creation_tokens"),
    ("prompt_tokens_details", "cache_write_tokens"),  # OpenRouter
)


def decode(data: bytes) -> Any:
    """The JSON value of an event's data or of a body; None when it is none (or null).

    Takes what JSON parsers differ about: NaN, halves of surrogate pairs, raw control characters, bytes that are no
    UTF-8.
    """
    try:
        return _decode(data)
    except (ValueError, RecursionError):
        text = data.decode("utf-8-sig", "replace").encode()
    try:
        return json.loads(pieces.without_lone_surrogates(text)[0], strict=False)
    except (ValueError, RecursionError):
        return None


def is_error(chunk: Json) -> bool:
    """Whether an object is an error in place of (the rest of) an answer. Recorded: `{"error": …}` with and without
    choices, `{"object": "error", "message": …}`, `{"detail": …}`, `{"code": …, "message": …}`, `{"base_resp": …}`."""
    if chunk.get("error"):
        return True
    if chunk.get("choices"):
        return False
    if chunk.get("object") == "error" or chunk.get("type") == "error" or chunk.get("detail"):
        return True
    base = chunk.get("base_resp")
    if isinstance(base, dict) and base.get("status_code"):
        return True
    return isinstance(chunk.get("message"), str) and ("code" in chunk or "status" in chunk)


def first_choices(chunk: Json) -> list[Json]:
    """The choices that are the answer. One, as `n` is 1; Copilot spreads text and calls over several of index 0."""
    choices = chunk.get("choices")
    if not isinstance(choices, list):
        return []
    return [choice for choice in choices if isinstance(choice, dict) and choice.get("index", 0) in (0, None)]


def failure(provider: str, finish_reason: str) -> ProviderError | None:
    """The error that a finish_reason stands for."""
    status = _FAILURES.get(finish_reason)
    if status is None:
        return None
    kind = "overloaded_error" if status == 529 else "api_error"
    return ProviderError(status, kind, f"{provider} broke off its answer (finish_reason: {finish_reason})")


def reasoning_in(delta: Json) -> tuple[str, str, list[Json]]:
    """(text, the field it is in, entries of reasoning_details) of a delta or message."""
    found = delta.get(DETAILS)
    details = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    for name in FIELDS:
        text = delta.get(name)
        if isinstance(text, str) and text:
            return text, name, details
    return "".join(map(text_of, details)) if details else "", FIELDS[0], details


def content_in(content: Any) -> Iterator[tuple[str, str]]:
    """(kind, text) of each piece of `content`: kind is text, thinking, refusal, or the type of what is none of them."""
    if isinstance(content, str):
        if content:
            yield "text", content
        return
    for part in content if isinstance(content, list) else [content]:
        match part:
            case str(text) | {"type": "text" | "output_text", "text": str(text)}:
                yield "text", text
            case {"type": "thinking", "thinking": thinking}:
                yield "thinking", "".join(text for _, text in content_in(thinking))
            case {"type": "refusal", "refusal": str(text)}:
                yield "refusal", text
            case {"type": str(kind)}:
                yield kind, ""


def calls_in(delta: Json) -> list[Json]:
    """The entries of `tool_calls`; the older `function_call` is one."""
    calls = delta.get("tool_calls")
    found = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    function = delta.get("function_call")
    if isinstance(function, dict):
        found.append({"index": 0, "function": function})
    return found


def usage_in(chunk: Json, choices: list[Json]) -> Iterator[Json]:
    """The usage objects of a chunk: its own, a choice's (Moonshot), Groq's. Those that count come last."""
    extra = chunk.get("x_groq")
    for holder in (extra, *choices, chunk):
        usage = holder.get("usage") if isinstance(holder, dict) else None
        if isinstance(usage, dict):
            yield usage


class Tokens:
    """The numbers of one answer, as the provider counts: everything read, what of it was cached, what was written."""

    __slots__ = ("cached", "completion", "created", "prompt")

    def __init__(self) -> None:
        self.prompt = self.completion = self.cached = self.created = 0

    def take(self, usage: Json) -> None:
        """One usage object. They are cumulative; the last number that isn't zero or null counts."""
        self.prompt = _number(usage, "prompt_tokens") or self.prompt
        self.completion = _number(usage, "completion_tokens") or self.completion
        self.cached = next(filter(None, (_number(usage, *path) for path in _CACHED)), self.cached)
        self.created = next(filter(None, (_number(usage, *path) for path in _CREATED)), self.created)

    def put(self, usage: Usage) -> None:
        """Sets the numbers as Anthropic counts them: `input_tokens` has neither been read from a cache nor written."""
        usage.input_tokens = max(self.prompt - self.cached - self.created, 0)
        usage.output_tokens = self.completion
        usage.cache_read_input_tokens = self.cached
        usage.cache_creation_input_tokens = self.created


def _number(usage: Any, *path: str) -> int:
    for name in path:
        usage = usage.get(name) if isinstance(usage, dict) else None
    return int(usage) if isinstance(usage, int | float) and 0 < usage < 1e15 else 0
