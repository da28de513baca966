"""Errors in the one shape that clients of the Anthropic API know: their types and statuses, bodies and events.

What a provider's error says is read in `error_reading.py`; what it *means* (overflow, unknown model, refused token …)
is asked in `refusals.py`.
"""

import json
from typing import Any, Final

import msgspec

TYPES: Final = {
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
STATUSES: Final = {name: status for status, name in TYPES.items()}
# 503 means "come back later", as overloaded_error does for clients. 522 and 524 are Cloudflare's timeouts.
NEAREST: Final = {408: 504, 503: 529, 522: 504, 524: 504}


class ProviderError(msgspec.Struct, frozen=True):
    """What a provider answered instead of a message.

    `status` is an HTTP error status (never 200), `type` one of Anthropic's error types, `message` the
    provider's words, with its own error type and code in brackets behind them: `Unknown Model, … (1211)`.
    """

    status: int
    type: str
    message: str


class BadRequest(Exception):
    """The client's request can't be served as it is: answer 400. `field`: the body field at fault, or ""."""

    status: Final = 400

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


def error_type(status: int) -> str:
    """Anthropic's error type for an HTTP status; the nearest one for a status that it does not document."""
    status = NEAREST.get(status, status)
    return TYPES.get(status) or (TYPES[400] if 400 <= status < 500 else TYPES[500])


def envelope(
    status: int,
    message: str,
    *,
    request_id: str | None = None,
    type: str | None = None,  # noqa: A002 -- the field's own name
) -> bytes:
    """The JSON error body that clients of the Anthropic API read. `type` defaults to the one of `status`."""
    error = {"type": type or error_type(status), "message": message}
    body: dict[str, Any] = {"type": "error", "error": error}
    if request_id is not None:
        body["request_id"] = request_id
    # Not msgspec: it refuses the lone surrogates that a text cut inside an emoji holds.
    return json.dumps(body, separators=(",", ":")).encode()


def error_event(error: ProviderError, request_id: str | None = None) -> bytes:
    """The error as an SSE event, for a stream whose 200 has already gone out."""
    data = envelope(error.status, error.message, request_id=request_id, type=error.type)
    return b"event: error\ndata: " + data + b"\n\n"


def is_envelope(body: bytes) -> bool:
    """Whether this is an error as Anthropic writes it. (What stands before its servers answers in HTML.)"""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return False
    error = value.get("error") if isinstance(value, dict) and value.get("type") == "error" else None
    return isinstance(error, dict) and isinstance(error.get("type"), str) and isinstance(error.get("message"), str)
