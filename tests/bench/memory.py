"""Whether the gateway's memory stays bounded: resident memory after the first fifth of many requests, and at the end.

    python -m tests.bench.memory [--requests 5000] [--size 200000] [--program mitmweb|mitmdump]

The answers are small, the requests all the same size, four at a time. mitmweb keeps its last 500 flows and all that the
views show of them; mitmdump keeps nothing. Exit status 1 when the end is 10 % or more above the fifth.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.contenders import ENV, ROUTING, free_port, provider
from tests.bench.load import TOKEN, Task, run
from tests.bench.server import PROC, Server
from tests.fakes.launch import ROOT, command

PROGRAMS = ("mitmweb", "mitmdump")

MOST = 0.1
"""By how much the end may be above the first fifth."""

STEPS = 5


@dataclass(frozen=True)
class Growth:
    """MiB of resident memory after each fifth of the requests; before them all in `start`."""

    start: float
    after: Sequence[float]

    @property
    def ratio(self) -> float:
        """How far the end is above the first fifth."""
        return self.after[-1] / self.after[0] - 1


def resident(server: Server) -> float:
    """MiB of resident memory of a server's processes."""
    total = 0
    for pid in server.processes():
        lines = (PROC / str(pid) / "status").read_text().splitlines()
        total += sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    return total / 1024


def server(program: str, upstream: int, directory: Path, options: Sequence[str]) -> Server:
    """A gateway before the benchmark's provider, not started."""
    (directory / "routing.yaml").write_text(ROUTING.format(port=upstream, tls=upstream))
    (directory / ".env").write_text("".join(f"{name}={value}\n" for name, value in ENV.items()))
    port = free_port()
    arguments = command(program=program, upstream=f"http://127.0.0.1:{upstream}", port=port, directory=directory)
    arguments += ["--set", "termlog_verbosity=alert", *options]
    if program == "mitmweb":
        arguments += ["--set", f"web_port={free_port()}", "--set", "web_open_browser=false"]
    headers = {"x-litellm-api-key": TOKEN}
    env = {"PYTHONPATH": str(ROOT)}
    return Server(command=arguments, port=port, directory=directory, headers=headers, env=env)


def measure(program: str, requests: int, size: int, options: Sequence[str] = ()) -> Growth:
    """Asks for it. Raises RuntimeError when a request fails."""
    with TemporaryDirectory(prefix="memory-") as name, provider() as (upstream, _, _):
        gateway = server(program, upstream, Path(name), options)
        gateway.start()
        try:
            start, after = resident(gateway), []
            for _ in range(STEPS):
                task = Task(
                    kind="sequence",
                    port=gateway.port,
                    path="/v1/messages?beta=true",
                    model="glm",
                    signed_by="gw1.zai.",
                    size=size,
                    connections=4,
                    count=requests // STEPS,
                )
                if errors := asyncio.run(run(task)).errors:
                    raise RuntimeError(f"requests have failed: {errors}")
                after.append(resident(gateway))
            return Growth(start, after)
        finally:
            gateway.stop()


def main() -> None:
    description, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(description=description, epilog=rest.partition("\n\n")[2].partition("\n\n")[2])
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--size", type=int, default=200_000, help="bytes of each request")
    parser.add_argument("--program", choices=PROGRAMS, action="append", help="default: both")
    options = parser.parse_args()
    grown = False
    for program in options.program or PROGRAMS:
        found = measure(program, options.requests, options.size)
        steps = " → ".join(f"{value:.0f}" for value in (found.start, *found.after))
        print(f"{program}: {steps} MiB, after each fifth of {options.requests:,} requests of {options.size:,} bytes: ")
        print(f"  the end is {found.ratio:+.1%} of the first fifth", flush=True)
        grown |= found.ratio >= MOST
    sys.exit(int(grown))


if __name__ == "__main__":
    main()
