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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from tests.fakes.answers import Answer, Reply, resolve
from tests.fakes.messages import Block, Message, message, text, thinking, tool_use
from tests.fakes.provider import Provider
from tests.fakes.request import Request, blocks_of
from tests.fakes.scripts import count_tokens, oauth_429
from tests.ordeal.behaviours import LIMITED, OF_CHAT, OF_MESSAGES, good
from tests.wire.chat import chat_checker
from tests.wire.chat.dialects import DIALECTS, Called, Dialect, Said

MARKER = re.compile(r"\[\[([a-z0-9.]+)\]\]")
"""In the text of a request's last message: which request of which agent this is."""

THINKING, TEXT, CALL = 0, 1, 2
"""Places in an answer."""

NONCE = re.compile(r"(\w+)#\d+@[a-z0-9.]+/(\d)\.")
"""How the words of an answer begin: whose they are, and their place."""

TOOL = "Bash"

SPOKEN = tuple(
    DIALECTS[name]
    for name in (
        "openai", "azure", "openrouter", "details-only", "groq", "mistral", "deepseek",
        "indexless", "interleaved", "ollama", "zai", "xai", "databricks", "huggingface",
    )
)  # fmt: skip
"""The dialects that can say all there is to say, without changing a space or an id of it."""


class Call(NamedTuple):
    """A tool call of an earlier answer, as a provider was shown it."""

    maker: str
    """Who made it; "" when it says nothing of that."""
    id: str


@dataclass(frozen=True)
class Served:
    """One request as a provider saw it, and what it meant to answer."""

    provider: str
    marker: str
    behaviour: str
    at: float
    """Monotonic seconds."""
    content: tuple[Mapping[str, Any], ...] = ()
    """The blocks of its message; nothing when it meant to fail."""
    token: str = field(default="", repr=False)
    """The credential that it was shown."""
    secrets: frozenset[str] = frozenset()
    """Whose secrets it was shown, anywhere in the request."""
    thoughts: frozenset[str] = frozenset()
    """Whose thinking it was shown, in whatever form."""
    calls: tuple[Call, ...] = ()


class Unreliable:
    """What one provider answers. `secrets`: what may be in a request, and whose it is."""

    def __init__(self, name: str, seed: int, secrets: Mapping[str, str], *, chat: bool = False) -> None:
        self.name, self.seed, self.chat, self.secrets = name, seed, chat, secrets
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
        behaviours = OF_CHAT if self.chat else OF_MESSAGES
        behaviour = "good" if draw.random() < 0.5 else draw.choice(list(behaviours))
        blocks = self.blocks(request, marker, draw)
        reply: Reply = self.message_reply(blocks, draw)
        if self.chat:
            dialect = draw.choice(SPOKEN)
            blocks = blocks if dialect.thinks else blocks[1:]
            reply = chat_reply(blocks, dialect)
        answer = resolve(behaviours.get(behaviour, good)(reply, draw, resolve(reply, request)), request)
        if behaviour == LIMITED:
            answer = self.limited(answer, draw.choice((1.0, 2.0, 4.0)))
        if self.chat:
            chat_checker.check(request.json)
        shown = f"{request.headers!r}{request.body.decode(errors='replace')}"
        self.served.append(
            Served(
                self.name,
                marker,
                behaviour,
                time.monotonic(),
                content=tuple(json.loads(json.dumps(blocks))) if answer.status == 200 else (),
                token=request.token,
                secrets=frozenset(owner for secret, owner in self.secrets.items() if secret in shown),
                thoughts=frozenset(maker for maker, place in NONCE.findall(shown) if int(place) == THINKING),
                calls=tuple(calls_in(request)),
            )
        )
        return answer

    def limited(self, answer: Answer, rest: float) -> Answer:
        """Refused for so many seconds."""
        if self.name == "anthropic":
            return oauth_429({"5h": time.time() + rest})
        return replace(answer, headers=(*answer.headers, ("retry-after", f"{rest:.0f}")))

    def blocks(self, request: Request, marker: str, draw: random.Random) -> list[Block]:
        """What a good answer says. The nonce is in every word."""
        nonce = f"{self.name}#{self._seen[marker]}@{marker}"

        def words(place: int, count: int) -> str:
            return " ".join(
                f"{nonce}/{place}.{number}" + draw.choice(("", "\n", " é", "\u2028", "😀")) for number in range(count)
            )

        size = draw.choice((1, 2, 5, 20, 60)) if draw.random() > 0.005 else 4000
        blocks: list[Block] = []
        if self.chat or (request.fields.get("thinking") or {}).get("type") == "enabled":
            blocks.append(thinking(words(THINKING, 3)))
        blocks.append(text(words(TEXT, size)))
        if request.fields.get("tools") and draw.random() < 0.5:
            unique = f"{marker.partition('.')[2]}.{self._seen[marker]}"
            kimis = f"functions.{TOOL}:{unique}"
            tool_id = kimis if self.name == "kimi" else f"toolu_{self.name}_{unique.replace('.', '_')}"
            blocks.append(tool_use(TOOL, {"command": words(CALL, size)}, tool_id=tool_id))
        return blocks

    def message_reply(self, blocks: Sequence[Block], draw: random.Random) -> Message:
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


def chat_reply(blocks: Sequence[Block], dialect: Dialect) -> Reply:
    """The same in a dialect of Chat Completions."""
    texts = {block["type"]: block[block["type"]] for block in blocks if block["type"] != "tool_use"}
    calls = [Called(block["name"], block["input"], block["id"]) for block in blocks if block["type"] == "tool_use"]
    said = dialect.can_say(Said(texts["text"], texts.get("thinking", ""), calls))

    def reply(request: Request) -> Answer:
        if request.stream:
            headers = (("content-type", dialect.content_type),)
            return Answer(headers=headers, pieces=tuple(dialect.events(said)), framing="chunked")
        return Answer(headers=(("content-type", "application/json"),), pieces=(dialect.body(said),))

    return reply


def marker_of(request: Request) -> str:
    """The marker of the request's last message; "" for a request that is not the ordeal's."""
    messages = [one for one in request.messages if one.get("role") != "system"]
    found = MARKER.findall(json.dumps(messages[-1:]))
    return str(found[-1]) if found else ""


def calls_in(request: Request) -> Iterator[Call]:
    """The tool calls of earlier answers."""
    for message_ in request.messages:
        for block in blocks_of(message_):
            if block["type"] == "tool_use":
                yield Call(maker_of(block["input"]), block["id"])
        for call in message_.get("tool_calls") or ():
            yield Call(maker_of(json.loads(call["function"]["arguments"])), call["id"])


def maker_of(arguments: Mapping[str, str]) -> str:
    found = NONCE.match(arguments.get("command", ""))
    return found[1] if found else ""
