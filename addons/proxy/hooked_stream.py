"""mitmproxy's stream with hooks that are called where they are raised, as far as they can be (hook_dispatch.py).

Rule that holds in this file: a stream goes on behind a hook when mitmproxy's would; one whose flow an addon has
intercepted waits until somebody lets it go on.
"""

from __future__ import annotations

from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpStream
from mitmproxy.proxy.layers.http._hooks import HttpRequestHook

from addons.proxy.hooks import Commands, ResumeHook
from addons.proxy.stream_layer import StreamLayer


class HookedStream(HttpStream):
    """A stream that goes on behind a hook without waiting for a task."""

    def __init__(self, context: Context, stream_id: int, gateway: StreamLayer) -> None:
        super().__init__(context, stream_id)
        self.gateway = gateway

    def handle_event(self, event: events.Event) -> Commands:
        """Handle an event, and call the hooks that come of it."""
        if self._paused and isinstance(event, events.Wakeup) and event.command is self._paused.command:
            event.reply = None
        for command in super().handle_event(event):
            # (Hooks of a child layer, a WebSocket's, are waited for by that layer.)
            is_own = self.child_layer is None
            if is_own and isinstance(command, commands.StartHook) and self.gateway.call_hook(command):
                yield from self.hook_called(command)
            else:
                yield command

    def hook_called(self, hook: commands.StartHook) -> Commands:
        """Go on behind the hook."""
        assert self._paused
        wait: commands.Command
        if self.flow.intercepted:
            wait = ResumeHook(self.flow)
        elif isinstance(hook, HttpRequestHook) and self.gateway.relaying:
            # The one long stretch of a request's life: what has come for running answers in the meantime goes first.
            wait = commands.RequestWakeup(0)
        else:
            yield from self.handle_event(events.HookCompleted(hook))
            return
        wait.blocking = self  # as mitmproxy's `Layer.handle_event` does
        self._paused = self._paused._replace(command=wait)
        yield wait
