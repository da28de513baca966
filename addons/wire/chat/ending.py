"""How a chat provider's answer ended, in Anthropic's words.

Rules that hold here: what a reason means is looked up by the whole of it, then by the part before a colon
(`content_filter: RECITATION`). A reason that is in none of the tables is a failure: an agent that takes half an answer
for a whole one believes that it is done.
"""

from collections.abc import Collection
from typing import Any, Final

from addons.wire.errors import ProviderError

Json = dict[str, Any]

_CALLS: Final = ("tool_calls", "tool_call", "tool_use", "function_call", "function_calls", "tool_calls_end")
"""What is said at the end of an answer that calls tools."""

_END: Final = (
    *("stop", "end_turn", "eos", "eos_token", "stop_sequence", "stop_token", "end", "complete", "completed", "done"),
    *("eos_found", "stop_str", "finish", "finished", "normal", "success"),
    *_CALLS,
)

STOP_REASONS: Final = dict.fromkeys(_END, "end_turn") | {
    "length": "max_tokens",
    "max_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "max_length": "max_tokens",
    "max_new_tokens": "max_tokens",
    "token_limit": "max_tokens",
    "length_limit": "max_tokens",
    "model_length": "max_tokens",  # Mistral
    "model_context_window_exceeded": "model_context_window_exceeded",  # Z.AI
    "content_filter": "refusal",
    "content_filtered": "refusal",
    "refusal": "refusal",
    "safety": "refusal",  # Gemini, with those that follow
    "image_safety": "refusal",
    "recitation": "refusal",
    "blocklist": "refusal",
    "prohibited_content": "refusal",
    "spii": "refusal",
    "sensitive": "refusal",  # Z.AI
    "guardrail_intervened": "refusal",  # Bedrock
}
"""What a finish_reason means when no tool was called."""

_FAILURES: Final = {
    "error": 500,  # OpenRouter, Mistral
    "network_error": 500,  # Z.AI
    "abort": 500,  # vLLM, SGLang
    "function_call_filter": 500,  # Gemini: MALFORMED_FUNCTION_CALL, UNEXPECTED_TOOL_CALL
    "malformed_function_call": 500,
    "insufficient_system_resource": 529,  # DeepSeek
    "engine_overloaded": 529,
}
"""A finish_reason that is known to mean a failed answer, and the status it stands for; an unknown one is a 500."""

_PREFIXES: Final = ("finishreason.", "finish_reason_")
"""What enumerations put before a reason: Python's and Google's."""

_MATCHED: Final = ("stop_reason", "matched_stop")
"""Where vLLM and SGLang tell the stop sequence that ended the answer."""


class Ending:
    """What one answer has told of its end so far."""

    __slots__ = ("begun", "only_usage", "reason", "stop_sequence")

    def __init__(self) -> None:
        self.begun = False
        """A message or a piece of one came."""
        self.only_usage = False
        """The chunk that holds nothing but usage came, which is the last one."""
        self.reason = ""
        """The finish_reason, in lower case."""
        self.stop_sequence: str | None = None
        """The one that the provider says it stopped at."""

    @property
    def says_calls(self) -> bool:
        """Whether it was said that tools were called."""
        return self.reason in _CALLS

    @property
    def announced(self) -> bool:
        """Whether an end was announced: a stream that stops now is whole."""
        return bool(self.reason) or self.only_usage

    def take(self, choice: Json, provider: str) -> ProviderError | None:
        """A choice: the error that its finish_reason stands for."""
        reason = choice.get("finish_reason")
        if not isinstance(reason, str) or not reason or reason == "null":
            return None
        self.reason = reason.strip().lower().replace("-", "_")
        for prefix in _PREFIXES:
            self.reason = self.reason.removeprefix(prefix)
        self.stop_sequence = next((word for name in _MATCHED if isinstance(word := choice.get(name), str)), None)
        return failure(provider, self.reason)

    def stop_reason(self, stops: Collection[str]) -> tuple[str, str | None]:
        """(stop_reason, stop_sequence) of an answer without tool calls to a request with these stop sequences."""
        meaning = STOP_REASONS.get(known(self.reason), "end_turn")
        if meaning == "end_turn" and self.stop_sequence in stops:
            return "stop_sequence", self.stop_sequence
        return meaning, None


def known(reason: str) -> str:
    """The key of the tables for a finish_reason in lower case."""
    return reason if reason in STOP_REASONS or reason in _FAILURES else reason.partition(":")[0].strip()


def failure(provider: str, reason: str) -> ProviderError | None:
    """The error that a finish_reason in lower case stands for."""
    key = known(reason)
    if key in STOP_REASONS:
        return None
    status = _FAILURES.get(key, 500)
    kind = "overloaded_error" if status == 529 else "api_error"
    return ProviderError(status, kind, f"{provider} broke off its answer (finish_reason: {reason[:200]})")
