"""How a response's body is framed, measured and decoded: the headers that say it, and the words of an HTTP error.

Rule of this file: functions of mitmproxy's messages, without a flow and without state.
"""

from __future__ import annotations

import re

from mitmproxy import http

from addons.proxy.header_lines import put, value_of, without
from addons.wire import limits
from addons.wire.encoding import decode
from addons.wire.error_reading import read_error
from addons.wire.errors import ProviderError
from addons.wire.masking import mask_bytes

CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""What no value of a header may have in it: every control character but the tab."""

OF_THE_BODY = frozenset(
    {b"content-length", b"content-encoding", b"transfer-encoding"}
    | {b"connection", b"keep-alive", b"proxy-connection", b"trailer", b"upgrade"}
)
"""What a provider says of its body's form and of its connection is not said of the client's."""


def frame_body(response: http.Response) -> None:
    """Make the head fit a body that is here in whole."""
    without(response.headers, OF_THE_BODY)
    length = str(len(response.raw_content or b""))
    response.headers.fields += ((b"content-length", length.encode()),)
    if not value_of(response.headers, b"content-type"):
        put(response.headers, b"content-type", b"application/json")
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


def decoded(response: http.Response, body: bytes) -> bytes:
    """The body without its content-encoding, which leaves the head; as it came when it can't be decoded."""
    try:
        return decode(body, response.headers.pop("content-encoding", ""), limits.ERROR_BODY)
    except ValueError:
        return body


def read_status(response: http.Response) -> ProviderError:
    """The provider's own words in an HTTP error, of whatever shape."""
    return read_error(response.status_code, response.headers.get("content-type", ""), response.raw_content or b"")


def reason(message: str) -> str:
    """mitmproxy's words for a broken connection, without the provider's bytes that it may quote."""
    return message.split(": b", 1)[0][:200]


def clean_head(response: http.Response, secrets: tuple[str, ...]) -> None:
    """Mask what a provider repeats of a credential in its reason and its header values, and replace what a client might
    read as the end of a line."""
    data = response.data
    data.reason = CONTROL.sub(b" ", mask_bytes(data.reason, secrets))
    lines = data.headers.fields
    whole = b"\t".join([value for _, value in lines])
    if CONTROL.search(whole):
        data.headers.fields = tuple((name, CONTROL.sub(b" ", value)) for name, value in lines)
    if mask_bytes(whole, secrets) != whole:
        data.headers.fields = tuple((name, mask_bytes(value, secrets)) for name, value in data.headers.fields)


FRAMING = re.compile(rb"\r?\n(transfer-encoding|content-length)[ \t]*:([^\r\n]*)", re.IGNORECASE)
"""The lines of a head that say how long the body is."""


def one_framing(head: bytes) -> bytes | None:
    """The head of an answer that says in more than one way how long its body is, as browsers read it: chunked, if it
    says so at all, and what it says twice counts once. None for every other head, the contradictory ones too."""
    lines = [(name.lower(), value.strip().lower()) for name, value in FRAMING.findall(head)]
    codings = {coding.strip() for name, value in lines for coding in value.split(b",") if name[:1] == b"t"}
    codings.discard(b"identity")  # which means none
    lengths = {length.strip() for name, value in lines for length in value.split(b",") if name[:1] == b"c"}
    if codings == {b"chunked"}:
        line = b"\r\ntransfer-encoding: chunked"
    elif not codings and len(lengths) == 1:
        line = b"\r\ncontent-length: " + next(iter(lengths))
    else:
        return None
    if len(lines) == 1 and lines[0][1] in (b"chunked", *lengths):
        return None
    return FRAMING.sub(b"", head) + line
