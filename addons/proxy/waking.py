"""Waking: a stream whose attempt waits for something outside (an answer of other gateways) looks again when it comes.

Without it the stream would look only when the time is over that the attempt was postponed for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mitmproxy import http
from mitmproxy.proxy import events
from mitmproxy.utils.asyncio_utils import create_task

from addons.proxy.connections import handler_of
from addons.state.exchange import Exchange, exchange_of


@dataclass
class Awake(events.Event):
    """What a request has waited for has come; for every stream of a client connection."""

    exchange: Exchange
    """Of the request."""


def waker(flow: http.HTTPFlow) -> Callable[[], None]:
    """What wakes the stream of this flow: to be called on the event loop, at most once."""
    exchange, client = exchange_of(flow), flow.client_conn

    def wake() -> None:
        handler = handler_of(client)
        if handler and exchange:
            event = handler.server_event(Awake(exchange))
            create_task(event, name="an attempt goes on", keep_ref=True, client=client.peername)

    return wake
