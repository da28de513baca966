"""What is measured, in which order: rounds in which every contender does every task, each round starting with another.

Rules of this file: neighbours in time are compared with each other, so the contenders take turns task by task; nothing
here computes a figure (that is `figures.py`): a result is the list of what each round has measured.
"""

import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median, quantiles
from typing import Any

from tests.bench.contenders import GATEWAY, TEAM, Contender
from tests.bench.load import Kind, Measured, Task
from tests.fakes.launch import ROOT

SIZES = {"2 KB": 2_000, "200 KB": 200_000, "1 MB": 1_000_000}

POOL_TASK = "200 KB × 16"
"""The one that is also done through the pool of tokens."""

PAUSE = 0.2
"""Seconds between two tasks, in which a server closes what the last one has left."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is measured."""

    rounds: int = 3
    requests: int = 300
    """Of the latency task."""
    seconds: float = 2.0
    """Of every other task, after its warm-up."""
    warm_up: float = 0.4
    sizes: Sequence[str] = tuple(SIZES)
    connections: Sequence[int] = (1, 16, 64)
    streams: Sequence[int] = (1, 20, 100, 200)
    stream_window: float = 4.0
    """Seconds for which the streams are measured."""
    starts_per_second: float = 25.0
    """How many new streams begin in a second: a stream lasts as long as it takes to have them all at once."""
    new_streams: Sequence[tuple[int, int]] = ((100, 500), (100, 100))
    """How many streams on connections of their own, and of how many events."""
    turns: int = 10
    """How often the gateway is measured with users and limits, and without, side by side."""
    starts: int = 5
    """How often each server is started."""


QUICK = Plan(
    rounds=1,
    requests=150,
    seconds=1.0,
    warm_up=0.2,
    stream_window=2.0,
    starts_per_second=50.0,
    new_streams=((50, 100),),
    turns=6,
    starts=1,
)

TURNS = Plan(rounds=0, turns=40, starts=1)
"""Only what users and limits cost."""

type Sample = dict[str, Any]
type Options = dict[str, Any]


@dataclass
class Results:
    """The raw figures. A key of `cells` is (task, detail, contender): ("loop", "200 KB × 16", "gateway")."""

    start: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds from the start of the process to its first answer."""
    memory: dict[str, float | None] = field(default_factory=dict)
    """MiB at the highest, after everything."""
    cells: dict[tuple[str, str, str], list[Sample]] = field(default_factory=lambda: defaultdict(list))

    pairs: dict[str, list[tuple[Sample, Sample]]] = field(default_factory=lambda: defaultdict(list))
    """By the task's name: the gateway without users and limits, and with them, one after the other."""

    failed: dict[str, str] = field(default_factory=dict)
    """Who did not start, with its last words."""

    def problems(self) -> list[str]:
        """What went wrong, a line each."""
        counts: dict[str, int] = defaultdict(int)
        pairs = {("", detail, TEAM): [one for pair in both for one in pair] for detail, both in self.pairs.items()}
        for (_, detail, contender), samples in [*self.cells.items(), *pairs.items()]:
            for sample in samples:
                for error, count in sample["errors"].items():
                    counts[f"{contender}, {detail}: {error}"] += count
        failed = [f"{name}: {words}" for name, words in self.failed.items()]
        return [*failed, *(f"{where} ({count} times)" for where, count in counts.items())]

    def as_json(self) -> dict[str, Any]:
        cells = [
            {"task": task, "detail": detail, "contender": name, "rounds": samples}
            for (task, detail, name), samples in self.cells.items()
        ]
        return {"start": self.start, "memory": self.memory, "cells": cells, "pairs": self.pairs, "failed": self.failed}


def load(task: Task) -> Measured:
    """Has the load generator do this task."""
    arguments = [sys.executable, "-m", "tests.bench.load"]
    done = subprocess.run(
        arguments, cwd=ROOT, input=json.dumps(asdict(task)), stdout=subprocess.PIPE, text=True, check=True
    )
    return Measured(**json.loads(done.stdout))


def task(contender: Contender, kind: Kind, size: str, **options: Any) -> Task:
    """A task of the load generator against this contender; the options are those of `Task`."""
    return Task(
        kind=kind,
        port=contender.port,
        path=contender.path,
        model=contender.model,
        signed_by=contender.signed_by,
        size=SIZES[size],
        token=contender.token,
        **options,
    )


def sample(contender: Contender, order: Task) -> Sample:
    """One task, once, in figures."""
    server = contender.server
    before = server.cpu_seconds() if server else None
    measured = load(order)
    after = server.cpu_seconds() if server else None
    figures: Sample = {"requests": measured.requests, "rate": measured.rate, "errors": measured.errors}
    if len(measured.latency) > 1:
        figures["latency"] = {"p50": median(measured.latency), "p99": quantiles(measured.latency, n=100)[98]}
    if "streams" in order.kind:
        figures |= {"delay": measured.delay, "starved": measured.starved, "events": measured.events}
    if before is not None and after is not None:
        figures["cpu"] = after - before
    time.sleep(PAUSE)
    return figures


def tasks(plan: Plan) -> Iterator[tuple[Kind, str, Options]]:
    """All that a round consists of: the task, its name in `Results`, and its options for `task`."""
    yield "sequence", "2 KB", {"size": "2 KB", "count": plan.requests}
    times = {"seconds": plan.seconds, "warm_up": plan.warm_up}
    for size in plan.sizes:
        for connections in plan.connections:
            yield "loop", f"{size} × {connections}", {"size": size, "connections": connections, **times}
    for streams in plan.streams:
        length = max(0.4, streams / plan.starts_per_second)
        times = {"seconds": plan.stream_window, "stream_seconds": length}
        yield "streams", str(streams), {"size": "2 KB", "connections": streams, **times}
    for streams, events in plan.new_streams:
        options = {"connections": streams, "events": events, "stream_seconds": streams / plan.starts_per_second}
        yield "new streams", f"{streams} × {events}", {"size": "2 KB", **options}


def side_by_side(plan: Plan, without: Contender, limited: Contender, results: Results) -> None:
    """The same tasks for the gateway without users and limits, and with them, in turns."""
    orders: list[tuple[Kind, str, Options]] = [
        ("sequence", "2 KB × 1", {"size": "2 KB", "count": plan.requests}),
        ("loop", "2 KB × 16", {"size": "2 KB", "connections": 16, "seconds": plan.seconds / 4, "warm_up": 0.1}),
    ]
    for turn in range(plan.turns):
        for kind, detail, options in orders:
            done = {one.name: sample(one, task(one, kind, **options)) for one in rotated([without, limited], turn)}
            results.pairs[detail].append((done[without.name], done[limited.name]))


def rotated[T](items: Sequence[T], by: int) -> list[T]:
    """The same items, beginning with another one."""
    by %= len(items) or 1
    return [*items[by:], *items[:by]]


def start(plan: Plan, contenders: Sequence[Contender], results: Results) -> None:
    """Starts every server as often as the plan says; the last time for good. Who does not start is left out."""
    servers = [(contender.name, contender.server) for contender in contenders if contender.server]
    for number in range(plan.starts):
        for name, server in rotated(servers, number):
            if name in results.failed:
                continue
            try:
                results.start[name].append(server.start())
            except RuntimeError as error:
                results.failed[name] = str(error)
            if number < plan.starts - 1:
                server.stop()


def measure(
    plan: Plan,
    contenders: Sequence[Contender],
    pool: Contender,
    say: Callable[[str], None],
    of_new_streams: Sequence[Contender] = (),
    limited: Contender | None = None,
) -> Results:
    """Does it all: starts the servers, does the rounds, ends the servers. `say` is told what is being done.

    pool: a contender that only does `POOL_TASK`. of_new_streams: those that only have new streams. Their servers are
    those of the others. limited: the gateway with users and limits.
    """
    results = Results()
    try:
        say(f"{plan.starts} starts")
        start(plan, contenders, results)
        running = [contender for contender in contenders if contender.name not in results.failed]
        for number in range(plan.rounds):
            for turn, (kind, detail, options) in enumerate(tasks(plan)):
                say(f"round {number + 1} of {plan.rounds}: {kind} {detail}")
                extra = [pool] if (kind, detail) == ("loop", POOL_TASK) else []
                if kind == "new streams":
                    extra = [one for one in of_new_streams if one.name not in results.failed]
                for contender in rotated([*running, *extra], number + turn):
                    done = sample(contender, task(contender, kind, **options))
                    results.cells[kind, detail, contender.name].append(done)
        gateway = next((contender for contender in running if contender.name == GATEWAY), None)
        if gateway and limited and limited.server and plan.turns:
            say(f"{plan.turns} turns with users and limits, and without")
            limited.server.start()
            side_by_side(plan, gateway, limited, results)
        results.memory = {contender.name: contender.server.peak_memory() for contender in running if contender.server}
    finally:
        for contender in (*contenders, *([limited] if limited else [])):
            if contender.server:
                contender.server.stop()
    return results
