"""What serves one client connection: mitmproxy's handler, with less between its events and our layer.

mitmproxy makes a task of every hook and of every alarm, and a write of every piece that is sent. Rules that hold in
this file:
- the same events reach the layers in the same order, and what they want is done in their order;
- what they send while one event is handled goes out as one write, before anything else is done with the connection;
- hooks of connections are called in place as far as they can be (hook_dispatch.py), else mitmproxy calls them.
Measured, CPU time of a new connection with a stream of one event, in pairs of 50: 0.62× a bare mitmdump's in place of
0.74 (with what the addons save since: 0.55×).

What it knows of mitmproxy's insides is named in tests/proxy/test_client_handler.py.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from mitmproxy.connection import Client, Connection, ConnectionState
from mitmproxy.proxy import commands, events, layer, mode_servers
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.modes import ReverseProxy
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler
from mitmproxy.proxy.server import ConnectionHandler, ConnectionIO
from mitmproxy.utils.asyncio_utils import create_task

from addons.proxy.connections import unread
from addons.proxy.event_lock import EventLock
from addons.proxy.hook_dispatch import CallHook
from addons.proxy.hooks import Commands

AS_ONE = 64 * 1024
"""Bytes that are put together to be sent at once: to copy more costs as much as another write."""


class ClientHandlers:
    """The addon that has every client served so."""

    def __init__(self, call_hook: CallHook, started: asyncio.Event) -> None:
        """`call_hook` calls a hook in place, if it is one of a connection; nobody is heard before `started`."""
        self.call_hook, self.started = call_hook, started

    def load(self, loader: object) -> None:
        mode_servers.ProxyConnectionHandler = partial(ClientHandler, self.call_hook, self.started)  # type: ignore[misc, assignment]

    def done(self) -> None:
        mode_servers.ProxyConnectionHandler = ProxyConnectionHandler  # type: ignore[misc]


class ClientHandler(ProxyConnectionHandler):
    """Serves one client connection, with the provider connections that are opened for it."""

    def __init__(
        self,
        call_hook: CallHook,
        started: asyncio.Event,
        master: Any,
        reader: Any,
        writer: Any,
        options: Any,
        mode: Any,
    ) -> None:
        client = Client(
            transport_protocol=writer.get_extra_info("transport_protocol", "tcp"),
            peername=writer.get_extra_info("peername"),
            sockname=writer.get_extra_info("sockname"),
            timestamp_start=time.time(),
            proxy_mode=mode,
            state=ConnectionState.OPEN,
        )
        ConnectionHandler.__init__(self, ForkedContext(client, options))
        self.transports[client] = ConnectionIO(reader=reader, writer=writer)
        self.master, self.call_hook, self.started = master, call_hook, started
        self._server_event_lock = EventLock()

    async def handle_client(self) -> None:
        if not self.started.is_set():
            with unread(self.client):
                await self.started.wait()
        self.layer = Outermost(self.layer, self.call_hook, self.set_alarm)
        await super().handle_client()

    async def handle_hook(self, hook: commands.StartHook) -> None:
        if not self.call_hook(hook):
            await super().handle_hook(hook)

    def set_alarm(self, command: commands.RequestWakeup) -> None:
        """Wake who asks for it, without a task that sleeps until then."""

        def ring() -> None:
            self.wakeup_timer.discard(timer)
            create_task(self.server_event(events.Wakeup(command)), name="alarm", keep_ref=True)

        timer = asyncio.get_running_loop().call_later(command.delay, ring)
        self.wakeup_timer.add(timer)  # type: ignore[arg-type]  # it is cancelled like a task when the client has gone


class ForkedContext(Context):
    """A context that makes no new connection for each of its forks, which have another."""

    def fork(self) -> Context:
        made = object.__new__(ForkedContext)
        made.client, made.options, made.server, made.layers = self.client, self.options, self.server, self.layers.copy()
        return made


class Outermost(layer.Layer):
    """The layer around all others: does what needs no task, and puts together what is sent."""

    def __init__(
        self, inner: layer.Layer, call_hook: CallHook, set_alarm: Callable[[commands.RequestWakeup], None]
    ) -> None:
        self.context, self.inner, self.call_hook, self.set_alarm = inner.context, inner, call_hook, set_alarm
        self.unsent: dict[Connection, list[bytes]] = {}

    def handle_event(self, event: events.Event) -> Commands:
        """Hand an event to the layers, and do what they want."""
        if type(self.inner) is ReverseProxy and (chosen := chosen_below(self.inner)):
            self.inner = chosen
        waiting = deque([event])
        try:
            while waiting:
                for command in self.inner.handle_event(waiting.popleft()):
                    if isinstance(command, commands.SendData):
                        self.unsent.setdefault(command.connection, []).append(command.data)
                    elif isinstance(command, commands.StartHook) and self.call_hook(command):
                        if command.blocking:
                            waiting.append(events.HookCompleted(command))
                    elif isinstance(command, commands.RequestWakeup):
                        self.set_alarm(command)
                    else:
                        yield from self.send()
                        yield command
        finally:
            yield from self.send()

    def _handle_event(self, event: events.Event) -> Commands:
        return self.handle_event(event)

    def send(self) -> Commands:
        """Send what is to be sent."""
        while self.unsent:
            to = next(iter(self.unsent))
            parts = self.unsent.pop(to)
            if len(parts) > 1 and sum(map(len, parts)) <= AS_ONE:
                parts = [b"".join(parts)]
            for part in parts:
                yield commands.SendData(to, part)


def chosen_below(outer: ReverseProxy) -> layer.Layer | None:
    """The layer that was chosen below mitmproxy's first two, which only hand on to it what comes. None before that."""
    choice = getattr(outer, "child_layer", None)
    return choice.layer if isinstance(choice, layer.NextLayer) and choice._handle else None  # noqa: SLF001
