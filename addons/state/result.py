"""The facts of a client request that has ended: computed once, for the trail's line, the ledger's row and the views.

Rules of this file: plain values; nothing of what was said, and no credential.
"""

from __future__ import annotations

from mitmproxy import http
from mitmproxy.flow import Error

from addons.config.config import Price
from addons.state.attempt import Attempt
from addons.state.exchange import Exchange, Result
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
    target, usage = last.target if last else None, exchange.usage
    status = response.status_code if response else 0
    broken = last is not None and last.outcome is not None
    return Result(
        caller=exchange.client.caller,
        session=exchange.client.session,
        model=exchange.model,
        target=target,
        attempts=len(exchange.sent()),
        status=status,
        error=failure(last, response, cut),
        in_stream=broken and exchange.stream and not cut and status < 400,
        usage=usage or Usage(),
        cost=cost(usage, target.price) if usage and target else None,
        first_event=since(exchange, last.first_event if last else None),
        duration=exchange.clock() - exchange.started,
    )


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


def cost(usage: Usage, price: Price | None) -> float | None:
    """US dollars; None when the target has no price."""
    if price is None:
        return None
    return (
        usage.input_tokens * price.input
        + usage.output_tokens * price.output
        + usage.cache_read_input_tokens * price.cache_read
        + usage.cache_creation_input_tokens * price.cache_write
    ) / 1e6
