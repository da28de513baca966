"""Somebody else's requests while an attack runs, and what the gateway's process holds before and after it.

Other processes of the machine are no harm: the time in which gateway and tests could have run, and got no processor, is
taken off what a request took.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import httpx

from tests.e2e.gateway import Gateway, messages_body

HEALTH_WITHIN = 1.0
"""Seconds in which `/health` must answer, whatever goes on."""

ROUTED_WITHIN = 5.0
"""Seconds in which a routed request must be answered; its providers run on the same machine."""

MOST_MEMORY = 64 * 1024 * 1024
"""Bytes by which the process may be larger afterwards: what Python keeps for later is not given back at once."""

MOST_DESCRIPTORS = 8
"""Connections of the bystander and to providers that are kept for the next request."""

BACK_WITHIN = 20.0
"""Seconds after which memory and descriptors must be back."""


class Bystander(Thread):
    """Asks for `/health` and for an answer of a provider again and again, each time on a new connection."""

    def __init__(self, gateway: Gateway, headers: Mapping[str, str]) -> None:
        super().__init__(name="bystander", daemon=True)
        self.gateway, self.headers = gateway, headers
        self.over = Event()
        self.rounds = 0
        self.troubles: list[str] = []

    def run(self) -> None:
        while not self.over.is_set():
            self.ask("GET", "/health", HEALTH_WITHIN)
            self.ask("POST", "/v1/messages", ROUTED_WITHIN, messages_body())
            self.rounds += 1
            self.over.wait(0.05)

    def ask(self, method: str, path: str, within: float, body: object = None) -> None:
        """One request, and what was wrong with its answer."""
        with httpx.Client(base_url=self.gateway.url, trust_env=False, timeout=60, verify=False) as client:
            began, queued = time.monotonic(), waited(self.gateway.pid)
            try:
                status: object = client.request(method, path, json=body, headers=self.headers).status_code
            except httpx.HTTPError as error:
                status = repr(error)
            took, queued = time.monotonic() - began, waited(self.gateway.pid) - queued
        if status != 200 or took - queued > within:
            self.troubles.append(f"{method} {path}: {status} after {took:.2f} s, {queued:.2f} s of them without a CPU")

    def has_asked(self, rounds: int) -> bool:
        """Whether it has been through that many rounds."""
        return self.rounds >= rounds or not self.is_alive()


@contextmanager
def bystander(
    gateway: Gateway, *, headers: Mapping[str, str] | None = None, most_memory: int = MOST_MEMORY
) -> Iterator[None]:
    """Fails when, while the block runs, somebody else is not served as ever, or when the gateway holds more memory or
    descriptors afterwards. `headers` are the other client's."""
    other = Bystander(gateway, headers or {})
    other.ask("POST", "/v1/messages", ROUTED_WITHIN, messages_body())  # what the first request costs is no harm
    memory, descriptors = held(gateway)
    other.start()
    try:
        yield
        rounds = other.rounds
        gateway.wait_until(lambda: other.has_asked(rounds + 2), timeout=60)
    finally:
        other.over.set()
        other.join(60)
    assert not other.troubles, "somebody else was harmed:\n" + "\n".join(other.troubles)
    try:
        gateway.wait_until(
            lambda: held(gateway)[0] <= memory + most_memory and held(gateway)[1] <= descriptors + MOST_DESCRIPTORS,
            timeout=BACK_WITHIN,
        )
    except AssertionError:
        now = held(gateway)
        raise AssertionError(
            f"memory {memory >> 20} → {now[0] >> 20} MiB, descriptors {descriptors} → {now[1]}\n{gateway.log()}"
        ) from None


def waited(gateway: int) -> float:
    """Seconds that the threads of the gateway and of the tests have stood in the queue for a processor; 0 where that
    can't be seen."""
    waits = 0
    for process in (gateway, os.getpid()):
        for thread in Path(f"/proc/{process}/task").glob("*/schedstat"):
            with suppress(OSError):  # it has just ended
                waits += int(thread.read_text().split()[1])
    return waits / 1e9


def held(gateway: Gateway) -> tuple[int, int]:
    """Bytes of memory and number of descriptors of the gateway's process; zeros where that can't be seen."""
    process = Path(f"/proc/{gateway.pid}")
    if not process.exists():
        return 0, 0
    resident = int((process / "statm").read_text().split()[1]) * 4096
    return resident, len(list((process / "fd").iterdir()))
