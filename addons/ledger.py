"""Ledger: one row of usage and cost for each client request, in SQLite."""

from __future__ import annotations

import math
import time
from pathlib import Path

from mitmproxy import ctx, http
from mitmproxy.addonmanager import Loader

from addons.config.settings import Settings
from addons.state.exchange import Attempt, Exchange, cost, exchange_of
from addons.state.store import RequestRow, Store
from addons.wire.masking import mask_text
from addons.wire.usage import Usage

DAY = 86_400.0


class Ledger:
    """Writes a row when a routed request ends; the store does it behind the event loop's back."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings = settings
        self.store = store
        self.pruned = math.inf
        """When old rows were deleted for the last time, in epoch seconds; infinite before the start."""

    def load(self, loader: Loader) -> None:
        loader.add_option("gateway_db", str, str(self.store.path), "Path of the SQLite file for usage and benches.")

    def configure(self, updated: set[str]) -> None:
        if "gateway_db" in updated:
            self.store.path = Path(ctx.options.gateway_db).expanduser()

    def running(self) -> None:
        self.prune(time.time())

    def prune(self, now: float) -> None:
        """Have the store delete what is older than it is to be kept."""
        self.store.prune(now - self.settings.current.ledger.keep_days * DAY)
        self.pruned = now

    def response(self, flow: http.HTTPFlow) -> None:
        self.record(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        self.record(flow)

    def done(self) -> None:
        self.store.close()

    def record(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange and exchange.attempts and exchange.kind == "messages":
            finished = row(exchange, flow)
            self.store.record(finished)
            if finished.time > self.pruned + DAY:
                self.prune(finished.time)


def failure(last: Attempt, flow: http.HTTPFlow) -> str | None:
    """Why the client got no whole answer; None when it did."""
    if flow.error:
        return flow.error.msg
    if last.outcome:
        return last.outcome.error.message
    if flow.response and flow.response.status_code >= 400:  # an addon has answered, no provider was asked
        return f"answered {flow.response.status_code}"
    return None


def row(exchange: Exchange, flow: http.HTTPFlow) -> RequestRow:
    """What is remembered of a request: who, what, where, how much; never what was said."""
    attempt, now = exchange.attempts[-1], exchange.clock()
    target, usage, secrets = attempt.target, exchange.usage or Usage(), exchange.secrets()
    return RequestRow(
        time=time.time() - (now - exchange.started),
        session=exchange.session,
        caller=exchange.caller,
        asked_model=mask_text(exchange.model, secrets),
        provider=target.provider.name if target else "",
        model=mask_text(target.model, secrets) if target else "",
        status=flow.response.status_code if flow.response else 0,
        attempts=len(exchange.sent()),
        fallback=bool(target and target.fallback),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_input_tokens,
        cache_write_tokens=usage.cache_creation_input_tokens,
        cost_usd=cost(usage, target.price if target else None),
        first_event_s=None if attempt.first_event is None else attempt.first_event - exchange.started,
        duration_s=now - exchange.started,
        error=failure(attempt, flow),
    )
