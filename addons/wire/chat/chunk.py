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

from addons.wire import raw_json
from addons.wire.chat.reasoning import FIELDS, LISTS, OPAQUE, Reasoning, text_of
from addons.wire.usage import Usage

Json = dict[str, Any]

_decode: Final = msgspec.json.Decoder().decode

_REASONING: Final = frozenset({*FIELDS, *LISTS, *OPAQUE})

_SIGNED: Final = frozenset({*LISTS, *OPAQUE})

_CACHED: Final = (
    "prompt_cache_hit_tokens",  # DeepSeek
    "num_cached_tokens",  # Mistral
    "cached_tokens",  # Moonshot, Together
    "cache_read_input_tokens",  # Databricks
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
        return json.loads(raw_json.without_lone_surrogates(text)[0], strict=False)
    except (ValueError, RecursionError):
        return None


def is_error(chunk: Json) -> bool:
    """Whether an object is an error in place of (the rest of) an answer. Recorded: `{"error": …}` with and without
    choices, `{"object": "error", "message": …}`, `{"detail": …}`, `{"code": …, "message": …}`, `{"base_resp": …}`."""
    if chunk.get("error"):
        return True
    if chunk.get("choices"):
        return False
    if chunk.get("object") == "error" or chunk.get("type") == "error" or chunk.get("detail") or chunk.get("errors"):
        return True
    base = chunk.get("base_resp")
    if isinstance(base, dict) and base.get("status_code"):
        return True
    if isinstance(chunk.get("error_msg"), str):
        return True
    return any(isinstance(chunk.get(key), str) for key in ("message", "msg")) and ("code" in chunk or "status" in chunk)


def first_choices(chunk: Json) -> list[Json]:
    """The choices that are the answer. One, as `n` is 1; Copilot spreads text and calls over several of index 0."""
    choices = chunk.get("choices")
    if not isinstance(choices, list):
        return []
    return [choice for choice in choices if isinstance(choice, dict) and choice.get("index", 0) in (0, None, "0")]


def reasoning_in(delta: Json) -> tuple[str, Reasoning] | None:
    """The text of a delta's or message's reasoning, and what is to be remembered of it; None where it has none."""
    if _REASONING.isdisjoint(delta):
        return None
    if _SIGNED.isdisjoint(delta):
        for name in FIELDS:
            text = delta.get(name)
            if text and isinstance(text, str):
                return text, Reasoning(name)
        return None
    lists = {name: found for name in LISTS if name in delta and (found := objects(delta[name]))}
    opaque = {name: value for name in OPAQUE if isinstance(value := delta.get(name), str) and value}
    for name in FIELDS:
        text = delta.get(name)
        if isinstance(text, str) and text:
            return text, Reasoning(name, lists, opaque=opaque)
    if not lists and not opaque:
        return None
    text = "".join(map(text_of, next(iter(lists.values())))) if lists else ""
    return text, Reasoning(FIELDS[2] if opaque else FIELDS[0], lists, opaque=opaque)


def content_in(content: Any) -> Iterator[tuple[str, str]]:
    """(kind, text) of each piece of `content`: kind is text, thinking, refusal, or the type of what is none of them.

    An object that is no part, or a number, is an answer in JSON that was decoded on its way (Cloudflare): its text is
    that JSON.
    """
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
            case {"type": str(kind)} if part is not content:
                yield kind, ""
            case dict() | int() | float():
                yield "text", bytes(raw_json.dump(part)).decode()


def calls_in(delta: Json) -> list[Json]:
    """The entries of `tool_calls`, which may be one that stands there without its list."""
    calls = delta.get("tool_calls")
    return [calls] if isinstance(calls, dict) else objects(calls)


def function_call_in(delta: Json) -> Json | None:
    """What the older field `function_call` says; None where that is nothing."""
    function = delta.get("function_call")
    if not isinstance(function, dict) or not (function.get("name") or function.get("arguments")):
        return None
    return {"index": 0, "function": function}


def objects(value: Any) -> list[Json]:
    """The objects of a list; none where it is something else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def usage_in(chunk: Json, choices: list[Json]) -> Iterator[Json]:
    """The usage objects of a chunk: its own, a choice's (Moonshot), Groq's. Those that count come last."""
    extra = chunk.get("x_groq")
    for holder in (extra, *choices, chunk):
        usage = holder.get("usage") if isinstance(holder, dict) else None
        if isinstance(usage, dict):
            yield usage


class Tokens:
    """The numbers of one answer, as the provider counts: everything read, what of it was cached, what was written."""

    __slots__ = ("cached", "completion", "created", "prompt", "total")

    def __init__(self) -> None:
        self.prompt = self.completion = self.cached = self.created = self.total = 0

    def take(self, usage: Json) -> None:
        """One usage object. They are cumulative; the last number that isn't zero or null counts. (Some providers send
        one with every chunk.)"""
        self.prompt = _first(usage, "prompt_tokens", "input_tokens") or self.prompt
        self.completion = _first(usage, "completion_tokens", "output_tokens") or self.completion
        self.total = _first(usage, "total_tokens") or self.total
        details = usage.get("prompt_tokens_details")  # OpenAI's and most others'
        details = details if isinstance(details, dict) else {}
        self.cached = _first(details, "cached_tokens") or _first(usage, *_CACHED) or self.cached
        created = _first(usage, "cache_creation_input_tokens")  # Databricks
        self.created = created or _first(details, "cache_creation_tokens", "cache_write_tokens") or self.created

    def put(self, usage: Usage) -> None:
        """Sets the numbers as Anthropic counts them: `input_tokens` has neither been read from a cache nor written.

        Most providers' prompt includes what was cached, so more cached than read means that it doesn't (Grok on Azure);
        what was written is a part of the rest (OpenRouter tells it twice). A total that is larger than both holds the
        reasoning, which xAI and Gemini don't count as completion.
        """
        cached, created = self.cached, self.created
        read = self.prompt
        if cached > read:
            read += cached + created
        created = min(created, read - cached)
        unaccounted = self.total - read - self.completion if self.completion else 0
        if unaccounted in (cached, created, cached + created):
            unaccounted = 0
        usage.input_tokens = read - cached - created
        usage.output_tokens = self.completion + max(unaccounted, 0)
        usage.cache_read_input_tokens = cached
        usage.cache_creation_input_tokens = created
        usage.is_final = self.completion > 0


def _first(usage: Json, *names: str) -> int:
    """The first of these numbers that is one."""
    for name in names:
        value = usage.get(name)
        if value is None:
            continue
        if isinstance(value, str) and value.isdecimal() and len(value) < 16:
            value = int(value)
        if isinstance(value, int | float) and 0 < value < 1e15 and int(value):
            return int(value)
    return 0
