"""`python -m tests.ordeal`: puts a gateway through it, and ends with status 1 when a promise was broken."""

import argparse
import random
import sys
import time
from collections import Counter

from tests.ordeal.run import ALONE, WITH_FAILOVER, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="ordeal", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="that of an earlier run, to repeat it")
    parser.add_argument("--sessions", type=int, default=200, help="agents at once (default: %(default)s)")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    print(f"seed {seed}, {options.sessions} sessions, {options.seconds:.0f} s")
    started = time.monotonic()
    result = run(seconds=options.seconds, seed=seed, sessions=options.sessions)
    whole = time.monotonic() - started
    print(
        f"{len(result.asked)} requests and {len(result.served)} attempts in {whole:.0f} s; around them:",
        ", ".join(f"{name} ×{count}" for name, count in result.disturbances.items()),
    )
    print(
        "the agents were told:",
        dict(Counter(one.failure or ("hung up" if one.hung_up else str(one.status)) for one in result.asked)),
    )
    print("the slowest answer:", f"{max((one.ended - one.started for one in result.asked), default=0):.1f} s")
    for one in sorted(result.asked, key=lambda one: one.started - one.ended)[:5]:
        behaviours = [f"{s.provider}: {s.behaviour}" for s in result.served if s.marker == one.marker]
        took, kind = one.ended - one.started, "stream" if one.stream else "json"
        print(f"  {took:.1f} s {one.marker} {one.model} {kind}, {one.failure or one.status}: {behaviours}")
    print("answered in whole with failover:", result.rate(WITH_FAILOVER))
    print("answered in whole without:", result.rate(ALONE))
    for name, (then, now) in result.leaks.items():
        print(f"{name}: {then:,.0f} → {now:,.0f}")
    for wrong in result.wrongs[:50]:
        print("BROKEN:", wrong)
    print(f"{len(result.wrongs)} broken promises (--seed {seed})" if result.wrongs else "no promise was broken")
    return 1 if result.wrongs else 0


if __name__ == "__main__":
    sys.exit(main())
