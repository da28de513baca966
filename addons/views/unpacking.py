"""mitmproxy's own decoding of bodies, under our limits.

Whatever shows, saves or exports a flow asks mitmproxy for its content, which is decoded as its head says: by any coding
of Python's, without a limit. A refused request of 1,579 bytes has taken 8 seconds and 4 GB to be looked at.

Rules of this file: it is the one place that touches `mitmproxy.net.encoding`; tests/views/test_mitmweb_internals.py
names what it relies on.
"""

import codecs
from typing import Any, Final

from mitmproxy.net import encoding

from addons.wire.encoding import decode as decoded
from addons.wire.limits import SHOWN_BODY

CODINGS: Final = frozenset({"gzip", "deflate", "br", "zstd"})
CHARSETS: Final = frozenset({"utf-8", "ascii", "iso8859-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"})
"""The encodings of texts that are read; some of Python's others take time that grows with the square of the text."""

_original: Final = encoding.decode


def decode(encoded: Any, name: str, errors: str = "strict") -> Any:
    """What mitmproxy's own function gives, where it can be had at a bounded price; else ValueError."""
    name = name.strip().lower()
    if isinstance(encoded, bytes) and name in CODINGS:
        content = decoded(encoded, name, SHOWN_BODY)
        if len(content) > SHOWN_BODY:
            raise ValueError(f"the body is larger than {SHOWN_BODY} bytes when it is unpacked")
        return content
    if name in ("", "identity", "none"):
        return _original(encoded, name or "identity", errors)
    try:
        known = codecs.lookup(name).name in CHARSETS
    except LookupError:
        known = False
    if not known:
        raise ValueError(f"no encoding that is read: {name[:40]!r}")
    return _original(encoded, name, errors)


def install() -> None:
    """Have mitmproxy decode bodies by `decode` from here on."""
    encoding.decode = decode  # type: ignore[assignment]  # it has overloads
