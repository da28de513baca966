"""What goes on around the requests: files are rewritten, tokens come and go, providers refuse, the gateway restarts."""

import copy
import os
import random
import signal
import threading
import time
from collections.abc import Mapping
from typing import Any

from tests.e2e.gateway import Gateway
from tests.e2e.workers import processes
from tests.ordeal.judge import Stop
from tests.ordeal.providers import Unreliable
from tests.redis_server import RedisServer

INVALID = (
    "providers: [",
    "models: {glm: nobody/glm-5}\n",
    "providers: {zai: {base_url: 'ftp://x'}}\n",
    "",
    "\ufffd\x00",
)

CLOSED_WITHIN = 2.0
"""Seconds after which all agents of a worker that was killed have seen that their connections are closed."""

STARTS_WITHIN = 15.0
"""Seconds that workers have to start."""

RESTART_EVERY = 40.0
"""Seconds; a shorter run has one restart all the same."""


class Disturber(threading.Thread):
    """Disturbs one gateway until it is told to stop. `wrongs` is what broke while it did."""

    def __init__(
        self,
        gateway: Gateway,
        providers: list[Unreliable],
        routing: Mapping[str, Any],
        seed: int,
        seconds: float,
        redis: RedisServer | None = None,
    ) -> None:
        super().__init__(name="disturber", daemon=True)
        self.gateway, self.providers, self.routing = gateway, providers, routing
        self.draw = random.Random(f"{seed}/disturber")
        self.env = dict(gateway.env)
        self.seconds, self.redis = seconds, redis
        self.restarts: list[float] = []
        self.ends = float("inf")
        self.starting_until = 0.0
        """Until then some worker may not be ready."""
        self.stops: list[Stop] = []
        self.done: list[str] = []
        self.wrongs: list[str] = []
        self.over = threading.Event()

    def start(self) -> None:
        now, count = time.monotonic(), max(1, int(self.seconds / RESTART_EVERY))
        self.restarts = [now + self.seconds * (number + 0.3) / count for number in range(count)]
        self.ends = now + self.seconds
        super().start()

    def is_over(self) -> bool:
        """The time is over, and the last process had some of it."""
        last = self.stops[-1].up if self.stops else 0
        return not self.restarts and time.monotonic() > max(self.ends, last + self.seconds / 4)

    def run(self) -> None:
        acts = [self.change_routing, self.break_routing, self.change_tokens, self.refuse, self.hang_up]
        if self.gateway.workers > 1:
            acts = [*acts, *acts, self.kill_worker, self.replace_workers]
        if self.redis:
            acts = [*acts, self.restart_redis, self.pause_redis]
        while not self.over.wait(self.draw.uniform(0.5, 2.0)):
            act = self.draw.choice(acts)
            if self.restarts and self.restarts[0] < time.monotonic():
                act = self.restart
            self.done.append(act.__name__.replace("_", " "))
            try:
                act()
            except Exception as error:  # noqa: BLE001  # the judge has to hear of it
                self.wrongs.append(f"{act.__name__}: {str(error)[:300]}")

    def stop(self) -> None:
        """Back to how it was."""
        self.over.set()
        self.join()
        self.gateway.rewrite_routing(self.routing)
        self.gateway.rewrite_env(self.env)

    def change_routing(self) -> None:
        changed = copy.deepcopy(dict(self.routing))
        changed["fallbacks"]["claude-*"] = self.draw.choice((["glm"], ["kimi"], ["glm", "kimi"], ["local"]))
        changed["failover"]["retries"] = self.draw.choice((0, 1))
        changed["pool"] = {"strategy": self.draw.choice(("session", "request"))}
        self.gateway.rewrite_routing(changed)

    def break_routing(self) -> None:
        self.gateway.rewrite_routing(self.draw.choice(INVALID))

    def change_tokens(self) -> None:
        """Some of them go, others come back, in another order."""
        tokens = self.env["CLAUDE_OAUTH_TOKENS"].split(",")
        some = self.draw.sample(tokens, self.draw.randint(1, len(tokens)))
        self.gateway.rewrite_env({**self.env, "CLAUDE_OAUTH_TOKENS": ",".join(some)})

    def refuse(self) -> None:
        """A provider is gone for a moment, with all its connections."""
        provider = self.draw.choice(self.providers).provider
        provider.refuse()
        self.over.wait(0.7)
        provider.accept()

    def hang_up(self) -> None:
        """A provider closes all its connections, idle or not."""
        self.draw.choice(self.providers).provider.hang_up()

    def restart_redis(self) -> None:
        """It is gone for a moment, with all that it knew."""
        assert self.redis
        self.redis.kill()
        self.over.wait(self.draw.uniform(0.0, 2.0))
        self.redis.start()

    def pause_redis(self) -> None:
        """It says nothing for a moment."""
        assert self.redis
        self.redis.pause()
        self.over.wait(self.draw.uniform(0.1, 2.0))
        self.redis.go_on()

    def kill_worker(self) -> None:
        """One of several is gone at once, with all its clients; never the last one, who can't be replaced at once."""
        killed, workers = time.monotonic(), processes(self.gateway)
        self.gateway.rewrite_routing(self.routing)
        if killed < self.starting_until or len(workers) != self.gateway.workers:
            return
        self.starting_until = killed + STARTS_WITHIN
        self.stops.append(Stop(killed, killed, killed + CLOSED_WITHIN, killed=True))
        os.kill(self.draw.choice(sorted(workers)), signal.SIGKILL)

    def replace_workers(self) -> None:
        """One by one, while everybody goes on; without a mistake in the configuration, else none is."""
        self.gateway.rewrite_routing(self.routing)
        self.starting_until = time.monotonic() + STARTS_WITHIN
        os.kill(self.gateway.pid, signal.SIGHUP)

    def restart(self) -> None:
        """SIGTERM, while everybody goes on; then another process with the same files."""
        self.gateway.rewrite_routing(self.routing)  # a gateway does not start with an invalid one
        told = ended = time.monotonic()
        self.stops.append(Stop(told, ended, float("inf")))
        self.restarts.pop(0)
        if self.gateway.status is not None:
            self.wrongs.append(f"the gateway has ended by itself: {self.gateway.status}")
        try:
            self.gateway.stop()
            ended = time.monotonic()
            self.gateway.start()
        finally:
            self.stops[-1] = Stop(told, ended, time.monotonic() + 0.5)
            self.starting_until = time.monotonic() + STARTS_WITHIN
