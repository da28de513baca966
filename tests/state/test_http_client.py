"""The gateway's own HTTP client: directly and through proxies, to servers that only a bundle vouches for."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

import pytest

from addons.config.ca_bundle import CaBundle
from addons.config.egress import DIRECT, Egress, read_proxy
from addons.state.http_client import ProxyRefused, connection
from addons.state.token_endpoint import post
from tests.fakes.connect_proxy import ConnectProxy
from tests.fakes.front import Authority, Front, in_url, needs_ipv6
from tests.fakes.provider import Provider
from tests.fakes.scripts import count_tokens, plain_error

PASSWORD = "password-0123456789"


@dataclass
class Network:
    """A provider, plain and over TLS, and a proxy of each kind."""

    provider: Provider
    tls: Front
    bundle: CaBundle
    proxies: dict[str, ConnectProxy]

    def egress(self, proxy: str, *, password: str = PASSWORD) -> Egress:
        made = self.proxies.get(proxy)
        url = made.url.replace("//", f"//alice:{password}@") if made else ""
        return Egress(read_proxy(url) if url else None, self.bundle)


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    authority = Authority()
    pair = authority.issue("127.0.0.1", "localhost")
    wanted = f"Basic {b64encode(f'alice:{PASSWORD}'.encode()).decode()}"
    with ExitStack() as stack:
        provider = stack.enter_context(Provider("zai"))
        provider.always(plain_error(200, "x" * 200_000, headers={"connection": "close"}))
        front = stack.enter_context(Front(provider.port, tls=pair))
        proxies = {
            "http": stack.enter_context(ConnectProxy(authorization=wanted)),
            "https": stack.enter_context(ConnectProxy(authorization=wanted, own_tls=pair)),
        }
        yield Network(provider, front, CaBundle("bundle.pem", authority.pem), proxies)


@pytest.mark.parametrize("proxy", ["", "http", "https"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_every_way(network: Network, scheme: str, proxy: str) -> None:
    there = network.tls.port if scheme == "https" else network.provider.port
    answer = post(f"{scheme}://localhost:{there}/v1/oauth/token?x=1", b"{}", network.egress(proxy))
    assert (answer.status, answer.body[:2]) == (200, b"xx")
    request = network.provider.requests[-1]
    assert (request.method, request.target, request.body) == ("POST", "/v1/oauth/token?x=1", b"{}")
    assert "proxy-authorization" not in request.headers
    if proxy:
        assert network.proxies[proxy].asked[-1] == f"localhost:{there}"


@pytest.mark.parametrize("proxy", ["http", "https"])
def test_a_whole_answer_comes_through(network: Network, proxy: str) -> None:
    egress = network.egress(proxy)
    with closing(connection("https", "127.0.0.1", network.tls.port, egress, 10)) as way:
        for _ in range(2):
            way.request("GET", "/")
            assert len(way.getresponse().read()) == 200_000


def test_a_proxy_that_opens_no_tunnel(network: Network) -> None:
    with pytest.raises(ProxyRefused) as raised:
        post("https://api.example", b"{}", network.egress("http", password="another-password"))
    assert raised.value.status == 407
    assert "another-password" not in str(raised.value)
    assert str(raised.value) == f"the proxy http://127.0.0.1:{network.proxies['http'].port} answered 407"


def test_without_the_bundle_nobody_is_trusted(network: Network) -> None:
    proxy = network.egress("https").proxy
    for address, egress in [
        (f"https://127.0.0.1:{network.tls.port}", DIRECT),
        (f"http://127.0.0.1:{network.provider.port}", Egress(proxy)),
        (f"https://127.0.0.2:{network.tls.port}", Egress(network.egress("http").proxy, network.bundle)),
    ]:
        with pytest.raises((ssl.SSLError, ProxyRefused, OSError)):
            post(address, b"{}", egress)


@needs_ipv6
def test_addresses_of_ipv6() -> None:
    with (
        Provider("zai") as provider,
        Front(provider.port, host="::1") as front,
        ConnectProxy(host="::1") as proxy,
    ):
        provider.always(count_tokens(1))
        assert post(front.url, b"{}").status == 200
        assert post(front.url, b"{}", Egress(read_proxy(proxy.url))).status == 200
        assert proxy.asked == [f"{in_url('::1')}:{front.port}"]
        assert provider.requests[-1].headers["host"] == f"[::1]:{front.port}"
