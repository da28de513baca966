"""Server-sent events: where one ends, what its lines say, how one is written, and the JSON object it carries.

Rules that hold here:
- The result never depends on how the bytes were split: an event ends where the same bytes in one piece end it.
- Linear time, one byte at a time too: no byte is searched twice, but for the two before a chunk boundary.
- Bytes are kept: `b"".join(events) + rest` is what was fed. A blank line beyond the one that ends an event, and a
  block of comments, count as events of their own, with no type and no data.
"""

import re
from typing import Any, Final, NamedTuple

from msgspec import Raw

from addons.wire import pieces

Fields = dict[str, Raw]
"""A JSON object's top level; every value in its own bytes."""

# While bytes still come, a carriage return at the very end may be half of \r\n: it ends a line only when
# something else follows. In what is known to be whole events it does.
_EOL_SO_FAR: Final = rb"(?:\n|\r\n|\r(?=[^\n]))"
_BLANK_LINES: Final = re.compile(_EOL_SO_FAR + rb"+")
_BOUNDARIES: Final = re.compile(_EOL_SO_FAR + rb"{2,}")
_EOL: Final = rb"(?:\n|\r\n|\r(?!\n))"
_BLANK_LINE: Final = re.compile(_EOL)
_BOUNDARY: Final = re.compile(_EOL + rb"{2}")
_ENDS: Final = (b"\n\n", b"\r\n\r\n")

BOM: Final = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """One event is larger than the splitter's limit: this is no event stream, or a hostile one."""


class Splitter:
    """Cuts a stream into events, for `\\n`, `\\r\\n`, `\\r` and mixtures of them."""

    def __init__(self, limit: int = 32 * 1024 * 1024) -> None:
        """`limit`: bytes that an unfinished event may have before `EventTooLarge` is raised."""
        self._limit = limit
        self._rest = bytearray()

    @property
    def rest(self) -> bytes:
        """What has come of the event that is not complete yet."""
        return bytes(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """The events that are complete now, each with the blank line that ends it."""
        return split(self.take(data))

    def take(self, data: bytes) -> bytes:
        """The same as `feed`, in one piece: everything up to the end of the last complete event.

        This is the fast way to forward a stream: a chunk that holds just whole events is returned as it is.
        """
        rest = self._rest
        if data.endswith(_ENDS):
            if not rest:
                return data
            self._rest = bytearray()
            return bytes(rest) + data
        if b"\r" in data or rest[-1:] == b"\r" or (not rest and data[:1] == b"\n"):
            return self._take_any(data)
        end = data.rfind(b"\n\n") + 2
        if end == 1:
            end = int(data[:1] == b"\n" == rest[-1:])
        if not end:
            rest += data
            self._check_limit()
            return b""
        done = bytes(rest) + data[:end]
        self._rest = bytearray(data[end:])
        return done

    def _take_any(self, data: bytes) -> bytes:
        rest = self._rest
        # At the start of an event even a single line end is complete: an extra blank line.
        at_start = bytes(rest[:2]) in (b"", b"\r")
        searched = max(0, len(rest) - 2)
        rest += data
        end = 0
        if at_start and (blank := _BLANK_LINES.match(rest)):
            end = blank.end()
        for boundary in _BOUNDARIES.finditer(rest, max(searched, end)):
            end = boundary.end()
        if not end:
            self._check_limit()
            return b""
        done = bytes(rest[:end])
        del rest[:end]
        return done

    def _check_limit(self) -> None:
        if len(self._rest) > self._limit:
            raise EventTooLarge(f"an event of more than {self._limit // 1024} KiB")


def split(batch: bytes) -> list[bytes]:
    """The events of a batch that `Splitter.take` returned."""
    returns = batch.count(b"\r")
    if returns == 0:
        newline = b"\n"
    elif returns == batch.count(b"\r\n") == batch.count(b"\n"):
        newline = b"\r\n"
    else:
        return _split_any(batch)
    if batch.startswith(newline) or newline * 3 in batch:
        return _split_any(batch)  # there are blank lines to spare
    events = batch.split(newline * 2)
    events.pop()
    return [event + newline * 2 for event in events]


def _split_any(batch: bytes) -> list[bytes]:
    events = []
    start = 0
    while start < len(batch):
        found = _BLANK_LINE.match(batch, start) or _BOUNDARY.search(batch, start)
        end = found.end() if found else len(batch)
        events.append(batch[start:end])
        start = end
    return events


class Event(NamedTuple):
    """The lines of one event."""

    type: str
    """Of the `event:` line; empty when there is none."""
    data: bytes
    """Of the `data:` lines, joined by a newline."""
    other: bytes
    """All other lines as they came (`id:`, `retry:`, comments, anything), each ended by a newline."""


def parse(raw: bytes) -> Event:
    """Reads one event. Never raises; a field's name may have white space around it (seen: ` data:`)."""
    kind = b""
    data: list[bytes] = []
    other = b""
    for line in raw.removeprefix(BOM).splitlines():
        name, _, value = line.partition(b":")
        match name.strip():
            case b"data":
                data.append(value.removeprefix(b" "))
            case b"event":
                kind = value.strip()
            case _ if line:
                other += line + b"\n"
    return Event(kind.decode("utf-8", "replace"), b"\n".join(data), other)


def frame(kind: str, data: dict[str, Any] | bytes, other: bytes = b"") -> bytes:
    """One event as Anthropic frames it. `data` is encoded if it isn't bytes; `other`: lines as in `Event`."""
    body = data if isinstance(data, bytes) else bytes(pieces.dump(data))
    if b"\n" in body:
        body = body.replace(b"\n", b"\ndata: ")
    return b"%bevent: %b\ndata: %b\n\n" % (other, kind.encode(), body)


def read_object(data: bytes) -> Fields | None:
    """The top level of a JSON object, or None when `data` is none.

    What JSON allows but no text can hold (an escaped half of a surrogate pair), and bytes that aren't UTF-8, are
    replaced by U+FFFD, as JavaScript clients do.
    """
    if not pieces.is_utf8(data):
        data = data.decode("utf-8", "replace").encode()
    try:
        return pieces.checked(data)[1]
    except pieces.NotJson:
        return None
