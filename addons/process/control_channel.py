"""ControlChannel: answers the commands of this machine (`./run.sh pool`), and those of the administrator.

Who has the secret of `.gateway.control` or the administrator's key may ask; the addons that know the answers have
registered them.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from mitmproxy import ctx, http

from addons.config.settings import Settings
from addons.proxy.replies import error_response
from addons.state.control import FILE_NAME, PATH, Control, ControlError, is_administrator, make_secret
from addons.state.exchange import Exchange, exchange_of
from addons.wire import limits

logger = logging.getLogger(__name__)


class ControlChannel:
    """Serves `POST /gateway/control/NAME`."""

    def __init__(self, settings: Settings, control: Control) -> None:
        self.settings, self.control = settings, control

    def running(self) -> None:
        path = Path(ctx.options.gateway_db).expanduser().with_name(FILE_NAME)
        try:
            self.control.secret = make_secret(path)
            self.settings.learn(self.control.secret)
        except OSError as error:
            logger.warning(
                "control: %s can't be used (%s): commands need the administrator's key", path, error.strerror
            )

    def request(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange is None or flow.response or not exchange.path.startswith(PATH):
            return
        exchange.kind = "local"
        flow.response = self.answer(exchange, flow.request)

    def answer(self, exchange: Exchange, request: http.Request) -> http.Response | None:
        """The answer to a command; None when the request goes on to a provider."""
        name = exchange.path.removeprefix(PATH)
        if not is_administrator(exchange) and name not in self.control.for_users:
            return error_response(403, "only for commands of this machine and the administrator", exchange.request_id)
        answer = self.control.answers.get(name)
        if answer is None or exchange.method != "POST":
            return error_response(404, f"no command {name[:100]!r}", exchange.request_id)
        try:
            arguments = json.loads((request.raw_content or b"{}")[: limits.COMMAND])
        except (ValueError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict):
            return error_response(400, "the arguments must be a JSON object", exchange.request_id)
        try:
            found = answer(exchange, arguments)
        except ControlError as error:
            return error_response(400, str(error), exchange.request_id)
        if found is None:
            return None
        return http.Response.make(200, json.dumps(found), {"content-type": "application/json"})
