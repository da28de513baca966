"""A tool: starts and stops gateways, and says which of them ended wrongly. `python -m tests.exits --times 200`.

Each round ends one gateway in one way: SIGTERM or Ctrl-C at a random moment of its start, either of them while requests
run, or a start that fails (its configuration, a taken port). A gateway that was told to stop ends with status 0, one
that can't start with 1; a segmentation fault, another status and no end at all within a minute are wrong. (A signal
in the first hundredths of a second, before Python has read the first line of the program, ends it as any program.)
`tests/e2e/test_exits.py` runs a few rounds.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import httpx

from tests.fakes.launch import ROOT
from tests.fakes.messages import message, text
from tests.fakes.ports import port_of, reserve
from tests.fakes.provider import PATIENCE, Provider

START = 3.0
"""Seconds from the start of a process; a signal comes at any moment in them."""

ROUTING = """\
providers: {{zai: {{base_url: {url}, auth: bearer, api_key: k-0123456789abcdef}}}}
models: {{glm: zai/glm-5}}
"""


class Wrong(NamedTuple):
    """A gateway that has not ended as it should."""

    kind: str
    seed: str
    status: int | None
    """None: it had not ended."""
    log: str


class Started:
    """One gateway as `./run.sh` starts it."""

    def __init__(self, directory: Path, url: str, port: int, *, routing: str = "") -> None:
        (directory / "routing.yaml").write_text(routing or ROUTING.format(url=url))
        (directory / ".env").touch(0o600)
        self.log = directory / "log"
        self.port = port
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "GATEWAY_ROUTING": str(directory / "routing.yaml"),
            "GATEWAY_ENV": str(directory / ".env"),
            "PYTHONFAULTHANDLER": "1",
        }
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [ROOT / "run.sh", "-p", str(port), "--set", f"gateway_db={directory / 'db'}"],
                env=environment,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def listens(self) -> bool:
        with suppress(httpx.HTTPError):
            return (
                httpx.get(f"http://127.0.0.1:{self.port}/health", trust_env=False, timeout=PATIENCE).status_code == 200
            )
        return False

    def hears(self) -> bool:
        """Whether it has its first handlers."""
        caught = re.search(r"^SigCgt:\t(\w+)", Path(f"/proc/{self.process.pid}/status").read_text(), re.MULTILINE)
        is_python = "launch.py" in Path(f"/proc/{self.process.pid}/cmdline").read_text()
        return is_python and bool(caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)

    def wait(self) -> None:
        """Until it answers, or has ended."""
        deadline = time.monotonic() + PATIENCE
        while not self.listens() and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)

    def end(self) -> int | None:
        """Its status; None when it had to be killed."""
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # the fault handler writes where it is
            self.process.wait()
            return None


type Way = Callable[[Started, random.Random], int]
"""Brings a gateway to its end and says with which status it should end."""


def stopped_at_start(number: signal.Signals) -> Way:
    def stop(started: Started, draw: random.Random) -> int:
        while not started.hears() and started.process.poll() is None:
            time.sleep(0.001)
        time.sleep(draw.uniform(0, draw.choice((0.2, 1, START))))
        started.process.send_signal(number)
        return 0

    return stop


def stopped_at_work(number: signal.Signals) -> Way:
    def stop(started: Started, draw: random.Random) -> int:
        started.wait()
        with asking(started.port):
            time.sleep(draw.uniform(0, 0.5))
            started.process.send_signal(number)
            started.end()
        return 0

    return stop


@contextmanager
def asking(port: int) -> Iterator[None]:
    """Four clients ask one request after the other as long as somebody answers."""

    def ask() -> None:
        body = {"model": "glm", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "stream": True}
        with suppress(httpx.HTTPError), httpx.Client(trust_env=False, timeout=PATIENCE) as client:
            while client.post(f"http://127.0.0.1:{port}/v1/messages", json=body).status_code == 200:
                pass

    with ThreadPoolExecutor(4) as clients:
        for _ in range(4):
            clients.submit(ask)
        yield


WAYS: dict[str, Way] = {
    "SIGTERM at the start": stopped_at_start(signal.SIGTERM),
    "SIGINT at the start": stopped_at_start(signal.SIGINT),
    "SIGTERM at work": stopped_at_work(signal.SIGTERM),
    "SIGINT at work": stopped_at_work(signal.SIGINT),
    "no configuration": lambda started, draw: 1,
    "taken port": lambda started, draw: 1,
}


def attempt(kind: str, seed: str, provider: Provider) -> Wrong | None:
    """One start and one end."""
    with TemporaryDirectory(prefix="exits-") as temporary, reserve() as reserved:
        port = port_of(reserved)
        if kind == "taken port":
            reserved.listen()
        routing = "models: {glm: nobody/glm}" if kind == "no configuration" else ""
        started = Started(Path(temporary), provider.url, port, routing=routing)
        meant = WAYS[kind](started, random.Random(seed))
        status = started.end()
        log = started.log.read_text(errors="replace")
        right = status == meant and "Traceback" not in log and "Fatal Python error" not in log
        return None if right else Wrong(kind, seed, status, log)


def run(times: int, seed: int, *, at_once: int = 2) -> tuple[Counter[str], list[Wrong]]:
    """So many starts, the ways in turn: how often each way was taken, and what went wrong."""
    kinds = [list(WAYS)[number % len(WAYS)] for number in range(times)]
    with Provider("zai", always=message(text("hello " * 20))) as provider, ThreadPoolExecutor(at_once) as workers:
        results = workers.map(lambda item: attempt(item[1], f"{seed}/{item[0]}", provider), enumerate(kinds))
        return Counter(kinds), [result for result in results if result]


def main() -> int:
    parser = argparse.ArgumentParser(prog="exits", description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=200, help="starts in all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments (default: %(default)s)")
    options = parser.parse_args()
    counts, wrongs = run(options.times, options.seed)
    for wrong in wrongs:
        print(f"WRONG: {wrong.kind} ({wrong.seed}): status {wrong.status}\n{wrong.log[-3000:]}")
    print(", ".join(f"{kind} ×{count}" for kind, count in counts.items()), f"— {len(wrongs)} ended wrongly")
    return int(bool(wrongs))


if __name__ == "__main__":
    sys.exit(main())
