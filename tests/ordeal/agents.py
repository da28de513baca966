"""Scripted agents: sessions that talk to the gateway as Claude Code does, and keep every answer for the judge.

Rules of this file:
- What comes back is read by h11, which shares no code with the gateway and forgives nothing.
- Nothing is judged here: an `Asked` says what was asked and what came, to the byte.
- An agent draws from a random generator of its own; what it does next depends on what it was told, as in life.
- It sends a credential of its own, which is nobody's business: the gateway has better ones.
"""

import asyncio
import json
import random
import socket
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import h11

from tests.fakes.resets import reset_at_close
from tests.ordeal.answer import Told, read_answer
from tests.ordeal.providers import TOOL

LIMIT = 60.0
"""Seconds within which every request has its answer; the gateway's own limits add up to less."""

REFUSED = "refused"
"""The failure of a request for which no connection could be had."""

CREDENTIAL = "sk-ant-oat01-of-an-agent-eeeeeeee"

TOOLS = [{"name": TOOL, "description": "Runs a command", "input_schema": {"type": "object", "properties": {}}}]


@dataclass
class Asked:
    """One request of an agent and what came of it."""

    marker: str
    model: str
    stream: bool
    started: float
    """Monotonic seconds."""
    ended: float = 0.0
    status: int = 0
    """0: no response head came."""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    framed: bool = False
    """The response came to its end as HTTP counts it."""
    hung_up: bool = False
    """The agent went away by itself."""
    failure: str = ""
    """What went wrong with the connection."""

    @property
    def told(self) -> Told:
        return read_answer(self.status, self.headers.get("content-type", ""), self.body)


class Refused(Exception):
    """Nobody listens."""


class HangUp(NamedTuple):
    """How an agent goes away before it has its answer."""

    after: int | None
    """Bytes of the body; None: after `seconds`, without having read anything."""
    seconds: float
    reset: bool
    """With a reset, as a process does that is killed."""


class Line:
    """One keep-alive connection to the gateway."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.reader = asyncio.StreamReader()
        self.writer: asyncio.StreamWriter | None = None

    async def ask(self, asked: Asked, headers: Sequence[tuple[str, str]], body: bytes, hang_up: HangUp | None) -> None:
        """Send one request and read its answer, unless the agent hangs up before."""
        if self.writer and (self.reader.at_eof() or self.reader.exception()):
            self.close()  # it was closed while nobody asked: what keeps connections looks before it uses one
        if self.writer is None or self.writer.is_closing():
            try:
                self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
            except ConnectionRefusedError as error:
                raise Refused from error
            self.parser = h11.Connection(h11.CLIENT)
        fields = [("host", "gateway"), ("content-type", "application/json"), *headers]
        fields.append(("content-length", str(len(body))))
        parser = self.parser
        sent = parser.send(h11.Request(method="POST", target="/v1/messages", headers=fields)) or b""
        sent += parser.send(h11.Data(body)) or b""
        sent += parser.send(h11.EndOfMessage()) or b""
        self.writer.write(sent)
        if hang_up and hang_up.after is None:
            await asyncio.sleep(hang_up.seconds)
            asked.hung_up = True
            self.close(reset=hang_up.reset)
            return
        received = bytearray()
        try:
            while not asked.framed and not asked.hung_up:
                event = parser.next_event()
                if event is h11.NEED_DATA:
                    parser.receive_data(await self.reader.read(65536))
                elif isinstance(event, h11.Response):
                    asked.status = event.status_code
                    asked.headers = {name.decode(): value.decode() for name, value in event.headers}
                elif isinstance(event, h11.Data):
                    received += event.data
                    asked.hung_up = bool(hang_up and len(received) >= (hang_up.after or 0))
                elif isinstance(event, h11.EndOfMessage):
                    asked.framed = True
                elif isinstance(event, h11.ConnectionClosed):
                    raise ConnectionError("closed without an answer")
        finally:
            asked.body = bytes(received)
        if asked.framed and parser.our_state is h11.DONE and parser.their_state is h11.DONE:
            parser.start_next_cycle()
        else:
            self.close(reset=bool(hang_up and hang_up.reset))

    def close(self, *, reset: bool = False) -> None:
        if self.writer:
            if reset:
                connection: socket.socket = self.writer.get_extra_info("socket")
                reset_at_close(connection)
                self.writer.transport.abort()
            self.writer.close()
            self.writer = None


class Agent:
    """One session."""

    def __init__(self, number: int, seed: int, port: int, models: Sequence[str], log: list[Asked]) -> None:
        self.number, self.models, self.log = number, models, log
        self.draw = random.Random(f"{seed}/agent/{number}")
        self.line = Line(port)
        self.session = str(uuid.UUID(int=self.draw.getrandbits(128)))
        self.requests = 0

    async def run(self, over: Callable[[], bool]) -> None:
        """Conversation after conversation, until it is over."""
        await asyncio.sleep(self.draw.random())
        try:
            while not over():
                await self.conversation(over)
        finally:
            self.line.close()

    async def conversation(self, over: Callable[[], bool]) -> None:
        model, thinks = self.draw.choice(self.models), self.draw.random() < 0.5
        messages: list[dict[str, Any]] = []
        results: list[dict[str, Any]] = []
        for _ in range(self.draw.randint(1, 8)):
            if self.draw.random() < 0.25:
                model = self.draw.choice(self.models)
            told = await self.turn(model, messages, results, thinks, over)
            if told is None:
                return
            messages.append({"role": "assistant", "content": told})
            results = [
                {"type": "tool_result", "tool_use_id": block["id"], "content": "done"}
                for block in told
                if block["type"] == "tool_use"
            ]

    async def turn(
        self,
        model: str,
        messages: list[dict[str, Any]],
        results: list[dict[str, Any]],
        thinks: bool,
        over: Callable[[], bool],
    ) -> list[dict[str, Any]] | None:
        """One turn, asked again up to twice when it fails; None when the conversation is over."""
        for attempt in range(3):
            if over():
                return None
            self.requests += 1
            marker = f"a{self.number}.r{self.requests}"
            content = [*results, {"type": "text", "text": f"[[{marker}]] go on"}]
            turn: Mapping[str, Any] = {"role": "user", "content": content}
            asked = await self.request(marker, model, [*messages, turn], thinks, attempt)
            if asked is None or asked.hung_up:
                return None
            if asked.told.complete:
                messages.append({"role": "user", "content": content})
                return asked.told.blocks
        return None

    async def request(
        self, marker: str, model: str, messages: Sequence[Mapping[str, Any]], thinks: bool, attempt: int
    ) -> Asked | None:
        fields: dict[str, Any] = {
            "model": model,
            "max_tokens": 4096,
            "messages": messages,
            "stream": self.draw.random() < 0.8 and attempt < 2,
        }
        calls = any(block["type"] in ("tool_use", "tool_result") for one in messages for block in one["content"])
        if self.draw.random() < 0.7 or calls:
            fields["tools"] = TOOLS
        if thinks:
            fields["thinking"] = {"type": "enabled", "budget_tokens": 1024}
        headers = [
            ("x-claude-code-session-id", self.session),
            ("anthropic-version", "2023-06-01"),
            ("authorization", f"Bearer {CREDENTIAL}"),
        ]
        if self.draw.random() < 0.2:
            self.line.close()
        asked = Asked(marker, model, fields["stream"], time.monotonic())
        body = json.dumps(fields).encode()
        try:
            async with asyncio.timeout(LIMIT):
                await self.line.ask(asked, headers, body, self.hang_up())
        except Refused:
            await asyncio.sleep(0.3)
            asked.failure = REFUSED
        except TimeoutError:
            asked.failure = f"nothing more within {LIMIT:.0f} s"
        except (OSError, h11.ProtocolError) as error:
            asked.failure = f"{type(error).__name__}: {error}"
        if asked.failure:
            self.line.close()
        asked.ended = time.monotonic()
        self.log.append(asked)
        if asked.status in (429, 503):
            with suppress(ValueError):
                await asyncio.sleep(min(1.0, float(asked.headers.get("retry-after", "0.2"))))
        return None if asked.failure else asked

    def hang_up(self) -> HangUp | None:
        """Now and then, at any moment."""
        if self.draw.random() > 0.08:
            return None
        after = self.draw.choice((None, None, 0, 300, 2000))
        return HangUp(after, self.draw.choice((0, 0.002, 0.01, 0.05, 0.5, 1.5)), self.draw.random() < 0.5)
