"""What the client is sent of a stream: its head, whole events, pings, an error at its end; and how that is framed.

Rules that hold in this file:
- it knows nothing of providers and attempts: when something is said is the stream's decision (stream.py);
- only whole events are sent, so that a ping never comes inside one;
- whatever is sent puts off the next ping.
"""

from __future__ import annotations

from mitmproxy import http
from mitmproxy.proxy import commands
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import SendHttp
from mitmproxy.proxy.layers.http._events import ResponseData, ResponseHeaders

from addons.proxy.deadlines import Deadlines
from addons.proxy.framing import frame_stream
from addons.proxy.header_lines import put, value_of
from addons.proxy.hooks import Commands
from addons.proxy.recorder import Recorder
from addons.state.exchange import Exchange
from addons.wire.errors import ProviderError, error_event

PING = b'event: ping\ndata: {"type": "ping"}\n\n'


class ClientAnswer:
    """The client's side of one answer."""

    is_last = False
    """Another process serves in this one's place: a connection ends with the answer whose head comes next. (Of answers
    that have begun the client wasn't told so, and it may use theirs once more.)"""

    def __init__(self, context: Context, stream_id: int, deadlines: Deadlines, recorder: Recorder) -> None:
        self.client = context.client
        self.stream_id = stream_id
        self.deadlines = deadlines
        self.recorder = recorder
        self.exchange: Exchange | None = None
        self.has_begun = False
        """The client has the head of a stream."""
        self.early_head: http.Response | None = None
        """The 200 that was sent before any provider had answered."""
        self.chunked = False
        """Events go into chunks of HTTP/1.1."""
        self.closes = False
        """The client wants its connection closed after this answer."""
        self.stored: bytearray | None = bytearray() if context.options.store_streamed_bodies else None
        """All that was said, where mitmproxy is to keep it in the flow."""

    @property
    def request_id(self) -> str | None:
        return self.exchange.request_id if self.exchange else None

    def begin(self, head: http.Response, request: http.Request) -> Commands:
        """Send the head of a stream."""
        self.has_begun = True
        frame_stream(head, request)
        self.chunked = bool(value_of(head.headers, b"transfer-encoding"))
        self.finish_head(head)
        self.tell(head)
        yield SendHttp(ResponseHeaders(self.stream_id, head, end_stream=False), self.client)
        if self.exchange:
            self.recorder.told(self.exchange, head)

    def begin_early(self, request: http.Request) -> Commands:
        """Send a 200 of the gateway's own, and a ping."""
        self.early_head = head = http.Response.make(200, b"", {"content-type": "text/event-stream; charset=utf-8"})
        head.headers["cache-control"] = "no-cache"
        if self.request_id:
            head.headers["request-id"] = self.request_id
        yield from self.begin(head, request)
        yield from self.say(PING)

    def tell(self, head: http.Response) -> None:
        """Put into the head of a good answer what there is to tell."""
        if self.exchange and self.exchange.told:
            head.headers.fields += self.exchange.told

    def say(self, data: bytes) -> Commands:
        """Send whole events."""
        framed = self.framed(data)
        if data and self.chunked:  # what the client's side would make of it, in one layer less
            yield commands.SendData(self.client, framed)
        elif data:
            yield SendHttp(ResponseData(self.stream_id, data), self.client)

    def framed(self, data: bytes) -> bytes:
        """Whole events as they go to the client now, in a chunk where its answer is sent in chunks."""
        self.deadlines.ping = self.deadlines.after(self.deadlines.ping_interval)
        if self.stored is not None:
            self.stored += data
        if self.exchange:
            self.recorder.told(self.exchange, data)
        return b"%x\r\n%b\r\n" % (len(data), data) if self.chunked else data

    def say_error(self, error: ProviderError) -> Commands:
        """Tell the client in the stream what went wrong."""
        yield from self.say(error_event(error, self.request_id))

    def finish_head(self, head: http.Response, *, sent: bool = False) -> None:
        """Say in the head of any answer what becomes of the connection. `sent`: the client has it already, and what it
        wasn't told doesn't happen."""
        if self.is_last and not sent:
            self.closes = True
        if self.closes:
            put(head.headers, b"connection", b"close")

    def let_go(self) -> None:
        """Hold nothing of the request any more: the answer is over."""
        self.exchange = None
        self.stored = None
