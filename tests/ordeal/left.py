"""What a gateway has left behind: what its process holds at the start and at the end, and how much more is too much."""

from collections.abc import Sequence

from tests.ordeal.words import Count

ALLOWED = {"memory": 80_000_000}
"""What there may be more of: a few of anything, and of bytes what the allocator keeps."""
FEW = 3

HELD = ("tasks", "exchanges", "clients", "files", "memory")


def held(counts: Sequence[Count]) -> dict[str, tuple[int, int]]:
    """By name, what the first process held before its first client (memory: the last one when it was warm), and what
    the last one held at its end."""
    last = [count for count in counts if count.process == counts[-1].process]
    then = {name: last[len(last) // 4] if name == "memory" else counts[0] for name in HELD}
    return {name: (getattr(then[name], name), getattr(last[-1], name)) for name in HELD}


def leaks(counts: Sequence[Count]) -> list[str]:
    """What there is too much of."""
    if not counts:
        return ["the probe has counted nothing"]
    return [
        f"{name}: {then:,} → {now:,}"
        for name, (then, now) in held(counts).items()
        if now > then + ALLOWED.get(name, FEW)
    ]
