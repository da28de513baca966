"""The option that says which proxies are trusted."""

from __future__ import annotations

import pytest
from mitmproxy.exceptions import OptionsError
from mitmproxy.test import taddons

from addons.proxy.trusted_proxies import TrustedProxies


def test_addresses_and_networks() -> None:
    addon = TrustedProxies()
    with taddons.context(addon) as context:
        assert "10.0.0.1" not in addon
        context.configure(addon, gateway_trusted_proxies="10.0.0.1, 10.1.0.0/16, fd00::/8")
        found = [address for address in ("10.0.0.1", "10.0.0.2", "10.1.7.7", "fd00::1", "x") if address in addon]
        assert found == ["10.0.0.1", "10.1.7.7", "fd00::1"]
        with pytest.raises(OptionsError, match="gateway_trusted_proxies: 'x' does not appear to be"):
            context.configure(addon, gateway_trusted_proxies="x")
