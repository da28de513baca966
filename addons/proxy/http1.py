"""The HTTP/1 connections of clients and providers: mitmproxy's, with limits for those that mean harm.

mitmproxy reads whatever comes for as long as it comes (its own FIXME: "protect against header size DoS"), answers what
it can't parse with a page of HTML, and logs the offending bytes (which may be a credential). Bodies are read in
body_reading.py. Rules that hold in this file:
- at most `limits.HEAD` bytes are kept that are not a request yet, and a client that takes its time is cut off;
- nothing that a client sent is repeated to the log;
- no timer of its own: `due` says when something is too late, and the layer above wakes `_handle_event` then.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable

from h11._readers import Http10Reader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy import http
from mitmproxy.net.http import http1
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._http1 import Http1Client, Http1Server

from addons.proxy.body_reading import BodyReading
from addons.proxy.framing import CONTROL, one_framing
from addons.proxy.header_lines import is_last, value_of
from addons.proxy.hooks import Commands
from addons.wire import limits
from addons.wire.errors import envelope

INTERIM = re.compile(rb"HTTP/1\.[01] 1(?!01)\d\d(?: [^\n]*)?\r?\n(?:[^\r\n][^\n]*\n)*+\r?\n")
"""A whole 1xx response (RFC 9110, 15.2), which says nothing that a client must know: 101 is the only one that does."""

BLANK_LINES = re.compile(rb"(?:\r?\n){1,64}+")
"""What some clients send behind a body (RFC 9112, 2.2). mitmproxy takes one for a head, and waits for more to come."""


class ProviderSide(BodyReading, Http1Client):
    """The HTTP/1 connection to a provider."""

    closes = False
    """Whether the connection ends after the answer that is being read."""
    most_waiting = limits.HEAD
    is_chunked = True
    """Whether the request goes out in chunks; mitmproxy looks it up for each piece."""

    def send(self, event: HttpEvent) -> Commands:
        if self.is_chunked or self.response:
            yield from super().send(event)
            if type(event) is RequestHeaders:
                self.is_chunked = bool(value_of(event.request.headers, b"transfer-encoding"))
        elif type(event) is RequestData:
            yield commands.SendData(self.conn, event.data)
        elif type(event) is RequestEndOfMessage:
            self.is_chunked = True
            yield from self.mark_done(request=True)
        else:
            yield from super().send(event)

    def read_headers(self, event: events.ConnectionEvent) -> Commands:
        """Read the head of an answer, of at most `limits.HEAD` bytes, behind any interim responses: mitmproxy takes one
        of those for the answer, and reads a head for as long as it comes."""
        if self.request and isinstance(event, events.DataReceived):
            raw = bytes(self.buf)
            while interim := INTERIM.match(raw):
                self.buf.maybe_extract_at_most(interim.end())
                raw = bytes(self.buf)
            if (end := raw.find(b"\r\n\r\n", 0, limits.HEAD)) >= 0 and (head := one_framing(raw[:end])):
                self.buf = ReceiveBuffer()
                self.buf += head + raw[end:]
            if len(raw) > limits.HEAD and no_end_within(raw, limits.HEAD):
                assert self.stream_id is not None
                yield commands.CloseConnection(self.conn)
                error = f"the head of the answer is over {limits.HEAD} bytes"
                yield ReceiveHttp(ResponseProtocolError(self.stream_id, error, ErrorCode.GENERIC_SERVER_ERROR))
                return
        for command in super().read_headers(event):
            if isinstance(command, ReceiveHttp) and isinstance(command.event, ResponseHeaders):
                assert self.request
                self.closes = is_last(self.request) or is_last(command.event.response)
            yield command

    def ended(self, end: RequestEndOfMessage | ResponseEndOfMessage) -> Commands:
        """Be ready for the next request before the end of this answer is handed on: it may follow at once."""
        assert self.response
        if self.response.status_code == 101:
            yield from super().ended(end)
        else:
            yield from self.mark_done(response=True)
            yield ReceiveHttp(end)

    def mark_done(self, *, request: bool = False, response: bool = False) -> Commands:
        """Close the connection or keep it, by the heads that were on it. (mitmproxy asks those of the flow, which are
        others by now: the client's request, the client's answer.)"""
        is_whole = (request or self.request_done) and (response or self.response_done)
        if not is_whole or self.response is None or self.response.status_code == 101:
            yield from super().mark_done(request=request, response=response)
        elif self.closes or isinstance(self.body_reader, Http10Reader):
            self.request_done = self.response_done = True
            yield commands.CloseConnection(self.conn)
            self.state = self.done
        else:
            self.request_done = self.response_done = False
            self.request = self.response = self.stream_id = None
            self.state = self.read_headers
            if self.buf:
                yield from self.state(events.DataReceived(self.conn, b""))


class ClientSide(BodyReading, Http1Server):
    """The HTTP/1 connection of one client."""

    def __init__(
        self,
        context: Context,
        clock: Callable[[], float],
        alarm: Callable[[float], commands.RequestWakeup | None],
    ) -> None:
        super().__init__(context)
        self.clock, self.alarm = clock, alarm
        self.due = math.inf
        """When what is being waited for is too late (monotonic seconds)."""
        self.body_due = math.inf
        """When a body has to be whole."""
        self.idle_due = math.inf
        """When a connection that has nothing to do is closed."""
        self.is_plain = False
        """The body of the answer goes out as it is, and its head says how long it is."""
        self.is_framed = False
        """The head of the answer says where it ends: by its length, or in chunks."""
        self.is_reading = False
        self.has_next = False
        """The next request stands in the buffer: mitmproxy would read it within the reading of this one."""

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, events.Wakeup):
            now = self.clock() + 0.001
            if now >= self.idle_due:
                yield commands.CloseConnection(self.conn)
                self.state, self.idle_due = self.done, math.inf
            elif now >= self.due:
                yield from self.refuse(408, "the request did not come in time")
            elif self.has_next and self.state == self.read_headers:
                yield from self.state(events.DataReceived(self.conn, b""))
                self.expect_more()
        elif isinstance(event, events.DataReceived):
            yield from super()._handle_event(event)
            if len(self.buf) > limits.HEAD and self.state != self.done:
                yield from self.refuse(431, f"more than {limits.HEAD} bytes that are no request")
            self.expect_more()
        else:
            yield from super()._handle_event(event)
            if isinstance(event, events.Start) and self.conn.tls:  # else its first bytes are here already
                self.idle_due = self.clock() + limits.SILENT
            elif isinstance(event, ResponseEndOfMessage | events.ConnectionClosed):
                self.expect_more()
            else:
                return
        due = min(self.due, self.idle_due)
        if due < math.inf and (wakeup := self.alarm(due)):
            yield wakeup

    def expect_more(self) -> None:
        """Set the time limit for what the client has begun and not ended."""
        now = self.clock()
        if self.state == self.read_body:
            self.body_due = min(self.body_due, now + limits.BODY_WITHIN)
            self.due = min(self.body_due, now + limits.BODY_SILENCE)
        elif self.state == self.read_headers and self.buf:
            if self.body_due < math.inf or self.due == math.inf:  # the first bytes of a request
                self.due = now + limits.HEAD_WITHIN
            self.body_due = math.inf
        else:
            self.due = self.body_due = math.inf
        is_idle = self.state == self.read_headers and not self.buf
        self.idle_due = now + limits.IDLE if is_idle else math.inf

    def read_headers(self, event: events.ConnectionEvent) -> Commands:
        """Read requests that came at once, and are answered at once, one after the other, and not for long."""
        if self.is_reading:
            self.has_next = True
            return
        if isinstance(event, events.ConnectionClosed):
            while self.has_next and self.state == self.read_headers:
                yield from self.read_headers(events.DataReceived(self.conn, b""))
            if self.state != self.read_headers:
                yield from self.state(event)
                return
        self.is_reading = True
        try:
            for _ in range(limits.REQUESTS_AT_ONCE):
                self.has_next = False
                yield from self.read_head(event)
                if not self.has_next or self.state != self.read_headers:
                    return
                event = events.DataReceived(self.conn, b"")
        finally:
            self.is_reading = False
        if wakeup := self.alarm(self.clock()):
            yield wakeup

    def read_head(self, event: events.ConnectionEvent) -> Commands:
        """Read the head of one request."""
        if isinstance(event, events.ConnectionClosed):
            yield commands.CloseConnection(self.conn)
            return
        if len(self.buf) > limits.HEAD and no_end_within(bytes(self.buf), limits.HEAD):
            yield from self.refuse(431, f"the head of this request is over {limits.HEAD} bytes")
            return
        if self.buf.is_next_line_obviously_invalid_request_line() and (blank := BLANK_LINES.match(bytes(self.buf))):
            self.buf.maybe_extract_at_most(blank.end())
        for command in super().read_headers(event):
            if (
                self.request
                and len(self.request.headers.fields) > limits.HEAD_LINES
                and self.state == self.read_headers
            ):
                yield from self.refuse(431, f"the head of this request has over {limits.HEAD_LINES} lines")
                return
            if self.request and self.state == self.read_headers and (why := unacceptable(self.request)):
                yield from self.refuse(400, why)
                return
            if isinstance(command, commands.SendData):
                yield commands.SendData(self.conn, error_bytes(400, "this is not a valid HTTP request"))
            elif isinstance(command, commands.Log):
                yield commands.Log("a client sent something that is no HTTP request", logging.INFO)
            else:
                yield command

    def mark_done(self, *, request: bool = False, response: bool = False) -> Commands:
        is_whole = (request or self.request_done) and (response or self.response_done)
        if is_whole and self.is_ordinary():
            self.request_done = self.response_done = False
            self.request = self.response = None
            self.stream_id += 2
            self.state = self.read_headers
            if self.buf:
                yield from self.state(events.DataReceived(self.conn, b""))
            return
        yield from super().mark_done(request=request, response=response)
        if self.state == self.done:
            # The whole request is in it, its body included, and what belongs to a closed connection is a cycle of
            # references: the body would wait for the garbage collector, which seldom comes to the old ones.
            self.request = None

    def is_ordinary(self) -> bool:
        """Whether the connection stays as it is after this answer, by what its heads say (mitmproxy, which looks at
        each header of both heads for it, is asked where it doesn't)."""
        request, response = self.request, self.response
        return (
            self.is_framed
            and request is not None
            and response is not None
            and response.data.status_code != 101
            and request.data.method.upper() != b"CONNECT"
            and not (is_last(request) or is_last(response))
        )

    def send(self, event: HttpEvent) -> Commands:
        if type(event) is ResponseData and self.is_plain:
            if event.data:
                yield commands.SendData(self.conn, event.data)
            return
        if type(event) is ResponseEndOfMessage and self.is_plain:
            yield from self.mark_done(response=True)
            return
        if type(event) is ResponseHeaders:
            headers = event.response.headers
            coding = value_of(headers, b"transfer-encoding")
            self.is_plain = bool(value_of(headers, b"content-length")) and not coding
            self.is_framed = self.is_plain or coding == "chunked"
        if isinstance(event, ResponseProtocolError) and not self.answered:
            status = event.code.http_status_code()
            if status is not None and self.conn.connected:
                yield commands.SendData(self.conn, error_bytes(status, event.message.split(": b", 1)[0][:200]))
                yield commands.CloseConnection(self.conn)
                return
        yield from super().send(event)

    @property
    def answered(self) -> bool:
        """Whether the head of an answer is out (100 Continue is none)."""
        return self.response is not None and self.response.status_code >= 200

    def refuse(self, status: int, message: str) -> Commands:
        """Answer with an error, unless an answer has begun, and read nothing more of this client."""
        has_stream = self.request is not None
        if not self.answered:
            yield commands.SendData(self.conn, error_bytes(status, message))
        yield commands.CloseConnection(self.conn)
        self.state = self.done
        self.due = self.body_due = self.idle_due = math.inf
        if has_stream:
            yield ReceiveHttp(RequestProtocolError(self.stream_id, message, ErrorCode.GENERIC_CLIENT_ERROR))


def unacceptable(request: http.Request) -> str:
    """Why a request's head is not taken: another protocol, or what another parser might read as the end of a line
    (RFC 9110, 5.5; folded lines: RFC 9112, 5.2). Empty when it is."""
    data = request.data
    if data.http_version not in (b"HTTP/1.1", b"HTTP/1.0"):
        return "only HTTP/1.1 is spoken here"
    if CONTROL.search(data.path) or CONTROL.search(b"\t".join([value for _, value in data.headers.fields])):
        return "a header of this request has a control character or goes over several lines"
    return ""


def no_end_within(buffered: bytes, limit: int) -> bool:
    """Whether the head that these bytes begin with is longer than the limit. (As h11, it may end without CR.)"""
    return buffered.find(b"\n\r\n", 0, limit) < 0 and buffered.find(b"\n\n", 0, limit) < 0


def error_bytes(status: int, message: str) -> bytes:
    """A whole response in the envelope, after which the connection is closed."""
    headers = {"content-type": "application/json", "connection": "close"}
    return bytes(http1.assemble_response(http.Response.make(status, envelope(status, message), headers)))
