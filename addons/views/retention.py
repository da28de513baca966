"""Retention: bounds what mitmweb and mitmproxy keep, so that they can run for weeks.

mitmdump keeps nothing after a flow has ended. Where flows are shown, the oldest finished ones are removed when there
are more than `gateway_keep_flows`, or when their bodies take more than `gateway_keep_megabytes`.
"""

from __future__ import annotations

from typing import Any

from mitmproxy import ctx, http
from mitmproxy.addonmanager import Loader

from addons.state.exchange import Exchange, exchange_of


class Retention:
    """Counts finished flows, and takes the oldest out of the view."""

    def __init__(self) -> None:
        self.finished: dict[str, int] = {}
        """The bytes that are kept for each flow, by its id, in the order in which they ended."""
        self.bytes = 0
        self.view: Any = None
        """What shows flows, where something does."""
        self.flows = self.megabytes = 0

    def load(self, loader: Loader) -> None:
        loader.add_option("gateway_keep_flows", int, 500, "Finished flows that mitmweb and mitmproxy keep; 0: all.")
        loader.add_option(
            "gateway_keep_megabytes", int, 256, "Megabytes of bodies that mitmweb and mitmproxy keep; 0: all."
        )

    def configure(self, updated: set[str]) -> None:
        self.view = ctx.master.addons.get("view")
        self.flows, self.megabytes = ctx.options.gateway_keep_flows, ctx.options.gateway_keep_megabytes

    def response(self, flow: http.HTTPFlow) -> None:
        self.ended(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        self.ended(flow)

    def ended(self, flow: http.HTTPFlow) -> None:
        view = self.view
        if view is None:
            return
        exchange = exchange_of(flow)
        if not (flow.live or exchange or flow.is_replay):
            return  # what was read from a file stays: somebody wants to see it
        self.bytes -= self.finished.pop(flow.id, 0)  # it was replayed
        self.finished[flow.id] = size = kept_bytes(flow, exchange)
        self.bytes += size
        while self.too_many():
            oldest = next(iter(self.finished))
            gone = view.get_by_id(oldest)
            if gone and gone.live:
                break  # its client is still being answered, and the view kills what it removes
            self.bytes -= self.finished.pop(oldest)
            if gone:
                view.remove([gone])

    def too_many(self) -> bool:
        most, room = self.flows, self.megabytes * 1_000_000
        return bool((most and len(self.finished) > most) or (room and self.bytes > room))


def kept_bytes(flow: http.HTTPFlow, exchange: Exchange | None) -> int:
    """Bytes of bodies that live as long as this flow does: one that is kept twice takes its room once."""
    messages = [flow.request, flow.response] if flow.response else [flow.request]
    bodies: list[bytes | bytearray] = [message.raw_content or b"" for message in messages]
    if exchange:
        kept = [exchange.recorded.request, exchange.recorded.response]
        for attempt in exchange.attempts:
            kept += [attempt.recorded.request, attempt.recorded.response]
        bodies += [message.body for message in kept if message]
        bodies += [exchange.body.raw] if exchange.body else []
    return sum({id(body): len(body) for body in bodies}.values())
