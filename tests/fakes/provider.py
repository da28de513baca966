"""A provider that does what it is told: an HTTP/1.1 server on loopback, in a thread with its own event loop.

Rules of this file:
- What to answer is decided by `script` (a queue, one reply for each request); when it is empty, by `always`.
- The test's side is synchronous: it reads lists and counters, and waits with `wait_for`, never with a sleep.
- A peer that goes away is noticed at once, also in the middle of a silence, and noted in `closed_by_peer`.
- `stop` leaves nothing behind: no thread, no socket, no pending task.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, cast

from .answers import Answer, Reply, resolve
from .connection import Connection, PeerGone, Reader, keeps_alive
from .ports import port_of, reserve
from .request import Request
from .scripts import chat, count_tokens, error, not_found, say
from .strict import Check, Issued
from .strict_anthropic import for_anthropic
from .strict_others import for_others

PATIENCE = 60.0
"""Seconds for which tests wait, for whatever they wait: only a failure takes so long, however busy the machine is."""


def hello(request: Request) -> Reply:
    """What a provider answers when it was told nothing."""
    if request.method == "POST" and request.path.endswith("/v1/messages/count_tokens"):
        return count_tokens(120)
    if request.method == "POST" and request.path.endswith("/v1/messages"):
        return say(f"Hello from {request.provider}")
    if request.method == "POST" and request.path.endswith("/chat/completions"):
        return chat(f"Hello from {request.provider}")
    return not_found


class Provider:
    """One scripted provider.

    name: what it calls itself: part of the ids and signatures it issues.
    port: 0 takes a free one. It stays the same for the life of the object, also while it refuses connections.
    always: what it answers when nothing is scripted.
    record: False keeps no requests (for long runs).
    """

    def __init__(self, name: str = "provider", *, port: int = 0, always: Reply = hello, record: bool = True) -> None:
        self.name = name
        self._initial = always
        self._record = record
        self._lock = threading.Condition()
        self._changes = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"provider {name}", daemon=True)
        self._reserved = reserve(port)
        self.port = port_of(self._reserved)
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self.accepted = 0  # TCP connections, since the start
        self._clear()

    def _clear(self) -> None:
        self._queue: deque[Reply] = deque()
        self._always = self._initial
        self._check: Check | None = None
        self._number = 0
        self.requests: list[Request] = []  # in the order in which they were complete
        self.closed_by_peer: list[Request] = []  # those whose answer was cut short by the peer
        self.refused: list[tuple[Request, str]] = []  # those that a strict check refused, and why
        self.failures: list[Exception] = []  # a scripted function has raised (a bug of the test), or no HTTP came
        self.issued = Issued()

    # Life

    def start(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def stop(self) -> None:
        """Closes everything. The provider can't be started again."""
        if self._loop.is_closed():
            return
        self._run(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._reserved.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # What it shall do

    def script(self, *replies: Reply) -> None:
        """One reply for each of the next requests, in this order, after what is scripted already."""
        self._queue.extend(replies)

    def always(self, reply: Reply) -> None:
        """What to answer when nothing is scripted (any more)."""
        self._always = reply

    def refuse(self) -> None:
        """Closes all connections and refuses new ones (the port stays ours) until `accept`."""
        self._run(self._shut())

    def accept(self) -> None:
        """Listens again after `refuse`."""
        self._run(self._listen())

    def hang_up(self) -> None:
        """Closes all connections; new ones are welcome."""
        self._run(self._drop())

    def refuse_like_anthropic(self) -> None:
        """From now on, what Anthropic would refuse gets its 400 or 401 (`strict.for_anthropic`)."""
        self._check = for_anthropic

    def refuse_like_others(self, *, betas: frozenset[str] = frozenset(), allow: frozenset[str] = frozenset()) -> None:
        """From now on, what only Anthropic understands gets a 400 (see `for_others` for the arguments)."""
        self._check = for_others(betas=betas, allow=allow)

    def reset(self) -> None:
        """As new: no script, nothing seen, not strict, listening; answers under way are cut.

        Idle connections stay, so that a gateway that keeps them is not disturbed between tests.
        """
        self._run(self._drop(busy_only=True))
        self._clear()
        if self._server is None:
            self.accept()

    # What happened

    @property
    def last(self) -> Request:
        """The latest request."""
        return self.requests[-1]

    @property
    def unused(self) -> int:
        """How many scripted replies nobody has asked for."""
        return len(self._queue)

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    def wait_for(self, condition: Callable[[], object], timeout: float = PATIENCE) -> None:
        """Returns when the condition holds (it may look at anything); AssertionError after `timeout` s."""
        deadline = time.monotonic() + timeout
        while True:
            before = self._changes
            if condition():
                return
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"{self!r}: the condition did not come true within {timeout} s")
            with self._lock:  # wakes now and then, because the condition may depend on things that don't notify us
                if self._changes == before:
                    self._lock.wait(min(left, 0.05))

    def __repr__(self) -> str:
        asked = [f"{request.method} {request.path}" for request in self.requests]
        return (
            f"<Provider {self.name} {self.url}: {asked}, {self.open_connections} connections open, "
            f"{len(self.closed_by_peer)} answers cut by the peer, {self.unused} replies unused>"
        )

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    # In the loop's thread

    async def _listen(self) -> None:
        def protocol() -> asyncio.StreamReaderProtocol:
            return asyncio.StreamReaderProtocol(Reader(), self._connected)

        self._server = await self._loop.create_server(protocol, sock=reserve(self.port), backlog=1024)

    async def _shut(self) -> None:
        if self._server is not None:
            for listening in self._server.sockets:
                self._loop.remove_reader(listening)
            for _ in ("what was accepted", "becomes a connection"):  # a server that is closed would forget it
                await asyncio.sleep(0)
            self._server.close()
            self._server = None
        await self._drop()

    async def _drop(self, *, busy_only: bool = False) -> None:
        dropped = {task: conn for task, conn in self._connections.items() if conn.busy or not busy_only}
        for task, connection in dropped.items():
            connection.abort()
            task.cancel()
        await asyncio.gather(*dropped, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        connection = Connection(cast("Reader", reader), writer, self.accepted)
        task = self._loop.create_task(self._serve(connection))
        self._connections[task] = connection
        task.add_done_callback(self._gone)
        self._changed()

    def _gone(self, task: asyncio.Task[None]) -> None:
        del self._connections[task]
        self._changed()

    async def _serve(self, connection: Connection) -> None:
        try:
            if (answer := self._at_accept()) is not None:
                await connection.finish(answer.then)
                return
            while await self._exchange(connection):
                pass
        except PeerGone:
            pass
        except ValueError as failure:  # what came is no HTTP
            self.failures.append(failure)
        finally:
            await connection.close()

    async def _exchange(self, connection: Connection) -> bool:
        """One request and its answer; returns whether the connection can take another."""
        method, target, headers, body = await connection.request()
        connection.busy = True
        self._number += 1
        request = Request(
            provider=self.name,
            number=self._number,
            connection=connection.number,
            time=time.monotonic(),
            method=method,
            target=target,
            headers=headers,
            body=body,
        )
        cut = self.closed_by_peer  # the list of this test, whenever the peer goes
        answer = self._answer(request)
        if self._record:
            self.requests.append(request)
        self._changed()
        try:
            await connection.send(answer.steps(head_only=method == "HEAD"))
            going_on = await connection.finish(answer.then)
        except PeerGone:
            cut.append(request)
            raise
        connection.busy = False
        return going_on and keeps_alive(answer, headers)

    def _answer(self, request: Request) -> Answer:
        refusal = self._check(request, self.issued) if self._check else None
        if refusal is not None:
            self.refused.append((request, refusal.message))
            return error(refusal.status, refusal.message)
        try:
            answer = resolve(self._queue.popleft() if self._queue else self._always, request)
        except Exception as failure:  # noqa: BLE001  # of the test's own function: the test must see it
            self.failures.append(failure)
            return error(500, f"the scripted reply failed: {failure!r}")
        self.issued.signatures |= answer.signatures
        self.issued.tool_ids |= answer.tool_ids
        return answer

    def _at_accept(self) -> Answer | None:
        if self._queue and isinstance(self._queue[0], Answer) and self._queue[0].at_accept:
            return cast("Answer", self._queue.popleft())
        if not self._queue and isinstance(self._always, Answer) and self._always.at_accept:
            return self._always
        return None

    def _changed(self) -> None:
        with self._lock:
            self._changes += 1
            self._lock.notify_all()
