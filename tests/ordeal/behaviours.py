"""What providers do in place of a good answer.

A behaviour is `(reply, draw, its answer) → what is sent instead`. Whatever it does at random comes from `draw`.
"""

import gzip
import json
import random
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import brotli  # type: ignore[import-untyped]  # it has no stubs
import zstandard

from tests.fakes.answers import Answer, Endless, Raw, Reply, Then
from tests.fakes.messages import event
from tests.fakes.scripts import (
    broken_chunk,
    deliver,
    drop,
    empty_error,
    end,
    endless_pings,
    error,
    error_event,
    hang,
    html_error,
    insert,
    openai_error,
    plain_error,
    redirect,
    reset,
    silent_close,
    trickle,
    windowless_429,
    wrong_content_type,
)

type Behaviour = Callable[[Reply, random.Random, Answer], Reply]

LIMITED = "429 with a reset"
"""Of this one, providers.py says when the limit is over."""

BROKEN_EVENTS = (
    b'event: content_block_delta\ndata: {"type": "content_block\n\n',
    b"event: content_block_delta\ndata: null\n\n",
    b"data: [1]\n\n",
)
BROKEN_CHUNKS = (b'data: {"id": "chatcmpl\n\n', b"data: null\n\n", b"data: [1]\n\n", b"<html>\n\n", b"\xff\xfe\x00\n\n")
GIGANTIC = (70_000, 3_000_000)
NAMES = (5_000, 200_000)


@cache
def bombs() -> Sequence[tuple[str, bytes]]:
    """A quarter of a gigabyte in each coding, packed when it is wanted: that takes a second."""
    return (
        ("gzip", gzip.compress(bytes(1 << 24)) * 16),
        ("br", brotli.compress(bytes(1 << 28), quality=1)),
        ("zstd", zstandard.compress(bytes(1 << 28))),
    )


def good(reply: Reply, draw: random.Random, answer: Answer) -> Reply:
    return reply


def somewhere(draw: random.Random, answer: Answer) -> int:
    """A place between the pieces of an answer."""
    return draw.randint(0, max(0, len(answer.pieces) - 1))


def closing(draw: random.Random) -> Then:
    return draw.choice(("fin", "rst"))


def some_byte(reply: Reply, draw: random.Random, answer: Answer) -> Reply:
    return drop(reply, byte=draw.randint(0, max(1, len(answer.wire()) - 1)), then=closing(draw))


def trickling(reply: Reply, draw: random.Random, answer: Answer) -> Reply:
    """One byte at a time, but for answers that would take all day."""
    return trickle(reply, size=max(draw.choice((1, 3)), len(answer.wire()) // 10_000), every=0)


def status(*codes: int, body: Callable[..., Answer] = error) -> Behaviour:
    """One of these errors, with a time to come back or without."""

    def failing(reply: Reply, draw: random.Random, answer: Answer) -> Reply:
        headers = draw.choice(({}, {}, {"retry-after": "1"}, {"retry-after": "30"}))
        return deliver(body(draw.choice(codes)), headers=headers)

    return failing


def broken_json(reply: Reply, draw: random.Random, answer: Answer) -> Reply:
    return plain_error(draw.choice((200, 500)), b'{"type": "mess', headers={"content-type": "application/json"})


def empty(reply: Reply, draw: random.Random, answer: Answer) -> Reply:
    return Answer(headers=(("content-type", draw.choice(("text/event-stream", "application/json"))),))


def trailers(reply: Reply, draw: random.Random, answer: Answer) -> Reply:
    count = len(answer.pieces)
    ended = insert(deliver(reply, framing="chunked"), Raw(b"0\r\nx-checksum: 1\r\n\r\n"), after=count, rest=False)
    return drop(ended, events=count + 1, then="keep")


def inserting(*pieces: bytes) -> Behaviour:
    """One of these among the pieces of a good answer."""
    return lambda reply, draw, answer: insert(reply, draw.choice(pieces), after=somewhere(draw, answer))


def failing_late(event: bytes) -> Behaviour:
    """This event, and then the end, or the rest as if nothing had been, or nothing more and no end either."""

    def failing(reply: Reply, draw: random.Random, answer: Answer) -> Reply:
        at = somewhere(draw, answer)
        failed = insert(reply, event, after=at, rest=draw.random() < 0.3)
        return drop(failed, events=at + 1, then="hang") if draw.random() < 0.3 else failed

    return failing


def bomb(reply: Reply, draw: random.Random, answer: Answer) -> Reply:
    """A few hundred bytes that unpack to 256 MB."""
    encoding, data = draw.choice(bombs())
    content = draw.choice(("text/event-stream", "application/json"))
    return Answer(headers=(("content-type", content), ("content-encoding", encoding)), pieces=(data,))


def endless(*pieces: bytes, every: float = 0.02) -> Behaviour:
    """One of these again and again, from the first event on."""
    return lambda reply, draw, answer: insert(reply, Endless(draw.choice(pieces), every), after=0, rest=False)


OF_ALL: Mapping[str, Behaviour] = {
    "gzip": lambda reply, draw, answer: deliver(reply, gzip=True),
    "not gzip": lambda reply, draw, answer: deliver(reply, headers={"content-encoding": "gzip"}),
    "trickle": trickling,
    "slow": lambda reply, draw, answer: deliver(reply, pace=0.02),
    "until close": lambda reply, draw, answer: deliver(reply, framing="close"),
    "closes afterwards": lambda reply, draw, answer: drop(reply, then=closing(draw)),
    "silent close": lambda reply, draw, answer: silent_close(),
    "reset": lambda reply, draw, answer: reset(),
    "hangs before the head": lambda reply, draw, answer: hang(),
    "hangs after the head": lambda reply, draw, answer: hang(reply),
    "hangs in the middle": lambda reply, draw, answer: hang(reply, events=somewhere(draw, answer)),
    "cut at an event": lambda reply, draw, answer: drop(reply, events=somewhere(draw, answer), then=closing(draw)),
    "cut at a byte": some_byte,
    "ends too early": lambda reply, draw, answer: end(reply, events=somewhere(draw, answer)),
    LIMITED: lambda reply, draw, answer: error(429),
    "429 without one": lambda reply, draw, answer: windowless_429(),
    "5xx": status(500, 502, 503, 504),
    "529": status(529),
    "5xx html": status(502, 503, body=html_error),
    "5xx empty": status(500, 503, body=empty_error),
    "openai error": lambda reply, draw, answer: openai_error(500, "no capacity", code="server_error"),
    "broken json": broken_json,
    "200 empty": empty,
    "200 html": lambda reply, draw, answer: plain_error(200, "<html>hello</html>"),
    "200 error json": lambda reply, draw, answer: plain_error(200, '{"error": {"message": "quota", "code": 429}}'),
    "redirect": lambda reply, draw, answer: redirect("http://127.0.0.1:9/elsewhere"),
    "broken chunk": lambda reply, draw, answer: broken_chunk(reply, after=somewhere(draw, answer)),
    "wrong content type": lambda reply, draw, answer: wrong_content_type(reply, "application/octet-stream"),
    "wrong length": lambda reply, draw, answer: deliver(
        reply, framing="content-length", length_error=draw.choice((-7, -1, 1, 50))
    ),
    "two lengths": lambda reply, draw, answer: deliver(reply, framing="both"),
    "trailers": trailers,
    "bomb": bomb,
    "gigantic head": lambda reply, draw, answer: deliver(reply, headers={"x-filler": "x" * draw.choice(GIGANTIC)}),
    "endless comments": endless(b": wait\n\n" * 500, b": " + b"w" * 5000),
}

OVERLOADED = b'data: {"error": {"message": "overloaded", "type": "server_error", "code": 503}}\n\n'

OF_MESSAGES: Mapping[str, Behaviour] = {
    **OF_ALL,
    "broken event": inserting(*BROKEN_EVENTS),
    "gigantic event": inserting(*(event("x-progress", filler="x" * size) for size in GIGANTIC)),
    "huge event name": inserting(*(event("x-" + "n" * size) for size in NAMES)),
    "flood of events": inserting(event("x-flood") * 5000, event("ping") * 5000),
    "error first": lambda reply, draw, answer: insert(reply, error_event(), after=0, rest=False),
    "error event": failing_late(error_event()),
    "endless pings": lambda reply, draw, answer: endless_pings(reply, after=1, every=0.1),
}

OF_CHAT: Mapping[str, Behaviour] = {
    **OF_ALL,
    "broken event": inserting(*BROKEN_CHUNKS),
    "gigantic event": inserting(
        *(f"data: {json.dumps({'choices': [], 'filler': 'x' * size})}\n\n".encode() for size in GIGANTIC)
    ),
    "huge event name": inserting(*(b'event: %b\ndata: {"choices":[]}\n\n' % (b"n" * size) for size in NAMES)),
    "flood of events": inserting(b'data: {"choices":[]}\n\n' * 5000),
    "error first": lambda reply, draw, answer: insert(reply, OVERLOADED, after=0, rest=False),
    "error event": failing_late(OVERLOADED),
    "endless pings": lambda reply, draw, answer: insert(reply, Endless(b": wait\n\n", 0.1), after=1, rest=False),
}
