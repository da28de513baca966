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

from addons.wire import raw_json
from addons.wire.limits import EVENT

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

LARGEST_PING: Final = 1024
"""Bytes. What is longer says something, whatever it is: an event that trickles in is seen to before it is complete."""

BARE_ERROR: Final = re.compile(rb"error:\s*+\{")
"""How an error begins that stands in no `data:` line (gpustack)."""

_COMMENTS: Final = (b":", BOM + b":")
# `b"\r" in data` would cost ten times as much: it asks first whether that is a number.
_CR: Final = ord("\r")
_LF: Final = ord("\n")


class EventTooLarge(ValueError):
    """One event is larger than the splitter's limit: this is no event stream, or a hostile one."""


class Splitter:
    """Cuts a stream into events, for `\\n`, `\\r\\n`, `\\r` and mixtures of them."""

    def __init__(self, limit: int = EVENT) -> None:
        """`limit`: bytes that an unfinished event may have before `EventTooLarge` is raised."""
        self._limit = limit
        self._rest = bytearray()

    @property
    def unfinished(self) -> bytes:
        """What has come of the event that is not complete yet."""
        return bytes(self._rest)

    @property
    def between(self) -> bool:
        """Whether nothing has come yet of the next event."""
        return not self._rest

    @property
    def tells(self) -> bool:
        """Whether what has come of the unfinished event is more than a ping or a comment."""
        return is_long(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """The events that are complete now, each with the blank line that ends it."""
        return split(self.take(data))

    def take(self, data: bytes) -> bytes:
        """The events that are complete now, in one piece: everything up to the end of the last complete event.

        This is the fast way to forward a stream: a chunk that holds just whole events is returned as it is.
        """
        rest = self._rest
        if data.endswith(_ENDS):
            if not rest:
                return data
            self._rest = bytearray()
            return bytes(rest) + data
        if _CR in data or rest[-1:] == b"\r" or (not rest and data[:1] == b"\n"):
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
    if batch.find(b"\n\n") == len(batch) - 2 and _is_plain(batch):
        return [batch]
    if _CR not in batch:
        newline = b"\n"
    elif batch.count(b"\r") == batch.count(b"\r\n") == batch.count(b"\n"):
        newline = b"\r\n"
    else:
        return _split_any(batch)
    if batch.startswith(newline) or batch.find(newline * 3) >= 0:
        return _split_any(batch)  # there are blank lines to spare
    blank_line = newline * 2
    return [event + blank_line for event in batch.split(blank_line)[:-1]]


def _is_plain(raw: bytes) -> bool:
    """Whether all lines end as nearly everybody's do, the last one is blank and the first one isn't."""
    return raw.endswith(b"\n\n") and _CR not in raw and raw[0] != _LF


def _split_any(batch: bytes) -> list[bytes]:
    events = []
    start = 0
    while start < len(batch):
        found = _BLANK_LINE.match(batch, start) or _BOUNDARY.search(batch, start)
        end = found.end() if found else len(batch)
        events.append(batch[start:end])
        start = end
    return events


def is_long(raw: bytes | bytearray) -> bool:
    """Whether an event, or as much of one as has come, is too long to be a ping and doesn't begin with a comment."""
    return len(raw) > LARGEST_PING and not raw.startswith(_COMMENTS)


class Event(NamedTuple):
    """One event, by its lines."""

    type: str
    """The value of the `event:` line; empty when there is none."""
    data: bytes
    """The values of the `data:` lines, joined by a newline."""
    other: bytes
    """All other lines as they came (`id:`, `retry:`, comments, anything), each ended by a newline."""


def parse(raw: bytes) -> Event:
    """Reads one event. Never raises; a field's name may have white space around it (seen: ` data:`)."""
    start = raw.find(b"\n") + 1 if raw.startswith(b"event: ") else 0
    if raw.startswith(b"data: ", start) and raw.find(b"\n", start) == len(raw) - 2 and _is_plain(raw):
        return Event(raw[7 : start - 1].strip().decode("utf-8", "replace") if start else "", raw[start + 6 : -2], b"")
    kind = b""
    data: list[bytes] = []
    other: list[bytes] = []
    for line in raw.removeprefix(BOM).splitlines():
        name, _, value = line.partition(b":")
        match name.strip():
            case b"data":
                data.append(value.removeprefix(b" "))
            case b"event":
                kind = value.strip()
            case _ if line:
                other.append(line + b"\n")
    return Event(kind.decode("utf-8", "replace"), b"\n".join(data), b"".join(other))


def frame(kind: str, data: dict[str, Any] | bytes, other: bytes = b"") -> bytes:
    """One event as Anthropic frames it. `data` is encoded if it isn't bytes; `other`: lines as in `Event`."""
    body = data if isinstance(data, bytes) else bytes(raw_json.dump(data))
    if b"\n" in body:
        body = body.replace(b"\n", b"\ndata: ")
    return b"%bevent: %b\ndata: %b\n\n" % (other, kind.encode(), body)


def reframe(event: Event, fields: Fields, **changes: Raw) -> bytes:
    """The event, with these fields of its JSON object changed."""
    return frame(event.type, bytes(raw_json.join_object(fields | changes)), event.other)


def read_object(data: bytes) -> Fields | None:
    """The top level of a JSON object, or None when `data` is none.

    What JSON allows but no text can hold (an escaped half of a surrogate pair), and bytes that aren't UTF-8, are
    replaced by U+FFFD, as JavaScript clients do.
    """
    if not raw_json.is_utf8(data):
        data = data.decode("utf-8", "replace").encode()
    try:
        return raw_json.taken_apart(data)[1]
    except raw_json.NotJson:
        return None


def object_in(fields: Fields, key: str) -> Fields:
    """The fields of an object inside an object; none when it is missing or something else."""
    return (raw_json.split_object(fields[key]) if key in fields else None) or {}


def value_in(fields: Fields, key: str) -> Any:
    """The Python value of a field; None when it is missing, or Python has none for it."""
    return raw_json.load(fields[key]) if key in fields else None
