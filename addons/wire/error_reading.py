"""The error that a provider answered with, read out of a body of any shape: JSON of anybody's, an HTML page, a text.

Rules that hold here:
- Nothing raises on what a provider sent: whatever the bytes are, `read_error` gives an error with words.
- The provider's own words stay inside the message; saying who said them is up to the caller.
"""

import html
import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from addons.wire.errors import STATUSES, ProviderError, error_type
from addons.wire.limits import ERROR_WORDS

# Z.AI's codes, which also come under HTTP 200: rate and plan limits, and "the model is overloaded".
CODE_STATUSES: Final = {
    "1302": 429,
    "1303": 429,
    "1304": 429,
    "1308": 429,
    "1310": 429,
    "1305": 529,
    "1312": 529,
}

# What an error that comes under a 200 calls itself: OpenAI's codes, gRPC's statuses in Google's errors.
WORD_STATUSES: Final = {
    "invalid_api_key": 401,
    "unauthenticated": 401,
    "permission_denied": 403,
    "model_not_found": 404,
    "not_found": 404,
    "resource_exhausted": 429,
    "deadline_exceeded": 504,
    "authenticationerror": 401,  # vLLM's and SGLang's names are those of classes
    "permissiondeniederror": 403,
    "notfounderror": 404,
    "ratelimiterror": 429,
    "badrequesterror": 400,
    "unprocessableentityerror": 422,
    "content_filter": 400,
    "content_policy_violation": 400,
    "context_length_exceeded": 400,
    "failed_precondition": 400,
    "invalid_argument": 400,
    "invalid_prompt": 400,
    "invalid_request": 400,
    "invalid_value": 400,
    "out_of_range": 400,
    "output_parse_failed": 400,
    "string_above_max_length": 400,
    "tool_use_failed": 400,
    "unsupported_parameter": 400,
    "unsupported_value": 400,
}

# Where the words are, most telling first; then what completes them: {"error": "Bad Request", "message": "…"},
# OAuth's description, Spring's path.
WORD_KEYS: Final = (
    "error",
    "upstream_error",
    "message",
    "detail",
    "msg",
    "error_msg",
    "errors",
    "base_resp",
    "status_msg",
)
MORE_KEYS: Final = ("message", "error_description", "path")
CODE_KEYS: Final = ("code", "error_code", "status_code", "statusCode", "http_code")
STATUS_KEYS: Final = (*CODE_KEYS, "status", "http_status")
HTTP_ERROR: Final = re.compile(r"[45]\d\d")

PAGE_LIMIT: Final = 300
PAGE_SCAN_LIMIT: Final = 32_768


def read_error(status: int, content_type: str, body: bytes) -> ProviderError:
    """The error in a response body of any shape, or in the data of an SSE event.

    With a `status` below 400 (an error under a 200), or one that HTTP doesn't have, the real one comes from the error's
    type or code; it is 500 when neither tells.
    """
    came = status
    text = body.decode("utf-8-sig", "replace").strip()
    document = json_in(text)
    try:
        found = words_in(document)
    except RecursionError:
        found = ErrorWords()
    words = found.words
    if not words:
        is_page = "html" in content_type.lower() or text[:1] == "<"
        words = page_words(text) if is_page else one_line(text, ERROR_WORDS)
    if not 400 <= status < 600:
        status = implied_status(found, words)
    if not words:
        words = f"HTTP {came} with an empty body"
    # Anthropic's envelope may say more than the status (a 400 billing_error); others use its words loosely.
    enveloped = isinstance(document, dict) and document.get("type") == "error" and found.type in STATUSES
    return ProviderError(status, found.type if enveloped else error_type(status), complete(words, status, found))


class ErrorWords(NamedTuple):
    """What a decoded error says; empty strings for what it does not say."""

    words: str = ""
    type: str = ""
    code: str = ""
    status: str = ""
    """The first of its codes that is an HTTP status, or Google's word for one."""


def words_in(value: Any) -> ErrorWords:
    """What a decoded JSON value says as an error, whoever made it."""
    match value:
        case str():
            # Relays put the upstream's whole JSON body into their own message.
            inner = words_in(json_in(value.strip()))
            return inner if inner.words else ErrorWords(value.strip())
        case list():
            return words_in_list(value)
        case dict():
            return words_in_object(value)
        case _:
            return ErrorWords()


def words_in_object(value: dict[str, Any]) -> ErrorWords:
    own_type = scalar(value.get("type"))
    code = next(filter(None, (scalar(value.get(key)) for key in CODE_KEYS)), "")
    statuses = [scalar(value.get(key)) for key in STATUS_KEYS]
    status = next(filter(HTTP_ERROR.fullmatch, statuses), "")
    status = status or next((word for word in statuses if word.lower() in WORD_STATUSES), "")
    inner = next((found for found in (words_in(value.get(key)) for key in WORD_KEYS) if found.words), ErrorWords())
    words = inner.words
    for key in MORE_KEYS:
        more = value.get(key)
        if words and isinstance(more, str) and more.strip() and words_in(more).words not in words:
            words = f"{words}: {more.strip()}"
    if words and (size := value.get("n_ctx")) and (tokens := value.get("n_prompt_tokens")):
        words = f"{words} ({tokens} tokens > {size})"  # llama.cpp, whose older texts hold no numbers
    metadata = value.get("metadata")
    if isinstance(metadata, dict):
        words = with_upstream(words, metadata)
    # {"type": "error", "error": {"type": …}}: the inner type is the one that says something.
    return ErrorWords(words, inner.type or own_type, inner.code or code, inner.status or status)


def words_in_list(values: list[Any]) -> ErrorWords:
    """The words of a list: FastAPI's list of validation errors, or Gemini's list that holds one error."""
    items = [words_in(value) for value in values[:5]]
    parts = [located(value, found.words) for value, found in zip(values, items, strict=False) if found.words]
    first = items[0] if items else ErrorWords()
    return ErrorWords("; ".join(parts), first.type, first.code, first.status)


def located(value: Any, words: str) -> str:
    location = value.get("loc") if isinstance(value, dict) else None
    return f"{'.'.join(map(str, location))}: {words}" if isinstance(location, list) else words


def with_upstream(words: str, metadata: Mapping[str, Any]) -> str:
    """OpenRouter says "Provider returned error" and keeps what was said in `metadata.raw`, often as JSON."""
    inner = words_in(metadata.get("raw")).words
    name = scalar(metadata.get("provider_name"))
    who = f"{words} ({name})" if name else words
    return f"{who}: {inner}" if inner and words else inner or words


def json_in(text: str) -> Any:
    """The JSON document in a body: the body itself, or the first `data:`/`error:` line of an event stream."""
    if text[:1] not in ("{", "["):
        line = re.search(r"^(?:data|error):\s*(\{.*)$", text, re.MULTILINE)
        text = line[1] if line else ""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def scalar(value: Any) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def complete(words: str, status: int, found: ErrorWords) -> str:
    """The words, with the provider's own type and code behind them where these say more than the status."""
    names = (name[:80] for name in dict.fromkeys((found.type, found.code)) if name and name not in STATUSES)
    more = [name for name in names if name not in ("error", str(status)) and name not in words]
    text = words if len(words) <= ERROR_WORDS else words[: ERROR_WORDS - 1] + "…"
    text = f"{text} ({', '.join(more)})" if more else text
    return text.encode("utf-8", "replace").decode()  # a lone surrogate would break the log it is written to


def implied_status(found: ErrorWords, words: str) -> int:
    """The HTTP status of an error that came under a 200."""
    if found.type in STATUSES:
        return STATUSES[found.type]
    if HTTP_ERROR.fullmatch(found.code):
        return int(found.code)
    if found.code in CODE_STATUSES:
        return CODE_STATUSES[found.code]
    if HTTP_ERROR.fullmatch(found.status):
        return int(found.status)
    for word in (found.status, found.code, found.type):
        if word.lower() in WORD_STATUSES:
            return WORD_STATUSES[word.lower()]
    hints = f"{found.type} {found.code} {words}".lower()
    if re.search(r"rate.?limit|too many requests|quota", hints):
        return 429
    if re.search(r"overload|capacity|unavailable", hints):
        return 529
    return 500


# No piece of it can run past the next "<": a page of unclosed tags is read in linear time.
MARKUP: Final = re.compile(
    r"<(script|style|title)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)|<[^<>]*>?", re.IGNORECASE | re.DOTALL
)


# No character has a number of so many digits, and Python refuses to read one of thousands.
LONG_REFERENCE: Final = re.compile(r"&#[xX]?[0-9a-fA-F]{9,}+;?")


def unescaped(text: str) -> str:
    """The text with characters in place of HTML's references to them."""
    return html.unescape(LONG_REFERENCE.sub("", text))


def page_words(text: str) -> str:
    """The title and the visible text of an HTML page, as one short line."""
    text = text[:PAGE_SCAN_LIMIT]
    title = re.search(r"<title\b[^<>]*>([^<]*)", text, re.IGNORECASE)
    head = one_line(unescaped(title[1]), PAGE_LIMIT) if title else ""
    rest = one_line(unescaped(MARKUP.sub(" ", text)), PAGE_LIMIT)
    both = rest if not head or rest.startswith(head) else f"{head}: {rest}" if rest else head
    return one_line(both, PAGE_LIMIT)


def one_line(text: str, limit: int) -> str:
    """The text on one line, of at most `limit` characters; `…` stands for what was cut off."""
    line = " ".join(text[: limit * 20].split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
