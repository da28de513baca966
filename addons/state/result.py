"""The facts of a client request that has ended: computed once, for the trail's line, the ledger's row and the views.

Rules of this file: plain values; nothing of what was said, and no credential.
"""

from __future__ import annotations

from time import time

from mitmproxy import http
from mitmproxy.flow import Error

from addons.state.attempt import Attempt
from addons.state.charges import charges
from addons.state.exchange import Charge, Exchange, Result
from addons.wire.usage import Usage


def result_of(exchange: Exchange, flow: http.HTTPFlow) -> Result:
    """The facts of a request that has ended; the first who asks has them computed."""
    if exchange.result is None:
        exchange.result = compute(exchange, flow)
    return exchange.result


def compute(exchange: Exchange, flow: http.HTTPFlow | None = None) -> Result:
    """The facts as they are now, as far as the exchange and its flow tell."""
    response, cut = (flow.response, flow.error) if flow else (None, None)
    last = exchange.attempt
    made = charges(exchange, flow.request.timestamp_start if flow else time())
    status = response.status_code if response else 0
    broken = last is not None and last.outcome is not None
    return Result(
        caller=exchange.client.caller,
        session=exchange.client.session,
        model=exchange.model,
        target=last.asked if last else None,
        attempts=len(exchange.sent()),
        status=status,
        error=failure(last, response, cut),
        in_stream=broken and exchange.stream and not cut and status < 400,
        usage=made[-1].usage if made and made[-1].attempt is last else Usage(),
        charges=made,
        cost=total(made),
        first_event=since(exchange, last.first_event if last else None),
        duration=exchange.clock() - exchange.started,
    )


def total(made: list[Charge]) -> float | None:
    """US dollars; None when one that has used something has no price, or nobody was asked."""
    if len(made) == 1:
        return made[0].cost
    costs = [one.cost for one in made if one.usage.has_any or one is made[-1]]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known and len(known) == len(costs) else None


def since(exchange: Exchange, at: float | None) -> float | None:
    """Seconds from the beginning of the request."""
    return None if at is None else at - exchange.started


def failure(last: Attempt | None, response: http.Response | None, cut: Error | None) -> str:
    """Why the client got no whole answer; empty when it did."""
    if cut:
        return cut.msg
    if last and last.outcome:
        return last.outcome.error.message
    if response and response.status_code >= 400:  # an addon has answered, no provider was asked
        return f"answered {response.status_code}"
    return ""
