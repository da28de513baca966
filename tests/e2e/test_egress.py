"""Providers that are reached through a proxy: it carries what a direct connection would, and nothing is left behind.

addons/proxy/egress.py, and what layer.py knows of tunnels.
"""

from __future__ import annotations

import socket
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from shutil import which
from typing import Any

import certifi
import pytest

from tests.e2e.conftest import Providers
from tests.e2e.gateway import Gateway, authority
from tests.e2e.test_client_hangup import Caller
from tests.fakes.connect_proxy import ConnectProxy
from tests.fakes.front import Authority, Front, has_ipv6, needs_ipv6
from tests.fakes.provider import Provider
from tests.fakes.scripts import Gate, error_event, hang, insert, say

PASSWORD = "proxy-password-0123456789"
AUTHORIZATION = f"Basic {b64encode(f'alice:{PASSWORD}'.encode()).decode()}"


@pytest.fixture(scope="module")
def proxy() -> Iterator[ConnectProxy]:
    with ConnectProxy(authorization=AUTHORIZATION) as made:
        yield made


@pytest.fixture(autouse=True)
def as_new(proxy: ConnectProxy) -> None:
    proxy.asked.clear()
    proxy.silent = proxy.endless = False


@pytest.fixture(scope="module")
def others(providers: Providers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Providers that are zai behind something else: TLS that only a bundle vouches for, an https proxy, IPv6."""
    company, path = Authority(), tmp_path_factory.mktemp("company") / "company.pem"
    path.write_text(company.pem)
    pair = company.issue("127.0.0.1", "localhost")
    with ExitStack() as stack:
        port = providers.zai.port
        known, unknown = (stack.enter_context(Front(port, tls=pair)) for _ in range(2))
        proxy = stack.enter_context(ConnectProxy(authorization=AUTHORIZATION, own_tls=pair))
        trusting = {"ca_bundle": str(path), "auth": "bearer", "api_key": "${ZAI_API_KEY}"}
        through = proxy.url.replace("//", f"//alice:{PASSWORD}@")
        found = {
            "tls": {**trusting, "base_url": known.url, "proxy": "none"},
            "not-trusted": {**trusting, "base_url": unknown.url, "proxy": "none", "ca_bundle": certifi.where()},
            "https-proxy": {**trusting, "base_url": known.url.replace("127.0.0.1", "localhost"), "proxy": through},
            "https-proxy-plain": {**trusting, "base_url": providers.zai.url, "proxy": through},
        }
        if has_ipv6():
            six = stack.enter_context(Front(port, host="::1"))
            six_proxy = stack.enter_context(ConnectProxy(host="::1"))
            found["six"] = {**trusting, "base_url": six.url, "proxy": "none"}
            found["six-proxy"] = {**trusting, "base_url": six.url, "proxy": six_proxy.url}
        yield found


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any], providers: Providers, others: dict[str, Any]) -> dict[str, Any]:
    through = {name: {**entry, "proxy": "${PROXY}"} for name, entry in routing["providers"].items()}
    named = {
        f"{name}-by-name": {**entry, "base_url": entry["base_url"].replace("127.0.0.1", "localhost")}
        for name, entry in through.items()
        if name != "anthropic"
    }
    direct = {"kimi-direct": {**routing["providers"]["kimi"], "proxy": "none"}}
    return {
        **routing,
        "providers": {**through, **named, **direct, **others},
        "models": {
            **routing["models"],
            **{name: f"{name}/m" for name in (*named, *others)},
            "kimi-direct": "kimi-direct/m",
            "glm-or-direct": "zai/glm-6",
        },
        "fallbacks": {"glm": ["kimi"], "glm-or-direct": ["kimi-direct"]},
        "failover": {**routing["failover"], "first_byte_timeout": 1, "cooldown": 0, "retries": 0},
    }


@pytest.fixture(scope="module")
def env(env: dict[str, str], proxy: ConnectProxy) -> dict[str, str]:
    return {**env, "PROXY": f"http://alice:{PASSWORD}@127.0.0.1:{proxy.port}"}


def test_through_the_proxy_and_again_on_the_same_tunnel(gateway: Gateway, zai: Provider, proxy: ConnectProxy) -> None:
    zai.always(say("Hello"))
    for _ in range(3):
        assert gateway.post("glm").status_code == 200
    assert proxy.asked == [f"127.0.0.1:{zai.port}"]
    assert "proxy-authorization" not in zai.requests[-1].headers


def test_not_through_it(gateway: Gateway, kimi: Provider, proxy: ConnectProxy) -> None:
    kimi.always(say("Hello"))
    assert gateway.post("kimi-direct").status_code == 200
    assert proxy.asked == []


def test_an_answer_that_comes_too_late_is_dropped(gateway: Gateway, zai: Provider, kimi: Provider) -> None:
    gate = Gate()
    zai.always(insert(say("too late"), gate, after=0))
    kimi.always(say("in time"))
    with gateway.stream("glm") as stream:
        stream.read()
    zai.wait_for(lambda: zai.closed_by_peer == zai.requests)
    gate.open()
    assert stream.text == "in time"
    with gateway.stream("kimi") as stream:
        stream.read()
    assert stream.text == "in time"


def test_what_still_comes_of_a_failed_answer_is_dropped(gateway: Gateway, zai: Provider, kimi: Provider) -> None:
    zai.always(insert(say("never seen " * 50), error_event(), after=0))
    kimi.always(say("from kimi"))
    for _ in range(5):
        with gateway.stream("glm") as stream:
            stream.read()
        assert (stream.text, stream.cut) == ("from kimi", None)


def test_a_client_that_hangs_up_closes_the_tunnel(gateway: Gateway, zai: Provider) -> None:
    zai.always(hang(say("Hello, world"), events=3))
    caller = Caller(gateway)
    caller.read_until(b"Hello")
    caller.hang_up()
    zai.wait_for(lambda: zai.closed_by_peer == zai.requests)


def test_a_proxy_that_does_not_answer(gateway: Gateway, kimi: Provider, proxy: ConnectProxy) -> None:
    kimi.always(say("directly"))
    proxy.silent = True
    for _ in range(2):
        with gateway.stream("glm-or-direct") as stream:
            stream.read()
        assert stream.headers["x-gateway-provider"] == "kimi-direct"
    assert len(proxy.asked) == 2
    kimi.wait_for(lambda: proxy.unanswered == 0)


def test_a_proxy_whose_answer_has_no_end(gateway: Gateway, kimi: Provider, proxy: ConnectProxy) -> None:
    proxy.endless, before = True, proxy.open
    answer = gateway.post("openrouter-by-name")
    assert (answer.status_code, "the head of the proxy's answer is over" in answer.text) == (502, True)
    kimi.wait_for(lambda: proxy.open <= before)


def test_no_tunnel_is_left_behind(gateway: Gateway, zai: Provider, kimi: Provider, proxy: ConnectProxy) -> None:
    """mitmproxy lets a client have five connections to an address at once: the sixth would wait for ever."""
    zai.always(insert(say("x"), error_event(), after=0))
    kimi.always(say("from kimi"))
    for _ in range(12):
        assert gateway.post("glm").status_code == 200
    kimi.wait_for(lambda: proxy.open <= 5)


def test_more_providers_than_tunnels(gateway: Gateway, providers: Providers, proxy: ConnectProxy) -> None:
    for provider in providers:
        provider.always(say("Hello"))
    models = ("glm", "kimi", "openrouter", "zai-by-name", "kimi-by-name", "openrouter-by-name")
    for _ in range(2):
        assert [gateway.post(model).status_code for model in models] == [200] * 6


@pytest.mark.parametrize("way", ["tls", "https-proxy", "https-proxy-plain"])
def test_certificates_of_a_bundle(gateway: Gateway, zai: Provider, others: dict[str, Any], way: str) -> None:
    zai.always(say("Hello"))
    assert [gateway.post(way).status_code for _ in range(2)] == [200, 200]
    assert zai.last.json["model"] == "m"


def test_certificates_that_nobody_vouches_for(gateway: Gateway, zai: Provider) -> None:
    answer = gateway.post("not-trusted")
    assert (answer.status_code, zai.requests) == (502, [])
    assert "certificate verify failed" in answer.json()["error"]["message"].lower()


@needs_ipv6
@pytest.mark.parametrize("way", ["six", "six-proxy"])
def test_addresses_of_ipv6(gateway: Gateway, zai: Provider, way: str) -> None:
    zai.always(say("Hello"))
    assert gateway.post(way).status_code == 200
    assert zai.last.headers["host"].startswith("[::1]:")


def test_tls_inside_of_the_tunnel(start_gateway: Callable[..., Gateway], env: dict[str, str], zai: Provider) -> None:
    """The provider is asked for HTTP/1.1, as it is without a proxy."""
    zai.always(say("Hello"))
    with ConnectProxy(tls=authority()["mitmproxy-ca.pem"]) as proxy:
        address = {"base_url": f"https://127.0.0.1:{zai.port}", "proxy": proxy.url}
        entry = {**address, "auth": "bearer", "api_key": "${ZAI_API_KEY}"}
        changes = {"providers": {"zai": entry}, "models": {"glm": "zai/glm-5"}, "fallbacks": {}}
        gateway = start_gateway(changes, options=("--set", "ssl_insecure=true"))
        assert [gateway.post("glm").status_code for _ in range(2)] == [200, 200]
        assert (len(proxy.asked), proxy.protocols) == (1, ["http/1.1"])


@pytest.mark.skipif(which("tinyproxy") is None, reason="tinyproxy is not installed (apt-get install tinyproxy)")
def test_a_real_proxy(
    start_gateway: Callable[..., Gateway], env: dict[str, str], zai: Provider, kimi: Provider, tmp_path: Path
) -> None:
    zai.always(insert(say("x"), Gate(), after=0))
    kimi.always(say("from kimi"))
    port = free_port()
    (tmp_path / "conf").write_text(f"Port {port}\nListen 127.0.0.1\nTimeout 60\nBasicAuth alice secret0123\n")
    running = subprocess.Popen(["tinyproxy", "-d", "-c", tmp_path / "conf"], stdout=subprocess.DEVNULL)
    try:
        gateway = start_gateway(env={**env, "PROXY": f"http://alice:secret0123@127.0.0.1:{port}"})
        gateway.wait_until(lambda: is_taken(port))
        for _ in range(2):
            with gateway.stream("glm") as stream:
                stream.read()
            assert (stream.text, stream.cut) == ("from kimi", None)
        zai.wait_for(lambda: zai.closed_by_peer == zai.requests)
    finally:
        running.kill()
        running.wait()


def free_port() -> int:
    """A port that nobody listens on. (tinyproxy must be told one.)"""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def is_taken(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_proxy_that_refuses(
    start_gateway: Callable[..., Gateway], env: dict[str, str], zai: Provider, proxy: ConnectProxy
) -> None:
    wrong = start_gateway(
        env={**env, "PROXY": f"http://alice:another-one@127.0.0.1:{proxy.port}"}, changes={"fallbacks": {}}
    )
    answer = wrong.post("glm")
    assert answer.status_code in (502, 529)
    assert "407" in answer.json()["error"]["message"]
    assert "another-one" not in wrong.log() + answer.text
    assert zai.requests == []
