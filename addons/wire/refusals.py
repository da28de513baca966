"""What a provider's error means: the predicates that decide what is tried next.

Rules that hold here:
- Only wordings that were seen in the wild are matched, and each has an example in the tests. An unknown one means
  "no": the error then goes to the client as it is, which is never wrong, only less helpful. Refusals of thinking
  blocks are the exception: they are known by what they name.
- Nothing is decided here. Whether an error is Anthropic's own (and must not be reworded), or comes from a
  fallback (and may be passed over), is known to the caller.
- Every function takes a `ProviderError` as `errors.read_error` made it: words, then the provider's codes.
"""

import re
from functools import cached_property
from typing import Final

from addons.wire.errors import ProviderError, error_type


class Wordings:
    """Wordings to look for, a pattern each. Compiled when that is first done: all of them would take a start 10 ms."""

    def __init__(self, *wordings: str) -> None:
        self.wordings = "|".join(wordings)

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        return re.compile(self.wordings, re.IGNORECASE | re.DOTALL)

    def search(self, text: str) -> re.Match[str] | None:
        return self.compiled.search(text)


NUMBER: Final = r"(?<![\w.-])\d[\d,]{0,14}(?![\w-])"

OVERFLOW: Final = Wordings(
    r"prompt (is )?too long",  # Anthropic, Ollama
    r"exceeds? context limit",  # Anthropic, with max_tokens counted in
    r"input is too long",  # Bedrock
    r"exceeds? the context window",  # OpenAI
    r"maximum context length",  # OpenAI, DeepSeek, OpenRouter, vLLM, SGLang, Mistral
    r"context length is only",  # vLLM
    r"context[_ ]length[_ ]exceeded",
    r"maximum allowed input length",  # Poolside
    r"input token count.{0,40}exceeds",  # Gemini
    r"prompt token count.{0,40}exceeds",  # GitHub Copilot
    r"maximum prompt length",  # xAI
    r"reduce the length of the (messages|input|prompt)",  # Groq
    r"longer than the model'?s context length",  # Together
    r"max_new_tokens.{0,3} must be <=",  # text-generation-inference
    r"exceeds? the available context size|exceed_context_size",  # llama.cpp
    r"greater than the context length",  # LM Studio
    r"configured context size",
    r"context window exceeds limit",  # MiniMax
    r"exceeded model token limit",  # Kimi
    r"prompt exceeds max length|model_context_window_exceeded",  # Z.AI
    r"range of input length should be",  # DashScope
    r"contextwindowexceeded",  # LiteLLM
    r"input tokens exceed the configured limit",  # OpenAI's GPT-5
    r"context size has been exceeded",  # LM Studio
    r"current length is \d{1,15} while limit is",  # Cerebras
    r"tokens in request more than max tokens allowed",  # several relays
    r"total tokens of image and text exceed",  # Volcengine
    r"max_tokens must be at least 1, got -",  # vLLM, when the prompt alone is larger than the context
    r"too_many_prompt_tokens|total length of all messages is too long",  # Reka
)
# Groq and OpenAI: one request larger than what a whole minute allows. No waiting makes it pass.
OVERSIZED: Final = Wordings(rf"request too large.{{0,200}}limit (?P<limit>{NUMBER}), requested (?P<asked>{NUMBER})")
# The first of these that is found anywhere in the text tells the maximum.
MAXIMUM: Final = (
    Wordings(rf">=? ?(?:n_ctx: ?)?({NUMBER})"),
    Wordings(rf"\[1, ?({NUMBER})\]"),
    Wordings(rf"<= ?({NUMBER})"),
    Wordings(rf"(?:maximum|context (?:length|size|window)|limit|model with)(?:(?!\bby\b)\D){{0,30}}({NUMBER})"),
)
SUM: Final = Wordings(rf"(?P<input>{NUMBER}) \+ (?P<output>{NUMBER}) > {NUMBER}")
# What is outside is an error code ("exceeds limit (2013)") or a date, not a number of tokens.
PLAUSIBLE: Final = range(2048, 100_000_000)

REPAIRED: Final = Wordings(r"prompt is too long", rf"exceed context limit: {SUM.wordings}")


def context_overflow(error: ProviderError) -> tuple[int | None, int | None] | None:
    """(tokens of the request, the most that fit) when the request was too long for the model, else None.

    Either number is None when the error does not tell it. A rate limit's "too many tokens" is no overflow.
    """
    oversized = OVERSIZED.search(error.message)
    if oversized and number(oversized["asked"]) > number(oversized["limit"]):
        return number(oversized["asked"]), number(oversized["limit"])
    if error.status in (401, 402, 403, 404, 429, 503, 529) or not OVERFLOW.search(error.message):
        return None
    found = next(filter(None, (wording.search(error.message) for wording in MAXIMUM)), None)
    maximum = number(found[1]) if found and number(found[1]) in PLAUSIBLE else None
    both = SUM.search(error.message)
    if both:
        return number(both["input"]) + number(both["output"]), maximum
    # The largest number of the text is the whole request; the smaller ones are its parts.
    tokens = [number(text) for text in re.findall(NUMBER, error.message)] if maximum else []
    return max((n for n in tokens if maximum and n > maximum and n in PLAUSIBLE), default=None), maximum


def number(text: str) -> int:
    return int(text.replace(",", ""))


def overflow_message(tokens: int | None, maximum: int | None) -> str:
    """The wording that makes Claude Code compact the conversation (it looks for `prompt is too long`). `tokens`: of
    the input, `maximum`: of the window; None: not known."""
    if tokens is not None and maximum is not None:
        return f"prompt is too long: {tokens} tokens > {maximum} maximum"
    if maximum is not None:
        return f"prompt is too long: more than the maximum of {maximum} tokens"
    return "prompt is too long: more than the model's context window holds"


def reworded(error: ProviderError) -> ProviderError:
    """A context overflow in the words that Claude Code knows, with the provider's own behind them.

    The error itself when it is none, or when Claude Code knows its words already: it compacts, or asks again
    with a smaller max_tokens.
    """
    overflow = context_overflow(error)
    if overflow is None or (error.status == 400 and REPAIRED.search(error.message)):
        return error
    return ProviderError(400, error_type(400), f"{overflow_message(*overflow)} ({error.message})")


MODEL_UNKNOWN: Final = Wordings(
    r"\bmodels?\b.{0,120}\b(not found|(does not|doesn't|not) exist|unknown|not a valid|invalid|unavailable)",
    r"\bmodels?\b.{0,120}\bnot (currently )?(available|supported|enabled|loaded|accessible)",
    r"\bmodels?\b.{0,120}\b(no longer|deprecated|decommissioned|retired|sunset)",
    r"(unknown|invalid|unsupported|no such|nonexistent|unrecognized|not found the) model",
    r"not a valid model|supported (api )?model names are|no models? loaded",
    r"no endpoints found|no allowed providers",  # OpenRouter
    r"model_not_found|deploymentnotfound|resource_not_found_error|no available channel for model",
    r"模型不存在|\b1211\b",  # Z.AI
)


def model_unknown(error: ProviderError) -> bool:
    """The provider does not have this model, or not for this key: 400, 403, 404 or 422 in words that name it.

    Anthropic says only `model: claude-nope` under its 404.
    """
    if error.status == 404 and error.message.startswith("model:"):
        return True
    return error.status in (400, 403, 404, 422) and MODEL_UNKNOWN.search(error.message) is not None


FIELD_UNKNOWN: Final = Wordings(
    r"extra (inputs|fields)( are)? not permitted|extra_forbidden|additional properties",
    r"un(known|recognized|supported|expected|permitted)[ _](request )?"
    r"(field|parameter|argument|param|key|name|property|value|variant|content|role|type|tool|beta|block|keyword)",
    r"(field|parameter|argument|param|property|value|role|type|tools?|beta|header|option|feature|content)\b.{0,80}"
    r"\b(not|isn't|aren't|no longer) (be )?(supported|allowed|permitted|recognized|available|accepted)",
    r"(does not|doesn't|do not) (currently )?support|not supported (by|for|with|on|in) (this|the)\b",
    r"does not match any of the expected tags",
    r"failed to deserialize",  # serde: unknown variant `system`, expected …
)


def field_unknown(error: ProviderError) -> bool:
    """The provider does not take a field, value, role, block or beta flag of the request: 400, 404 or 422."""
    return error.status in (400, 404, 422) and FIELD_UNKNOWN.search(error.message) is not None


BAD_SAMPLE: Final = Wordings(
    r"tool_use_failed|failed to call a function",  # Groq
    r"output_parse_failed|parsing failed. the model generated output",  # Groq
    r"json_validate_failed|failed to generate json",  # Groq
    r"tool call validation failed",  # Groq: a tool, or arguments, that the request doesn't have
    r"model did not call a tool",  # Groq, with tool_choice: required
    r"malformed_function_call",  # Gemini
)


def bad_sample(error: ProviderError) -> bool:
    """The model wrote something that its own server could not read: the request is fine, the next answer may be too."""
    return error.status in (400, 422, 500, 502) and BAD_SAMPLE.search(error.message) is not None


THINKING_BLOCK: Final = Wordings(
    r"redacted_thinking",
    r"\bthinking\b.{0,80}\bblocks?\b|\bblocks?\b.{0,80}\bthinking\b",
    r"signature.{0,40}\bthinking|\bthinking.{0,40}signature",
    r"\bcontent[.\[]\d+\]?\.thinking\b",
    # Quoted by itself it is a block, unless what follows makes it the setting: "when `thinking` is enabled".
    r"[`'\"]thinking[`'\"](?! (is|are|to be|must be|may|mode|parameter|field|config|setting|strategy)\b)",
)
MESSAGE_NAMED: Final = Wordings(r"\bmessages?\b|\bassistant\b", r"\bblocks?\b", r"\bsignature", r"redacted_thinking")
THINKING_MISSING: Final = Wordings(r"\bpassed back\b|\breasoning_content\b|\breasoning\b.{0,40}\bmissing\b")


def thinking_refused(error: ProviderError) -> bool:
    """Anthropic's 400 about thinking blocks in the history, which sending none of them repairs: whatever its words
    are, it names a thinking block and where it stands.

    Not the settings (`budget_tokens`, `adaptive`), and not DeepSeek's complaint that thinking is *missing*.
    """
    if error.status != 400 or THINKING_MISSING.search(error.message):
        return False
    return bool(THINKING_BLOCK.search(error.message) and MESSAGE_NAMED.search(error.message))


CREDENTIAL: Final = Wordings(
    r"token|oauth|credential|bearer|api[- ]?key|authenti|unauthori[sz]ed|account|organi[sz]ation"
)
DISABLED: Final = Wordings(
    r"(organi[sz]ation|account)\b.{0,20}\b(has been |is |was )?(disabled|banned|suspended|deactivated)",
    r"account_banned|oauth_org_not_allowed",
)
TOKEN_REFUSED: Final = Wordings(
    r"\boauth\b",
    r"token (has been|has|is|was)? ?(revoked|expired|invalid|disabled)|token.{0,60}scope",
    r"no longer a member",
)


def token_refused(error: ProviderError) -> bool:
    """The credential itself is no good, so another one is worth trying and this one is not.

    401 in words about a credential (a proxy's empty or unrelated 401 is not), 403 about OAuth or the account,
    and Anthropic's 400 "This organization has been disabled.". A 403 about a model, region or quota is none.
    """
    if error.status == 401:
        return CREDENTIAL.search(error.message) is not None
    if error.status == 403 and TOKEN_REFUSED.search(error.message):
        return True
    return error.status in (400, 403) and DISABLED.search(error.message) is not None


CREDIT_REFUSED: Final = Wordings(
    r"extra usage|credit balance|out of credits|add (more )?credits|more credits|purchase credits",
    r"insufficient[ _](credit|balance|fund|quota)|billing[ _]details|billing_hard_limit",
    r"spend(ing)?[ _-](cap|limit)",
)


def credit_refused(error: ProviderError) -> bool:
    """The request would cost money that the account does not have or may not spend; waiting does not help.

    A 429 of Anthropic says so too: "Extra usage is required for long context requests."
    """
    if error.status == 402 or error.type == "billing_error":
        return True
    return error.status in (400, 403, 429) and CREDIT_REFUSED.search(error.message) is not None


ACCOUNT_REFUSED: Final = Wordings(
    r"not (yet )?(available|allowed|enabled|supported) (for|on|with|in) (this|your) "
    r"(subscription|account|plan|organi[sz]ation)",
    r"(subscription|account|plan|organi[sz]ation)\b.{0,30}\b(does not|doesn't|do not) (have|include|allow)",
)


def account_refused(error: ProviderError) -> bool:
    """The request is more than this account may ask for (its plan lacks a model or a beta), so that another account may
    serve it: 400 or 403 in words about the subscription, account or plan. The account itself is in order."""
    return error.status in (400, 403) and ACCOUNT_REFUSED.search(error.message) is not None


ENDPOINT_UNKNOWN: Final = Wordings(
    r"(unknown|invalid|unsupported|no such)[ _](request )?(path|url|endpoint|route)|no route|count_tokens",
    r"404 not[ _]found",  # Z.AI, in a 500 under a 200
    r"no parser registered",
)


def endpoint_unknown(error: ProviderError) -> bool:
    """The provider does not serve this path (`count_tokens` is missing at most of them)."""
    return error.status in (404, 405, 501) or (
        error.status in (400, 500) and ENDPOINT_UNKNOWN.search(error.message) is not None
    )
