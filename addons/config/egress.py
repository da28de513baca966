"""Egress: through which proxy an address is reached, by `proxy:` or by HTTPS_PROXY, HTTP_PROXY and NO_PROXY, and whose
certificates are trusted there.

Rules of this file: pure; a proxy's password is in no `repr` and in no message. An address of this machine is never
reached through a proxy that only a variable names.
"""

from __future__ import annotations

import ipaddress
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec

from addons.config.ca_bundle import CaBundle
from addons.config.yaml_reader import ConfigError


@dataclass(frozen=True, slots=True)
class EgressProxy:
    """A proxy that is asked with CONNECT."""

    scheme: Literal["http", "https"]
    """How it is spoken to itself: `https` is TLS around the tunnel."""
    host: str
    port: int
    authorization: str = field(default="", repr=False)
    """The value of Proxy-Authorization; empty without a user."""
    secrets: tuple[str, ...] = field(default=(), repr=False, compare=False)
    """What of it is to be masked."""

    def __str__(self) -> str:
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


class Egress(msgspec.Struct, frozen=True):
    """How an address is reached."""

    proxy: EgressProxy | None = None
    """None: directly."""
    ca_bundle: CaBundle | None = None
    """What is trusted besides the public authorities, of the address itself and of an https proxy."""


DIRECT = Egress()


def read_proxy(text: str) -> EgressProxy | None:
    """The proxy at an address like `http://user:password@proxy.example:3128`; None where it is no such address. Without
    a scheme, http is meant."""
    try:
        url = urlsplit(text if "://" in text else f"http://{text}")
        port = url.port or (443 if url.scheme == "https" else 80)
    except ValueError:
        return None
    if url.scheme not in ("http", "https") or not url.hostname or url.path.strip("/") or url.query or url.fragment:
        return None
    if not text.isascii() or not text.isprintable() or " " in text:
        return None
    authorization, secrets = "", tuple[str, ...]()
    if url.username:
        user, password = unquote(url.username), unquote(url.password or "")
        packed = b64encode(f"{user}:{password}".encode()).decode()
        authorization, secrets = f"Basic {packed}", (packed, password, url.password or "")
    scheme: Literal["http", "https"] = "https" if url.scheme == "https" else "http"
    return EgressProxy(scheme, url.hostname, port, authorization, tuple(filter(None, secrets)))


class ProxyVariables(msgspec.Struct, frozen=True):
    """HTTPS_PROXY, HTTP_PROXY and NO_PROXY, read."""

    https: EgressProxy | None = None
    http: EgressProxy | None = None
    exceptions: tuple[str, ...] = ()

    def of(self, scheme: str, host: str, port: int) -> EgressProxy | None:
        """The proxy through which an address is reached; None: directly."""
        proxy = self.https if scheme == "https" else self.http
        if proxy is None or is_local(host) or any(is_meant(one, host, port) for one in self.exceptions):
            return None
        return proxy


def proxy_variables(env: Mapping[str, str]) -> ProxyVariables:
    """What the environment says of proxies; lower case counts first, as everywhere. Raises ConfigError."""
    found: dict[str, EgressProxy | None] = {"https_proxy": None, "http_proxy": None}
    for name in found:
        variable = name if env.get(name) else name.upper()
        if text := env.get(variable, ""):
            found[name] = read_proxy(text)
            if found[name] is None:
                raise ConfigError(f"{variable}: must be a proxy's address, like http://proxy.example:3128")
    listed = env.get("no_proxy") or env.get("NO_PROXY") or ""
    exceptions = tuple(part.lower() for part in listed.replace(",", " ").split())
    return ProxyVariables(found["https_proxy"], found["http_proxy"], exceptions)


def is_local(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_meant(exception: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY means this address: `*`, a domain with all below it (`.corp.example` too), an
    address, a network (`10.0.0.0/8`), each with a port or without."""
    if exception == "*":
        return True
    name, _, number = exception.rpartition(":")
    if name and number.isdecimal() and (":" not in name or name.endswith("]")):
        if int(number) != port:
            return False
        exception = name
    exception = exception.strip("[]")
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(exception, strict=False)
    except ValueError:
        domain = exception.removeprefix("*").removeprefix(".")
        return host == domain or host.endswith(f".{domain}")
