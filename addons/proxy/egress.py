"""Egress: which proxy an attempt goes through, what that is told of who asks, and whose certificates are trusted.

mitmproxy's own tunnel does the rest: a connection `via` a proxy is two, the inner one to the provider, of which the
streams know, and the proxy's own, which has the socket.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

import certifi
from cryptography import x509
from mitmproxy import connection, ctx, http, tls
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.net.server_spec import ServerSpec
from mitmproxy.proxy.layer import CommandGenerator, Layer
from mitmproxy.proxy.layers.http._upstream_proxy import HttpUpstreamProxy
from OpenSSL import SSL, crypto

from addons.config.ca_bundle import CaBundle
from addons.config.egress import Egress, EgressProxy
from addons.state.attempt import Attempt
from addons.state.exchange import Exchange
from addons.wire import limits

ALPN = (b"http/1.1",)

REFUSED: Final = re.compile(r"\[Errno (\d+)\] Connect call failed")
"""How Python says it where a machine takes no connection."""

ERRNO: Final = re.compile(r"\[Errno -?\d+\] ")
"""What Python puts before the words of the system."""

_authorizations: WeakKeyDictionary[connection.Connection, str] = WeakKeyDictionary()
_bundles: WeakKeyDictionary[connection.Connection, CaBundle] = WeakKeyDictionary()


def egress_of(exchange: Exchange, attempt: Attempt, request: http.Request) -> Egress:
    """How an attempt's address is reached."""
    if attempt.target:
        return attempt.target.provider.egress
    return exchange.config.egress(request.scheme, request.host, request.port)


def in_words(error: str, proxy: EgressProxy | None) -> str:
    """Why a provider can't be reached, without the numbers and addresses that Python puts there."""
    failed = REFUSED.search(error)
    words = os.strerror(int(failed[1])) if failed else ERRNO.sub("", error)
    return f"{words}, through the proxy {proxy}" if proxy else words


def via(proxy: EgressProxy | None) -> ServerSpec | None:
    """A proxy as mitmproxy knows it."""
    return (proxy.scheme, (proxy.host, proxy.port)) if proxy else None


def authorize(tunnel: connection.Connection, proxy: EgressProxy) -> None:
    """Remember what the proxy at the end of this connection is to be told."""
    if proxy.authorization:
        _authorizations[tunnel] = proxy.authorization


def put_authorization(flow: http.HTTPFlow) -> None:
    """Put it on the CONNECT request that goes out, and that nobody sees: it has no flow in any list. (mitmproxy 12.2
    leaves the brackets of an IPv6 address out.)"""
    if ":" in (host := flow.request.host):
        flow.request.authority = authority = f"[{host}]:{flow.request.port}"
        if "host" in flow.request.headers:
            flow.request.headers["host"] = authority
    if value := _authorizations.get(flow.server_conn):
        flow.request.headers["proxy-authorization"] = value


def bound_answer(side: Layer) -> None:
    """Have the proxy's answer to CONNECT be no longer than any other's head: mitmproxy waits for its end, whatever
    comes. `side`: the layers of the tunnel."""
    while not isinstance(side, HttpUpstreamProxy):
        child = getattr(side, "child_layer", None)
        if not isinstance(child, Layer):
            return
        side = child
    tunnel, receive = side, side.receive_handshake_data

    def bounded(data: bytes) -> CommandGenerator[tuple[bool, str | None]]:
        if len(tunnel.buf) > limits.HEAD:
            return False, f"the head of the proxy's answer is over {limits.HEAD} bytes"
        return (yield from receive(data))

    side.receive_handshake_data = bounded  # type: ignore[method-assign]


def trust_too(server: connection.Connection, bundle: CaBundle) -> None:
    """Remember whose certificates are trusted when TLS is spoken on this connection."""
    _bundles[server] = bundle


def start_tls(data: tls.TlsData) -> None:
    """Begin TLS as mitmproxy does, but with more certificates that are trusted."""
    bundle, server, given = _bundles.get(data.conn), data.conn, data.ssl_conn
    if bundle is None or given is not None or not isinstance(server, connection.Server):
        return
    mitmproxys: TlsConfig = ctx.master.addons.get("tlsconfig")
    mitmproxys.tls_start_server(data)
    options = ctx.options
    made = trusting(
        bundle,
        options.ssl_verify_upstream_trusted_ca,
        options.ssl_verify_upstream_trusted_confdir,
        client_certificate(options.client_certs, server),
    )
    # What a connection has taken from its first context (protocols, ciphers, whether and for which name it verifies)
    # stays; whom it trusts, and who we say we are, is the second one's.
    assert data.ssl_conn is not None
    data.ssl_conn.set_context(made)


def client_certificate(option: str | None, server: connection.Server) -> str | None:
    """The file that mitmproxy's `client_certs` names for a server."""
    if not option:
        return None
    path = Path(option).expanduser()
    if not path.is_file():
        path = path / f"{server.sni}.pem"
    return str(path) if path.is_file() else None


@lru_cache(64)
def trusting(bundle: CaBundle, ca_file: str | None, ca_folder: str | None, client: str | None) -> SSL.Context:
    """A context that trusts whom mitmproxy trusts, and the certificates of a bundle."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    if ca_file is None and ca_folder is None:
        ca_file = certifi.where()
    context.load_verify_locations(ca_file, ca_folder)
    store = context.get_cert_store()
    assert store
    for certificate in x509.load_pem_x509_certificates(bundle.pem.encode()):
        store.add_cert(crypto.X509.from_cryptography(certificate))
    if client:
        context.use_privatekey_file(client)
        context.use_certificate_chain_file(client)
    return context
