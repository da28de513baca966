"""Providers that misbehave at random: for each request one behaviour is drawn, and what was served is written down.

Rules of this file:
- The draw depends on the seed, the provider, the request's marker and how often this provider has seen the marker:
  never on the order of arrival, so that a run can be repeated.
- Every text, thinking and tool argument says which provider made it, in which answer, and at which place in it.
"""

import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.answers import Answer, Raw, Reply, resolve
from tests.fakes.messages import ChatCompletion, Message, message, sse, text, thinking, tool_use
from tests.fakes.provider import Provider
from tests.fakes.request import Request
from tests.fakes.scripts import (
    broken_chunk,
    count_tokens,
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
    invalid_event,
    oauth_429,
    openai_error,
    plain_error,
    redirect,
    reset,
    silent_close,
    trickle,
    windowless_429,
    wrong_content_type,
)

MARKER = re.compile(r"\[\[([a-z0-9.]+)\]\]")
"""In the text of a request's last message: which request of which agent this is."""

TOOL = "Bash"


@dataclass(frozen=True)
class Served:
    """One request as a provider saw it, and what it meant to answer."""

    provider: str
    marker: str
    behaviour: str
    at: float
    """Monotonic seconds."""
    token: str = field(repr=False)
    content: tuple[Mapping[str, Any], ...] = ()
    """The blocks of its message; nothing when it meant to fail."""
    rests: float = 0.0
    """For so many seconds the token is not to be used again."""


class Unreliable:
    """What one provider answers."""

    def __init__(self, name: str, seed: int, *, chat: bool = False, faults: float = 0.5) -> None:
        self.name, self.seed, self.chat, self.faults = name, seed, chat, faults
        self.served: list[Served] = []
        self._seen: Counter[str] = Counter()
        self.provider = Provider(name, always=self.answer, record=False)

    def answer(self, request: Request) -> Reply:
        """The reply to one request."""
        if request.path.endswith("/count_tokens"):
            return count_tokens(120)
        marker = marker_of(request)
        self._seen[marker] += 1
        draw = random.Random(f"{self.seed}/{self.name}/{marker}/{self._seen[marker]}")
        behaviour, misbehave = GOOD
        if draw.random() < self.faults:
            behaviour, misbehave = draw.choice(CHAT_FAULTS if self.chat else FAULTS)
        blocks = self.blocks(request, marker, draw)
        reply: Reply = self.chat_reply(blocks, draw) if self.chat else self.message_reply(blocks, draw)
        answer = resolve(misbehave(reply, draw, resolve(reply, request)), request)
        rests = 0.0
        if behaviour == "429 with a reset":
            rests = draw.choice((1.0, 2.0, 4.0))
            reset_at = time.time() + rests
            answer = oauth_429({"5h": reset_at}) if self.name == "anthropic" else answer
        ours = json.loads(json.dumps(blocks)) if answer.status == 200 else []
        self.served.append(
            Served(self.name, marker, behaviour, time.monotonic(), request.token, tuple(ours), max(0.0, rests - 1.0))
        )
        return answer

    def blocks(self, request: Request, marker: str, draw: random.Random) -> list[Mapping[str, Any]]:
        """What a good answer says. The nonce is in the first words of each block, a number in every word."""
        nonce = f"{self.name}#{self._seen[marker]}@{marker}"

        def words(place: int, count: int) -> str:
            return " ".join(
                f"{nonce}/{place}.{number}" + draw.choice(("", "\n", " é", "\u2028", "😀")) for number in range(count)
            )

        size = draw.choice((1, 2, 5, 20, 60))
        blocks: list[Mapping[str, Any]] = []
        if (request.fields.get("thinking") or {}).get("type") == "enabled" and not self.chat:
            blocks.append(thinking(words(0, 3)))
        blocks.append(text(words(1, size)))
        if request.fields.get("tools") and not self.chat and draw.random() < 0.5:
            odd = "functions.Bash:{}" if self.name == "kimi" else "toolu_{}"
            unique = f"{self.name}_{re.sub('[^a-z0-9]', '_', marker)}_{self._seen[marker]}"
            blocks.append(tool_use(TOOL, {"command": words(2, size)}, tool_id=odd.format(unique)))
        return blocks

    def message_reply(self, blocks: list[Mapping[str, Any]], draw: random.Random) -> Message:
        return message(
            *blocks,
            delta_size=draw.choice((7, 40, 400)),
            crlf=draw.random() < 0.2,
            pings=draw.random() < 0.3,
            padding=draw.choice((0, 0, 3)),
            event_lines=True,
            comments=("OPENROUTER PROCESSING",) * (2 if self.name == "openrouter" else 0),
            done=self.name == "openrouter",
            usage_at_start=self.name != "zai",
        )

    def chat_reply(self, blocks: list[Mapping[str, Any]], draw: random.Random) -> ChatCompletion:
        return ChatCompletion(value=blocks[0]["text"], delta_size=draw.choice((7, 40, 400)))


def marker_of(request: Request) -> str:
    """The marker of the request's last message; "" for a request that is not the ordeal's."""
    messages = [one for one in request.messages if one.get("role") != "system"]
    found = MARKER.findall(json.dumps(messages[-1:]))
    return str(found[-1]) if found else ""


# The behaviours: (reply, draw, its answer) → what is sent instead.

Misbehaviour = Callable[[Reply, random.Random, Answer], Reply]


def good(reply: Reply, draw: random.Random, answer: Answer) -> Reply:
    return reply


GOOD: tuple[str, Misbehaviour] = ("good", good)


def somewhere(draw: random.Random, answer: Answer) -> int:
    """A place between the pieces of an answer."""
    return draw.randint(0, max(0, len(answer.pieces) - 1))


def some_byte(reply: Reply, draw: random.Random, answer: Answer) -> Reply:
    return drop(reply, byte=draw.randint(0, max(1, len(answer.wire()) - 1)), then=draw.choice(("fin", "rst")))


def trailers(reply: Reply, draw: random.Random, answer: Answer) -> Reply:
    count = len(answer.pieces)
    ended = insert(deliver(reply, framing="chunked"), Raw(b"0\r\nx-checksum: 1\r\n\r\n"), after=count, rest=False)
    return drop(ended, events=count + 1, then="keep")


def gigantic(reply: Reply, draw: random.Random, answer: Answer) -> Reply:
    filler = {"message": {"filler": "x" * draw.choice((70_000, 3_000_000))}}
    return insert(reply, sse("x-progress", filler), after=somewhere(draw, answer))


SAME_FOR_ALL: list[tuple[str, Misbehaviour]] = [
    ("gzip", lambda reply, draw, answer: deliver(reply, gzip=True)),
    ("trickle", lambda reply, draw, answer: trickle(reply, size=draw.choice((1, 3)), every=0)),
    ("slow", lambda reply, draw, answer: deliver(reply, pace=0.02)),
    ("until close", lambda reply, draw, answer: deliver(reply, framing="close")),
    ("closes afterwards", lambda reply, draw, answer: drop(reply, then=draw.choice(("fin", "rst")))),
    ("silent close", lambda reply, draw, answer: silent_close()),
    ("reset", lambda reply, draw, answer: reset()),
    ("hangs before the head", lambda reply, draw, answer: hang()),
    ("hangs after the head", lambda reply, draw, answer: hang(reply)),
    ("hangs in the middle", lambda reply, draw, answer: hang(reply, events=somewhere(draw, answer))),
    (
        "cut at an event",
        lambda reply, draw, answer: drop(reply, events=somewhere(draw, answer), then=draw.choice(("fin", "rst"))),
    ),
    ("cut at a byte", some_byte),
    ("ends too early", lambda reply, draw, answer: end(reply, events=somewhere(draw, answer))),
    ("429 with a reset", lambda reply, draw, answer: error(429, headers={"retry-after": "1"})),
    ("429 without one", lambda reply, draw, answer: windowless_429()),
    ("500", lambda reply, draw, answer: error(500, "inner trouble")),
    ("502 html", lambda reply, draw, answer: html_error(502)),
    ("503 empty", lambda reply, draw, answer: empty_error(503)),
    ("503 retry-after", lambda reply, draw, answer: error(503, headers={"retry-after": "1"})),
    ("529", lambda reply, draw, answer: error(529, "Overloaded")),
    ("500 broken json", lambda reply, draw, answer: plain_error(500, b'{"error": {"mess')),
    ("openai error", lambda reply, draw, answer: openai_error(500, "no capacity", code="server_error")),
    ("200 empty", lambda reply, draw, answer: Answer(headers=(("content-type", "text/event-stream"),))),
    ("200 html", lambda reply, draw, answer: plain_error(200, "<html>hello</html>")),
    ("200 error json", lambda reply, draw, answer: plain_error(200, '{"error": {"message": "quota", "code": 429}}')),
    ("redirect", lambda reply, draw, answer: redirect("http://127.0.0.1:9/elsewhere")),
    ("broken chunk", lambda reply, draw, answer: broken_chunk(reply, after=somewhere(draw, answer))),
    ("wrong content type", lambda reply, draw, answer: wrong_content_type(reply, "application/octet-stream")),
    (
        "wrong length",
        lambda reply, draw, answer: deliver(reply, framing="content-length", length_error=draw.choice((-7, -1, 1, 50))),
    ),
    ("two lengths", lambda reply, draw, answer: deliver(reply, framing="both")),
    ("not gzip", lambda reply, draw, answer: deliver(reply, headers={"content-encoding": "gzip"})),
    ("trailers", trailers),
]

CHAT_FAULTS = SAME_FOR_ALL

FAULTS: list[tuple[str, Misbehaviour]] = [
    *SAME_FOR_ALL,
    ("broken event", lambda reply, draw, answer: invalid_event(reply, after=somewhere(draw, answer))),
    ("gigantic event", gigantic),
    ("error first", lambda reply, draw, answer: insert(reply, error_event(), after=0, rest=False)),
    (
        "error event",
        lambda reply, draw, answer: insert(
            reply, error_event(), after=somewhere(draw, answer), rest=draw.random() < 0.3
        ),
    ),
    (
        "error event, then silence",
        lambda reply, draw, answer: drop(
            insert(reply, error_event(), after=(at := somewhere(draw, answer)), rest=False), events=at + 1, then="hang"
        ),
    ),
    ("endless pings", lambda reply, draw, answer: endless_pings(reply, after=1, every=0.1)),
]
