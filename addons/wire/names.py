"""Names that clients and providers give: of tools, and the flags of `anthropic-beta`.

Rules that hold here: what Anthropic takes is taken, and what other clients and providers are known to write (dots,
colons, words of other languages); a client with any other is told 400, a provider's is made fit for a line.
"""

import re
from functools import lru_cache
from typing import Final

from msgspec import UnsetType

from addons.wire import raw_json
from addons.wire.errors import BadRequest
from addons.wire.limits import BETA_FLAG, TOOL_NAME
from addons.wire.raw_json import Optional
from addons.wire.words import in_a_line

_USUAL: Final = re.compile(rb'"[A-Za-z0-9_-]{1,128}"')
_FLAG: Final = re.compile(rf"[ \t]*+[\x21-\x2b\x2d-\x7e]{{0,{BETA_FLAG}}}[ \t]*+")


def check_tool_name(name: Optional, field: str) -> None:
    """Refuse a name of a tool that is too long, or has control characters. What is no string is the provider's to
    refuse. Raises BadRequest."""
    if isinstance(name, UnsetType) or _USUAL.fullmatch(name):
        return
    text = raw_json.string(name)
    if text is not None and (len(text) > TOOL_NAME or not text.isprintable()):
        raise BadRequest(field, f"must have at most {TOOL_NAME} characters, and no control characters")


@lru_cache(64)
def check_flags(value: str) -> None:
    """Refuse an `anthropic-beta` header in which something can be no flag. Raises BadRequest. (Those that are none are
    not remembered.)"""
    if not all(map(_FLAG.fullmatch, value.split(","))):
        raise BadRequest(
            "anthropic-beta", f"each flag must have at most {BETA_FLAG} characters, all of them visible ASCII"
        )


def clean_tool_name(name: str) -> str:
    """A name that a provider gives a tool, as the client gets it."""
    return in_a_line(name, TOOL_NAME)
