"""Egress: the words in which somebody is told that a provider can't be reached. (Proxies: tests/e2e/test_egress.py.)"""

from __future__ import annotations

import errno
import os

import pytest

from addons.config.egress import read_proxy
from addons.proxy.egress import in_words

REFUSED = f"[Errno {errno.ECONNREFUSED}] Connect call failed"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (f"{REFUSED} ('127.0.0.1', 1)", os.strerror(errno.ECONNREFUSED)),
        (
            f"Multiple exceptions: {REFUSED} ('::1', 1, 0, 0), {REFUSED} ('127.0.0.1', 1)",
            os.strerror(errno.ECONNREFUSED),
        ),
        ("[Errno -2] Name or service not known", "Name or service not known"),
        ("TLS handshake failed", "TLS handshake failed"),
    ],
)
def test_why_a_provider_can_not_be_reached(error: str, words: str) -> None:
    assert in_words(error, None) == words
    proxy = read_proxy("http://alice:secret@proxy.example:3128")
    assert in_words(error, proxy) == f"{words}, through the proxy http://proxy.example:3128"
