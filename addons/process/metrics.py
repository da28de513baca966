"""Metrics: counts every request as it ends, and serves `GET /metrics` in Prometheus' text format.

Who may ask: the administrator, commands of this machine, and, while the gate is open, everybody who reaches it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mitmproxy import http

from addons.config.routing import UserSettings
from addons.proxy.replies import error_response
from addons.state.control import CALLER, Control
from addons.state.exchange import Exchange, exchange_of
from addons.state.result import result_of
from addons.team.exposition import CONTENT_TYPE
from addons.team.metrics import Gauges
from addons.team.metrics import Metrics as Counters
from addons.team.report import User

PATH = "/metrics"


class Metrics:
    """Counts, and tells."""

    def __init__(
        self,
        control: Control,
        flows: Iterable[http.HTTPFlow] = (),
        users: Callable[[UserSettings, float], list[User]] = lambda _settings, _now: [],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`flows`: of the requests that are running. `users`: all users with their budgets, at a time."""
        self.control, self.flows, self.users, self.clock = control, flows, users, clock
        self.counters = Counters(clock)
        control.serve("metrics", self.tell)

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
        text = self.counters.text(self.gauges(exchange))
        headers = {"content-type": CONTENT_TYPE, "cache-control": "no-store"}
        flow.response = http.Response.make(200, text.encode(), headers)

    def tell(self, exchange: Exchange, _arguments: object) -> object:
        """The same text, for `./run.sh metrics`."""
        return {"text": self.counters.text(self.gauges(exchange))}

    def gauges(self, exchange: Exchange) -> Gauges:
        """What is looked at when somebody asks."""
        pool = self.control.answers.get("pool")
        found = pool(exchange, {}) if pool else None
        rows: list[dict[str, Any]] = found["accounts"] if isinstance(found, dict) else []
        labels = self.counters.labels_of(exchange.config)
        windows = {
            (row["account"], window): share
            for row in rows
            for window, share in row["utilization"].items()
            if share is not None
        }
        down = {
            (labels.provider(str(one["provider"])), labels.name(str(one["provider"]), one["model"]))
            for one in self.control.avoided()
            if one["sessions"] is None
        }
        budgets: dict[tuple[str, str], float] = {
            (self.counters.user(user.name), budget.period): budget.spent / budget.limit if budget.limit else 1.0
            for user in self.users(exchange.config.users, self.clock())
            for budget in user.budgets
        }
        return Gauges(
            version=own_version(),
            running=sum(is_running(flow) for flow in list(self.flows)),
            accounts=Counter((row["provider"], row["state"]) for row in rows),
            utilization=windows,
            breakers=sorted(down),
            budgets=budgets,
        )


def is_running(flow: http.HTTPFlow) -> bool:
    """Whether this is a request to a provider that hasn't ended."""
    exchange = exchange_of(flow)
    return exchange is not None and exchange.kind in ("messages", "count_tokens") and exchange.result is None


def own_version() -> str:
    """The gateway's version."""
    try:
        return version("claude-gateway")
    except PackageNotFoundError:
        return ""
