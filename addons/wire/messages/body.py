"""The body of a request to /v1/messages (or count_tokens): parsed once, edited once per attempt.

Rules that hold here:
- What nobody edits is sent with the client's own bytes; a body that nobody edits is the client's own object.
- A `RequestBody` never changes; what was taken apart for one attempt is kept in it for the next.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from addons.wire import raw_json
from addons.wire.limits import USER_ID
from addons.wire.messages.edited_messages import EditedMessages
from addons.wire.messages.original_messages import OriginalMessages, OriginalText
from addons.wire.messages.reading import Reading, read
from addons.wire.messages.schema import decode_heads
from addons.wire.messages.traits import of_tools
from addons.wire.raw_json import Optional


class RequestBody:
    """A request's body as the client sent it."""

    def __init__(self, reading: Reading) -> None:
        parsed, self.messages = reading
        self.raw = parsed.raw
        """What is sent when no step changes anything."""
        self.fields = parsed.fields
        """The top-level values by name, each with the client's own bytes."""
        self.model = parsed.model
        self.stream = bytes(parsed.fields["stream"]) == b"true" if "stream" in parsed.fields else False
        self.repaired = parsed.repaired
        """How many lone surrogates were replaced in `raw` (`raw_json.checked` says why)."""
        self.system_traits = parsed.system
        """The traits of `system`."""
        self.tools_traits = parsed.tools
        """The traits of the tool definitions."""

    @classmethod
    def parse(cls, data: bytes) -> RequestBody:
        """The body in these bytes. BadRequest names the field at fault in Anthropic's way: `messages.3.content.1`."""
        return cls(read(data))

    def get(self, key: str) -> Any:
        """The decoded value of a top-level field; None when there is none."""
        return raw_json.load(self.fields[key]) if key in self.fields else None


class Draft:
    """One attempt's version of the body. Steps edit it; `encode` is what is sent."""

    def __init__(self, body: RequestBody) -> None:
        self.body = body
        self.messages = EditedMessages(body.messages)
        self.tools_traits = body.tools_traits
        """The traits of the tool definitions as they are sent."""
        self._fields = body.fields

    @property
    def fields(self) -> Mapping[str, Raw]:
        """The top-level fields as they are sent, but for `messages`."""
        return self._fields

    def get(self, key: str) -> Any:
        """The decoded value of a top-level field; None when there is none. A copy: `set` changes it."""
        return raw_json.load(self._fields[key]) if key in self._fields else None

    def piece(self, key: str) -> Optional:
        """A top-level field as it is sent; UNSET when there is none."""
        return self._fields.get(key, UNSET)

    def set(self, key: str, value: Any) -> None:
        """Give a top-level field a new value: in its place or, when it is new, behind the others."""
        self.set_piece(key, raw_json.dump(value))

    def set_piece(self, key: str, piece: Raw) -> None:
        """Give a top-level field a new value that is encoded already."""
        if self._fields.get(key) != piece:
            self._changed_fields()[key] = piece

    def set_tools(self, tools: list[Raw]) -> None:
        """Give other tool definitions; without any the field is left out."""
        if not tools:
            self.drop("tools")
            return
        piece = raw_json.join_array(tools)
        self.set_piece("tools", piece)
        self.tools_traits = of_tools(piece)

    def set_messages(self, messages: list[Raw]) -> None:
        """Send these messages: the steps that follow see them as if the client had sent them."""
        piece = raw_json.join_array(messages)
        self.set_piece("messages", piece)
        self.messages = EditedMessages(OriginalMessages(OriginalText(piece), decode_heads(piece)))

    def drop(self, key: str) -> bool:
        """Take a top-level field out; False when it is not there."""
        return key in self._fields and self._changed_fields().pop(key) is not None

    def encode(self) -> bytes:
        """The body to send: `body.raw` itself when nothing changed."""
        if self._fields is self.body.fields and not self.messages.is_edited:
            return self.body.raw
        parts: list[bytes | Raw | memoryview] = []
        for name, piece in self._fields.items():
            parts += (b",", msgspec.json.encode(name), b":")
            if name == "messages" and self.messages.is_edited:
                parts += self.messages.parts()
            else:
                parts.append(piece)
        return b"".join([b"{", *parts[1:], b"}"])

    def _changed_fields(self) -> dict[str, Raw]:
        if self._fields is self.body.fields:
            self._fields = dict(self._fields)
        return self._fields


SESSION = re.compile(r"[\x21-\x7e]{1,100}")
"""A session id that is kept as it is: clients make them up, and they are remembered, logged and shown."""


def session_key(session: str) -> str:
    """The session id itself, or its fingerprint when it is too long or has characters that no id has."""
    if SESSION.fullmatch(session):
        return session
    return hashlib.sha256(session.encode("utf-8", "surrogatepass")).hexdigest()


def session_of(body: RequestBody) -> str | None:
    """The session in `metadata.user_id`: a JSON string with a `session_id` (Claude Code 2.1), or the older
    `user_…_account_…_session_<uuid>`."""
    metadata = body.get("metadata")
    user_id = metadata.get("user_id") if isinstance(metadata, dict) else None
    if not isinstance(user_id, str) or len(user_id) > USER_ID:
        return None
    if user_id.startswith("{"):
        try:
            parsed = msgspec.json.decode(user_id.encode())
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return None
        session = parsed.get("session_id") if isinstance(parsed, dict) else None
        return session if isinstance(session, str) and session else None
    return user_id.partition("_session_")[2] or None
