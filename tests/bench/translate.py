"""How long translating takes, by itself: `python -m tests.bench.translate`.

A stream of each recorded dialect, chunk by chunk as a server sends them (microseconds, the median chunk), and requests
as Claude Code sends them (milliseconds, the median of many). It measures; it never fails.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

from addons.wire.chat.options import ChatOptions
from addons.wire.chat.request import to_chat
from addons.wire.messages.body import Draft, RequestBody
from tests.bench.conversation import KILOBYTE, TEXT, conversation
from tests.wire.chat.dialects import DIALECTS, Called, Dialect, Said
from tests.wire.chat.translated import new_answer

SAID = Said(TEXT * 4, TEXT * 2, (Called("Bash", {"command": TEXT}), Called("Read", {"file_path": "/a" * 100})))
OPTIONS = ChatOptions()  # which a configuration makes once
SIZES = {"2 KB": 2 * KILOBYTE, "200 KB": 200 * KILOBYTE, "1 MB": 1000 * KILOBYTE}


def chunk_times(dialect: Dialect, *, streams: int = 20) -> list[float]:
    """Seconds for each chunk of so many streams."""
    events = dialect.events(dialect.can_say(SAID))
    times = []
    for _ in range(streams):
        answer = new_answer()
        for event in events:
            started = time.perf_counter()
            answer.feed(event)
            times.append(time.perf_counter() - started)
        answer.end()
    return times


def request_times(size: int, *, rounds: int = 50) -> list[float]:
    """Seconds for each translation of one request, from bytes to bytes; its thinking goes back to its provider."""
    data = conversation(size, model="glm", signed_by="gw1.zai.", stream=True)

    def translate() -> Any:
        draft = Draft(RequestBody.parse(data))
        return to_chat(draft, provider="zai", model="m", stream=True, options=OPTIONS)

    translate()
    return [timed(translate) for _ in range(rounds)]


def timed(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def report() -> str:
    """Both tables."""
    lines = ["chunks of a stream       median      p99 (µs)"]
    every: list[float] = []
    for name, dialect in DIALECTS.items():
        times = chunk_times(dialect)
        every += times
        lines.append(row(name, times))
    lines += [row("all", every), "", "requests                 median      p99 (ms)"]
    lines += [row(name, request_times(size), unit=1e3) for name, size in SIZES.items()]
    return "\n".join(lines)


def row(name: str, times: list[float], *, unit: float = 1e6) -> str:
    return f"{name:<20} {statistics.median(times) * unit:>10.2f} {statistics.quantiles(times, n=100)[-1] * unit:>8.2f}"


if __name__ == "__main__":
    print(report())
