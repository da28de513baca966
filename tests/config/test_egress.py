"""Egress proxies: their addresses, whom they are meant for, and that nobody sees their passwords."""

from __future__ import annotations

from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.config.config import Config, ConfigError, load
from addons.config.egress import EgressProxy, ProxyVariables, is_meant, proxy_variables, read_proxy

ROUTING = """
providers:
  zai: {base_url: "https://api.zai.example/v1x", auth: none}
  own: {base_url: "https://own.example", auth: none, proxy: "http://bob:pass%20word@other.example:8080"}
  direct: {base_url: "https://direct.example", auth: none, proxy: none}
  local: {base_url: "http://127.0.0.1:11434", auth: none}
models: {glm: zai/glm-5, a: own/a, b: direct/b, c: local/c}
"""
ENV = {"HTTPS_PROXY": "http://proxy.example:3128", "HTTP_PROXY": "http://proxy.example:3128"}


def loaded(env: dict[str, str], routing: str = ROUTING) -> Config:
    return load(routing, env, filename="routing.yaml")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://proxy.example:3128", "http://proxy.example:3128"),
        ("proxy.example:3128", "http://proxy.example:3128"),
        ("https://proxy.example/", "https://proxy.example:443"),
        ("http://[::1]:3128", "http://[::1]:3128"),
        ("http://alice:secret@proxy.example", "http://proxy.example:80"),
    ],
)
def test_addresses(text: str, address: str) -> None:
    assert str(read_proxy(text)) == address


@pytest.mark.parametrize(
    "text",
    ["socks5://proxy.example", "http://", "http://p:x", "http://p:99999", "http://p/path", "http://p?q", "http://p q"],
)
def test_what_is_no_address(text: str) -> None:
    assert read_proxy(text) is None


@given(st.text(max_size=40))
def test_whatever_is_written(text: str) -> None:
    proxy = read_proxy(text)
    assert proxy is None or proxy.host


def test_a_user_and_a_password() -> None:
    proxy = read_proxy("http://alice:pass%40word-0123@proxy.example:3128")
    assert proxy
    assert b64decode(proxy.authorization.removeprefix("Basic ")) == b"alice:pass@word-0123"
    assert "word-0123" not in f"{proxy!r} {proxy}"
    assert {"pass@word-0123", "pass%40word-0123", proxy.authorization.removeprefix("Basic ")} == set(proxy.secrets)


def test_whom_the_variables_are_for() -> None:
    config = loaded(ENV)
    through = {name: str(one.proxy) for name, one in config.providers.items()}
    assert through == {
        "zai": "http://proxy.example:3128",
        "own": "http://other.example:8080",
        "direct": "None",
        "local": "None",
    }
    assert str(config.proxies.of("https", "api.anthropic.com", 443)) == "http://proxy.example:3128"
    assert all(one.proxy is None for name, one in loaded({}).providers.items() if name != "own")


def test_lower_case_comes_first() -> None:
    env = {**ENV, "https_proxy": "http://lower.example:1", "no_proxy": "corp.example", "NO_PROXY": "*"}
    assert str(loaded(env).providers["zai"].proxy) == "http://lower.example:1"


def test_passwords_are_secrets_of_the_configuration() -> None:
    config = loaded({"HTTPS_PROXY": "http://alice:password-0123@proxy.example:3128"})
    assert {"password-0123", "pass word"} <= set(config.secrets())
    assert "password-0123" not in repr(config)


@pytest.mark.parametrize(
    ("exception", "host", "port", "meant"),
    [
        ("*", "anything", 1, True),
        ("zai.example", "zai.example", 443, True),
        ("zai.example", "api.zai.example", 443, True),
        (".zai.example", "api.zai.example", 443, True),
        ("*.zai.example", "api.zai.example", 443, True),
        ("zai.example", "notzai.example", 443, False),
        ("zai.example:8443", "zai.example", 443, False),
        ("zai.example:443", "zai.example", 443, True),
        ("10.0.0.0/8", "10.1.2.3", 443, True),
        ("10.0.0.0/8", "11.1.2.3", 443, False),
        ("10.1.2.3", "10.1.2.3", 443, True),
        ("fd00::/8", "fd00::1", 443, True),
        ("[fd00::1]:443", "fd00::1", 443, True),
        ("fd00::1", "zai.example", 443, False),
    ],
)
def test_exceptions(exception: str, host: str, port: int, meant: bool) -> None:
    assert is_meant(exception, host, port) is meant


def test_exceptions_in_a_list() -> None:
    variables = proxy_variables({**ENV, "NO_PROXY": "other.example, ZAI.example"})
    assert variables.of("https", "api.zai.example", 443) is None
    assert variables.of("https", "kimi.example", 443)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "ollama.localhost"])
def test_this_machine_is_reached_directly(host: str) -> None:
    proxy = EgressProxy("http", "proxy.example", 3128)
    assert ProxyVariables(proxy, proxy).of("http", host, 80) is None


def test_a_variable_that_is_missing_switches_the_provider_off() -> None:
    own = loaded({}, ROUTING.replace("http://bob:pass%20word@", "http://bob:${PASSWORD}@")).providers["own"]
    assert (own.missing, own.proxy) == ("PASSWORD", None)


def test_mistakes() -> None:
    with pytest.raises(ConfigError, match=r"^HTTPS_PROXY: must be a proxy's address"):
        loaded({"HTTPS_PROXY": "socks5://alice:password-0123@proxy.example"})
    with pytest.raises(ConfigError, match=r"^routing.yaml:4: providers.own.proxy: must be a proxy's address"):
        loaded({}, ROUTING.replace("http://bob", "socks5://bob"))
