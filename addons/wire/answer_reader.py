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
from typing import Protocol

import msgspec

from addons.wire.encoding import Decoder
from addons.wire.error_reading import read_error
from addons.wire.errors import ProviderError
from addons.wire.limits import ANSWER
from addons.wire.messages.assembler import Assembler, message_events, message_in
from addons.wire.usage import Usage

WHITE_SPACE = b" \t\r\n\xef\xbb\xbf"
JSON_OR_PAGE = b"{[<"
"""What anything but an event stream begins with. (Nothing at all is in it too.)"""

BEGINNING = 200
"""Bytes that are quoted of an answer that is none."""

Complete = Callable[[bytes], tuple[bytes, Usage, str | None] | ProviderError]
"""Reads a whole JSON body: the body for the client, usage and stop reason; or why it is no answer."""


class AnswerStream(Protocol):
    """Reads one provider's event stream and gives the client's: Anthropic's events, whatever was spoken.

    After an error or the end of the message nothing more comes out.
    """

    @property
    def started(self) -> bool:
        """Whether something complete came: an event or a comment."""

    @property
    def content(self) -> bool:
        """Whether an event came that begins, continues or ends content, even one that is not for the client."""

    @property
    def spoke(self) -> bool:
        """The last `feed` brought more than pings and comments: a whole event, sent on or not, or a good part of a long
        one (`sse.LARGEST_PING`)."""

    @property
    def error(self) -> ProviderError | None:
        """What the provider sent in place of the (rest of the) message. It was not passed on."""

    @property
    def finished(self) -> bool:
        """Whether the message is whole: message_stop came, or a stop reason and then the end."""

    @property
    def usage(self) -> Usage:
        """The tokens, as far as they are known."""

    @property
    def streamed(self) -> int:
        """About how many bytes of text, thinking and tool calls have come in deltas."""

    @property
    def stop_reason(self) -> str | None:
        """Why the message ended; None until it is known."""

    def feed(self, data: bytes) -> bytes:
        """The provider's bytes as they come, in any split; the events that are complete now come out."""

    def end(self) -> bytes:
        """The provider ended properly: what the client must still be sent to have a whole message."""


class AnswerReader:
    """One answer of a provider. `feed` as bytes arrive, `end` once when the provider ended properly.  Eighteen fields:
    seven say how the answer stands, and are plain attributes because the stream looks at them with every piece; the
    others are for the forms that an answer may have."""

    def __init__(self, *, stream: bool, events: AnswerStream, complete: Complete, content_encoding: str = "") -> None:
        """`stream` is what the client asked for; `events` reads SSE, `complete` a JSON body.

        Raises ValueError for a content-encoding that can't be read.
        """
        self.stream = stream
        self.started = False
        self.content = False
        """Content was seen: from here on this answer is the client's, and failover is over."""
        self.spoke = False
        """The last `feed` brought something that is said: no ping, no comment, no white space. What is not passed on
        counts as well."""
        self.error: ProviderError | None = None
        self.finished = False
        """The answer is whole."""
        self.body: bytes | None = None
        """The JSON answer for a client that asked for `stream: false`; set by `end`."""
        self._events = events
        self._relayed: AnswerStream | None = None  # `events`, once all it gives goes to the client
        self._complete = complete
        self._decoder = Decoder(content_encoding) if content_encoding not in ("", "identity") else None
        self._assembler: Assembler | None = None  # where a stream is read for a client that wants JSON
        self._assembled = 0  # bytes that it was fed
        self._buffer = bytearray()
        self._first = b""  # byte that is no white space: says what comes
        self._beginning = b""
        self._usage: Usage | None = None
        self._stop_reason: str | None = None

    @property
    def usage(self) -> Usage:
        """The tokens that the provider has told of up to now."""
        return self._usage or self._events.usage

    @property
    def streamed(self) -> int:
        """About how many bytes of text, thinking and tool calls have been streamed."""
        return self._events.streamed

    @property
    def stop_reason(self) -> str | None:
        """Why the answer has ended, in Anthropic's words; None: it hasn't, or doesn't say."""
        return self._stop_reason or self._events.stop_reason

    def feed(self, data: bytes) -> bytes:
        """The provider's next bytes. Returns the events that are complete now (whole events, in order)."""
        events = self._relayed
        if events is None:
            return self._feed(data)
        out = events.feed(data)
        self.content = events.content
        self.spoke = events.spoke
        self.error = events.error
        self.finished = events.finished
        return out

    def end(self) -> bytes:
        """The provider ended properly. Returns the last events; `error` or `finished` says how it ended."""
        if self.error:
            return b""
        if self._first in JSON_OR_PAGE:
            return self._end_of_json()
        out = self._given(self._events.end())
        if self.error:
            return b""
        if not self.finished:
            if not self._events.started:  # no event came: a sentence where there should be a stream
                said = " ".join(self._beginning.decode("utf-8", "replace").split())
                return self._fail(f"answered with no message but: {said}")
            return self._fail("ended its answer before it was complete")
        if self._assembler:
            message = self._assembler.message()
            message["usage"] = {"input_tokens": 0, "output_tokens": 0} | message.get("usage", {})
            self.body = msgspec.json.encode(message)
        return out

    def _feed(self, data: bytes) -> bytes:
        """The next bytes, at the start and wherever it takes more than handing them on to `events`."""
        self.spoke = False
        if self.error:
            return b""
        if self._decoder:
            try:
                data = self._decoder.feed(data)
            except ValueError as error:
                return self._fail(str(error))
        if not self._first:
            self._first = data.lstrip(WHITE_SPACE)[:1]
            self.started = bool(self._first)
            if self._first not in JSON_OR_PAGE:
                data = bytes(self._buffer) + data
                self._buffer.clear()
                if not self.stream:
                    self._assembler = Assembler()
        if self._first not in JSON_OR_PAGE:
            out = self._given(self._events.feed(data))
            if not self._events.started:
                self._beginning += data[: BEGINNING - len(self._beginning)]
            elif self.stream and not self._decoder:
                self._relayed = self._events
            return out
        self._buffer += data
        self.spoke = bool(self._first and data) and not data.isspace()
        if len(self._buffer) > ANSWER:
            return self._fail("answered with a body that never ends")
        return b""

    def _given(self, out: bytes) -> bytes:
        """What goes on of the events that came out, and how the answer stands now."""
        events = self._events
        self.content = self.stream and events.content
        self.spoke = events.spoke
        self.error = events.error
        self.finished = events.finished
        if self._assembler is None:
            return out
        self._assembled += len(out)
        if self._assembled > ANSWER:
            return self._fail("sent an answer that never ends")
        self._assembler.feed(out)
        if self._assembler.is_torn:
            return self._fail("sent an event that is not JSON")
        return b""

    def _end_of_json(self) -> bytes:
        body = bytes(self._buffer)
        if not self._first:
            return self._fail("answered with an empty body")
        if self._first == b"<":
            self.error = read_error(502, "text/html", body)
            return b""
        read = self._complete(body)
        if isinstance(read, ProviderError):
            self.error = read
            return b""
        self.body, self._usage, self._stop_reason = read
        self.finished = self.content = True
        if not self.stream:
            return b""
        return b"".join(message_events(message_in(self.body)))

    def _fail(self, what: str) -> bytes:
        self.error = ProviderError(502, "api_error", f"the provider {what}")
        self._relayed = None
        return b""
