"""What goes on around the requests: files are rewritten, tokens come and go, providers refuse, the gateway restarts."""

import copy
import random
import threading
import time
from collections.abc import Mapping
from typing import Any

from tests.e2e.gateway import Gateway
from tests.ordeal.providers import Unreliable

INVALID = (
    "providers: [",
    "models: {glm: nobody/glm-5}\n",
    "providers: {zai: {base_url: 'ftp://x'}}\n",
    "",
    "\ufffd\x00",
)


class Disturber(threading.Thread):
    """Disturbs one gateway until it is told to stop. `wrongs` is what broke while it did."""

    def __init__(
        self, gateway: Gateway, providers: list[Unreliable], routing: Mapping[str, Any], seed: int, seconds: float
    ) -> None:
        super().__init__(name="disturber", daemon=True)
        self.gateway, self.providers, self.routing = gateway, providers, routing
        self.draw = random.Random(f"{seed}/disturber")
        self.env = dict(gateway.env)
        self.restart_at = time.monotonic() + seconds / 2
        self.down: list[tuple[float, float]] = []
        self.done: list[str] = []
        self.wrongs: list[str] = []
        self.over = threading.Event()

    def run(self) -> None:
        acts = (self.change_routing, self.break_routing, self.change_tokens, self.refuse)
        while not self.over.wait(self.draw.uniform(0.5, 2.0)):
            act = self.draw.choice(acts)
            if self.restart_at < time.monotonic():
                self.restart_at, act = float("inf"), self.restart
            self.done.append(act.__name__)
            try:
                act()
            except AssertionError as error:
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
        tokens = self.env["CLAUDE_OAUTH_TOKENS"].split(",")
        some = self.draw.sample(tokens, self.draw.randint(1, len(tokens)))
        self.gateway.rewrite_env({**self.env, "CLAUDE_OAUTH_TOKENS": ",".join(some)})

    def refuse(self) -> None:
        provider = self.draw.choice(self.providers).provider
        provider.refuse()
        self.over.wait(0.7)
        provider.accept()

    def restart(self) -> None:
        self.gateway.rewrite_routing(self.routing)  # a gateway does not start with an invalid one
        started = time.monotonic()
        self.down.append((started, float("inf")))
        try:
            self.gateway.restart()
        finally:
            self.down[-1] = (started, time.monotonic() + 0.5)
