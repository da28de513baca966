"""Watch: keeps what the views show, where somebody can look: in mitmweb and mitmproxy, or when flows are saved.

In a plain mitmdump none of this runs: the layer makes `GatewayStream`s, not `WatchedStream`s, and nothing is kept.
"""

from __future__ import annotations

from mitmproxy import ctx, http
from mitmproxy.proxy import events
from mitmproxy.proxy.layers.http import GetHttpConnectionCompleted, SendHttp
from mitmproxy.proxy.layers.http._events import RequestEndOfMessage, ResponseData, ResponseHeaders

from addons.proxy.connections import own_address
from addons.proxy.hooks import Commands
from addons.proxy.stream import GatewayStream
from addons.state.exchange import Exchange, Kept, exchange_of
from addons.views.bodies import presentable_body
from addons.views.one_line import mark
from addons.views.summary import METADATA, to_metadata
from addons.wire.masking import mask_bytes, mask_text
from addons.wire.messages.body import Draft

READABLE = ("identity", "gzip", "deflate", "br", "zstd")
"""The content codings that mitmproxy decodes; every other name it takes for a codec of Python's (`rot13`, `bz2`)."""


def stream_class() -> type[GatewayStream]:
    """What handles a request: the kind that keeps, where an interface or a file keeps flows."""
    files = ("save_stream_file", "hardump")
    if ctx.master.addons.get("view") is not None or any(getattr(ctx.options, name, None) for name in files):
        return WatchedStream
    return GatewayStream


def kept_request(request: http.Request, body: bytes) -> Kept:
    """A request as it is in the flow: with masked credentials."""
    line = f"{request.method} {request.scheme}://{request.host}:{request.port}{request.path}"
    return Kept(line, tuple(request.headers.items(multi=True)), body)


def kept_response(response: http.Response, body: bytes | None = None) -> Kept:
    """A response; without a body, one of which the body is still to come."""
    line = f"{response.status_code} {response.reason}".strip()
    return Kept(line, tuple(response.headers.items(multi=True)), bytearray() if body is None else body)


class WatchedStream(GatewayStream):
    """A stream that keeps what goes by."""

    def handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, ResponseData) and self.exchange:
            attempt = self.exchange.attempt
            if attempt and attempt.received:
                attempt.received.body += event.data
        yield from super().handle_event(event)

    def answer_at_once(self) -> Commands:
        self.keep_asked()
        yield from super().answer_at_once()

    def state_consume_request_body(self, event: events.Event) -> Commands:
        if isinstance(event, RequestEndOfMessage):
            self.keep_asked()
        yield from super().state_consume_request_body(event)

    def keep_asked(self) -> None:
        """The head; the body is added when it has been read (`Watch.request`)."""
        if self.exchange:
            asked = self.exchange.asked = kept_request(self.flow.request, b"")
            asked.first_line = f"{self.exchange.method} {self.exchange.path}"
            # mitmproxy has put the default upstream there
            asked.headers = tuple(header for header in asked.headers if header[0].lower() != "host")

    def connected(self, event: GetHttpConnectionCompleted) -> Commands:
        if event.command is self.connecting:
            self.current().sent = kept_request(self.flow.request, self.flow.request.raw_content or b"")
        yield from super().connected(event)

    def state_wait_for_response_headers(self, event: events.Event) -> Commands:
        if isinstance(event, ResponseHeaders):
            self.current().received = kept_response(event.response)
        yield from super().state_wait_for_response_headers(event)

    def start_stream(self, head: http.Response) -> Commands:
        yield from super().start_stream(head)
        if self.exchange:
            self.exchange.told = kept_response(head)
            head.data.content = b""  # so that the views show it while it runs

    def say(self, data: bytes) -> Commands:
        if self.exchange and self.exchange.told:
            self.exchange.told.body += data
        yield from super().say(data)

    def finish_events(self) -> Commands:
        exchange, response = self.exchange, self.flow.response
        if exchange and exchange.told and response:
            exchange.told.body = response.data.content = mask_bytes(bytes(exchange.told.body), exchange.secrets())
        yield from super().finish_events()

    def send_response(self, already_streamed: bool = False) -> Commands:
        response = self.flow.response
        if response and self.exchange and not already_streamed:
            whole = response.raw_content or b""
            self.exchange.told = kept_response(response, mask_bytes(whole, self.exchange.secrets()))
            # What is shown and saved has no secret in it; the client gets what the model said.
            response.data.content = bytes(self.exchange.told.body)
            for command in super().send_response():
                if isinstance(command, SendHttp) and isinstance(command.event, ResponseData):
                    command.event.data = whole
                yield command
            return
        yield from super().send_response(already_streamed)


class Watch:
    """At its end a kept flow is the client's request again: what went out to providers is in the views."""

    def request(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange and exchange.asked:
            exchange.asked.body = flow.request.raw_content or b""
            take_secrets(exchange, exchange.asked)

    def response(self, flow: http.HTTPFlow) -> None:
        self.ended(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        self.ended(flow)

    def ended(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange and exchange.asked:
            share(exchange, exchange.asked)
            flow.request = as_asked(flow.request, exchange, exchange.asked)
            flow.marked = mark(exchange, flow)
            flow.metadata[METADATA] = to_metadata(exchange, flow)


def share(exchange: Exchange, asked: Kept) -> None:
    """What went through unchanged is kept once, and the workpieces not at all."""
    for attempt in exchange.attempts:
        attempt.draft = attempt.translation = None
        for copy, original in ((attempt.sent, asked), (attempt.received, exchange.told)):
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
    """The client's own request, to the gateway's address: what is exported, saved and replayed."""
    host, port = own_address()
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in asked.headers]
    body = bytes(asked.body)
    again = http.Request(
        host=host,
        port=port,
        method=exchange.method.encode("utf-8", "surrogateescape"),
        scheme=b"http",
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
