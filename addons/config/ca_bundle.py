"""`ca_bundle:` of routing.yaml: a file of certificates that are trusted besides the public ones.

A company's proxy that looks into TLS, or a server of one's own, has a certificate of an authority that nobody else
knows. The file is read with the configuration, and what stood in it then is what counts.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from addons.config.variables import Variables
from addons.config.yaml_reader import Entry

LARGEST = 8 * 1024 * 1024
"""Bytes of a file: all public authorities together have 300 KB."""


@dataclass(frozen=True, slots=True)
class CaBundle:
    """Certificates that are trusted too."""

    path: str = field(compare=False)
    pem: str = field(repr=False)


def read_ca_bundle(entry: Entry, variables: Variables) -> CaBundle | None:
    """The certificates of the PEM file at this path, which counts from the folder of routing.yaml; None when a variable
    in it is missing. Raises ConfigError."""
    known = Variables(variables.env)
    text = known.expand(entry)
    if known.missing:
        variables.missing = variables.missing or known.missing
        return None
    path = Path(entry.file).parent / Path(text).expanduser()
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        raise entry.error(f"can't be read: {getattr(error, 'strerror', None) or 'it is no path'}") from None
    if len(content) > LARGEST:
        raise entry.error(f"is longer than {LARGEST // 1024**2} MB: is it a file of certificates?")
    pem = content.decode("ascii", errors="backslashreplace")  # what stands between certificates may be in any language
    if problem := problem_of(pem):
        raise entry.error(problem)
    return CaBundle(str(path), pem)


def problem_of(pem: str) -> str:
    """What is wrong with a file of certificates; empty when nothing is."""
    if "-----BEGIN CERTIFICATE-----" not in pem:
        return "has no certificate in it (PEM: -----BEGIN CERTIFICATE-----)"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        return "has a certificate in it that can't be read"
    return ""
