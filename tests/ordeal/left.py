"""What a gateway has left behind: what its process holds at the start and at the end, and how much more is too much."""

from collections.abc import Sequence

from tests.ordeal.words import Count

ALLOWED = {"memory": 80_000_000}
"""What there may be more of: a few of anything, and of bytes what the allocator keeps."""
FEW = 3

HELD = ("tasks", "exchanges", "clients", "files", "memory")


LATELY = 5.0
"""Seconds: who has counted in the last ones is a process that was there at the end."""


def by_process(counts: Sequence[Count]) -> list[list[Count]]:
    """The counts of each process that was there at the end."""
    at_end = dict.fromkeys(count.process for count in counts if count.at >= counts[-1].at - LATELY)
    return [[count for count in counts if count.process == process] for process in at_end]


def held(counts: Sequence[Count]) -> dict[str, tuple[int, int]]:
    """By name, what the first process held before its first client (memory: the last one when it was warm), and what
    that one of the last held at its end which held most."""
    found: dict[str, tuple[int, int]] = {}
    for last in by_process(counts):
        for name in HELD:
            then = last[len(last) // 4] if name == "memory" else counts[0]
            each = getattr(then, name), getattr(last[-1], name)
            if name not in found or each[1] - each[0] > found[name][1] - found[name][0]:
                found[name] = each
    return found


def leaks(counts: Sequence[Count]) -> list[str]:
    """What there is too much of."""
    if not counts:
        return ["the probe has counted nothing"]
    return [
        f"{name}: {then:,} → {now:,}"
        for name, (then, now) in held(counts).items()
        if now > then + ALLOWED.get(name, FEW)
    ]
