"""What is counted of each request, for Prometheus.

Rules that hold here: one call at the end of a request, on the event loop, and no lock; label values are those of
labels.py; nothing is read from the disk, counters begin at zero with the process, as Prometheus expects.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from addons.config.config import Config
from addons.state.attempt import Attempt
from addons.state.exchange import Exchange, Result
from addons.team.exposition import Counter, Histogram, gauge
from addons.team.labels import MOST_USERS, OTHER, Labels

BOUNDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
"""Seconds."""

STATUSES: Final = frozenset({400, 401, 402, 403, 404, 408, 409, 413, 422, 425, 429, 500, 502, 503, 504, 529})
"""Those that are reasons of their own: a provider may answer any number."""


class Gauges(msgspec.Struct):
    """Numbers as they are at the moment when somebody asks."""

    version: str = ""
    running: int = 0
    accounts: Mapping[tuple[str, str], int] = msgspec.field(default_factory=dict)
    """How many accounts each provider has in each state."""
    utilization: Mapping[tuple[str, str], float] = msgspec.field(default_factory=dict)
    """How full each account's windows are, from 0 to 1."""
    breakers: Sequence[tuple[str, str]] = ()
    """The providers and models that everybody asks last."""
    budgets: Mapping[tuple[str, str], float] = msgspec.field(default_factory=dict)
    """What part of a user's budget for a period is used."""


class Metrics:
    """Every counter, since the process began."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.started = clock()
        self.labels: Labels | None = None
        self.requests = Counter(
            "gateway_requests_total",
            "Requests of clients that have ended, by what became of them.",
            *("provider", "model", "class", "outcome"),
        )
        self.attempts = Counter(
            "gateway_attempts_total", "Attempts at providers, by how they ended.", "provider", "outcome"
        )
        self.failovers = Counter(
            "gateway_failovers_total", "Requests that went on from one provider or model to another.",
            *("from", "to", "reason"),
        )  # fmt: skip
        self.tokens = Counter("gateway_tokens_total", "Tokens used, by their kind.", "provider", "model", "type")
        self.cost = Counter("gateway_cost_usd_total", "US dollars spent, where a price is known.", "provider", "model")
        self.user_requests = Counter("gateway_user_requests_total", "Requests that have ended, by user.", "user")
        self.user_cost = Counter("gateway_user_cost_usd_total", "US dollars spent, by user.", "user")
        self.first_event = Histogram(
            "gateway_first_event_seconds",
            "Seconds from a request to the first event of its answer.",
            BOUNDS,
            "provider",
        )
        self.duration = Histogram(
            "gateway_request_seconds", "Seconds from a request to the last byte of its answer.", BOUNDS, "provider"
        )

    def count(self, exchange: Exchange, result: Result, *, hung_up: bool = False) -> None:
        """A request has ended. `hung_up`: its client has gone."""
        labels = self.labels_of(exchange.config)
        target = result.target
        provider = labels.provider(target.provider.name) if target else ""
        model = labels.model(target) if target else ""
        request_class = exchange.facts.request_class if exchange.facts else "main"
        self.requests.add((provider, model, request_class, outcome(result, hung_up=hung_up)))
        user = self.user(exchange.client.billed)
        self.user_requests.add((user,))
        if provider:
            self.duration.observe((provider,), result.duration)
            if result.first_event is not None:
                self.first_event.observe((provider,), result.first_event)
        self.count_attempts(exchange, labels)
        self.count_usage(result, labels, user)

    def count_attempts(self, exchange: Exchange, labels: Labels) -> None:
        """How each attempt ended, and where the request went on from it."""
        before: Attempt | None = None
        for attempt in exchange.attempts:
            if attempt.target is None:
                continue
            if before is not None and before.target is not None and before.target != attempt.target:
                source, to = before.target, attempt.target
                if (source.provider.name, source.model) != (to.provider.name, to.model):
                    self.failovers.add(
                        (labels.provider(source.provider.name), labels.provider(to.provider.name), reason(before))
                    )
            before = attempt
            if attempt.outcome is None or attempt.outcome.kind != "skipped":
                self.attempts.add((labels.provider(attempt.target.provider.name), kind(attempt)))

    def count_usage(self, result: Result, labels: Labels, user: str) -> None:
        """What the attempts have used."""
        spent = 0.0
        for charge in result.charges:
            target, usage = charge.attempt.target, charge.usage
            if target is None:
                continue
            provider, model = labels.provider(target.provider.name), labels.model(target)
            for amount, name in (
                (usage.input_tokens, "input"),
                (usage.output_tokens, "output"),
                (usage.cache_read_input_tokens, "cache_read"),
                (usage.cache_creation_input_tokens, "cache_write"),
            ):
                if amount:
                    self.tokens.add((provider, model, name), amount)
            if charge.cost:
                self.cost.add((provider, model), charge.cost)
                spent += charge.cost
        if spent:
            self.user_cost.add((user,), spent)

    def labels_of(self, config: Config) -> Labels:
        """The labels that this configuration knows."""
        if self.labels is None or self.labels.config is not config:
            self.labels = Labels(config)
        return self.labels

    def user(self, name: str) -> str:
        """The label of a user: the gate lets nobody in whom it doesn't know, but over the years users come and go."""
        values = self.user_requests.values
        return name if (name,) in values or len(values) < MOST_USERS else OTHER

    @property
    def counted(self) -> tuple[Counter | Histogram, ...]:
        """Every metric, in the order of the text."""
        return (
            *(self.requests, self.attempts, self.failovers, self.tokens, self.cost, self.user_requests, self.user_cost),
            *(self.first_event, self.duration),
        )

    def dump(self) -> dict[str, Any]:
        """All numbers, as JSON has them: for another process that sums up."""
        return {"started": self.started, **{metric.name: metric.dump() for metric in self.counted}}

    def add(self, dump: Mapping[str, Any]) -> None:
        """Add what another process has counted."""
        self.started = min(self.started, dump["started"])
        for metric in self.counted:
            metric.merge(dump.get(metric.name, ()))

    def text(self, now: Gauges) -> str:
        """All of it, in Prometheus' text format."""
        lines: list[str] = []
        for metric in self.counted:
            lines += metric.lines()
        for more in self.gauges(now):
            lines += more
        return "\n".join(lines) + "\n"

    def gauges(self, now: Gauges) -> Iterable[Iterable[str]]:
        """The lines of what isn't counted but looked at."""
        yield gauge("gateway_info", "The gateway's version.", ["version"], [((now.version,), 1)])
        yield gauge("gateway_streams", "Requests that are running.", [], [((), now.running)])
        yield gauge("gateway_pool_tokens", "Accounts, by state.", ["provider", "state"], now.accounts.items())
        yield gauge(
            "gateway_pool_utilization",
            "How full an account's window is (1: used up).",
            ["token", "window"],
            now.utilization.items(),
        )
        down = [(one, 1.0) for one in now.breakers]
        yield gauge("gateway_breaker_open", "Models that are asked last for a while.", ["provider", "model"], down)
        yield gauge(
            "gateway_user_budget_ratio",
            "Part of a user's budget that is used.",
            ["user", "period"],
            now.budgets.items(),
        )
        yield gauge("process_start_time_seconds", "When the process began, in epoch seconds.", [], [((), self.started)])


def outcome(result: Result, *, hung_up: bool) -> str:
    """What became of a request: `ok`, `error` (an error status), `cut` (an error after the stream had begun),
    `hung_up` (the client went)."""
    if hung_up:
        return "hung_up"
    if result.in_stream:
        return "cut"
    return "error" if result.error or result.status >= 400 else "ok"


def kind(attempt: Attempt) -> str:
    """How an attempt ended."""
    return attempt.outcome.kind.replace(" ", "_") if attempt.outcome else "ok"


def reason(attempt: Attempt) -> str:
    """Why a request went on: a status, or how the attempt failed."""
    if attempt.outcome is None:
        return OTHER
    if attempt.outcome.kind not in ("status", "error event"):
        return kind(attempt)
    status = attempt.outcome.error.status
    return str(status) if status in STATUSES else "5xx" if status >= 500 else "4xx"
