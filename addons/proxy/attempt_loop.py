"""The addon that puts our HTTP layer under every client of a reverse proxy, before mitmproxy chooses one."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakSet

from mitmproxy import ctx, http
from mitmproxy.addonmanager import Loader
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import layer, tunnel
from mitmproxy.proxy.layers import tls
from mitmproxy.proxy.layers.http import HttpStream
from mitmproxy.proxy.mode_specs import ReverseMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.tls import TlsData

from addons.proxy.body_budget import BodyBudget
from addons.proxy.connections import handler_of
from addons.proxy.egress import put_authorization, start_tls
from addons.proxy.hook_dispatch import CallHook
from addons.proxy.layer import GatewayLayer
from addons.proxy.recorder import NO_RECORDER, Recorder


class AttemptLoop:
    """The addon that puts our layer under every client of a reverse proxy."""

    def __init__(
        self,
        recorder: Callable[[], Recorder] = lambda: NO_RECORDER,
        call_hook: CallHook = lambda hook: False,
    ) -> None:
        """`recorder` says, for each new client, who keeps what goes by; `call_hook` calls a hook in place."""
        self.recorder = recorder
        self.call_hook = call_hook
        self.relaying = WeakSet[HttpStream]()
        self.bodies = BodyBudget()
        self.takes_short_way = False

    def load(self, loader: Loader) -> None:
        loader.add_option(
            "gateway_short_way", bool, True, "Relay running answers past most of mitmproxy, for half of the CPU time."
        )

    def configure(self, updated: set[str]) -> None:
        self.takes_short_way = ctx.options.gateway_short_way

    def server_connect(self, data: ServerConnectionHookData) -> None:
        """Providers are asked for HTTP/1.1, even for a client with HTTP/2: one request a connection at a time, so that
        a connection can be given up, and one stream can send a second request on it."""
        if isinstance(data.client.proxy_mode, ReverseMode):
            data.server.alpn_offers = (b"http/1.1",)

    def http_connect_upstream(self, flow: http.HTTPFlow) -> None:
        put_authorization(flow)

    def tls_start_server(self, tls_start: TlsData) -> None:
        start_tls(tls_start)

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        context = nextlayer.context
        if nextlayer.layer or len(context.layers) != 1:
            return
        mode = context.client.proxy_mode
        if not isinstance(mode, ReverseMode) or mode.scheme not in ("http", "https"):
            return
        if mode.scheme == "https":
            context.server.tls = True
        stack = tunnel.LayerStack()
        if starts_like_tls_record(nextlayer.data_client()):
            stack /= tls.ClientTLSLayer(context)
        stack /= GatewayLayer(
            context,
            recorder=self.recorder(),
            call_hook=self.call_hook,
            relaying=self.relaying,
            bodies=self.bodies,
            handlers=handler_of if self.takes_short_way else lambda client: None,
        )
        nextlayer.layer = stack[0]
