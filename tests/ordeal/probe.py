"""An addon beside the gateway's own: writes down how each request was closed, and what the process holds.

Loaded by the ordeal as a second script. It changes nothing.
"""

import asyncio
import gc
import json
import math
import os
import time
from pathlib import Path

from mitmproxy import ctx, http
from mitmproxy.addonmanager import Loader

from addons import state
from addons.failover import is_answer
from addons.state import Attempt, Exchange, exchange_of
from tests.ordeal.providers import MARKER


class Probe:
    """Appends JSON lines to `ordeal_log`."""

    def load(self, loader: Loader) -> None:
        loader.add_option("ordeal_log", str, "", "Where the probe writes.")

    def running(self) -> None:
        self.counting = asyncio.get_running_loop().create_task(self.count())

    def done(self) -> None:
        self.counting.cancel()

    def response(self, flow: http.HTTPFlow) -> None:
        self.closed("response", flow)

    def error(self, flow: http.HTTPFlow) -> None:
        self.closed("error", flow)

    def closed(self, hook: str, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange and exchange.body and (found := MARKER.findall(exchange.body.raw.decode(errors="replace"))):
            self.write({"marker": found[-1], "hook": hook, **facts(exchange)})

    async def count(self) -> None:
        while True:
            gc.collect()
            self.write(
                {
                    "time": time.monotonic(),
                    "tasks": len(asyncio.all_tasks()),
                    "exchanges": len(state._exchanges),
                    "files": files(),
                    "memory": memory(),
                }
            )
            await asyncio.sleep(1)

    def write(self, line: object) -> None:
        with Path(ctx.options.ordeal_log).open("a") as file:
            file.write(json.dumps(line) + "\n")


def facts(exchange: Exchange) -> dict[str, object]:
    """What the judge wants to know (see judge.Closed)."""
    last, outcome = exchange.attempt, exchange.attempt.outcome if exchange.attempt else None
    tried = {id(attempt.target) for attempt in exchange.attempts}
    return {
        "attempts": [attempt.target.provider.name for attempt in exchange.sent() if attempt.target],
        "targets": len(exchange.targets),
        "tried": len(tried),
        "last_resort": exchange.last_resort,
        "uses": [use(attempt) for attempt in exchange.attempts if attempt.token],
        "content": bool(last and last.answer and last.answer.content),
        "final": bool(last and outcome and is_answer(exchange, last, outcome)),
    }


def use(attempt: Attempt) -> tuple[str, float, float, float]:
    """One use of a pool token: which, when it began, when it was refused, and until when (unix) it is to rest."""
    headers = attempt.outcome.headers if attempt.outcome else {}
    until = float(headers.get("anthropic-ratelimit-unified-5h-reset", 0))
    assert attempt.token
    return attempt.token.fingerprint, attempt.started, attempt.ended or math.inf, until


def files() -> int:
    """Open file descriptors, sockets included."""
    return len(list(Path("/proc/self/fd").iterdir()))


def memory() -> int:
    """Resident bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


addons = [Probe()]
