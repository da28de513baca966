"""Hooks called in place: a stream's handlers run where the hook is raised, without a task and a walk of the chain each.

mitmproxy makes a task of every hook, walks all of its addons for it twice, and comes back through every layer: a third
of the time of a small request. Rules that hold in this file:
- what runs, in which order, and what happens when it fails is what mitmproxy would have done;
- where that can't be said in advance (a handler is asynchronous, or somebody looks on through `update`, as the views
  of mitmweb and mitmproxy do), the hook goes mitmproxy's way;
- the hooks of connections, six for each client with its first request, come from its handler (client_handler.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from inspect import iscoroutinefunction, unwrap

from mitmproxy import connection, ctx
from mitmproxy.addonmanager import safecall, traverse
from mitmproxy.addons.anticache import AntiCache
from mitmproxy.addons.anticomp import AntiComp
from mitmproxy.addons.dumper import Dumper
from mitmproxy.addons.maplocal import MapLocal
from mitmproxy.addons.mapremote import MapRemote
from mitmproxy.addons.modifybody import ModifyBody
from mitmproxy.addons.modifyheaders import ModifyHeaders
from mitmproxy.addons.savehar import SaveHar
from mitmproxy.addons.stickyauth import StickyAuth
from mitmproxy.addons.stickycookie import StickyCookie
from mitmproxy.exceptions import AddonHalt
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.tls import ClientHelloData, TlsData

from addons.proxy.fail_closed import MEANT, Closing, unwrapped

CallHook = Callable[[StartHook], bool]

Handler = Callable[..., object]

OF_CONNECTIONS = (connection.Client, ServerConnectionHookData, NextLayer, TlsData, ClientHelloData)
"""What hooks of connections are told."""

Handlers = list[list[tuple[Handler, Closing | None]]]
"""The handlers of a hook: a list for each addon of the chain, with those of the addons in it; one of ours without its
wrapper, and with what the wrapper does when it fails (fail_closed.py)."""

IDLE_WITHOUT: dict[type, str] = {
    AntiCache: "anticache",
    AntiComp: "anticomp",
    Dumper: "flow_detail",
    MapLocal: "map_local",
    MapRemote: "map_remote",
    ModifyBody: "modify_body",
    ModifyHeaders: "modify_headers",
    SaveHar: "hardump",
    StickyAuth: "stickyauth",
    StickyCookie: "stickycookie",
}
"""Addons of mitmproxy that do nothing for a request while an option of theirs is empty."""


class HookDispatch:
    """Knows who handles which hook, and calls them. It is an addon itself, to hear of what may change that."""

    def __init__(self) -> None:
        self.present: tuple[int, object] = 0, None
        self.known: dict[str, Handlers | None] = {}

    def running(self) -> None:
        """Take away the page of mitm.it: of no use behind a gateway, and its handler is asynchronous."""
        addons = ctx.master.addons
        if onboarding := addons.get("onboarding"):
            addons.remove(onboarding)

    def configure(self, updated: set[str]) -> None:
        self.known.clear()

    def look(self) -> None:
        """See whether there are other addons than there were: whichever comes is the last, whichever goes makes one
        less."""
        addons = ctx.master.addons.lookup
        present = len(addons), next(reversed(addons.values()), None)
        if present != self.present:
            self.present = present
            self.known.clear()

    def call_of_connection(self, hook: StartHook) -> bool:
        """Call the handlers of a hook of a connection. False: nobody was called, or it isn't one."""
        return type(next(iter(vars(hook).values()), None)) in OF_CONNECTIONS and self.call(hook)

    def call(self, hook: StartHook) -> bool:
        """Call the handlers. False: nobody was called, it has to go mitmproxy's way."""
        self.look()
        argument = next(iter(vars(hook).values()))  # what `hook.args()` looks up by the names of its fields
        try:
            handlers = self.known[hook.name]
        except KeyError:
            looked_on = type(argument) not in OF_CONNECTIONS
            handlers = self.known[hook.name] = handlers_of(hook.name, looked_on=looked_on)
        if handlers is None:
            return False
        for of_one_addon in handlers:
            try:
                for handler, closing in of_one_addon:
                    try:
                        handler(argument)
                    except MEANT:
                        raise
                    except Exception as error:
                        if closing is None:
                            raise
                        closing(error, argument)
            except AddonHalt:
                break
            except Exception:
                with safecall():
                    raise
        return True


def handlers_of(name: str, *, looked_on: bool) -> Handlers | None:
    """Who handles this hook, in the order of the chain. None where mitmproxy has to call them. `looked_on`: those who
    hear of every change (`update`) hear of it."""
    chain = [addon for addon in ctx.master.addons.chain if not is_idle(addon)]
    found = [[getattr(one, name, None) for one in traverse([addon])] for addon in chain]
    called = [[handler for handler in of_one_addon if callable(handler)] for of_one_addon in found]
    watchers = looked_on and any(hasattr(one, "update") for one in traverse(ctx.master.addons.chain))
    if watchers or any(map(has_to_be_awaited, itertools.chain.from_iterable(called))):
        return None
    return [[unwrapped(handler) for handler in of_one_addon] for of_one_addon in called if of_one_addon]


def has_to_be_awaited(handler: Handler) -> bool:
    """Whether what a handler returns has to be awaited, also if a decorator or an object of somebody's stands around
    what is asynchronous."""
    return any(iscoroutinefunction(one) for one in (unwrap(handler), handler, type(handler).__call__))


def is_idle(addon: object) -> bool:
    """Whether this is one of mitmproxy's addons that have nothing to do."""
    option = IDLE_WITHOUT.get(type(addon))
    return option is not None and not getattr(ctx.options, option, None)
