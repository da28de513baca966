"""Measures that a reader takes linear time: twice the input costs at most 2.5 times the time.

Both are measured in CPU time of this thread: the least of a few runs each, taken in turns, so that a busy machine slows
both. What takes a few hundredths of a second for 64 KB is not looked at again: noise would decide, and anything worse
than linear takes seconds. What seems worse than linear is looked at again at the next two doublings: a step that a
processor's cache makes comes once, what is worse than linear is so at each of them.
"""

import gc
import time
from collections.abc import Callable
from typing import Any, Final

QUICK: Final = 0.03
"""Seconds of CPU time that need no second look."""
MOST: Final = 2.5
ROUNDS: Final = 6
HOPELESS: Final = 10.0
"""Seconds of CPU time after which a size isn't tried again, nor a larger one."""
SIZE: Final = 32 * 1024
LARGE: Final = 512 * 1024

type Run = Callable[[Any], object]


def cost(run: Run, value: Any) -> float:
    started = time.thread_time()
    run(value)
    return time.thread_time() - started


def assert_linear(run: Run, make: Callable[[int], Any], size: int = SIZE) -> None:
    """Compares a size with twice that size; where that looks bad, with the next two doublings as well."""
    seen = []
    for times in (1, 2, 4):
        first, second = compared(run, make, size * times)
        if second <= MOST * first:
            return
        seen.append(f"{size * times:,} → {2 * size * times:,} bytes: {first:.3f} → {second:.3f} s")
        if second > HOPELESS:
            break
    raise AssertionError("; ".join(seen))


def compared(run: Run, make: Callable[[int], Any], size: int) -> tuple[float, float]:
    """The least cost of a size and of twice that size; equal ones when that one is small enough."""
    large = make(2 * size)
    first, second = float("inf"), float("inf")
    small: Any = None
    gc.disable()
    try:
        for _ in range(ROUNDS):
            second = min(second, cost(run, large))
            if second < QUICK * size / SIZE:
                return second, second
            small = make(size) if small is None else small
            first = min(first, cost(run, small))
            if second <= MOST * first or second > HOPELESS:
                break
    finally:
        gc.enable()
    return first, second


def repeated(piece: str) -> Callable[[int], str]:
    return lambda size: piece * (size // len(piece))
