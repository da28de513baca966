"""Reads one provider's successful answer, whatever it looks like, and gives the client what the client asked for.

The provider's bytes go in as they come; for a streaming client complete SSE events come out, for the others one JSON
body at the end. What the provider sent is judged by its first byte, never by its content-type (recorded: SSE under
application/json, JSON under text/event-stream), and is converted when it isn't what was asked for: the client's repair
path after every broken stream is `stream: false`, answered with anything but JSON it gives up (recorded).

Rules: no I/O, no clock. After `error` is set nothing more comes out: the caller decides between failover and telling
the client.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from addons.wire.answer import AnswerStream, Usage
from addons.wire.assemble import Assembler, message_events, message_in
from addons.wire.encoding import Decoder
from addons.wire.errors import ProviderError, read_error

MAX_BODY = 64 * 1024 * 1024
"""Bytes of a JSON answer that are kept at most. Anthropic's largest answers are far below 1 MB."""

WHITE_SPACE = b" \t\r\n\xef\xbb\xbf"

Complete = Callable[[bytes], tuple[bytes, Usage, str | None] | ProviderError]
"""Reads a whole JSON body: the body for the client, usage and stop reason; or why it is no answer."""


class AnswerReader:
    """One answer. `feed` as bytes arrive, `end` once when the provider ended properly."""

    def __init__(self, *, stream: bool, events: AnswerStream, complete: Complete, content_encoding: str = "") -> None:
        """`stream` is what the client asked for; `events` reads SSE, `complete` a JSON body.

        Raises ValueError for a content-encoding that can't be read.
        """
        self.stream = stream
        self.started = False
        self.body: bytes | None = None
        """The JSON answer for a client that asked for `stream: false`; set by `end`."""
        self._events = events
        self._complete = complete
        self._decoder = Decoder(content_encoding) if content_encoding not in ("", "identity") else None
        self._assembler = Assembler()
        self._buffer = bytearray()
        self._sse: bool | None = None
        self._error: ProviderError | None = None
        self._usage: Usage | None = None
        self._stop_reason: str | None = None
        self._finished = False
        self._content = False

    @property
    def content(self) -> bool:
        """Content was seen: from here on this answer is the client's, and failover is over."""
        return self._content or (self.stream and self._sse is True and self._events.content)

    @property
    def error(self) -> ProviderError | None:
        return self._error or self._events.error

    @property
    def finished(self) -> bool:
        """The answer is whole."""
        return self._finished or self._events.finished

    @property
    def usage(self) -> Usage:
        return self._usage or self._events.usage

    @property
    def stop_reason(self) -> str | None:
        return self._stop_reason or self._events.stop_reason

    def feed(self, data: bytes) -> bytes:
        """The provider's next bytes. Returns the events that are complete now (whole events, in order)."""
        if self.error:
            return b""
        if self._decoder:
            try:
                data = self._decoder.feed(data)
            except ValueError as error:
                return self._fail(str(error))
        if self._sse is None:
            self._buffer += data
            head = bytes(self._buffer[:64]).lstrip(WHITE_SPACE)
            if not head:
                return b""
            self._sse = head[:1] not in b"{[<"
            self.started = True
            if self._sse:
                data = bytes(self._buffer)
                self._buffer.clear()
        elif not self._sse:
            self._buffer += data
        if self._sse:
            return self._events_out(self._events.feed(data))
        if len(self._buffer) > MAX_BODY:
            return self._fail("answered with a body that never ends")
        return b""

    def end(self) -> bytes:
        """The provider ended properly. Returns the last events; `error` or `finished` says how it ended."""
        if self.error:
            return b""
        if self._sse:
            out = self._events_out(self._events.end())
            if self.error:
                return b""
            if not self._events.finished:
                return self._fail("ended its answer before it was complete")
            if not self.stream:
                self.body = msgspec.json.encode(self._assembler.message())
            return out
        return self._end_of_json()

    def _events_out(self, out: list[bytes]) -> bytes:
        if self.stream:
            return b"".join(out)
        for event in out:
            self._assembler.feed(event)
        return b""

    def _end_of_json(self) -> bytes:
        body = bytes(self._buffer)
        if not body.strip():
            return self._fail("answered with an empty body")
        if body.lstrip(WHITE_SPACE)[:1] == b"<":
            self._error = read_error(502, "text/html", body)
            return b""
        read = self._complete(body)
        if isinstance(read, ProviderError):
            self._error = read
            return b""
        self.body, self._usage, self._stop_reason = read
        self._finished = self._content = True
        if not self.stream:
            return b""
        return b"".join(message_events(message_in(self.body)))

    def _fail(self, what: str) -> bytes:
        self._error = ProviderError(502, "api_error", f"the provider {what}")
        return b""
