"""Content blocks of the user's side as parts of a Chat Completions message.

Rules that hold here:
- What has no form there is told in words where it stood, and noted for the trail: nothing disappears silently.
- Texts keep the client's own bytes where they aren't joined; images and files are never decoded.
"""

import binascii
from collections import Counter
from typing import Any, Final

from msgspec import UNSET, Raw

from addons.wire import raw_json
from addons.wire.chat.options import ChatOptions
from addons.wire.errors import BadRequest
from addons.wire.sse import Fields

Part = dict[str, Any]
Text = str | Raw
"""A text, or its JSON."""

NOTHING: Final = "(no content)"
"""Stands in a message that must have words and has none (they are Claude Code's own)."""
SEPARATOR: Final = "\n\n"
"""Between blocks that become one text."""
DEEPEST: Final = 3  # a document's content in a tool's result

_FAILED: Final = ("error", "<tool_use_error")
"""How the text of a failed tool call begins where it says so itself."""


class Contents:
    """Turns blocks into parts, for one request."""

    def __init__(self, options: ChatOptions) -> None:
        self.notes: Counter[str] = Counter()
        """What was left out or replaced, in words, and how often."""
        self._options = options

    def parts(self, block: Raw, place: str, depth: int = 0) -> list[Part]:
        """The parts for one block. Raises BadRequest, which names `place`."""
        fields = raw_json.split_object(block) or {}
        kind = string(fields, "type")
        if kind == "text":
            return [] if raw_json.blank(fields.get("text", UNSET)) else [text_part(required(fields, "text", place))]
        if kind == "image":
            return [self._image(fields, place)]
        if kind == "document":
            return self._document(fields, place, depth)
        if kind == "search_result":
            head = [text for name in ("title", "source") if (text := string(fields, name))]
            found = self.content(fields.get("content", UNSET), f"{place}.content", depth + 1)
            return [*map(text_part, [" – ".join(head)] if head else []), *found]
        if kind == "tool_reference":
            return [text_part(f"Tool loaded: {string(fields, 'tool_name')}")]
        self.notes[f"left out a block of type {kind or '?'}"] += 1
        return []

    def content(self, content: Any, place: str, depth: int = 0) -> list[Part]:
        """The parts for a string, or for an array of blocks. Raises BadRequest, which names `place`."""
        if content is UNSET or raw_json.first(content) == "n":
            return []
        if raw_json.first(content) == '"':
            return [] if raw_json.blank(content) else [text_part(content)]
        blocks = raw_json.split_array(content)
        if blocks is None or depth > DEEPEST:
            raise BadRequest(place, "must be a string or an array of content blocks")
        return [part for index, block in enumerate(blocks) for part in self.parts(block, f"{place}.{index}", depth)]

    def result(self, fields: Fields, place: str) -> tuple[Text, list[Part]]:
        """A tool_result: the text for the `tool` message, which takes nothing else, and what belongs to it besides."""
        texts: list[Text] = []
        others: list[Part] = []
        for part in self.content(fields.get("content", UNSET), f"{place}.content"):
            if part["type"] == "text":
                texts.append(part["text"])
            else:
                others.append(part)
                what = "image" if part["type"] == "image_url" else "file"
                texts.append(f"[{what} {len(others)} of this result is in the next message of the user]")
        text = joined(texts) if texts else NOTHING
        if bytes(fields.get("is_error", b"")) == b"true":
            words = plain(text)
            if not words.lstrip().lower().startswith(_FAILED):
                text = f"Error: {words}"
        return text, others

    def _image(self, fields: Fields, place: str) -> Part:
        source = raw_json.split_object(fields.get("source", UNSET)) or {}
        kind, media_type = string(source, "type"), string(source, "media_type")
        if kind not in ("base64", "url", "file"):
            raise BadRequest(f"{place}.source.type", "must be base64, url or file")
        if kind == "file" or self._options.images == "note":
            self.notes["left out an image"] += 1
            where = string(source, "url") or media_type or string(source, "file_id")
            return text_part(f"[An image ({where}) stood here. It was left out: this model can't be sent it.]")
        url = required(source, "url", f"{place}.source") if kind == "url" else data_url(source, f"{place}.source")
        return {"type": "image_url", "image_url": {"url": url}}

    def _document(self, fields: Fields, place: str, depth: int) -> list[Part]:
        source = raw_json.split_object(fields.get("source", UNSET)) or {}
        kind, media_type = string(source, "type"), string(source, "media_type")
        title, about = string(fields, "title"), string(fields, "context")
        lines = [f"Document: {title}"] if title else []
        lines += [about] if about else []
        if kind == "text":
            found = [text_part(required(source, "data", f"{place}.source"))]
        elif kind == "content":
            found = self.content(source.get("content", UNSET), f"{place}.source.content", depth + 1)
        elif kind == "base64" and (text := base64_text(source, media_type)) is not None:
            found = [text_part(text)]
        elif kind == "base64" and media_type == "application/pdf" and self._options.documents == "send":
            data = data_url(source, f"{place}.source")
            found = [{"type": "file", "file": {"filename": title or "document.pdf", "file_data": data}}]
        elif kind in ("base64", "url", "file"):
            self.notes["left out a document"] += 1
            where = string(source, "url") or media_type or string(source, "file_id")
            found = [text_part(f"[A document ({where}) stood here. It was left out: this model can't be sent it.]")]
        else:
            raise BadRequest(f"{place}.source.type", "must be base64, text, content, url or file")
        return [*map(text_part, [SEPARATOR.join(lines)] if lines else []), *found]


def text_part(text: Text) -> Part:
    return {"type": "text", "text": text}


def message_content(parts: list[Part]) -> Text | list[Part]:
    """The parts as `content`: one text if they are nothing else, because many servers take only that."""
    if all(part["type"] == "text" for part in parts):
        return joined([part["text"] for part in parts])
    return parts


def joined(texts: list[Text]) -> Text:
    """One text; a single one keeps its bytes."""
    return texts[0] if len(texts) == 1 else SEPARATOR.join(map(plain, texts))


def plain(text: Text) -> str:
    return text if isinstance(text, str) else raw_json.string(text) or ""


def string(fields: Fields, name: str) -> str:
    """A string field; empty when it is missing or something else."""
    return raw_json.string(fields.get(name, UNSET)) or ""


def required(fields: Fields, name: str, place: str) -> Raw:
    """A string field as it came. Raises BadRequest where there is none."""
    piece = fields.get(name, UNSET)
    if piece is UNSET or raw_json.first(piece) != '"':
        raise BadRequest(f"{place}.{name}", "must be a string")
    return piece


def data_url(source: Fields, place: str) -> Raw:
    """A base64 source as a data: URL; the data is not looked at."""
    media_type = bytes(required(source, "media_type", place))
    data = bytes(required(source, "data", place))
    return Raw(b'"data:%b;base64,%b' % (media_type[1:-1], data[1:]))


def base64_text(source: Fields, media_type: str) -> str | None:
    """The text of a base64 source that is one."""
    if not media_type.startswith("text/") and media_type not in ("application/json", "application/xml"):
        return None
    try:
        return binascii.a2b_base64(string(source, "data")).decode()
    except ValueError:
        return None
