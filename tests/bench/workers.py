"""What a second worker brings: requests per second and streams with one worker and with several, in turns.

    ./run.sh bench --workers [N] [--rounds 5] [--seconds 4]

The load generator and the provider run on the same cores: of what a request costs in CPU time, theirs is told apart. On
C cores a gateway could at best become C / (what a request costs all three) requests per second fast: the ratio to one
worker that this leaves room for stands beside the one that was reached.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from addons.state.control import FILE_NAME, HEADER, PATH
from tests.bench import contenders as who
from tests.bench.contenders import GATEWAY, Contender
from tests.bench.load import Kind, Task
from tests.bench.rounds import rotated, sample, task
from tests.bench.server import cpu_of

TASKS: dict[str, tuple[Kind, dict[str, Any]]] = {
    "2 KB × 32": ("loop", {"size": "2 KB", "connections": 32, "warm_up": 0.5}),
    "200 KB × 32": ("loop", {"size": "200 KB", "connections": 32, "warm_up": 0.5}),
    "200 streams": ("streams", {"size": "2 KB", "connections": 200, "stream_seconds": 4.0}),
    "400 streams": ("streams", {"size": "2 KB", "connections": 400, "stream_seconds": 8.0}),
}


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one turn has shown. CPU times are in seconds, in all."""

    done: int
    """Requests, or events of streams."""
    rate: float
    """Of them in a second."""
    gateway: float
    generator: float
    provider: float
    delay: float | None = None
    """Of an event, 99 % (streams), in ms."""
    starved: int = 0
    errors: int = 0


def measured(gateway: Contender, turn: Task, provider: int) -> Seen:
    """One task, once."""
    before, children = cpu_of([provider]), children_cpu()
    found = sample(gateway, turn)
    return Seen(
        done=max(1, found["events"] if turn.kind == "streams" else found["requests"]),
        rate=found["rate"],
        gateway=found["cpu"],
        generator=children_cpu() - children,
        provider=cpu_of([provider]) - before,
        delay=found["delay"]["p99"] if found.get("delay") else None,
        starved=found.get("starved", 0),
        errors=sum(found["errors"].values()),
    )


def children_cpu() -> float:
    """CPU time of the load generators that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def are_ready(gateway: Contender, count: int) -> bool:
    """Whether all workers serve."""
    assert gateway.server
    headers = {HEADER: (gateway.server.directory / FILE_NAME).read_text().strip()}
    told = httpx.post(f"http://127.0.0.1:{gateway.port}{PATH}workers", headers=headers, trust_env=False)
    return len(told.json()) == count


def lines(detail: str, seen: dict[int, list[Seen]], cores: int) -> Iterator[str]:
    """What a task has shown, a line for each number of workers."""
    unit = "events" if "streams" in detail else "requests"
    single = median(one.rate for one in seen[1])
    for count, samples in seen.items():
        rate = median(one.rate for one in samples)
        costs = [median(part / one.done * 1000 for one, part in parts) for parts in shares(samples)]
        said = f"{detail}, {count} worker{'s' if count > 1 else ' '}: {rate:8,.0f} {unit}/s"
        said += " (CPU ms each: gateway {:.2f}, load generator {:.2f}, provider {:.2f})".format(*costs)
        if unit == "events":
            said += f", 99 % within {median(one.delay or 0 for one in samples):.0f} ms"
            said += f", {sum(one.starved for one in samples)} starved"
        elif count > 1:
            said += f", {rate / single:.2f} times one worker's; room for {cores / (sum(costs) / 1000) / single:.2f}"
        if errors := sum(one.errors for one in samples):
            said += f", {errors} ERRORS"
        yield said


def shares(samples: Sequence[Seen]) -> list[list[tuple[Seen, float]]]:
    """The CPU times of the gateway, of the load generator and of the provider."""
    return [
        [(one, one.gateway) for one in samples],
        [(one, one.generator) for one in samples],
        [(one, one.provider) for one in samples],
    ]


def compare(count: int, rounds: int, seconds: float, details: Sequence[str]) -> dict[str, dict[int, list[Seen]]]:
    """Measure one worker and several, in turns."""
    found: dict[str, dict[int, list[Seen]]] = {detail: defaultdict(list) for detail in details}
    with TemporaryDirectory(prefix="bench-") as name, who.provider() as ports, ExitStack() as stack:
        gateways = {size: who.mitmproxy(GATEWAY, ports, Path(name), workers=size) for size in (1, count)}
        for size, gateway in gateways.items():
            assert gateway.server
            gateway.server.start()
            stack.callback(gateway.server.stop)
            while size > 1 and not are_ready(gateway, size):
                time.sleep(0.05)
        for number in range(rounds):
            for detail in details:
                kind, options = TASKS[detail]
                for size in rotated(list(gateways), number):
                    print(f"round {number + 1} of {rounds}: {detail}, {size}", file=sys.stderr, flush=True)
                    turn = task(gateways[size], kind, **options, seconds=seconds)
                    found[detail][size].append(measured(gateways[size], turn, ports.process))
    return found


def main(given: Sequence[str] | None = None) -> None:
    description, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(prog="./run.sh bench", description=description, epilog=rest.partition("]\n\n")[2])
    parser.add_argument("--workers", type=int, nargs="?", const=2, default=2, metavar="N")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each turn")
    parser.add_argument("--task", action="append", choices=TASKS, help="only this one (more than once: these)")
    options = parser.parse_args(given)
    cores = os.cpu_count() or 1
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{cores} cores, load average {load} at the start; medians of {options.rounds} turns of {options.seconds} s")
    found = compare(options.workers, options.rounds, options.seconds, options.task or list(TASKS))
    for detail, seen in found.items():
        print("\n".join(lines(detail, seen, cores)))


if __name__ == "__main__":
    main()
