"""The text of a request taken apart as far as the gateway depends on it.

Rules that hold here: only what the gateway itself depends on is judged, the rest is the provider's to refuse; what is
refused is named in Anthropic's way: `messages.3.content.1`.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET, Raw

from addons.wire import raw_json
from addons.wire.errors import BadRequest
from addons.wire.limits import MODEL_NAME
from addons.wire.messages.schema import MessageHead, decode_blocks, decode_heads
from addons.wire.messages.traits import Traits, of_blocks, of_text, of_tools


class Parsed(NamedTuple):
    """A request's text, taken apart."""

    raw: bytes
    fields: dict[str, Raw]
    """The top-level values by name, each with the client's own bytes."""
    repaired: int
    """How many lone surrogates were replaced in `raw`."""
    model: str
    heads: Sequence[MessageHead]
    """The heads of the messages."""
    system: Traits
    tools: Traits


def parse(data: bytes) -> Parsed:
    """Take a request's text apart. Raises BadRequest."""
    try:
        raw, fields, repaired = raw_json.checked(data)
    except raw_json.NotJson as error:
        raise BadRequest("", f"the request body is not valid JSON: {error}") from None
    if fields is None:
        raise BadRequest("", "the request body must be a JSON object")
    model = raw_json.string(_required(fields, "model"))
    if not model:
        raise BadRequest("model", "must be a string that is not empty")
    if len(model) > MODEL_NAME or not model.isprintable():
        raise BadRequest("model", f"must have at most {MODEL_NAME} characters, and no control characters")
    if "stream" in fields and bytes(fields["stream"]) not in (b"true", b"false"):
        raise BadRequest("stream", "must be true or false")
    if "tools" in fields and raw_json.first(fields["tools"]) not in "[n":
        raise BadRequest("tools", "must be an array")
    if "system" in fields and raw_json.first(fields["system"]) not in '"n':
        system = of_blocks(_validated("system", fields["system"], decode_blocks))
    else:
        system = of_text(fields.get("system", UNSET))
    heads = _validated("messages", _required(fields, "messages"), decode_heads)
    for index, head in enumerate(heads):
        if head.content is UNSET and head.role != "system":
            raise BadRequest(f"messages.{index}.content", "is missing")
    return Parsed(raw, fields, repaired, model, heads, system, of_tools(fields.get("tools", UNSET)))


def _required(fields: dict[str, Raw], name: str) -> Raw:
    if name not in fields:
        raise BadRequest(name, "is missing")
    return fields[name]


def _validated[T](name: str, piece: Raw, decode: Callable[[Raw], T]) -> T:
    try:
        return decode(piece)
    except msgspec.ValidationError as error:
        raise _misshapen(name, str(error)) from None


_PLACE: Final = re.compile(r"`\$(.*)`$")
_MISSING: Final = re.compile(r"missing required field `(\w+)`")


def _misshapen(name: str, error: str) -> BadRequest:
    """msgspec's complaint ("Expected `object`, got `str` - at `$[3].content[1]`") in words for people."""
    place = _PLACE.search(error)
    field = name + re.sub(r"\[(\d+)\]", r".\1", place[1] if place else "")
    if missing := _MISSING.search(error):
        return BadRequest(f"{field}.{missing[1]}", "is missing")
    if field.endswith((".role", ".type")):
        return BadRequest(field, "must be a string")
    if field.endswith(".content"):
        return BadRequest(field, "must be a string or an array of content blocks")
    if field == "system":
        return BadRequest(field, "must be a string or an array of text blocks")
    return BadRequest(field, "must be an array" if field == name else "must be an object")
