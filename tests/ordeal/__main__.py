"""`python -m tests.ordeal`: puts a gateway through it, and ends with status 1 when a promise was broken."""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping

from tests.ordeal.judge import is_mishap
from tests.ordeal.run import ALONE, WITH_FAILOVER, Result, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="ordeal", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="that of an earlier run, to repeat it")
    parser.add_argument("--sessions", type=int, default=200, help="agents at once (default: %(default)s)")
    parser.add_argument("--long-way", action="store_true", help="with gateway_short_way=false")
    parser.add_argument("--workers", type=int, default=1, help="processes that serve (default: %(default)s)")
    parser.add_argument("--replicas", type=int, default=1, help="gateways with a Redis (default: %(default)s)")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    served = f"{options.replicas} replicas, " if options.replicas > 1 else ""
    what = f"seed {seed}, {options.sessions} sessions, {served}{options.workers} workers, {options.seconds:.0f} s"
    print(what, flush=True)
    started = time.monotonic()
    result = run(
        seconds=options.seconds,
        seed=seed,
        sessions=options.sessions,
        workers=options.workers,
        short_way=not options.long_way,
        replicas=options.replicas,
    )
    print(*report(result, time.monotonic() - started), sep="\n")
    for wrong in result.wrongs[:50]:
        print("BROKEN:", wrong)
    print(f"{len(result.wrongs)} broken promises (--seed {seed})" if result.wrongs else "no promise was broken")
    return 1 if result.wrongs else 0


def report(result: Result, took: float) -> Iterator[str]:
    yield f"{len(result.asked)} requests, {len(result.served)} attempts, {took:.0f} s"
    yield f"around them: {counted(result.disturbances)}"
    yield f"attackers: {counted(result.attacks)}"
    yield f"providers: {counted(Counter(served.behaviour for served in result.served))}"
    yield f"exceptions of an addon: {sum(is_mishap(one) for one in result.asked)}"
    told = Counter(one.failure or ("hung up" if one.hung_up else str(one.status)) for one in result.asked)
    yield f"agents were told: {counted(told)}"
    yield f"answered in whole with failover: {result.rate(WITH_FAILOVER)}"
    yield f"answered in whole without: {result.rate(ALONE)}"
    slowest = max(result.asked, key=lambda one: one.ended - one.started)
    behaviours = [
        f"{served.provider}: {served.behaviour}" for served in result.served if served.marker == slowest.marker
    ]
    yield f"slowest answer: {slowest.ended - slowest.started:.1f} s, {slowest.model} ({', '.join(behaviours)})"
    for name, (then, now) in result.left.items():
        yield f"{name}: {then:,} → {now:,}"


def counted(counts: Mapping[str, int]) -> str:
    """The most frequent first."""
    return ", ".join(f"{name} ×{count}" for name, count in sorted(counts.items(), key=lambda one: -one[1]))


if __name__ == "__main__":
    sys.exit(main())
