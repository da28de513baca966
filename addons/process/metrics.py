"""Metrics: counts every request as it ends, and serves `GET /metrics` in Prometheus' text format.

Who may ask: the administrator, commands of this machine, and, while the gate is open, everybody who reaches it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from mitmproxy import http

from addons.config.routing import UserSettings
from addons.config.version import own_version
from addons.proxy.replies import error_response
from addons.state.control import CALLER, Control
from addons.state.exchange import Exchange, exchange_of
from addons.state.pool_report import merged
from addons.state.result import result_of
from addons.team.exposition import CONTENT_TYPE
from addons.team.labels import Labels
from addons.team.metrics import Gauges
from addons.team.metrics import Metrics as Counters
from addons.team.report import User

PATH = "/metrics"

Part = Mapping[str, Any]
"""What one process contributes: `counted`, `running`, `pool`."""


class Metrics:
    """Counts, and tells."""

    def __init__(
        self,
        control: Control,
        flows: Iterable[http.HTTPFlow] = (),
        users: Callable[[UserSettings], list[User]] = lambda _settings: [],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`flows`: of the requests that are running. `users`: all users with their budgets."""
        self.control, self.flows, self.users, self.clock = control, flows, users, clock
        self.counters = Counters(clock)
        control.serve("metrics", self.tell)
        control.siblings.serve("metrics", lambda _arguments: self.part())
        control.siblings.leaves, control.siblings.inherits = self.counters.dump, self.inherit

    def response(self, flow: http.HTTPFlow) -> None:
        self.count(flow, hung_up=False)

    def error(self, flow: http.HTTPFlow) -> None:
        self.count(flow, hung_up=True)

    def count(self, flow: http.HTTPFlow, *, hung_up: bool) -> None:
        """A request has ended: one for a message, also when no provider was asked."""
        exchange = exchange_of(flow)
        if exchange and (exchange.kind == "messages" or (exchange.kind == "local" and exchange.body)):
            self.counters.count(exchange, result_of(exchange, flow), hung_up=hung_up)

    def request(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange is None or flow.response or exchange.path.partition("?")[0] != PATH:
            return
        if exchange.method not in ("GET", "HEAD"):
            return
        exchange.kind = "local"
        client = exchange.client
        if not (client.is_admin or client.caller in (CALLER, "anyone")):
            flow.response = error_response(403, "metrics are for the administrator", exchange.request_id)
            return
        found = self.control.siblings.gathered("metrics", self.part(), self.summing(exchange, answer))
        if callable(found):
            self.control.later(exchange, flow, found)
        else:
            flow.response = found

    def tell(self, exchange: Exchange, _arguments: object) -> object:
        """The same text, for `./run.sh metrics`."""
        return self.control.siblings.gathered("metrics", self.part(), self.summing(exchange, told))

    def summing[T](self, exchange: Exchange, form: Callable[[str], T]) -> Callable[[Sequence[Part]], T]:
        """What makes an answer of all parts, in a thread maybe: what is the same for all is looked at now."""
        labels, gauges, clock = self.counters.labels_of(exchange.config), self.gauges(exchange), self.clock
        return lambda parts: form(summed(parts, gauges, labels, clock))

    def part(self) -> Part:
        """What this process has counted, and what is going on in it."""
        running = sum(is_running(flow) for flow in list(self.flows))
        return {"counted": self.counters.dump(), "running": running, "pool": self.control.pool()}

    def inherit(self, dump: Part | None) -> None:
        """Go on counting from what a worker has left behind that has ended: counters only grow."""
        if dump:
            started = self.counters.started
            self.counters.add(dump)
            self.counters.started = started

    def gauges(self, exchange: Exchange) -> Gauges:
        """What is the same for all processes."""
        budgets: dict[tuple[str, str], float] = {
            (self.counters.user(user.name), budget.period): budget.spent / budget.limit if budget.limit else 1.0
            for user in self.users(exchange.config.users)
            for budget in user.budgets
        }
        return Gauges(version=own_version(), budgets=budgets)


def summed(parts: Sequence[Part], gauges: Gauges, labels: Labels, clock: Callable[[], float]) -> str:
    """The text of what several processes have counted, and of what is going on in them."""
    counters = Counters(clock)
    for part in parts:
        counters.add(part["counted"])
    pool = merged([part["pool"] for part in parts])
    rows = pool["accounts"]
    now = msgspec.structs.replace(
        gauges,
        running=sum(part["running"] for part in parts),
        accounts=Counter((row["provider"], row["state"]) for row in rows),
        utilization={
            (row["account"], window): share
            for row in rows
            for window, share in row["utilization"].items()
            if share is not None
        },
        breakers=sorted(
            {
                (labels.provider(str(one["provider"])), labels.name(str(one["provider"]), one["model"]))
                for one in pool["avoided"]
                if one["sessions"] is None
            }
        ),
    )
    return counters.text(now)


def answer(text: str) -> http.Response:
    """The answer to a scrape."""
    headers = {"content-type": CONTENT_TYPE, "cache-control": "no-store"}
    return http.Response.make(200, text.encode(), headers)


def told(text: str) -> object:
    """The answer to a command."""
    return {"text": text}


def is_running(flow: http.HTTPFlow) -> bool:
    """Whether this is a request to a provider that hasn't ended."""
    exchange = exchange_of(flow)
    return exchange is not None and exchange.kind in ("messages", "count_tokens") and exchange.result is None
