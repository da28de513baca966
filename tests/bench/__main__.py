"""How fast the gateway is, beside a direct connection and a bare mitmdump. It measures; it never fails.

    ./run.sh bench [options]

In one go and in turns: the latency that is added to a request of 2 KB; requests per second with bodies of 2 KB, 200 KB
and 1 MB at 1, 16 and 64 connections; 1, 20, 100 and 200 streams at 50 events a second; CPU time, memory, start-up.
"""

import argparse
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench import contenders as who
from tests.bench import workers
from tests.bench.contenders import BARE, CCR, GATEWAY, INSTALL, LITELLM, Contender
from tests.bench.figures import Figure, figures, limits_cost, names_in, table, verdicts
from tests.bench.plot import can_plot, plot
from tests.bench.profile import profile, py_spy
from tests.bench.rounds import QUICK, TURNS, Plan, Results, measure
from tests.fakes.launch import ROOT


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    description, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        prog="./run.sh bench",
        description=description,
        epilog=rest.partition("options]")[2],
    )
    parser.add_argument("--quick", action="store_true", help="one short round: a minute and a half instead of ten")
    parser.add_argument(
        "--team", action="store_true", help="only what users, budgets and other limits cost: with them and without"
    )
    parser.add_argument("--peers", action="store_true", help="also LiteLLM proxy and claude-code-router")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured")
    parser.add_argument("--plot", type=Path, metavar="PATH", help="write PATH.png and PATH.svg (needs matplotlib)")
    parser.add_argument("--workers", nargs="?", metavar="N", help="only what more workers bring (with --help: more)")
    parser.add_argument("--profile", action="store_true", help="afterwards show where the time goes (needs py-spy)")
    return parser.parse_args(given)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = models[0] if models else cpu
    return {
        "cores": os.cpu_count(),
        "cpu": cpu,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "mitmproxy": version("mitmproxy"),
        "load": load_average(),
    }


def load_average() -> str:
    """Over 1, 5 and 15 minutes."""
    return ", ".join(f"{value:.1f}" for value in os.getloadavg())


def peers(upstream: int, directory: Path) -> list[Contender]:
    """Those that are installed; how to install the others is printed."""
    found = []
    for name in (LITELLM, CCR):
        if program := who.installed(name):
            found.append(who.peer(name, program, upstream, directory))
        else:
            print(f"{name} is not installed: {INSTALL[name]}", file=sys.stderr)
    return found


def say(what: str) -> None:
    """Progress, for whoever waits."""
    print(what, file=sys.stderr, flush=True)


def bench(plan: Plan, *, with_peers: bool = False, with_profile: bool = False) -> tuple[Results, str]:
    """Measures all; returns the raw figures and, where it was asked for, the profile."""
    with TemporaryDirectory(prefix="bench-") as name, who.provider() as ports:
        directory = Path(name)
        gateway = who.mitmproxy(GATEWAY, ports, directory)
        bare = who.mitmproxy(BARE, ports, directory)
        contenders = [who.direct(ports.plain), bare, gateway]
        if with_peers:
            contenders += peers(ports.plain, directory)
        of_new_streams = [
            who.asked_for("glm-tls", who.BARE_TLS, bare),
            who.asked_for("glm-tls", who.GATEWAY_TLS, gateway),
            who.asked_for("glm-chat", who.GATEWAY_CHAT, gateway),
        ]
        if plan is TURNS:
            contenders = [gateway]
        limited = who.team(ports, directory)
        results = measure(plan, contenders, who.pool(gateway), say, of_new_streams, limited)
        return results, profiled(gateway) if with_profile else ""


def profiled(gateway: Contender) -> str:
    """The profile of a gateway that is started for it."""
    program = py_spy()
    if program is None or gateway.server is None:
        return "no profile: py-spy is not installed (pip install py-spy)"
    gateway.server.start()
    try:
        return profile(program, gateway)
    finally:
        gateway.server.stop()


def report(rows: list[Figure], problems: list[str], before: dict[str, Any]) -> str:
    """The table, the targets and what they were measured on."""
    errors = "".join(f"error: {line}\n" for line in problems)
    return f"""\
{before["cores"]} cores ({before["cpu"]}), {before["system"]}
Python {before["python"]}, mitmproxy {before["mitmproxy"]}
load average {before["load"]} at the start, {load_average()} at the end
medians of the rounds (lowest–highest); ratios are taken within a round

{table(rows, names_in(rows))}
{errors}
targets, as ratios to {BARE} in the same round; where several are named, all must hold:
{"\n".join(verdicts(rows))}"""


def main() -> None:
    if any(option.partition("=")[0] == "--workers" for option in sys.argv[1:]):
        workers.main()
        return
    options = arguments()
    before = machine()
    results, profile_text = bench(
        TURNS if options.team else QUICK if options.quick else Plan(),
        with_peers=options.peers,
        with_profile=options.profile,
    )
    rows = figures(results)
    if options.team:
        print(*results.problems(), limits_cost(results), sep="\n")
        return
    print(report(rows, results.problems(), before))
    print(limits_cost(results))
    if profile_text:
        print(f"\n{profile_text}")
    if options.json:
        options.json.write_text(json.dumps({"machine": before, **results.as_json()}, indent=1))
    target = options.plot or ROOT / ".bench" / "benchmark"
    if can_plot():
        print("\nplot:", *plot(rows, target))
    else:
        print("\nno plot: matplotlib is not installed (./run.sh bench installs it)")


if __name__ == "__main__":
    main()
