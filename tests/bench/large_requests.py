"""What the largest requests cost: peak memory of the gateway while one of 32 MB is served, and while many are at once.

    python -m tests.bench.large_requests [--at-once 64] [--model glm]

Two bodies of the largest size: one long text (a document in base64), and a conversation of messages of 1 KB, of which
there are 32,000. `--model claude-sonnet-5-5` sends them to Anthropic's stand-in instead of another provider's.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.contenders import provider
from tests.bench.load import TOKEN
from tests.bench.memory import resident, server
from tests.bench.server import PROC, Server

SIZE = 32 * 1024 * 1024 - 1024
"""Bytes of a body: what is let in, less a kilobyte."""


@dataclass(frozen=True)
class Cost:
    """MiB of resident memory before, at the peak, and when all is answered; and the seconds that it took."""

    before: float
    peak: float
    after: float
    seconds: float
    failed: int


def one_text(model: str, size: int) -> bytes:
    """A body of one message, with one long text."""
    return body(model, [{"role": "user", "content": "QUJD" * (size // 4 - 100)}])


def many_messages(model: str, size: int) -> bytes:
    """A body of many messages of about 1 KB each, by both in turn."""
    said = "The buffer is emptied before its last event has been handed on. " * 15
    count = size // (len(said) + 60)
    return body(model, [{"role": ("user", "assistant")[n % 2], "content": f"{n} {said}"} for n in range(count | 1)])


BODIES: dict[str, Callable[[str, int], bytes]] = {"one long text": one_text, "messages of 1 KB": many_messages}


def body(model: str, messages: list[dict[str, str]]) -> bytes:
    """A body to send."""
    return json.dumps({"model": model, "max_tokens": 100, "messages": messages}).encode()


def status(server: Server, name: str) -> float:
    """A line of the gateway's /proc/…/status, in MiB, of the process that takes most."""
    found = [0]
    for pid in server.processes():
        lines = (PROC / str(pid) / "status").read_text().splitlines()
        found += [int(line.split()[1]) for line in lines if line.startswith(f"{name}:")]
    return max(found) / 1024


async def ask(port: int, data: bytes) -> bool:
    """Send one request; whether it was answered with a 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /v1/messages HTTP/1.1\r\nhost: g\r\nx-litellm-api-key: {TOKEN}\r\ncontent-length: {len(data)}\r\n"
    try:
        writer.write(f"{head}connection: close\r\n\r\n".encode())
        for start in range(0, len(data), 1 << 18):
            writer.write(data[start : start + (1 << 18)])
            await writer.drain()
        return (await reader.read()).startswith(b"HTTP/1.1 200")
    except OSError:
        return False
    finally:
        writer.close()


async def ask_at_once(port: int, data: bytes, at_once: int) -> int:
    """Send it that many times at the same moment; how many failed."""
    return (await asyncio.gather(*(ask(port, data) for _ in range(at_once)))).count(False)


def measure(make: Callable[[str, int], bytes], *, at_once: int, size: int = SIZE, model: str = "glm") -> Cost:
    """Asks a new gateway, which has answered one small request before."""
    with TemporaryDirectory(prefix="large-") as name, provider() as (upstream, _, _):
        gateway = server("mitmdump", upstream, Path(name), ())
        gateway.start()
        try:
            asyncio.run(ask_at_once(gateway.port, make(model, 10_000), 1))
            before, began = resident(gateway), time.monotonic()
            failed = asyncio.run(ask_at_once(gateway.port, make(model, size), at_once))
            seconds = time.monotonic() - began
            return Cost(before, status(gateway, "VmHWM"), resident(gateway), seconds, failed)
        finally:
            gateway.stop()


def main() -> None:
    description, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(description=description, epilog=rest)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--model", default="glm")
    options = parser.parse_args()
    for name, make in BODIES.items():
        for at_once in (1, options.at_once):
            cost = measure(make, at_once=at_once, model=options.model)
            print(
                f"{name}, {at_once} at once: {cost.before:.0f} → {cost.peak:.0f} MiB at the peak "
                f"({(cost.peak - cost.before) / at_once:.0f} MiB each), {cost.after:.0f} MiB afterwards, "
                f"{cost.seconds:.1f} s, {cost.failed} failed",
                flush=True,
            )


if __name__ == "__main__":
    main()
