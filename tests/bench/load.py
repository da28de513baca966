"""The load generator: does one task, given as JSON on standard input, and prints what it has measured as JSON.

    echo '{"port": 4000, …}' | python -m tests.bench.load

Rules of this file: a process of its own, so that nothing else of the benchmark runs while it measures; a request is put
together, of pieces that are there, before its clock starts; what comes in the warm-up counts nowhere but in `requests`
and `events`.
"""

import asyncio
import json
import math
import re
import statistics
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Literal

from tests.bench.http_client import Client
from tests.bench.provider import INTERVAL
from tests.bench.session import Script, Session

Kind = Literal["sequence", "loop", "streams", "new streams"]

TOKEN = "bench-static-token"
STAMP = re.compile(rb"@(\d+)@")
GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it are spread evenly, however many: streams that began at multiples of INTERVAL would beat as one."""
LATE = 0.5
"""Seconds after which a stream's next event counts as starved."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What to do.

    sequence: `count` requests on one connection, one after the other. loop: each of `connections` asks again as soon as
    it has its answer, for `seconds` after `warm_up` and the first answer of each, or as much longer as it takes to have
    four answers for each connection, because large ones come in step (ten times as long at most). streams: each of
    `connections` has always one stream of `stream_seconds` running, the starts spread evenly, also between two events;
    measured are the events that the provider wrote in the `seconds` after the first `stream_seconds`, and their arrival
    is waited for. new streams: each of `connections` is opened for one stream of `events` events, the starts spread
    over `stream_seconds`; all of it is measured, from the opening of the connection.
    """

    kind: Kind
    port: int
    path: str
    model: str
    signed_by: str
    size: int
    token: str = TOKEN
    connections: int = 1
    count: int = 0
    seconds: float = 0.0
    warm_up: float = 0.0
    stream_seconds: float = 0.0
    events: int = 0


@dataclass(kw_only=True)
class Measured:
    """What was found. Times are in milliseconds."""

    requests: int = 0
    """All that were answered."""
    events: int = 0
    """All that came (streams)."""
    rate: float = 0.0
    """Answers per second (loop); events per second, of those that arrived (streams)."""
    latency: list[float] = field(default_factory=list)
    """From sending a request to the end of its answer (sequence, loop), or to its first event (streams)."""
    delay: dict[str, float] = field(default_factory=dict)
    """From the provider's writing of an event to its arrival (streams): p50, p99, max."""
    starved: int = 0
    """Streams of which an event came more than LATE s late, or none at all for that long."""
    errors: dict[str, int] = field(default_factory=dict)


class Requests:
    """The requests of one connection, with the headers that Claude Code sends."""

    def __init__(self, task: Task, script: Script, number: int) -> None:
        lines = {
            "Host": f"127.0.0.1:{task.port}",
            "Connection": "keep-alive",
            "Accept": "application/json",
            "X-Stainless-Retry-Count": "0",
            "X-Stainless-Timeout": "600",
            "X-Stainless-Lang": "js",
            "X-Stainless-Package-Version": "0.94.0",
            "X-Stainless-OS": "Linux",
            "X-Stainless-Arch": "x64",
            "X-Stainless-Runtime": "node",
            "X-Stainless-Runtime-Version": "v24.3.0",
            "anthropic-dangerous-direct-browser-access": "true",
            "anthropic-version": "2023-06-01",
            "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27",
            "Authorization": f"Bearer {task.token}",
            "x-litellm-api-key": task.token,
            "x-app": "cli",
            "x-claude-code-session-id": f"00000000-0000-4000-8000-{number:012}",
            "User-Agent": "claude-cli/2.1.330 (external, cli)",
            "content-type": "application/json",
            "accept-language": "*",
            "sec-fetch-mode": "cors",
            "accept-encoding": "gzip, deflate",
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.head = f"POST {task.path} HTTP/1.1\r\n{head}Content-Length: ".encode()
        self.session = Session(script, number)

    def next(self) -> bytes:
        body = self.session.body()
        return b"%b%d\r\n\r\n%b" % (self.head, len(body), body)


def script(task: Task) -> Script:
    """What is said in all sessions of this task."""
    events = task.events or round(task.stream_seconds / INTERVAL)
    limit = {"max_tokens": events} if events else {}
    return Script(task.size, model=task.model, signed_by=task.signed_by, stream="streams" in task.kind, **limit)


class Load:
    """One task under way."""

    grace = 0.0
    """Seconds for which it goes on after the end."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.measured = Measured()
        self.errors: Counter[str] = Counter()
        self.requests: dict[Client, Requests] = {}
        self.sent: dict[Client, float] = {}
        self.over = asyncio.Event()
        self.begun: set[Client] = set()
        self.have_begun = asyncio.Event()
        self.begin = self.end = math.inf

    async def run(self) -> Measured:
        task = self.task
        loop = asyncio.get_running_loop()
        said = script(task)
        for number in range(task.connections):
            client = Client(ended=self.ended, came=self.came)
            try:
                await client.connect(task.port)
            except OSError:
                self.errors["no connection"] += 1
            else:
                self.requests[client] = Requests(task, said, number)
        if not self.requests:
            self.over.set()
            self.have_begun.set()  # nobody is waited for
        start = time.monotonic()
        for number, client in enumerate(self.requests):
            spread = number / task.connections + number * GOLDEN % 1 * INTERVAL / max(task.stream_seconds, INTERVAL)
            loop.call_later(task.stream_seconds * spread, self.ask, client)
        if task.kind == "loop":
            await self.all_under_way(start + task.warm_up)
        self.begin = max(time.monotonic(), start + (task.stream_seconds or task.warm_up))
        self.end = self.begin + task.seconds
        limit = task.seconds * 10 if task.kind == "loop" else task.seconds + self.grace if task.seconds else 600
        with suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), self.begin - time.monotonic() + limit)
        if task.kind == "loop":
            self.end = time.monotonic()
        for client in self.requests:
            client.close()
        self.finish()
        return self.measured

    async def all_under_way(self, at_least_until: float) -> None:
        """Waits for the first answer of each connection: a conversation doesn't begin with 1 MB, so the first request
        of a session is no request like the others."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.have_begun.wait(), 60)
        await asyncio.sleep(at_least_until - time.monotonic())

    def ask(self, client: Client) -> None:
        request = self.requests[client].next()
        self.sent[client] = time.monotonic()
        client.send(request)

    def came(self, client: Client, data: bytes) -> None:
        """A piece of a body."""

    def ended(self, client: Client) -> None:
        now = time.monotonic()
        if client.failure or client.answer.status != 200:
            self.errors[client.failure or f"HTTP {client.answer.status}"] += 1
        else:
            self.measured.requests += 1
            self.answered(client, now)
        if client.failure:
            self.requests.pop(client, None)
        self.begun.add(client)
        if self.begun >= self.requests.keys():
            self.have_begun.set()
        if self.is_over(now):
            self.over.set()
        elif not client.failure:
            self.ask(client)

    def is_over(self, now: float) -> bool:
        if not self.requests:
            return True
        if self.task.count:
            return self.measured.requests + self.errors.total() >= self.task.count
        return self.task.kind == "loop" and now > self.end and self.enough()

    def enough(self) -> bool:
        return len(self.measured.latency) >= 4 * self.task.connections

    def answered(self, client: Client, now: float) -> None:
        if now >= self.begin:
            self.measured.latency.append((now - self.sent[client]) * 1000)

    def finish(self) -> None:
        self.measured.errors = dict(self.errors)
        if self.task.seconds and self.measured.latency:
            self.measured.rate = len(self.measured.latency) / (self.end - self.begin)


class Streams(Load):
    """The same with streams: what counts is when each event comes."""

    grace = LATE

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.delays: list[float] = []
        self.latest: dict[Client, float] = {}
        self.late: set[Client] = set()
        self.rest: dict[Client, bytes] = {}

    def ask(self, client: Client) -> None:
        super().ask(client)
        self.latest[client] = self.sent[client]
        self.rest[client] = b""

    def came(self, client: Client, data: bytes) -> None:
        now = time.monotonic()
        events, found, rest = (self.rest[client] + data).rpartition(b"\n\n")
        if not found:
            self.rest[client] = rest
            return
        if client in self.sent and self.latest[client] == self.sent[client] >= self.begin:
            self.measured.latency.append((now - self.sent[client]) * 1000)
        self.rest[client] = rest
        self.latest[client] = now
        stamps = STAMP.findall(events)
        self.measured.events += len(stamps)
        for stamp in stamps:
            written = int(stamp) / 1e9
            if self.begin <= written < self.end:
                self.delays.append((now - written) * 1000)
                if now - written > LATE:
                    self.late.add(client)

    def answered(self, client: Client, now: float) -> None:
        self.latest[client] = now

    def finish(self) -> None:
        super().finish()
        silent = {client for client in self.requests if self.latest.get(client, 0.0) < self.end}
        self.measured.starved = len(self.late | silent)
        self.measured.rate = len(self.delays) / self.task.seconds
        if len(self.delays) > 1:
            cuts = statistics.quantiles(self.delays, n=100)
            self.measured.delay = {"p50": cuts[49], "p99": cuts[98], "max": max(self.delays)}


class NewStreams(Streams):
    """Streams on connections of their own."""

    async def run(self) -> Measured:
        task = self.task
        said = script(task)
        everybody = {Client(ended=self.ended, came=self.came): number for number in range(task.connections)}
        self.requests = {client: Requests(task, said, number) for client, number in everybody.items()}
        self.begin = time.monotonic()
        spread = task.stream_seconds / task.connections
        await asyncio.gather(
            *(
                self.open(client, number * spread + number * GOLDEN % 1 * INTERVAL)
                for client, number in everybody.items()
            )
        )
        limit = task.events * INTERVAL * 3 + 10
        with suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), limit)
        self.end = time.monotonic()
        for client in everybody:
            client.close()
        self.finish()
        return self.measured

    async def open(self, client: Client, after: float) -> None:
        """Ask, on a new connection, after so many seconds."""
        await asyncio.sleep(self.begin + after - time.monotonic())
        begin = time.monotonic()
        try:
            await client.connect(self.task.port)
        except OSError:
            self.errors["no connection"] += 1
            self.begun.add(client)
        else:
            self.ask(client)
            self.sent[client] = self.latest[client] = begin

    def ended(self, client: Client) -> None:
        if client.failure or client.answer.status != 200:
            self.errors[client.failure or f"HTTP {client.answer.status}"] += 1
        else:
            self.measured.requests += 1
        self.begun.add(client)
        if self.begun >= self.requests.keys():
            self.over.set()

    def finish(self) -> None:
        Load.finish(self)
        self.measured.starved = len(self.late | self.requests.keys() - self.begun)
        if len(self.delays) > 1:
            cuts = statistics.quantiles(self.delays, n=100)
            self.measured.delay = {"p50": cuts[49], "p99": cuts[98], "max": max(self.delays)}


KINDS: dict[Kind, type[Load]] = {"sequence": Load, "loop": Load, "streams": Streams, "new streams": NewStreams}


async def run(task: Task) -> Measured:
    """Does the task, in this process."""
    return await KINDS[task.kind](task).run()


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(run(Task(**json.load(sys.stdin)))))))
