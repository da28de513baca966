"""ControlChannel: answers the commands of this machine (`./run.sh pool`), and those of the administrator.

Who has the secret of `.gateway.control` or the administrator's key may ask; the addons that know the answers have
registered them. What has to be read from the disk is read by one thread, while the stream waits as that of a page does.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from weakref import WeakKeyDictionary

from mitmproxy import ctx, http

from addons.config.settings import Settings
from addons.proxy.replies import error_response
from addons.state.control import FILE_NAME, PATH, Control, ControlError, is_administrator, make_secret
from addons.state.exchange import Exchange, Trying, exchange_of
from addons.wire import limits

logger = logging.getLogger(__name__)

LOOK_AGAIN = 0.01
"""Seconds between looks at whether an answer has been read."""


class ControlChannel:
    """Serves `POST /gateway/control/NAME`."""

    def __init__(self, settings: Settings, control: Control) -> None:
        self.settings, self.control = settings, control
        self.works: WeakKeyDictionary[http.HTTPFlow, Future[object]] = WeakKeyDictionary()
        self.reader: ThreadPoolExecutor | None = None
        control.later = self.later

    def done(self) -> None:
        if self.reader:
            self.reader.shutdown(wait=False, cancel_futures=True)

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
        flow.response = self.answer(exchange, flow)

    def answer(self, exchange: Exchange, flow: http.HTTPFlow) -> http.Response | None:
        """The answer to a command; None when it is being read, or when the request goes on to a provider."""
        name = exchange.path.removeprefix(PATH)
        if not is_administrator(exchange) and name not in self.control.for_users:
            return error_response(403, "only for commands of this machine and the administrator", exchange.request_id)
        answer = self.control.answers.get(name)
        if answer is None or exchange.method != "POST":
            return error_response(404, f"no command {name[:100]!r}", exchange.request_id)
        try:
            most = limits.COMMAND if is_administrator(exchange) else limits.SIGN_IN  # reading it takes half a second
            arguments = json.loads((flow.request.raw_content or b"{}")[:most])
        except (ValueError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict):
            return error_response(400, "the arguments must be a JSON object", exchange.request_id)
        found = tried(lambda: answer(exchange, arguments), exchange)
        if callable(found):
            self.later(exchange, flow, found)
            return None
        return found if found is None or isinstance(found, http.Response) else told(found)

    def later(self, exchange: Exchange, flow: http.HTTPFlow, work: Callable[[], object]) -> None:
        """Have a request answered with what a function returns, which waits for something."""
        exchange.kind = "page"
        self.reader = self.reader or ThreadPoolExecutor(1, "control")
        self.works[flow] = self.reader.submit(work)

    def attempt(self, trying: Trying) -> None:
        if trying.exchange.kind != "page" or (work := self.works.get(trying.flow)) is None:
            return
        if work.done():
            found = tried(work.result, trying.exchange)
            trying.flow.response = found if isinstance(found, http.Response) else told(found)
        else:
            trying.attempt.postponed = LOOK_AGAIN


def tried(ask: Callable[[], object], exchange: Exchange) -> object:
    """What is answered, or the response that says why it can't be."""
    try:
        return ask()
    except ControlError as error:
        return error_response(400, str(error), exchange.request_id)


def told(found: object) -> http.Response:
    return http.Response.make(200, json.dumps(found), {"content-type": "application/json"})
