"""What a scripted provider answers, down to the bytes on the socket.

Rules of this file:
- A `Reply` is an `Answer`, or a function of the request that returns one; every function here that takes a
  reply takes both, so that misbehaviours stack on anything: `drop(deliver(say("hi"), gzip=True), events=2)`.
- An `Answer` is plain data that compiles to steps (`Answer.steps`); sockets and clocks are the connection's.
- "Events" are pieces: each server-sent event, ping and comment is one piece; a JSON body is one piece.
"""

import asyncio
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Literal

from .request import Request

type Framing = Literal["chunked", "content-length", "close", "both"]
type Then = Literal["keep", "fin", "rst", "hang"]
type Reply = Answer | Callable[[Request], Reply]


@dataclass(frozen=True)
class Pause:
    """Nothing is sent for this many seconds."""

    seconds: float


@dataclass(frozen=True)
class Raw:
    """Bytes that go over the wire as they are: not compressed, not framed, not counted in content-length."""

    data: bytes


@dataclass(frozen=True)
class Endless:
    """A piece that is sent again and again, until the peer hangs up."""

    data: bytes
    every: float


class Gate:
    """A piece that sends nothing and waits until the test opens it (from any thread)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened = False
        self._wakers: list[Callable[[], object]] = []

    def open(self) -> None:
        with self._lock:
            self._opened = True
            wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    @property
    def reached(self) -> bool:
        """Whether somebody waits at it: all that comes before it has been sent."""
        return bool(self._wakers) or self._opened

    async def opened(self) -> None:
        loop, event = asyncio.get_running_loop(), asyncio.Event()
        with self._lock:
            if self._opened:
                return
            self._wakers.append(lambda: loop.call_soon_threadsafe(event.set))
        await event.wait()


type Piece = bytes | Pause | Raw | Endless | Gate
type Step = bytes | Pause | Endless | Gate


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One HTTP answer, and how it reaches the peer."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    pieces: tuple[Piece, ...] = ()
    framing: Framing = "content-length"  # "both" sends content-length and transfer-encoding, which is forbidden
    length_error: int = 0  # added to the true content-length
    gzip: bool = False  # content-encoding: gzip, flushed after every piece
    pace: float = 0  # seconds after each piece
    write_size: int = 0  # at most so many body bytes at once (and in one HTTP chunk); 0: a whole piece
    write_pace: float = 0  # seconds after each such write
    stop_after: int | None = None  # cut after so many pieces, before whatever ends the body
    stop_at: int | None = None  # cut after so many bytes, head included
    then: Then = "keep"  # what happens to the connection at the cut, or else after the last byte
    at_accept: bool = False  # happens when a connection is accepted, without reading the request
    signatures: frozenset[tuple[str, str]] = (
        frozenset()
    )  # that this answer issues, with their thinking (or data and "")
    tool_ids: frozenset[str] = frozenset()  # that this answer issues

    @property
    def closes(self) -> bool:
        """Whether only the end of the connection ends the body."""
        return self.framing == "close"

    def steps(self, *, head_only: bool = False) -> Iterator[Step]:
        """What to do, in order, up to the cut if there is one."""
        left = self.stop_at
        for step in self._all_steps(head_only):
            if left is None or not isinstance(step, bytes):
                yield step
            elif len(step) < left:
                left -= len(step)
                yield step
            else:
                yield step[:left]
                return

    def wire(self) -> bytes:
        """All bytes of the answer, for tests that cut it at each of them."""
        return b"".join(step for step in self.steps() if isinstance(step, bytes))

    def _all_steps(self, head_only: bool) -> Iterator[Step]:
        pieces = tuple(self._encoded())
        yield self._head(sum(len(piece) for piece in pieces if isinstance(piece, bytes)))
        if head_only:
            return
        for piece in pieces[: self.stop_after]:
            yield from self._sent(piece)
        if self.stop_after is None and self.framing in ("chunked", "both"):
            yield b"0\r\n\r\n"

    def _sent(self, piece: Piece) -> Iterator[Step]:
        if isinstance(piece, bytes):
            size = self.write_size or max(1, len(piece))
            for start in range(0, len(piece), size):
                yield self._framed(piece[start : start + size])
                if self.write_pace:
                    yield Pause(self.write_pace)
            if self.pace:
                yield Pause(self.pace)
        elif isinstance(piece, Raw):
            yield piece.data
        elif isinstance(piece, Endless):
            yield Endless(self._framed(piece.data), piece.every)
        else:
            yield piece

    def _encoded(self) -> Iterator[Piece]:
        if not self.gzip:
            yield from self.pieces
            return
        compressor = zlib.compressobj(wbits=31)
        for piece in self.pieces:
            if isinstance(piece, bytes):
                yield compressor.compress(piece) + compressor.flush(zlib.Z_SYNC_FLUSH)
            else:
                yield piece
        yield compressor.flush()

    def _head(self, length: int) -> bytes:
        fields = list(self.headers)
        if self.gzip:
            fields.append(("content-encoding", "gzip"))
        if self.framing in ("content-length", "both"):
            fields.append(("content-length", str(max(0, length + self.length_error))))
        if self.framing in ("chunked", "both"):
            fields.append(("transfer-encoding", "chunked"))
        if self.framing == "close":
            fields.append(("connection", "close"))
        try:
            reason = HTTPStatus(self.status).phrase
        except ValueError:  # 529 is no status that HTTP knows
            reason = ""
        lines = [f"HTTP/1.1 {self.status} {reason}", *(f"{name}: {value}" for name, value in fields), "", ""]
        return "\r\n".join(lines).encode()

    def _framed(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if self.framing in ("chunked", "both") else data


def resolve(reply: Reply, request: Request) -> Answer:
    """The answer to this request."""
    while not isinstance(reply, Answer):
        reply = reply(request)
    return reply


def change(reply: Reply, edit: Callable[[Answer], Answer]) -> Reply:
    """The same reply with its answer edited; the building block of the functions below."""
    if isinstance(reply, Answer):
        return edit(reply)
    return lambda request: edit(resolve(reply, request))


def with_headers(reply: Reply, headers: Mapping[str, str]) -> Reply:
    """The same reply with these header fields added, each in place of one of that name."""
    names = {name.lower() for name in headers}

    def edit(answer: Answer) -> Answer:
        kept = (pair for pair in answer.headers if pair[0].lower() not in names)
        return replace(answer, headers=(*kept, *headers.items()))

    return change(reply, edit)


def deliver(
    reply: Reply,
    *,
    pace: float | None = None,
    write_size: int | None = None,
    write_pace: float | None = None,
    gzip: bool | None = None,
    framing: Framing | None = None,
    length_error: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """The same reply, travelling another way (the fields of `Answer`); None leaves the answer's own value."""
    given = {
        "pace": pace,
        "write_size": write_size,
        "write_pace": write_pace,
        "gzip": gzip,
        "framing": framing,
        "length_error": length_error,
    }
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return with_headers(change(reply, lambda answer: replace(answer, **values)), headers or {})


def drop(reply: Reply, *, events: int | None = None, byte: int | None = None, then: Then = "fin") -> Reply:
    """The answer stops after so many events or bytes (head included); `then` is what the connection does.

    With neither of the two, that happens after the complete answer.
    """
    return change(reply, lambda answer: replace(answer, stop_after=events, stop_at=byte, then=then))


def end(reply: Reply, *, events: int) -> Reply:
    """The answer ends properly (as far as HTTP knows) after so many events."""
    return change(reply, lambda answer: replace(answer, pieces=answer.pieces[:events]))


def insert(reply: Reply, *pieces: Piece, after: int, rest: bool = True) -> Reply:
    """These pieces come after so many events; without `rest` nothing comes after them and the answer ends."""

    def edit(answer: Answer) -> Answer:
        tail = answer.pieces[after:] if rest else ()
        return replace(answer, pieces=(*answer.pieces[:after], *pieces, *tail))

    return change(reply, edit)
