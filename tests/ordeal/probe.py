"""An addon beside the gateway's own: writes down what it decided, how each request ended, and what the process holds.

Loaded by the ordeal as a second script, so that its hooks come right after the gateway's. It changes nothing.
"""

import asyncio
import gc
import os
import time
from pathlib import Path
from zlib import crc32

from mitmproxy import ctx, http
from mitmproxy.addonmanager import Loader

from addons.failover import died_of_age, is_answer
from addons.proxy.connections import proxyserver
from addons.proxy.fail_closed import fail_closed
from addons.state.attempt import Attempt, Outcome
from addons.state.exchange import Exchange, Trying, exchange_of
from tests.ordeal.providers import MARKER
from tests.ordeal.words import (
    Answered,
    Away,
    Back,
    Closed,
    Count,
    Failed,
    Planned,
    Refused,
    Started,
    Target,
    Used,
    Word,
    say,
)

LOOK_EVERY = 0.02
"""Seconds between looks at whether the others are reached."""


class Probe:
    """Appends to the file `ordeal_log`."""

    def load(self, loader: Loader) -> None:
        loader.add_option("ordeal_log", str, "", "Where the probe writes.")

    def running(self) -> None:
        self.say(Started(at=time.monotonic(), process=os.getpid()))
        self.counting = asyncio.get_running_loop().create_task(self.count())
        self.looking = asyncio.get_running_loop().create_task(self.look())

    def done(self) -> None:
        self.counting.cancel()
        self.looking.cancel()

    def request(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange and exchange.kind == "messages" and not flow.response:
            targets = tuple((target.provider.name, target.model) for target in exchange.plan.targets)
            self.say(
                Planned(
                    at=time.monotonic(),
                    process=os.getpid(),
                    marker=marker_of(exchange),
                    targets=targets,
                    session=exchange.client.who,
                )
            )

    def attempt(self, trying: Trying) -> None:
        token, exchange = trying.attempt.choice.account, trying.exchange
        if token:
            marker, last_resort = marker_of(exchange), exchange.plan.last_resort
            self.say(
                Used(
                    at=time.monotonic(),
                    process=os.getpid(),
                    marker=marker,
                    token=token.fingerprint,
                    last_resort=last_resort,
                )
            )

    def verdict(self, trying: Trying) -> None:
        attempt, outcome = trying.attempt, trying.attempt.outcome
        if not outcome:
            return
        self.failed(trying.exchange, attempt, outcome)
        if attempt.choice.account and (reset := outcome.headers.get("anthropic-ratelimit-unified-5h-reset")):
            now, marker = time.monotonic(), marker_of(trying.exchange)
            until = float(reset) - time.time() + now
            self.say(
                Refused(
                    at=now, process=os.getpid(), marker=marker, token=attempt.choice.account.fingerprint, until=until
                )
            )

    def response(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        attempt = exchange.attempt if exchange else None
        if attempt and attempt.target and attempt.answer:
            if attempt.outcome is None:
                choice = attempt.choice
                back = choice.account.fingerprint if choice.probe and choice.account else ""
                self.say(Answered(at=time.monotonic(), process=os.getpid(), target=target_of(attempt), back=back))
            elif exchange and attempt.answer.content:
                self.failed(exchange, attempt, attempt.outcome)
        self.closed("response", exchange)

    def error(self, flow: http.HTTPFlow) -> None:
        self.closed("error", exchange_of(flow))

    def failed(self, exchange: Exchange, attempt: Attempt, outcome: Outcome) -> None:
        if attempt.target:
            wait = outcome.headers.get("retry-after")
            self.say(
                Failed(
                    at=time.monotonic(),
                    process=os.getpid(),
                    target=target_of(attempt),
                    kind=outcome.kind,
                    status=outcome.error.status,
                    aged=died_of_age(attempt),
                    session=exchange.client.who,
                    request=exchange.request_id,
                    pooled=attempt.choice.account is not None or attempt.target.provider.auth == "claude-oauth",
                    wait=float(wait) if wait else None,
                )
            )

    def closed(self, hook: str, exchange: Exchange | None) -> None:
        if exchange and (marker := marker_of(exchange)):
            last, outcome = exchange.attempt, exchange.attempt.outcome if exchange.attempt else None
            tried = dict.fromkeys(target_of(attempt) for attempt in exchange.attempts if attempt.target)
            self.say(
                Closed(
                    marker=marker,
                    hook=hook,
                    attempts=tuple(target_of(attempt)[0] for attempt in exchange.sent() if attempt.target),
                    tried=tuple(tried),
                    targets=len(exchange.plan.targets),
                    last_resort=exchange.plan.last_resort,
                    content=bool(last and last.answer and last.answer.content),
                    final=bool(last and outcome and is_answer(last, outcome)),
                )
            )

    async def look(self) -> None:
        """Say when the others aren't reached: what one knows then reaches the others later."""
        was_up = True
        while True:
            link = ctx.master.addons.get("sharing").link
            if link and link.is_up != was_up:
                was_up = link.is_up
                word = Back if was_up else Away
                self.say(word(at=time.monotonic(), process=os.getpid()))
            await asyncio.sleep(LOOK_EVERY)

    async def count(self) -> None:
        while True:
            gc.collect()
            self.say(held())
            await asyncio.sleep(1)

    def say(self, word: Word) -> None:
        say(Path(ctx.options.ordeal_log), word)


def held() -> Count:
    server = proxyserver()
    assert server
    return Count(
        process=os.getpid(),
        at=time.monotonic(),
        tasks=len(asyncio.all_tasks()),
        exchanges=sum(isinstance(one, Exchange) for one in gc.get_objects()),
        clients=len(server.connections),
        files=len(list(Path("/proc/self/fd").iterdir())),
        memory=int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
    )


def marker_of(exchange: Exchange) -> str:
    body = exchange.body.raw if exchange.body else b""
    found = MARKER.match(body[body.rfind(b"[[") :][:50].decode(errors="replace"))
    return found[1] if found else ""


def target_of(attempt: Attempt) -> Target:
    assert attempt.target
    return attempt.target.provider.name, attempt.target.model


class Mishap(Exception):
    """An exception that nobody has foreseen."""


class Raising:
    """An addon with a defect: for one request in fifty, which the marker decides, its handler raises."""

    def request(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange and not flow.response and is_struck(marker_of(exchange)):
            raise Mishap("what a client has said")


def is_struck(marker: str) -> bool:
    return bool(marker) and crc32(marker.encode()) % 50 == 0


addons = [Probe(), *fail_closed([Raising()])]
"""The probe comes first: what the gateway has planned for a request that is struck counts for those that follow."""
