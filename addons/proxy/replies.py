"""Heads and whole responses: what goes on the wire for a request, and what the gateway answers by itself.

Rules of this file: functions of mitmproxy's messages, without a flow and without state.
"""

from __future__ import annotations

from copy import copy

from mitmproxy import http

from addons.wire.encoding import decode
from addons.wire.errors import ProviderError, envelope, read_error

MAX_REQUEST = 32 * 1024 * 1024
"""Bytes of a request body; Anthropic's own limit (its error: request_too_large)."""

MAX_ERROR_BODY = 1024 * 1024
"""Bytes of a failed answer that are kept; the rest can't matter to anybody."""

OF_THE_BODY = frozenset(
    {b"content-length", b"content-encoding", b"transfer-encoding"}
    | {b"connection", b"keep-alive", b"proxy-connection", b"trailer", b"upgrade"}
)
"""What a provider says of its body's form and of its connection is not said of the client's."""


def as_text(value: bytes) -> str:
    """A part of a header line as mitmproxy reads it."""
    return value.decode("utf-8", "surrogateescape")


def as_bytes(value: str) -> bytes:
    """The same, as mitmproxy keeps it."""
    return value.encode("utf-8", "surrogateescape")


def on_the_wire(request: http.Request, credential: dict[str, str]) -> http.Request:
    """The head to send: the flow's, with the real credential in place of the masked one. Has no body."""
    secrets = {name.encode(): as_bytes(value) for name, value in credential.items()}
    lines = [(name, secrets.pop(name.lower(), value)) for name, value in request.headers.fields]
    head = copy(
        request
    )  # shallow: its constructor checks the type of every field, which takes longer than all the rest
    head.data = copy(request.data)
    head.data.headers = http.Headers((*lines, *secrets.items()))
    head.data.content = head.data.trailers = None
    head.data.authority = b""
    # mitmproxy sends HTTP/1.1 either way, but doesn't use a connection again that it keeps for an HTTP/2 client:
    # it must know of that to close it, as it opens five to an address at most.
    if not request.is_http2:
        head.data.http_version = b"HTTP/1.1"
    return head


def without(headers: http.Headers, names: frozenset[bytes]) -> None:
    """Take the lines of these names (lower-case) out."""
    headers.fields = tuple(line for line in headers.fields if line[0].lower() not in names)


def frame_body(response: http.Response) -> None:
    """Make the head fit a body that is here in whole."""
    without(response.headers, OF_THE_BODY)
    length = str(len(response.raw_content or b""))
    response.headers.fields += ((b"content-length", length.encode()),)
    response.headers.setdefault("content-type", "application/json")
    response.data.http_version = b"HTTP/1.1"


def frame_stream(response: http.Response, request: http.Request) -> None:
    """Make the head fit a stream of unknown length, whatever the provider's was."""
    without(response.headers, OF_THE_BODY | {b"content-type"})
    response.headers.fields += ((b"content-type", b"text/event-stream; charset=utf-8"),)
    response.data.http_version = b"HTTP/1.1"
    if request.data.http_version == b"HTTP/1.1":
        response.headers.fields += ((b"transfer-encoding", b"chunked"),)
    elif request.data.http_version == b"HTTP/1.0":
        response.headers.fields += ((b"connection", b"close"),)


def error_response(status: int, message: str, request_id: str | None = None) -> http.Response:
    """An answer of the gateway's own, in the Anthropic error envelope."""
    body = envelope(status, message, request_id=request_id)
    response = http.Response.make(status, body, {"content-type": "application/json"})
    if request_id:
        response.headers["request-id"] = request_id
    return response


def too_large(request_id: str | None = None) -> http.Response:
    """The answer to a body over `MAX_REQUEST`; what is left of it is not worth a connection."""
    response = error_response(413, f"the request body exceeds the maximum of {MAX_REQUEST} bytes", request_id)
    response.headers["connection"] = "close"
    return response


def decoded(response: http.Response, body: bytes) -> bytes:
    """The body without its content-encoding, which leaves the head; as it came when it can't be decoded."""
    try:
        return decode(body, response.headers.pop("content-encoding", ""), MAX_ERROR_BODY)
    except ValueError:
        return body


def read_status(response: http.Response) -> ProviderError:
    """The provider's own words in an HTTP error, of whatever shape."""
    return read_error(response.status_code, response.headers.get("content-type", ""), response.raw_content or b"")


def reason(message: str) -> str:
    """mitmproxy's words for a broken connection, without the provider's bytes that it may quote."""
    return message.split(": b", 1)[0][:200]
