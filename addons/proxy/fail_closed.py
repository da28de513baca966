"""Fail closed: an exception in a handler of ours ends its request, and nothing more is sent to a provider.

mitmproxy logs what an addon raises, and goes on with the next addon as if nothing had happened: a request that nobody
has routed would go to the default upstream. So each handler of the chain is wrapped once, and both ways of calling it
(mitmproxy's, and in place: hook_dispatch.py) meet the wrapper. Rules that hold in this file:
- what has to do with a request ends in a 500 in the envelope; what has to do with a connection closes it;
- at a start, what can't be set up ends the start, and so does an option that can't be what it is: with one line, for
  mitmproxy would tell it with a traceback; later it is a line of the log;
- the log says which exception it was and where, never what it says: that may quote a client's words;
- `AddonHalt`, `OptionsError` and `CommandError` are meant, and pass.
"""

from __future__ import annotations

import functools
import logging
import traceback
from collections.abc import Callable, Sequence
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

from mitmproxy import connection, ctx, flow, hooks, http
from mitmproxy.exceptions import AddonHalt, CommandError, OptionsError
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from addons.proxy.hooks import Commands
from addons.proxy.replies import error_response
from addons.proxy.request_head import HOP_BY_HOP
from addons.state.exchange import Trying, exchange_of

logger = logging.getLogger(__name__)

MEANT = (AddonHalt, OptionsError, CommandError)
"""Exceptions by which a handler tells mitmproxy something."""

MESSAGE = "an error in the gateway ended this request, see its log"

ENDINGS = frozenset({"response", "error"})
"""The hooks of a request's end: every addon hears of it, also when one of them has failed."""

BROKEN = "gateway_broken"
"""The attribute of a flow with which a handler has failed."""

CLOSING = "gateway_closing"
"""The attribute of a wrapped handler that holds how to close."""

Handler = Callable[..., Any]
Closing = Callable[..., None]


def fail_closed(addons: Sequence[object]) -> list[object]:
    """The same addons, their handlers wrapped."""
    for addon in addons:
        for name in hooks.all_hooks:
            handler = getattr(addon, name, None)
            if callable(handler):
                setattr(addon, name, wrapped(handler, name, type(addon).__name__))
    return list(addons)


def is_broken(of: flow.Flow) -> bool:
    """Whether a handler has failed with this flow."""
    return BROKEN in of.__dict__


def wrapped(handler: Handler, hook: str, addon: str) -> Handler:
    """The handler, with what it raises turned into the end of its request."""
    if iscoroutinefunction(handler):

        @functools.wraps(handler)
        async def call_async(*arguments: Any) -> None:
            try:
                await handler(*arguments)
            except MEANT:
                raise
            except Exception as error:  # noqa: BLE001
                close(hook, addon, error, *arguments)

        return call_async

    @functools.wraps(handler)
    def call(*arguments: Any) -> None:
        try:
            handler(*arguments)
        except MEANT as error:
            if not (isinstance(error, OptionsError) and ends_at_an_error()):
                raise
            logger.error("gateway: %s", error)  # what it says is meant to be read
        except Exception as error:  # noqa: BLE001
            close(hook, addon, error, *arguments)

    call.__dict__[CLOSING] = functools.partial(close, hook, addon)
    return call


def ends_at_an_error() -> bool:
    """Whether mitmproxy's `errorcheck` still looks at what is logged: it stops when everything runs."""
    check = ctx.master.addons.get("errorcheck")
    return check is not None and check.logger in logging.getLogger().handlers


def unwrapped(handler: Handler) -> tuple[Handler, Closing | None]:
    """A handler as its addon has it, and what has to be called with the exception that it raises and its arguments: for
    who catches that itself. None: it isn't one of ours."""
    closing: Closing | None = getattr(handler, CLOSING, None)
    return (handler.__dict__["__wrapped__"], closing) if closing else (handler, None)


def close(hook: str, addon: str, error: Exception, *arguments: object) -> None:
    """End what the handler had to do with. Raises AddonHalt where no other addon may go on with it."""
    about = arguments[0] if arguments else None
    if isinstance(about, Trying):
        about = about.flow
    logger.error("gateway: %s in %s.%s (%s)", type(error).__name__, addon, hook, place(error))
    match about:
        case http.HTTPFlow():
            break_off(about, hook)
        case flow.Flow() if about.killable:
            about.kill()
        case connection.Client():
            about.error = MESSAGE
        case ServerConnectionHookData():
            about.server.error = MESSAGE
        case layer.NextLayer():
            about.layer = Closed(about.context)
            raise AddonHalt


def break_off(about: http.HTTPFlow, hook: str) -> None:
    """Answer a request with a 500, whatever has become of it."""
    about.__dict__[BROKEN] = True
    exchange = exchange_of(about)
    if hook == "requestheaders":  # the gate may not have taken the credentials off
        kept = [
            line
            for line in about.request.headers.fields
            if line[0].decode("latin-1").lower() in HOP_BY_HOP - {"expect"}
        ]
        about.request.headers = http.Headers(kept)
        about.request.path = about.request.path.partition("?")[0]
    if hook != "error":
        about.response = error_response(500, MESSAGE, exchange.request_id if exchange else None)
    if hook not in ENDINGS:
        raise AddonHalt


def place(error: Exception) -> str:
    """The file and line that raised, as far as it is ours: `auth.py:94`."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(__file__).parents[1] in Path(frame.filename).parents]
    last = (ours or frames)[-1] if frames else None
    return f"{Path(last.filename).name}:{last.lineno}" if last else "nowhere"


class Closed(layer.Layer):
    """A client connection that nobody could find a layer for: nothing is read, and it is closed."""

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, events.Start):
            yield commands.CloseConnection(self.context.client)
