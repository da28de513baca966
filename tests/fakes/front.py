"""A port that leads to a provider's, over TLS or at another address of this machine; and who vouches for it."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def has_ipv6() -> bool:
    """Whether this machine has ::1."""
    try:
        listening("::1").close()
    except OSError:
        return False
    return True


SIGNS = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
"""What Python's strict way of looking at certificates wants to be said of an authority's."""


class Authority:
    """An authority that nobody knows, as a company has one."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority of tests")])
        self.certificate = self.sign(self.name, self.key, x509.BasicConstraints(ca=True, path_length=None), SIGNS)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, *names: str) -> bytes:
        """A key and a certificate for these names and addresses, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.sign(x509.Name([]), key, x509.SubjectAlternativeName([general(name) for name in names]))
        private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return key.private_bytes(serialization.Encoding.PEM, *private) + certificate.public_bytes(
            serialization.Encoding.PEM
        )

    def sign(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=True)
        return builder.sign(self.key, hashes.SHA256())


def general(name: str) -> x509.GeneralName:
    """A name or an address, as certificates have it."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Front:
    """A port of its own, in front of another of 127.0.0.1. `tls`: the key and certificate with which it speaks TLS."""

    def __init__(self, behind: int, *, tls: bytes = b"", host: str = "127.0.0.1") -> None:
        self.behind, self.host = behind, host
        self.tls = server_context(tls) if tls else None
        self.listener = listening(host)
        self.port = self.listener.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://{in_url(self.host)}:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        stop(self.listener)

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=[client], daemon=True).start()

    def serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            spoken = self.tls.wrap_socket(client, server_side=True) if self.tls else client
            with spoken, socket.create_connection(("127.0.0.1", self.behind)) as server:
                join(spoken, server)


def server_context(pair: bytes) -> ssl.SSLContext:
    """TLS with this key and certificate."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "pair.pem"
        path.write_bytes(pair)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


def listening(host: str) -> socket.socket:
    """A socket that listens at a free port."""
    return socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def stop(listener: socket.socket) -> None:
    """Listen no more, though a thread waits in accept()."""
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def in_url(host: str) -> str:
    """A host as addresses have it."""
    return f"[{host}]" if ":" in host else host


def join(one: socket.socket, other: socket.socket) -> None:
    """Pass on what comes from each to the other, until the end of both."""
    back = threading.Thread(target=copy, args=[other, one], daemon=True)
    back.start()
    copy(one, other)
    back.join()


def copy(source: socket.socket, sink: socket.socket) -> None:
    """Pass on what comes, and its end."""
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for one in (source, sink):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
