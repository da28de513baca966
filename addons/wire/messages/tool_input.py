"""The input of tool calls, which has to be an object: every provider refuses a history in which one is not.

Models write other things: the object in an array, or as JSON in a string, or nothing at all. What was meant is read
out of it; what can't be is kept under a key that tools refuse, so that no half of it is run.
"""

from typing import Final

import msgspec
from msgspec import Raw, UnsetType

from addons.wire import raw_json
from addons.wire.raw_json import Optional

INVALID_JSON: Final = "INVALID_JSON"
"""The key for what can't be read (the name that Anthropic's documentation gives it)."""
EMPTY: Final = Raw(b"{}")
MOST_WRAPPINGS: Final = 4
"""How often an object may be wrapped in strings and arrays."""


def is_object(piece: Optional) -> bool:
    """Whether a tool call's input is one that every provider takes."""
    return not isinstance(piece, UnsetType) and raw_json.first(piece) == "{"


def as_object(piece: Optional) -> Raw:
    """The object that an input stands for: the piece itself when it is one."""
    inner = piece
    for _ in range(MOST_WRAPPINGS):
        if isinstance(inner, UnsetType) or raw_json.blank(inner):
            return EMPTY
        kind = raw_json.first(inner)
        if kind == "{":
            return inner
        if kind == "n":
            return EMPTY
        items = raw_json.split_array(inner)
        if items == []:
            return EMPTY
        if items is not None and len(items) == 1 and raw_json.first(items[0]) in '{["n':
            inner = items[0]
        elif (text := raw_json.string(inner)) is not None and (value := read(text)) is not None:
            inner = value
        else:
            break
    return invalid(bytes(piece).decode() if not isinstance(piece, UnsetType) else "")


def object_in_text(text: str) -> Raw:
    """The object that the streamed text of an input stands for."""
    if not text.strip():
        return EMPTY
    value = read(text)
    return invalid(text) if value is None else as_object(value)


def read(text: str) -> Raw | None:
    """A text as a piece; None when it is no JSON, or JSON of which nothing can be made."""
    data, _ = raw_json.without_lone_surrogates(text.strip().encode("utf-8", "replace"))
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return None
    return Raw(data) if data[:1] in (b"{", b"[", b'"', b"n") else None


def invalid(text: str) -> Raw:
    return raw_json.dump({INVALID_JSON: text})
