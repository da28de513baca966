"""JSON taken apart one level at a time: every piece keeps the bytes it came with.

Rules that hold here: a piece is a `msgspec.Raw` that holds one JSON value. Taking apart and putting together
again changes no piece (only white space between them goes). Only `checked` meets bytes that nobody has looked
at; everything else takes pieces of a text that it let through.
"""

import codecs
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw as Raw
from msgspec import UnsetType

Optional = Raw | UnsetType
"""A piece, or UNSET where the key is missing."""

_fields: Final[Callable[[bytes | Raw], dict[str, Raw]]] = msgspec.json.Decoder(dict[str, Raw]).decode
_items: Final[Callable[[bytes | Raw], list[Raw]]] = msgspec.json.Decoder(list[Raw]).decode
_text: Final[Callable[[bytes | Raw], str]] = msgspec.json.Decoder(str).decode
_value: Final[Callable[[bytes | Raw], Any]] = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode

# Whole escapes, so that the second half of an escaped backslash is never taken for the start of one. The
# group is half of a surrogate pair without its other half.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_UTF8_WINDOW: Final = 64 * 1024


class NotJson(ValueError):
    """Says in words why a text is not JSON, or not JSON that can be worked on."""


def checked(data: bytes) -> tuple[bytes, dict[str, Raw] | None, int]:
    """(data, its top-level fields, 0); None for fields when it is JSON but no object. Raises NotJson.

    A lone surrogate escape (`"\\ud83d"`) fits JSON's grammar and comes from clients that cut a string inside
    an emoji, but stands for no character. msgspec refuses it, and so does Anthropic for the rest of the
    conversation ("no low surrogate in string", claude-code#2108). Each becomes `\\ufffd`, as in browsers;
    then the first of the result is the changed text, and the last is how many there were.
    """
    if not is_utf8(data):
        raise NotJson("it is not UTF-8")
    return taken_apart(data)


def taken_apart(data: bytes) -> tuple[bytes, dict[str, Raw] | None, int]:
    """What `checked` says of a text that is UTF-8. Raises NotJson."""
    replaced = 0
    try:
        try:
            return data, _fields(data), 0
        except msgspec.DecodeError:
            repaired, replaced = without_lone_surrogates(data)
            if not replaced:
                raise
            return repaired, _fields(repaired), replaced
    except msgspec.ValidationError:
        return data, None, replaced
    except msgspec.DecodeError as error:
        raise NotJson(str(error).removeprefix("JSON is malformed: ")) from None
    except RecursionError:
        raise NotJson("it is nested too deeply") from None


def is_utf8(data: bytes) -> bool:
    """Whether the bytes are UTF-8. (msgspec doesn't look into the strings that it skips.)"""
    if data.isascii():
        return True
    try:
        if len(data) <= _UTF8_WINDOW:
            data.decode()
            return True
        # In windows: one string of several megabytes would cost more in page faults than the decoding does.
        decode = codecs.getincrementaldecoder("utf-8")().decode
        for start in range(0, len(data), _UTF8_WINDOW):
            decode(data[start : start + _UTF8_WINDOW])
        decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def without_lone_surrogates(data: bytes) -> tuple[bytes, int]:
    """The JSON text with `\\ufffd` for each half of a surrogate pair, and how many there were."""
    if not _SURROGATE.search(data):
        return data, 0
    replaced = 0

    def whole(escape: re.Match[bytes]) -> bytes:
        nonlocal replaced
        if escape[1] is None:
            return escape[0]
        replaced += 1
        return rb"\ufffd"

    return _ESCAPE.sub(whole, data), replaced


def load(piece: Raw) -> Any:
    """The Python value of a piece. None too where Python has none for it (1e999: valid JSON, and no float)."""
    try:
        return _value(piece)
    except (msgspec.ValidationError, RecursionError):
        return None


def dump(value: Any) -> Raw:
    """A Python value as a piece."""
    try:
        return Raw(_encode(value))
    except UnicodeEncodeError:
        # Lone surrogates again, out of something that was encoded inside a string.
        return Raw(without_lone_surrogates(json.dumps(value).encode())[0])


def first(piece: Raw) -> str:
    """The first character, which tells the kind: `{`, `[`, `"`, `t`, `f`, `n`, or a digit or minus."""
    return chr(memoryview(piece)[0])


def split_object(piece: Optional) -> dict[str, Raw] | None:
    """The fields of an object, in order, the last of each name; None when the piece is no object."""
    if isinstance(piece, UnsetType):
        return None
    try:
        return _fields(piece)
    except msgspec.ValidationError:
        return None


def split_array(piece: Optional) -> list[Raw] | None:
    """The items of an array; None when the piece is no array."""
    return None if isinstance(piece, UnsetType) or first(piece) != "[" else _items(piece)


def join_object(fields: Mapping[str, Raw]) -> Raw:
    """The object with these fields."""
    return Raw(_encode(fields))


def join_array(items: list[Raw]) -> Raw:
    """The array of these items."""
    return Raw(_encode(items))


def only_place(piece: Raw, text: bytes) -> int:
    """Where a piece of a text stands in it; -1 when its bytes stand in more than one place."""
    place = text.find(piece)
    # One byte further, not behind it: `":"` stands twice in `"a":":"`.
    return place if text.find(piece, place + 1) < 0 else -1


def string(piece: Optional) -> str | None:
    """The text of a piece; None when there is none or it is no string."""
    if isinstance(piece, UnsetType) or first(piece) != '"':
        return None
    return _text(piece)


def blank(piece: Optional) -> bool:
    """Whether the piece is a string of nothing but white space."""
    if isinstance(piece, UnsetType):
        return False
    view = memoryview(piece)
    # The first character tells for most strings; an escape or a character beyond ASCII may be white.
    if view[0] != ord('"') or (view[1] < 0x80 and view[1] not in b'" \\'):
        return False
    return not _text(piece).strip()
