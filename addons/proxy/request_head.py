"""Request heads: the header lines that came from a client, those that a provider is sent, and what goes on the wire.

Rules of this file: functions of header lines, without a flow; a credential's real value appears only in `on_the_wire`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import quote, urlencode
from weakref import WeakKeyDictionary

from mitmproxy import http

from addons.config.config import Provider
from addons.proxy.header_lines import Line, headers_of
from addons.state.replay_tickets import TICKET_HEADER
from addons.wire.masking import is_credential_header, mask

KEY_HEADER = "x-litellm-api-key"


MODE_HEADER = "x-claude-token-mode"


GATEWAY_HEADERS = frozenset({KEY_HEADER, MODE_HEADER, TICKET_HEADER})


PATH = ":path"
QUERY_KEY = "?key"
"""What an attempt's credential has besides headers: the real path, where the flow's is masked, and the key in it."""


HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect"}
    | {"host", "content-length"}
)
"""Headers that concern one connection (RFC 9110, 7.6.1), and those that every attempt sets itself."""


# Nothing stands before the separator, and no separator is among what may follow it: else a run of them, or of blanks,
# would be gone through once for each of its characters.
_packed = re.compile(
    r"(?:,|\\n|\n)[^\S\n]*+(?=(?:x-litellm-api-key|x-claude-token-mode)\s*+:)",
    re.IGNORECASE,
)


def unpacked(fields: Sequence[Line]) -> Sequence[Line]:
    """The header lines, the gateway's own each in a line of its own.

    `x-litellm-api-key: TOKEN, x-claude-token-mode: passthrough` in one ANTHROPIC_CUSTOM_HEADERS line really arrives as
    one header (recorded with Claude Code 2.0.77 and 2.1.330); a literal backslash-n stays in the value as well.
    """
    values = as_text(b"\n".join([value for _, value in fields])).lower()
    if KEY_HEADER not in values and MODE_HEADER not in values:
        return fields  # as nearly always
    lines = []
    for name, value in fields:
        first, *others = _packed.split(as_text(value))
        lines.append((name, as_bytes(first.rstrip()) if others else value))
        for other in others:
            key, _, inner = other.partition(":")
            lines.append((as_bytes(key.strip()), as_bytes(inner.strip())))
    return lines


Kind = tuple[str, str, bool, bool]

LONGEST_KNOWN = 64
"""Bytes of a header's name that is known again: anybody may send any, and names of 64 KB aren't kept for it."""


def kind_of(name: bytes) -> Kind:
    """A header's name, that in lower case, whether it carries a credential, and whether it concerns only this
    connection or the gateway."""
    return _known_kind(name) if len(name) <= LONGEST_KNOWN else _kind(name)


def _kind(name: bytes) -> Kind:
    text = as_text(name)
    lower = text.lower()
    return text, lower, is_credential_header(lower), lower in HOP_BY_HOP or lower in GATEWAY_HEADERS


_known_kind = lru_cache(256)(_kind)


PASSED_ON = frozenset({"content-type", "accept", "user-agent"})
"""What every provider gets to see of the client's headers."""


PASSED_ON_TO_MESSAGES = PASSED_ON | {"anthropic-version"}
"""What a provider that speaks Messages gets to see of them, besides its `betas`."""


DROPPED = frozenset({"accept-encoding", "content-encoding"})
"""Streams are filtered as they pass, so providers are asked for plain bytes."""


def allowed(headers: tuple[tuple[str, str], ...], provider: Provider) -> list[tuple[str, str]]:
    """The client's header lines that this provider may see."""
    if provider.is_anthropic:
        return [(name, value) for name, value in headers if name.lower() not in DROPPED]
    if provider.format != "anthropic":
        return [(name, value) for name, value in headers if name.lower() in PASSED_ON]
    kept = []
    for name, value in headers:
        lower = name.lower()
        if lower in PASSED_ON_TO_MESSAGES:
            kept.append((name, value))
        elif lower == "anthropic-beta" and (flags := known_flags(value, provider.betas)):
            kept.append((name, flags))
    return kept


@lru_cache(64)
def known_flags(value: str, betas: frozenset[str]) -> str:
    """Those of the beta flags that are known, in the client's order."""
    return ",".join(flag for flag in (part.strip() for part in value.split(",")) if flag in betas)


_named_hosts: WeakKeyDictionary[http.Request, list[str]] = WeakKeyDictionary()


def note_hosts(request: http.Request) -> None:
    """Remember which hosts the client has named: mitmproxy writes the default upstream's in their place before any
    hook is called. (Its option `keep_host_header` would put them into the TLS handshake with a provider too.)"""
    _named_hosts[request] = request.headers.get_all("host") or [request.authority]


def hosts_named_by_client(request: http.Request) -> list[str]:
    """The values of `Host`, as the client has sent them."""
    return _named_hosts.get(request) or request.headers.get_all("host")


def host_header(provider: Provider) -> str:
    """`host`, with the port where it is not the scheme's own."""
    host = f"[{provider.host}]" if ":" in provider.host else provider.host
    return host if provider.port == {"http": 80, "https": 443}[provider.scheme] else f"{host}:{provider.port}"


def with_flag(flags: str, flag: str) -> str:
    """An `anthropic-beta` value with this flag in it, once."""
    known = [part.strip() for part in flags.split(",") if part.strip()]
    return ",".join(known if flag in known else [*known, flag])


def as_text(value: bytes) -> str:
    """A part of a header line as mitmproxy reads it."""
    return value.decode("utf-8", "surrogateescape")


def as_bytes(value: str) -> bytes:
    """A part of a header line as mitmproxy keeps it."""
    return value.encode("utf-8", "surrogateescape")


def as_line(line: tuple[str, str]) -> Line:
    """A header line as mitmproxy keeps it."""
    name, value = line
    return as_bytes(name), as_bytes(value)


def put_path(request: http.Request, credential: dict[str, str], provider: Provider, path: str) -> None:
    """Set the path of a request to this provider, with its own query parameters; what is secret of them is masked."""
    key = {provider.auth_name: credential[QUERY_KEY]} if QUERY_KEY in credential else {}
    if not provider.query and not key:
        request.path = path
        return
    shown = {name: mask(value) if name in provider.masked_query else value for name, value in provider.query.items()}
    request.path = with_query(path, {**shown, **{name: mask(value) for name, value in key.items()}})
    credential[PATH] = with_query(path, {**provider.query, **key})


def with_query(path: str, parameters: dict[str, str]) -> str:
    """The path with more parameters."""
    return f"{path}{'&' if '?' in path else '?'}{urlencode(parameters, quote_via=quote)}"


def on_the_wire(request: http.Request, credential: dict[str, str]) -> http.Request:
    """The head to send: the flow's, with the real credential in place of the masked one. Has no body."""
    secrets = {name.encode(): as_bytes(value) for name, value in credential.items() if name not in (PATH, QUERY_KEY)}
    lines = [(name, secrets.pop(name.lower(), value)) for name, value in request.headers.fields]
    data = request.data
    # Not by its constructor, which checks the type of every field: that takes longer than all the rest.
    head = http.Request.__new__(http.Request)
    head.data = http.RequestData(
        http_version=b"HTTP/1.1",
        headers=headers_of((*lines, *secrets.items())),
        content=None,
        trailers=None,
        timestamp_start=data.timestamp_start,
        timestamp_end=data.timestamp_end,
        host=data.host,
        port=data.port,
        method=data.method,
        scheme=data.scheme,
        authority=b"",
        path=credential[PATH].encode() if PATH in credential else data.path,
    )
    return head
