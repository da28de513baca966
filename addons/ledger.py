"""Ledger: what each client request has used and cost, in SQLite."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from mitmproxy import ctx, http
from mitmproxy.addonmanager import Loader
from mitmproxy.flow import Error

from addons.config.settings import Settings
from addons.state.control import Control, is_administrator
from addons.state.exchange import Charge, Exchange, exchange_of
from addons.state.ledger_rows import AttemptRow, Finished, RequestRow
from addons.state.result import result_of, since
from addons.state.store import Prune, Store
from addons.state.usage_report import report, status, text
from addons.wire.masking import mask_text
from addons.wire.usage import Usage

DAY = 86_400.0


class Ledger:
    """Records a routed request when it ends; the store writes it behind the event loop's back. Stands behind the trail,
    whose line it keeps."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        control: Control | None = None,
        budget_of: Callable[[Exchange], Mapping[str, object] | None] = lambda _exchange: None,
        running_flows: Collection[http.HTTPFlow] = (),
    ) -> None:
        """`budget_of`: the budget of whoever asks of which most is used. `running_flows`: of the requests that run."""
        self.settings = settings
        self.store = store
        self.running_flows = running_flows
        self.is_closed = False
        self.budget_of = budget_of
        if control:
            control.serve("usage", self.usage, for_users=True)
            control.serve("statusline", self.status, for_users=True)
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
        self.store.prune(Prune(now - self.settings.current.ledger.keep_days * DAY, now))
        self.pruned = now

    def response(self, flow: http.HTTPFlow) -> None:
        self.record(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        self.record(flow)

    def done(self) -> None:
        """What still runs is cut off when all addons are done: nothing could be written then."""
        try:
            for flow in list(self.running_flows):
                flow.error = flow.error or Error("the gateway was stopped")
                self.record(flow)
        finally:
            self.is_closed = True
            self.store.close()

    def usage(self, exchange: Exchange, asked: Mapping[str, Any]) -> Callable[[], object]:
        """What reads the answer to `./run.sh usage`."""
        only = "" if is_administrator(exchange) else exchange.client.billed
        zone = exchange.config.users.timezone
        return partial(report, self.store.path, asked, zone=zone, now=time.time(), only=only)

    def status(self, exchange: Exchange, asked: Mapping[str, Any]) -> Callable[[], object]:
        """What reads the answer to `./run.sh statusline`."""
        user, session = exchange.client.billed, text(asked, "session")
        everybody, zone = is_administrator(exchange), exchange.config.users.timezone
        budget = None if everybody else self.budget_of(exchange)
        read = partial(status, self.store.path, user, session, zone=zone, now=time.time(), everybody=everybody)
        return lambda: {**read(), "user": "" if everybody else user, "budget": budget}

    def record(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange and exchange.attempts and exchange.kind == "messages" and not self.is_closed:
            finished = rows(exchange, flow, time.time())
            self.store.zone = exchange.config.users.timezone
            self.store.record(finished)
            if finished.request.time > self.pruned + DAY:
                self.prune(finished.request.time)


def rows(exchange: Exchange, flow: http.HTTPFlow, now: float) -> Finished:
    """What is remembered of a request: who, what, where, how much; never what was said. `now`: epoch seconds."""
    result, secrets = result_of(exchange, flow), exchange.secrets()
    target, charges = result.target, result.charges
    began = now - result.duration
    alone = len(charges) == 1
    usage = charges[0].usage if alone else total(charges)
    model = mask_text(target.model, secrets) if target else ""
    tries = tuple(attempt_row(exchange, charge, began, secrets, model) for charge in charges)
    request = RequestRow(
        id=exchange.request_id,
        time=began,
        session=result.session,
        user=exchange.client.billed,
        request_class=exchange.facts.request_class if exchange.facts else "main",
        asked_model=mask_text(result.model, secrets),
        provider=target.provider.name if target else "",
        model=model,
        account=tries[-1].account if tries else "",
        status=result.status,
        attempts=result.attempts,
        fallback=bool(target and target.fallback),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_input_tokens,
        cache_write_tokens=usage.cache_creation_input_tokens,
        cache_write_1h_tokens=usage.cache_creation_1h_input_tokens,
        web_searches=usage.web_search_requests,
        fast=usage.fast,
        estimated=charges[0].estimated if alone else any(charge.estimated for charge in charges),
        cost_usd=result.cost,
        budget_usd=charges[0].budget if alone else sum(charge.budget for charge in charges),
        price_version=charges[-1].prices if charges else "",
        first_event_s=result.first_event,
        duration_s=result.duration,
        error=result.error or None,
        line=flow.comment,
    )
    return Finished(request, tries)


def attempt_row(exchange: Exchange, charge: Charge, began: float, secrets: tuple[str, ...], last: str) -> AttemptRow:
    """What is remembered of one attempt. `began`: when the request came in, in epoch seconds; `last`: the name of the
    last attempt's model, as it is shown."""
    attempt, usage = charge.attempt, charge.usage
    target, outcome = attempt.asked, attempt.outcome
    ended = attempt.ended if attempt.ended is not None else exchange.clock()
    return AttemptRow(
        request=exchange.request_id,
        number=attempt.number,
        time=began + attempt.started - exchange.started,
        provider=target.provider.name if target else "",
        model=last if attempt is exchange.attempts[-1] else mask_text(target.model, secrets) if target else "",
        account=account_of(charge),
        outcome=outcome.kind if outcome else "",
        status=attempt.status,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_input_tokens,
        cache_write_tokens=usage.cache_creation_input_tokens,
        cache_write_1h_tokens=usage.cache_creation_1h_input_tokens,
        web_searches=usage.web_search_requests,
        fast=usage.fast,
        estimated=charge.estimated,
        cost_usd=charge.cost,
        budget_usd=charge.budget,
        price_version=charge.prices,
        first_event_s=since(exchange, attempt.first_event),
        duration_s=ended - attempt.started,
        error=outcome.error.message if outcome else None,
    )


def account_of(charge: Charge) -> str:
    """The name of the account that an attempt went out with; empty without a pool."""
    account = charge.attempt.choice.account
    return account.name if account else ""


def total(charges: list[Charge]) -> Usage:
    """What several attempts have used together."""
    usage = Usage()
    for charge in charges:
        for field in fields(Usage):
            setattr(usage, field.name, getattr(usage, field.name) + getattr(charge.usage, field.name))
    return usage
