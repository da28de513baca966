"""Where 10, 100 and 1,000 gateways that share a Redis stop: measured costs, multiplied.

`python -m tests.bench.replicas` starts a redis-server, has a gateway's link tell and ask what a request needs, and what
a gateway says without one (signs of life, totals, sums of days), and takes the CPU time of both. Then it multiplies: a
Redis uses one core.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from addons.process import redis_scripts as scripts
from addons.process.redis_link import HERE_EVERY, Command, RedisLink
from addons.process.sums_sharing import pause
from addons.state.shared import (
    Admit,
    Asked,
    DaysSummed,
    Known,
    Question,
    RoomSeen,
    Settled,
    Shared,
    Sit,
    Span,
    Summed,
    SumsOf,
    Tell,
    Totals,
    answer_of,
)
from addons.team.shared_limits import LEARN_EVERY
from tests.redis_server import RedisServer

USERS = 1000
ROWS = 200
"""Daily sums of one gateway: its users, by what they used."""
ROUNDS = 2000
REQUESTS = 10.0
"""Requests a second of a gateway: a hundred people who work."""
NEW_SESSIONS = 0.02
ROOMS = 0.02
"""Parts of the requests that begin a session, and whose answer says that an account's room has changed."""
SIZES = (3, 10, 30, 100, 300, 1000)
NOW = time.time()
WINDOWS = tuple(Span(name, NOW - 1000, NOW + 86_400 * days) for name, days in (("day", 1), ("week", 7), ("month", 30)))


@dataclass(frozen=True)
class Cost:
    """Of one message, in microseconds."""

    server: float
    here: float


async def measured(server: RedisServer, link: RedisLink, say: Callable[[int], Asked | None], rounds: int) -> Cost:
    """What one of many costs."""
    before, began = busy(server), time.process_time()
    for first in range(0, rounds, 50):
        asked = [say(number) for number in range(first, min(first + 50, rounds))]
        last = link.ask(Totals(())) if asked[-1] is None else asked[-1]
        await answer_of(last)
        assert last and not last.lost
    here = time.process_time() - began
    return Cost((busy(server) - before) / rounds * 1e6, here / rounds * 1e6)


def busy(server: RedisServer) -> float:
    """Seconds of CPU that the server has used."""
    told = server.say("INFO", "cpu").decode()
    return sum(float(value) for value in re.findall(r"used_cpu_(?:sys|user):([\d.]+)", told))


async def costs(server: RedisServer) -> dict[str, Cost]:
    """Of everything that a gateway says."""
    shared = Shared()
    shared.source = "here"
    link = RedisLink(server.url, shared)
    reached = asyncio.Event()
    shared.on_joining(reached.set)
    link.overdue.tick = 60.0  # however busy the machine is
    link.start()
    await reached.wait()

    def ask(question: Callable[[int], Question]) -> Callable[[int], Asked]:
        return lambda number: link.ask(question(number))

    def tell(message: Callable[[int], Tell]) -> Callable[[int], None]:
        return lambda number: link.tell(message(number))

    budgets = tuple((window, 1e9) for window in WINDOWS)
    for window in WINDOWS:
        link.tell(Known("here", window, {f"user{number}": 1.0 for number in range(USERS)}))
    rows = tuple((f"user{number}", "zai", "glm-5", "main", *[1] * 10, 1.0) for number in range(ROWS))
    link.tell(Summed("there", "2026-11-28", "v", rows))

    def here(_number: int) -> None:
        link.put(Command(link.script(scripts.HERE, [scripts.MEMBERS], link.member)))

    found = {}
    for name, say, rounds in (
        ("admit", ask(lambda n: Admit(f"user{n % USERS}", 600, f"s{n % 4}", 8, budgets, 0.01)), ROUNDS),
        ("settle", tell(lambda n: Settled(f"user{n % USERS}", 0.01, 0.01, WINDOWS, "here")), ROUNDS),
        ("sit", ask(lambda n: Sit(f"session{n}", "claude", "mark")), ROUNDS),
        ("room", tell(lambda n: RoomSeen("mark", n / ROUNDS)), ROUNDS),
        ("here", here, ROUNDS),
        ("totals", ask(lambda _: Totals(WINDOWS)), 100),
        ("days", ask(lambda _: DaysSummed(("2026-11-28", "2026-11-27", "2026-11-26"))), ROUNDS),
        ("sums", ask(lambda _: SumsOf("there", "2026-11-28")), 200),
    ):
        found[name] = await measured(server, link, say, rounds)
    await link.close()
    return found


def share(found: dict[str, Cost], gateways: int) -> dict[str, float]:
    """Which part of a Redis' core each kind of work takes."""
    request = found["admit"].server + found["settle"].server + NEW_SESSIONS * found["sit"].server
    news = ROOMS * found["room"].server * gateways  # each is sent to all (what `room` took has one listener)
    looks = 1 / pause(gateways)
    own = found["here"].server / HERE_EVERY + found["totals"].server / LEARN_EVERY + found["days"].server * looks
    sums = found["sums"].server * gateways * looks
    parts = {"requests": REQUESTS * request, "news": REQUESTS * news, "counting": own, "sums": sums}
    return {name: gateways * part / 1e6 for name, part in parts.items()}


def main() -> None:
    """Measure, and multiply."""
    server = RedisServer()
    try:
        found = asyncio.run(costs(server))
    finally:
        server.close()
    print("microseconds     redis    here")
    for name, cost in found.items():
        print(f"{name:12} {cost.server:9.0f} {cost.here:7.0f}")
    print(f"\npart of a Redis' core, at {REQUESTS:.0f} requests/s a gateway and {USERS} users")
    for gateways in SIZES:
        parts = share(found, gateways)
        told = " ".join(f"{name} {100 * part:.1f} %" for name, part in parts.items())
        print(f"{gateways:5} gateways: {100 * sum(parts.values()):7.1f} %   ({told})")


if __name__ == "__main__":
    main()
