"""Trail: what happened to each request, in one line for the flow list and one for the log.

Every addon adds its steps to `exchange.trail` as it changes something; this one sums them up when the request ends.
"""

from __future__ import annotations

import logging

from mitmproxy import http
from mitmproxy.log import ALERT

from addons.state.exchange import exchange_of
from addons.views.log_line import LoggedRequest, log_line
from addons.views.one_line import story_of, summary

logger = logging.getLogger(__name__)


class Trail:
    """Writes the flow's comment and the request's log line."""

    def response(self, flow: http.HTTPFlow) -> None:
        self.close(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        self.close(flow)

    def close(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange is None:
            return
        story = story_of(exchange, flow)
        flow.comment = summary(exchange, flow, story)
        bad = flow.error is not None or (flow.response is not None and flow.response.status_code >= 400)
        asked = exchange.attempts and exchange.kind != "page"
        if asked or (bad and exchange.client.caller != "nobody"):  # of those the gate tells, now and then
            said = log_line(exchange, flow, story)
            logger.log(ALERT, "%s", said, extra={"request": LoggedRequest(exchange, flow)})
