"""Recording: keeps what the views show, where somebody can look: in mitmweb and mitmproxy, or when flows are saved.

In a plain mitmdump none of this runs: the streams tell `NO_RECORDER`, and nothing is kept.
"""

from __future__ import annotations

from mitmproxy import ctx, http

from addons.proxy.connections import own_address
from addons.proxy.recorder import NO_RECORDER, Recorder
from addons.state.attempt import Kept
from addons.state.exchange import Exchange, exchange_of
from addons.views.bodies import presentable_body
from addons.views.one_line import mark
from addons.views.summary import METADATA, to_metadata
from addons.wire.masking import mask_strings, mask_text
from addons.wire.messages.body import Draft

READABLE = ("identity", "gzip", "deflate", "br", "zstd")
"""The content codings that mitmproxy decodes; every other name it takes for a codec of Python's (`rot13`, `bz2`)."""


def recorder() -> Recorder:
    """What keeps the requests of a new client: something, where an interface or a file keeps flows."""
    files = ("save_stream_file", "hardump")
    if ctx.master.addons.get("view") is not None or any(getattr(ctx.options, name, None) for name in files):
        return VIEW_RECORDER
    return NO_RECORDER


def kept_request(request: http.Request, body: bytes) -> Kept:
    """A request as it is in the flow: with masked credentials."""
    line = f"{request.method} {request.scheme}://{request.host}:{request.port}{request.path}"
    return Kept(line, tuple(request.headers.items(multi=True)), body)


def kept_response(response: http.Response, body: bytes | None = None) -> Kept:
    """A response; without a body, one of which the body is still to come."""
    line = f"{response.status_code} {response.reason}".strip()
    return Kept(line, tuple(response.headers.items(multi=True)), bytearray() if body is None else body)


class ViewRecorder:
    """Keeps a request, what its attempts sent and received, and what the client was told, in its exchange."""

    def begin(self, exchange: Exchange, request: http.Request) -> None:
        """The head; the body is added when it has been read (`Recording.request`)."""
        asked = exchange.recorded.request = kept_request(request, b"")
        asked.first_line = f"{exchange.method} {exchange.path}"
        # mitmproxy has put the default upstream there
        asked.headers = tuple(header for header in asked.headers if header[0].lower() != "host")

    def sent(self, exchange: Exchange, request: http.Request) -> None:
        if exchange.attempt:
            exchange.attempt.recorded.request = kept_request(request, request.raw_content or b"")

    def received(self, exchange: Exchange, part: http.Response | bytes) -> None:
        attempt = exchange.attempt
        if attempt and isinstance(part, http.Response):
            attempt.recorded.response = kept_response(part)
        elif attempt and attempt.recorded.response and isinstance(part, bytes):
            attempt.recorded.response.body += part

    def told(self, exchange: Exchange, part: http.Response | bytes) -> None:
        if isinstance(part, http.Response):
            exchange.recorded.response = kept_response(part)
            part.data.content = b""  # so that the views show it while it runs
        elif exchange.recorded.response:
            exchange.recorded.response.body += part

    def ended(self, exchange: Exchange, response: http.Response, *, streamed: bool) -> None:
        """What is shown and saved has no secret in it; the client gets what the model said."""
        if not streamed:
            exchange.recorded.response = kept_response(response, response.raw_content or b"")
        if exchange.recorded.response:
            body = mask_strings(bytes(exchange.recorded.response.body), exchange.secrets())
            exchange.recorded.response.body = response.data.content = body


VIEW_RECORDER = ViewRecorder()


class Recording:
    """The addon that finishes what was kept: in the end a flow is the client's request again, without its secrets. What
    went out to providers is in the views."""

    def request(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange and exchange.recorded.request:
            exchange.recorded.request.body = flow.request.raw_content or b""
            take_secrets(exchange, exchange.recorded.request)

    def response(self, flow: http.HTTPFlow) -> None:
        self.ended(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        self.ended(flow)

    def ended(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange and exchange.recorded.request:
            if exchange.kind == "fetch":
                show_answer(exchange, flow)
            share(exchange, exchange.recorded.request)
            flow.request = as_asked(flow.request, exchange, exchange.recorded.request)
            flow.marked = mark(exchange, flow)
            flow.metadata[METADATA] = to_metadata(exchange, flow)


def show_answer(exchange: Exchange, flow: http.HTTPFlow) -> None:
    """Put the answer to a request of the gateway's own into its flow: it went through without being kept there."""
    answer = exchange.attempt.recorded.response if exchange.attempt else None
    if answer and flow.response and flow.response.raw_content is None:
        answer.body = flow.response.data.content = mask_strings(bytes(answer.body), exchange.secrets())


def share(exchange: Exchange, asked: Kept) -> None:
    """Keep once what went through unchanged, and the drafts and translations of attempts not at all."""
    for attempt in exchange.attempts:
        attempt.draft = attempt.translation = None
        for copy, original in (
            (attempt.recorded.request, asked),
            (attempt.recorded.response, exchange.recorded.response),
        ):
            if copy and original and copy.body == original.body:
                copy.body = original.body


def take_secrets(exchange: Exchange, asked: Kept) -> None:
    """Free the kept body of credentials that the client has hidden beside the conversation, and of secrets of ours in
    whatever it says. What is sent is made from the body as it came."""
    if exchange.body is None:  # not for a model, or not JSON at all
        raw = bytes(asked.body)
        kept = mask_text(raw.decode("utf-8", "surrogateescape"), exchange.secrets()).encode("utf-8", "surrogateescape")
    else:
        kept, raw = presentable_body(Draft(exchange.body), exchange), exchange.body.raw
    if kept != raw:
        asked.body = kept
        asked.headers = tuple(header for header in asked.headers if header[0].lower() != "content-encoding")


def as_asked(request: http.Request, exchange: Exchange, asked: Kept) -> http.Request:
    """The client's own request, to the gateway's address: what is exported, saved and replayed. What the gateway has
    asked somebody else keeps its address."""
    own = exchange.kind == "fetch"
    host, port = (request.host, request.port) if own else own_address()
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in asked.headers]
    body = bytes(asked.body)
    again = http.Request(
        host=host,
        port=port,
        method=exchange.method.encode("utf-8", "surrogateescape"),
        scheme=request.data.scheme if own else b"http",
        authority=b"",
        path=mask_text(exchange.path, exchange.secrets()).encode("utf-8", "surrogateescape"),
        http_version=request.data.http_version,
        headers=http.Headers(lines),
        content=body,
        trailers=None,
        timestamp_start=request.timestamp_start,
        timestamp_end=request.timestamp_end,
    )
    again.headers["host"] = authority
    if "content-length" in again.headers:
        again.headers["content-length"] = str(len(body))
    coding = again.headers.get("content-encoding", "")
    if coding and "," not in coding and coding.lower() not in READABLE:
        again.headers["content-encoding"] = f"{coding}, identity"  # the same, but no name that Python knows
    return again
