"""A client's view of a stream: every event with the time when it was complete.

Rule of this file: it is a second opinion. It shares no code with the gateway's own reading of streams.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Event:
    """One server-sent event, or a comment."""

    time: float  # seconds since the request was sent
    event: str  # its `event:` line; "comment" for a comment
    data: str

    @property
    def json(self) -> Any:
        return json.loads(self.data)


class EventStream:
    """Reads a response event by event, and remembers what came.

    The end of the stream ends iteration. `cut` says how it ended: None for a proper end, else the error.
    """

    def __init__(self, response: httpx.Response, started: float) -> None:
        self.response = response
        self.started = started
        self.head_time = time.monotonic() - started  # seconds until the response's headers were there
        self.events: list[Event] = []
        self.raw = b""
        self.cut: httpx.HTTPError | None = None
        self._chunks = response.iter_raw()
        self._coming = self._read()

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def headers(self) -> httpx.Headers:
        return self.response.headers

    @property
    def types(self) -> list[str]:
        """What the events so far are called."""
        return [event.event for event in self.events]

    @property
    def answer(self) -> list[str]:
        """The same without pings and comments, which may come at any time."""
        return [kind for kind in self.types if kind not in ("ping", "comment")]

    @property
    def text(self) -> str:
        """The text deltas so far, put together."""
        return self._deltas("text")

    @property
    def thinking(self) -> str:
        """The thinking deltas so far, put together."""
        return self._deltas("thinking")

    def __iter__(self) -> Iterator[Event]:
        return self._coming

    def next(self) -> Event:
        """The next event; AssertionError when there is none."""
        for event in self:
            return event
        raise AssertionError(f"the stream has ended: {self!r}")

    def until(self, condition: Callable[[Event], object] | str) -> Event:
        """The first event from here on that fulfils the condition, or has that name."""
        for event in self:
            if event.event == condition if isinstance(condition, str) else condition(event):
                return event
        raise AssertionError(f"the stream ended before {condition}: {self!r}")

    def read(self) -> list[Event]:
        """Everything to the end: all events of the stream."""
        for _ in self:
            pass
        return self.events

    def close(self) -> None:
        """Hangs up."""
        self.response.close()

    def __repr__(self) -> str:
        seen = ", ".join(f"{event.time:.2f} {event.event}" for event in self.events)
        return f"<EventStream {self.status}: {seen}; cut: {self.cut!r}; raw: {self.raw[-200:]!r}>"

    def _read(self) -> Iterator[Event]:
        rest = b""
        try:
            for chunk in self._chunks:
                self.raw += chunk
                *complete, rest = (rest + chunk).replace(b"\r\n", b"\n").split(b"\n\n")
                for block in complete:
                    self.events.append(self._event(block.decode()))
                    yield self.events[-1]
        except httpx.ReadTimeout:
            raise  # a test that waits in vain has failed
        except httpx.HTTPError as error:
            self.cut = error

    def _event(self, block: str) -> Event:
        fields = [line.partition(":") for line in block.split("\n")]
        values = {name: value.removeprefix(" ") for name, _, value in fields}
        data = "\n".join(value.removeprefix(" ") for name, _, value in fields if name == "data")
        kind = values.get("event", "comment" if "" in values else "message")
        return Event(time.monotonic() - self.started, kind, data or values.get("", ""))

    def _deltas(self, kind: str) -> str:
        deltas = (event.json["delta"] for event in self.events if event.event == "content_block_delta")
        return "".join(delta.get(kind, "") for delta in deltas)
