"""Which provider a thinking block or a tool-use id comes from, written into the thing itself.

Rules that hold here: pure encodings with no memory, so that they survive a restart and a second process; every
text can be encoded and comes back as it was (lone surrogates too); provider names are those of the configuration,
`[a-z0-9_]+(-[a-z0-9_]+)*`, which makes the separators unambiguous: a name holds no dot and no `--`, and ends in no
`-`.
"""

import base64
import re
from typing import Final

_PROVIDER: Final = r"[a-z0-9_]+(?:-[a-z0-9_]+)*"
_SIGNATURE: Final = re.compile(rf"gw1\.({_PROVIDER})\.(.*)", re.DOTALL)
_TOOL_ID: Final = re.compile(rf"gw1-({_PROVIDER})--([a-zA-Z0-9_-]*)")
_VALID_TOOL_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")

PLAIN_TOOL_ID: Final = re.compile(rb'"(?!gw1-)[a-zA-Z0-9_-]+"')
"""As JSON: an id that nobody encoded and everybody takes, which is nearly every id."""
UNWRAPPED: Final = re.compile(rb'"(?!g)[^"\\]')
"""The beginning, as JSON, of a signature that nobody wrapped. (One with a `g` may go on in another spelling.)"""
OWNER: Final = re.compile(rf'"gw1\.({_PROVIDER})\.'.encode())
"""The beginning, as JSON, of a wrapped signature."""


def wrap_signature(provider: str, original: str) -> str:
    """`gw1.<provider>.<original>`: a thinking signature (or redacted data) that says where it belongs.

    `original` may be empty: the provider signed nothing. Wrapping again (a gateway behind a gateway) nests.
    """
    return f"gw1.{provider}.{original}"


def unwrap_signature(signature: str) -> tuple[str, str] | None:
    """(provider, original), or None for a signature that no gateway wrapped (Anthropic's own, or none)."""
    found = _SIGNATURE.fullmatch(signature)
    return (found[1], found[2]) if found else None


def valid_tool_id(tool_id: str) -> bool:
    """Whether the id is one that Anthropic and strict providers take: `[a-zA-Z0-9_-]+`."""
    return _VALID_TOOL_ID.fullmatch(tool_id) is not None


def encode_tool_id(provider: str, original: str) -> str:
    """`gw1-<provider>--<base64url of original>`, always a valid id. An id that is encoded already stays."""
    if decode_tool_id(original):
        return original
    text = base64.urlsafe_b64encode(original.encode("utf-8", "surrogatepass"))
    return f"gw1-{provider}--{text.rstrip(b'=').decode()}"


def decode_tool_id(tool_id: str) -> tuple[str, str] | None:
    """(provider, original), or None for an id that `encode_tool_id` did not make."""
    found = _TOOL_ID.fullmatch(tool_id)
    if not found:
        return None
    provider, text = found.groups()
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        original = data.decode("utf-8", "surrogatepass")
    except ValueError:
        return None
    # Only the one spelling that encoding gives: base64 has spare bits, and decoding must not merge two ids.
    spelling = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    return (provider, original) if spelling == text else None
