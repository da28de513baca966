"""What was kept of an exchange, in a form that can be read: bodies decoded, texts free of secrets.

Rule that holds here: everything that a view shows passes through `presentable`. Headers were kept masked; what a client
or a provider wrote into a body was not.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import Raw

from addons.state.attempt import Kept
from addons.state.exchange import Exchange
from addons.wire import raw_json
from addons.wire.encoding import Decoder
from addons.wire.limits import SHOWN_BODY
from addons.wire.masking import mask_strings, mask_text
from addons.wire.messages.body import Draft
from addons.wire.sse import EventTooLarge, Splitter
from addons.wire.steps.context import Context
from addons.wire.steps.hidden_credentials import hidden_credentials

_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters but tab and newline. (`str.translate` takes thirty times as long for a text that has none.)"""

_STREAM: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:event|data|id|retry)?:")


def header(kept: Kept, name: str) -> str:
    """A header by its lower-case name, or the empty string."""
    return next((value for key, value in kept.headers if key.lower() == name), "")


def body_of(kept: Kept) -> bytes:
    """The body without its content-encoding, as far as it can be decoded."""
    raw, coding = bytes(kept.body), header(kept, "content-encoding")
    if not coding or coding.strip().lower() == "identity":
        return raw
    out = bytearray()
    try:
        for step in Decoder(coding).steps(raw):
            out += step
            if len(out) > SHOWN_BODY:
                break
    except ValueError:
        return bytes(out) or raw
    return bytes(out)


def is_stream(body: bytes) -> bool:
    """Whether these are server-sent events, whatever the content-type says."""
    return _STREAM.match(body[:256]) is not None


def events_of(body: bytes) -> list[bytes]:
    """The events of a stream, the last one too when it is not complete."""
    splitter = Splitter(limit=SHOWN_BODY)
    try:
        events = splitter.feed(body)
    except EventTooLarge:
        return [body]
    return [*events, splitter.unfinished] if splitter.unfinished.strip() else events


def text_of(body: bytes) -> str:
    """The body as text, whatever it is."""
    return body.decode("utf-8", "replace")


def value_of(body: bytes) -> Raw | str:
    """The body as one JSON value that can be taken apart, or in words why it is none."""
    try:
        text, fields, _ = raw_json.checked(body)
        if fields is None:  # then nobody has looked beyond its first character
            text, _ = raw_json.without_lone_surrogates(text)
            msgspec.json.decode(text)
    except raw_json.NotJson as error:
        return f"not valid JSON: {error}"
    except (msgspec.DecodeError, RecursionError):
        return "not valid JSON"
    return Raw(text.strip())


def fields_of(body: bytes) -> dict[str, Raw] | str:
    """The top-level fields of a JSON object, or in words why the body is none."""
    value = value_of(body)
    if isinstance(value, str):
        return value
    fields = raw_json.split_object(value)
    return "JSON, but no object" if fields is None else fields


def presentable(text: str, exchange: Exchange | None = None) -> str:
    """The text as it may be shown: without control characters, and without anything that is, or looks like, a
    credential."""
    freed = mask_text(text, exchange.secrets() if exchange else ())
    return _CONTROL.sub(picture, freed.encode("utf-8", "replace").decode())


def picture(control: re.Match[str]) -> str:
    """A control character as a picture of it: no text may speak to the reader's terminal."""
    code = ord(control[0])
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd"


NOWHERE = Context(provider="", is_anthropic=False)


def presentable_body(draft: Draft, exchange: Exchange) -> bytes:
    """A body as it may be kept: without credentials that a client has hidden beside the conversation, and without
    secrets of ours in whatever it says."""
    hidden_credentials(draft, NOWHERE)
    return mask_strings(draft.encode(), exchange.secrets())
