"""Trusted proxies: whose word counts when they say for whom a connection is (option `gateway_trusted_proxies`)."""

from __future__ import annotations

from mitmproxy import ctx
from mitmproxy.addonmanager import Loader
from mitmproxy.exceptions import OptionsError

from addons.proxy.client_address import Network, is_within, read_networks


class TrustedProxies:
    """The addon that reads the option; the gate and the limits of connections ask it."""

    def __init__(self) -> None:
        self.networks: tuple[Network, ...] = ()

    def __contains__(self, address: str) -> bool:
        return is_within(address, self.networks)

    def load(self, loader: Loader) -> None:
        loader.add_option(
            "gateway_trusted_proxies",
            str,
            "",
            "Addresses or networks (separated by commas) of proxies in front of the gateway: of their connections the "
            "last address in X-Forwarded-For that isn't one of them is the client's.",
        )

    def configure(self, updated: set[str]) -> None:
        if "gateway_trusted_proxies" in updated:
            try:
                self.networks = read_networks(ctx.options.gateway_trusted_proxies)
            except ValueError as error:
                raise OptionsError(f"gateway_trusted_proxies: {error}") from None
