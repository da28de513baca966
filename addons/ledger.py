"""Ledger: one row of usage and cost for each client request, in SQLite."""

from __future__ import annotations

import math
import time
from pathlib import Path

from mitmproxy import ctx, http
from mitmproxy.addonmanager import Loader

from addons.config.settings import Settings
from addons.state.exchange import Exchange, exchange_of
from addons.state.result import result_of
from addons.state.store import RequestRow, Store
from addons.wire.masking import mask_text

DAY = 86_400.0


class Ledger:
    """Writes a row when a routed request ends; the store does it behind the event loop's back."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings = settings
        self.store = store
        self.pruned = math.inf
        """When old rows were deleted for the last time, in epoch seconds; infinite before the start."""

    def load(self, loader: Loader) -> None:
        loader.add_option("gateway_db", str, str(self.store.path), "Path of the SQLite file for usage and cooldowns.")

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


def row(exchange: Exchange, flow: http.HTTPFlow) -> RequestRow:
    """What is remembered of a request: who, what, where, how much; never what was said."""
    result = result_of(exchange, flow)
    target, usage, secrets = result.target, result.usage, exchange.secrets()
    return RequestRow(
        time=time.time() - result.duration,
        session=result.session,
        caller=result.caller,
        asked_model=mask_text(result.model, secrets),
        provider=target.provider.name if target else "",
        model=mask_text(target.model, secrets) if target else "",
        status=result.status,
        attempts=result.attempts,
        fallback=bool(target and target.fallback),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_input_tokens,
        cache_write_tokens=usage.cache_creation_input_tokens,
        cost_usd=result.cost,
        first_event_s=result.first_event,
        duration_s=result.duration,
        error=result.error or None,
    )
