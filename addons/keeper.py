"""Keeper: bounds what mitmweb and mitmproxy keep, so that they can run for weeks.

mitmdump keeps nothing after a flow has ended. Where flows are shown, the oldest finished ones are removed when there
are more than `gateway_keep_flows`, or when their bodies take more than `gateway_keep_megabytes`.
"""

from __future__ import annotations

from collections import deque

from mitmproxy import ctx, http
from mitmproxy.addonmanager import Loader
from mitmproxy.addons.view import View

from addons.state import Exchange, exchange_of


class Keeper:
    """Counts finished flows, and takes the oldest out of the view."""

    def __init__(self) -> None:
        self.finished: deque[tuple[str, int]] = deque()
        """Flow ids and the bytes kept for each, in the order in which they ended."""
        self.bytes = 0

    def load(self, loader: Loader) -> None:
        loader.add_option("gateway_keep_flows", int, 500, "Finished flows that mitmweb and mitmproxy keep; 0: all.")
        loader.add_option(
            "gateway_keep_megabytes", int, 256, "Megabytes of bodies that mitmweb and mitmproxy keep; 0: all."
        )

    def response(self, flow: http.HTTPFlow) -> None:
        self.ended(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        self.ended(flow)

    def ended(self, flow: http.HTTPFlow) -> None:
        view = ctx.master.addons.get("view")
        if not isinstance(view, View):
            return
        size = kept_bytes(flow, exchange_of(flow))
        self.finished.append((flow.id, size))
        self.bytes += size
        flows, megabytes = ctx.options.gateway_keep_flows, ctx.options.gateway_keep_megabytes
        while self.finished and (
            (flows and len(self.finished) > flows) or (megabytes and self.bytes > megabytes * 1_000_000)
        ):
            oldest, size = self.finished.popleft()
            self.bytes -= size
            if gone := view.get_by_id(oldest):
                view.remove([gone])


def kept_bytes(flow: http.HTTPFlow, exchange: Exchange | None) -> int:
    """Bytes of bodies that live as long as this flow does."""
    size = len(flow.request.raw_content or b"")
    if flow.response:
        size += len(flow.response.raw_content or b"")
    if exchange is None:
        return size
    kept = [exchange.asked, exchange.told]
    for attempt in exchange.attempts:
        kept += [attempt.sent, attempt.received]
    return size + sum(len(message.body) for message in kept if message)
