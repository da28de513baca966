"""What scripted providers can be told to do: messages, errors, misbehaviour, and a model in a tool loop.

Rules of this file:
- Everything is a `Reply`: an `Answer` or a function of the request. `deliver`, `drop`, `end`, `insert` and
  `with_headers` stack on any of them: `drop(deliver(say("hi"), gzip=True), events=2, then="rst")`.
- The names that tests and the demo need from `answers.py` and `messages.py` are found here too.
"""

import json
from collections.abc import Mapping
from typing import Any

from .answers import (
    Answer,
    Endless,
    Gate,
    Pause,
    Piece,
    Raw,
    Reply,
    Then,
    change,
    deliver,
    drop,
    end,
    insert,
    resolve,
    with_headers,
)
from .messages import (
    USAGE,
    Block,
    Message,
    chat,
    event,
    message,
    redacted_thinking,
    say,
    sign,
    text,
    thinking,
    tool_use,
)
from .request import Request, blocks_of

__all__ = [
    "NO_RETRY", "USAGE", "Answer", "Block", "Endless", "Gate", "Message", "Pause", "Piece", "Raw", "Reply", "Request",
    "Then", "agent", "broken_chunk", "change", "chat", "close_at_accept", "count_tokens", "deliver", "drop",
    "empty_error", "end", "endless_pings", "error", "error_event", "error_first", "event", "hang", "html_error",
    "insert", "invalid_event", "last_message", "message", "not_found", "oauth_429", "openai_error",
    "plain_error", "redacted_thinking", "redirect", "reset", "resolve", "say", "sign", "silent_close",
    "text", "thinking", "tool_use", "trickle", "windowless_429", "with_headers",
    "wrong_content_type",
]  # fmt: skip

NO_RETRY = {"x-should-retry": "false"}
"""The header of an error that the Anthropic SDK is not to repeat."""

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def _json(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Answer:
    fields = (("content-type", "application/json"), *(headers or {}).items())
    return Answer(status=status, headers=fields, pieces=(json.dumps(body).encode(),))


def count_tokens(input_tokens: int) -> Answer:
    """The answer of /v1/messages/count_tokens."""
    return _json(200, {"input_tokens": input_tokens})


# Errors with a status.


def error(status: int, text: str = "", *, kind: str | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """An error in Anthropic's envelope."""
    kind = kind or ERROR_TYPES.get(status, "api_error")
    body = {"type": "error", "error": {"type": kind, "message": text or kind}, "request_id": "req_error"}
    return _json(status, body, {"request-id": "req_error", **(headers or {})})


def openai_error(
    status: int, text: str, *, code: str | int | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """An error in OpenAI's shape."""
    body = {"error": {"message": text, "type": "invalid_request_error", "param": None, "code": code}}
    return _json(status, body, headers)


def plain_error(status: int, body: str | bytes, *, headers: Mapping[str, str] | None = None) -> Answer:
    """An error in plain text (or any other bytes)."""
    data = body.encode() if isinstance(body, str) else body
    fields = (("content-type", "text/plain; charset=utf-8"), *(headers or {}).items())
    return Answer(status=status, headers=fields, pieces=(data,))


def html_error(status: int = 502) -> Answer:
    """What a load balancer says when the provider behind it is down."""
    page = f"<html><head><title>{status}</title></head><body><h1>{status} Bad Gateway</h1></body></html>"
    return Answer(status=status, headers=(("content-type", "text/html"),), pieces=(page.encode(),))


def empty_error(status: int) -> Answer:
    """A status and nothing else."""
    return Answer(status=status)


def not_found(request: Request) -> Answer:
    return error(404, f"{request.method} {request.path}")


def redirect(location: str, *, status: int = 307) -> Answer:
    return Answer(status=status, headers=(("location", location),))


def oauth_429(
    rejected: Mapping[str, float],
    *,
    allowed: Mapping[str, float] | None = None,
    retry_after: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """The 429 of an OAuth account that has reached a limit.

    `rejected` and `allowed` map rate-limit windows ("5h", "7d", "7d_oi": bound to a model) to their reset, in
    seconds since 1970. The claim is the rejected window that comes back last.
    """
    prefix = "anthropic-ratelimit-unified"
    claim = max(rejected, key=lambda window: rejected[window])
    claims = {"5h": "five_hour", "7d": "seven_day", "7d_oi": "seven_day_oi"}
    fields = {
        f"{prefix}-status": "rejected",
        f"{prefix}-reset": f"{rejected[claim]:.0f}",
        f"{prefix}-representative-claim": claims.get(claim, claim),
        f"{prefix}-fallback": "unavailable",
        f"{prefix}-overage-status": "rejected",
        f"{prefix}-overage-disabled-reason": "out_of_credits",
    }
    for status, windows in (("allowed", allowed or {}), ("rejected", rejected)):
        for window, reset in windows.items():
            fields[f"{prefix}-{window}-status"] = status
            fields[f"{prefix}-{window}-reset"] = f"{reset:.0f}"
            fields[f"{prefix}-{window}-utilization"] = "1.0" if status == "rejected" else "0.4"
    if retry_after is not None:
        fields["retry-after"] = f"{retry_after:.0f}"
    text = "This request would exceed your account's rate limit. Please try again later."
    return error(429, text, headers={**fields, **(headers or {})})


def windowless_429() -> Answer:
    """A 429 that says nothing about the account: no rate-limit header, just that asking again helps."""
    return error(429, "Error", headers={"x-should-retry": "true"})


# Misbehaviour. A port that refuses connections is `Provider.refuse`.


def silent_close() -> Reply:
    """Reads the request and closes the connection without a word."""
    return Answer(stop_at=0, then="fin")


def reset() -> Reply:
    """Reads the request and resets the connection."""
    return Answer(stop_at=0, then="rst")


def close_at_accept(*, then: Then = "fin") -> Reply:
    """Closes or resets the connection as soon as it is there."""
    return Answer(stop_at=0, then=then, at_accept=True)


def hang(reply: Reply | None = None, *, events: int = 0) -> Reply:
    """Says nothing more, for ever: after so many events of the reply (0: after its headers).

    Without a reply it says nothing at all.
    """
    return Answer(stop_at=0, then="hang") if reply is None else drop(reply, events=events, then="hang")


def error_event(text: str = "Overloaded", *, kind: str = "overloaded_error") -> bytes:
    """An `event: error`, to be inserted."""
    return event("error", error={"type": kind, "message": text})


def error_first(text: str = "Overloaded", *, kind: str = "overloaded_error", then: Then = "keep") -> Reply:
    """A 200 whose first event is an error; then="hang" leaves the stream open after it."""
    stream = insert(say("never seen"), error_event(text, kind=kind), after=0, rest=False)
    return drop(stream, events=1, then="hang") if then == "hang" else drop(stream, then=then)


def endless_pings(reply: Reply, *, after: int = 1, every: float = 0.05) -> Reply:
    """So many events of the reply, and then pings for ever."""
    return insert(reply, Endless(event("ping"), every), after=after, rest=False)


def trickle(reply: Reply, *, size: int = 1, every: float = 0.01) -> Reply:
    """So few bytes at a time, with a pause after each."""
    return deliver(reply, write_size=size, write_pace=every)


def broken_chunk(reply: Reply, *, after: int) -> Reply:
    """After so many events comes something that is no HTTP chunk; the connection stays open."""
    return insert(deliver(reply, framing="chunked"), Raw(b"not hexadecimal\r\n\r\n"), after=after)


def invalid_event(reply: Reply, *, after: int) -> Reply:
    """After so many events comes one whose data is no JSON."""
    return insert(reply, b'event: content_block_delta\ndata: {"type": "content_block\n\n', after=after)


def wrong_content_type(reply: Reply, content_type: str = "text/plain") -> Reply:
    return with_headers(reply, {"content-type": content_type})


# A model in a tool loop.


def last_message(request: Request) -> dict[str, Any]:
    """The last message that is not of the system role (Claude Code puts such ones between the others)."""
    messages = [message for message in request.messages if message.get("role") != "system"]
    return messages[-1] if messages else {}


def agent(
    tool: str = "Bash",
    arguments: Mapping[str, Any] | None = None,
    *,
    before: tuple[Block, ...] = (),
    after: tuple[Block, ...] = (),
    tool_id: str | None = None,
    **options: Any,
) -> Reply:
    """Calls the tool once (when the client offers it), and says what came of it when the result is there.

    before, after: blocks put before the tool call, and before the final text.
    tool_id: `{}` in it is the number of earlier calls in the conversation (Kimi: `functions.Bash:{}`).
    options: those of `Message`.
    """
    arguments = arguments or {"command": "echo hi", "description": "Say hi"}

    def reply(request: Request) -> Reply:
        results = [block for block in blocks_of(last_message(request)) if block.get("type") == "tool_result"]
        if results:
            return message(*after, text(f"The tool answered: {_flat(results[-1].get('content'))}"), **options)
        if any(offered.get("name") == tool for offered in request.fields.get("tools") or []):
            earlier = [block for turn in request.messages for block in blocks_of(turn)]
            calls = sum(block.get("type") == "tool_use" for block in earlier)
            return message(*before, tool_use(tool, arguments, tool_id=tool_id and tool_id.format(calls)), **options)
        return message(*after, text(f"I am {request.provider}. You offered me no tool {tool}."), **options)

    return reply


def _flat(content: Any) -> str:
    if isinstance(content, str):
        return content
    return " ".join(block.get("text", "") for block in content or [] if isinstance(block, dict))
