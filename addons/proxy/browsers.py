"""Browsers: which requests come from a web page, and which web pages may use a gateway that is open to everybody.

A page of anybody can send requests to this machine, and with a name that it controls (DNS rebinding) even read the
answers. So a request that a browser may have sent must name hosts that belong to this gateway: in `Host`, which a page
can't choose, and in `Origin`, where there is one.

Rules that hold in this file: functions of header values, without a flow; a host is compared without its port, in lower
case, an address by its value; what can't be read is foreign.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

import msgspec

PRIVATE_PATHS = ("/v1/models", "/gateway", "/metrics")
"""What is told under the paths that begin so is for this gateway's own hosts only, whoever asks: a page that has
rebound its name asks with GET, which has no `Origin` then."""

CROSS_SITE = "cross-site"
"""What `Sec-Fetch-Site` says of a request that a page of another site has caused."""

NODE = "cors"
"""What Node's own `fetch` puts into `Sec-Fetch-Mode`, without any other `Sec-Fetch-…` (seen). A browser always sends
`Sec-Fetch-Site` beside it."""


class Origins(msgspec.Struct, frozen=True):
    """Hosts and origins that the operator has listed."""

    hosts: frozenset[str] = frozenset()
    """Names and addresses: allowed in `Host`, and as the host of an `Origin` of http or https."""
    others: frozenset[tuple[str, str]] = frozenset()
    """Scheme and host of other origins; an empty host stands for every one of that scheme (`vscode-webview://`)."""


def read_origins(text: str) -> Origins:
    """The value of `gateway_origins`: hosts, or origins, separated by commas. Raises ValueError with the bad one."""
    hosts, others = set(), set()
    for entry in filter(None, (part.strip() for part in text.split(","))):
        scheme, separator, rest = entry.lower().partition("://")
        if separator and scheme not in ("http", "https"):
            if not scheme.isascii() or set("/*@ ") & set(entry.replace("://", "", 1)):
                raise ValueError(entry)
            others.add((scheme, rest))
            continue
        host = host_of(rest if separator else entry)
        if host is None or "*" in host or has_port(rest if separator else entry):
            raise ValueError(entry)
        hosts.add(host)
    return Origins(frozenset(hosts), frozenset(others))


def has_port(text: str) -> bool:
    """Whether `host:port` has a port; an IPv6 address without brackets has none."""
    return bool(text.rpartition("]")[2].partition(":")[1]) and address(text) is None


def host_of(text: str) -> str | None:
    """The host of `host:port` as it is compared: a name in lower case, or an address in its short form. None when it
    is neither."""
    if plain := address(text):
        return str(plain)
    if not text or not text.isascii() or set("/\\@?#% \t,") & set(text):
        return None
    try:
        host, _ = urlsplit(f"//{text}").hostname, urlsplit(f"//{text}").port
    except ValueError:
        return None
    if not host:
        return None
    found = address(host)
    return str(found) if found else host.removesuffix(".") or None


def address(text: str) -> IPv4Address | IPv6Address | None:
    """The IP address that this is, an IPv4 one that is written as IPv6 as IPv4; None when it is none."""
    try:
        found = ip_address(text.partition("%")[0] if ":" in text else text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def own_names() -> frozenset[str]:
    """The names of this machine: as it calls itself, and that without its domain and in `.local`."""
    whole = host_of(socket.gethostname()) or ""
    short = whole.partition(".")[0]
    return frozenset({"localhost", whole, short, f"{short}.local"} - {"", ".local"})


def is_ours(host: str | None, names: frozenset[str], listening: str, listed: Origins) -> bool:
    """Whether this host (see `host_of`) is loopback, a name of this machine, the address that the client has reached
    (`listening`), or listed."""
    if host is None:
        return False
    if host in names or host in listed.hosts:
        return True
    found = address(host)
    return found is not None and (found.is_loopback or found == address(listening))


def origin_is_ours(origin: str, names: frozenset[str], listening: str, listed: Origins) -> bool:
    """Whether this value of `Origin` is one of ours. `null`, which any page can bring about, is not."""
    scheme, separator, rest = origin.strip().lower().partition("://")
    is_web = bool(separator) and scheme in ("http", "https")
    return is_listed(origin, listed) or (is_web and is_ours(host_of(rest), names, listening, listed))


def is_listed(origin: str, listed: Origins) -> bool:
    """Whether the operator has listed this value of `Origin`."""
    scheme, separator, rest = origin.strip().lower().partition("://")
    if not separator:
        return False
    if scheme in ("http", "https"):
        return host_of(rest) in listed.hosts
    return (scheme, rest) in listed.others or (scheme, "") in listed.others


def is_browser(values: Mapping[str, Sequence[str]]) -> bool:
    """Whether a browser may have sent these headers (values by lower-case name)."""
    if "origin" in values:
        return True
    fetch = [name for name in values if name.startswith("sec-fetch-")]
    return bool(fetch) and (fetch != ["sec-fetch-mode"] or list(values["sec-fetch-mode"]) != [NODE])


def foreign(
    values: Mapping[str, Sequence[str]],
    hosts: Sequence[str],
    path: str,
    names: frozenset[str],
    listening: str,
    listed: Origins,
) -> str | None:
    """The header for which a request is not served while the gate is open; None when it is served.

    `values`: its headers, by lower-case name. `hosts`: the values of its `Host`.
    """
    browser = is_browser(values)
    if not browser and not path.startswith(PRIVATE_PATHS):
        return None
    if not hosts or not all(is_ours(host_of(host), names, listening, listed) for host in hosts):
        return "Host"
    if not browser:
        return None
    origins = values.get("origin", ())
    if not all(origin_is_ours(origin, names, listening, listed) for origin in origins):
        return "Origin"
    if not any(site.strip().lower() == CROSS_SITE for site in values.get("sec-fetch-site", ())):
        return None
    # A page of this machine under another of its names is cross-site too: then its origin has to be listed.
    return None if origins and all(is_listed(origin, listed) for origin in origins) else "Sec-Fetch-Site"
