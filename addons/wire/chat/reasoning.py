"""Where a chat provider's reasoning comes from, and how it finds its way back there.

A thinking block has a text and a signature. Chat providers sign nothing, but most want their reasoning back in tool
loops, each in the field it came in. So the signature (wrapped in the provider's name, provenance.py) remembers that
field, and whatever else belongs to the reasoning and is not its text: signatures, encrypted parts, what a function
call carries for its own provider.

Rules that hold here:
- A record is the name of a field, or a JSON object for what needs more. It never holds the text a second time.
- What can't be read as a record (somebody else's signature) is one that says nothing, never an error.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from addons.wire import raw_json as pieces

Json = dict[str, Any]

FIELDS: Final = ("reasoning_content", "reasoning", "reasoning_text")
"""The fields of a message or delta that hold reasoning as a string, in the order in which they are believed. Some
providers say the same thing in two of them."""

DETAILS: Final = "reasoning_details"
"""OpenRouter's list of typed entries: `.text`, `.summary`, `.encrypted`; the same text as in `reasoning`, if any."""

PARTS: Final = "parts"
"""Mistral: `{"type": "thinking"}` among the parts of `content`."""

TAGS: Final = ("think", "thought")
"""Inside `content`, between `<think>` and `</think>` (Gemini: `<thought>`)."""

_FORM: Final = "form"
_CALLS: Final = "calls"
_TEXTS: Final = {"reasoning.text": "text", "reasoning.summary": "summary"}
"""The key that holds an entry's text. In a record it holds the number of characters that the text has."""


def text_of(entry: Json) -> str:
    """The readable text of a detail entry; empty when there is none."""
    text = entry.get(_TEXTS.get(entry.get("type", ""), "text"))
    return text if isinstance(text, str) else ""


def merged(entries: Iterable[Any]) -> list[Json]:
    """The entries of a stream put together as the provider would have sent them in one piece: neighbours of the same
    type and index are one entry, whose texts follow each other and whose other values are the last that say something.
    """
    whole: list[Json] = []
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        last = whole[-1] if whole else {}
        key = _TEXTS.get(entry.get("type", ""))
        if key and all(entry.get(name) == last.get(name) for name in ("type", "index")):
            text = text_of(last) + text_of(entry)
            last.update((name, value) for name, value in entry.items() if value is not None)
            last[key] = text
        else:
            whole.append(dict(entry))
    return whole


@dataclass(slots=True)
class Reasoning:
    """What is to be remembered of one thinking block."""

    form: str
    """One of FIELDS, PARTS or TAGS: where its text came from."""
    details: list[Json] = field(default_factory=list)
    calls: Json = field(default_factory=dict)
    """By tool call id: fields of the call that only its provider understands (Gemini's `extra_content`)."""

    def joins(self, other: "Reasoning") -> bool:
        """Whether more reasoning belongs to the same block."""
        return self.form == other.form or (self.form in FIELDS and other.form in FIELDS)

    def add(self, other: "Reasoning") -> None:
        """Remember another piece's too."""
        self.details += other.details
        self.calls.update(other.calls)

    def record(self, text: str) -> str:
        """The record of a block with this text."""
        if not self.details and not self.calls:
            return self.form
        record: Json = {_FORM: self.form}
        if self.details:
            entries = merged(self.details)
            if "".join(map(text_of, entries)) == text:
                for entry in entries:
                    key = _TEXTS.get(entry.get("type", ""))
                    if key and key in entry:
                        entry[key] = len(text_of(entry))
            record[DETAILS] = entries
        if self.calls:
            record[_CALLS] = self.calls
        return bytes(pieces.dump(record)).decode()


@dataclass(slots=True)
class Returned:
    """The reasoning of one assistant message on its way back."""

    only: str = ""
    """The field that the configuration wants it in; empty: where it came from."""
    details: list[Json] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    calls: Json = field(default_factory=dict)

    def take(self, record: str, text: str) -> str:
        """One thinking block of this provider's: puts it where it belongs. What it can't keep it names: PARTS or one
        of TAGS, whose text is for the caller to put into the content.
        """
        form, entries, calls = _read(record, text)
        self.calls.update(calls)
        if self.only == DETAILS or (entries and not self.only):
            self.details += entries or ([{"type": "reasoning.text", "text": text}] if text else [])
            return ""
        form = self.only or form
        if form in (PARTS, *TAGS):
            return form
        if text or not (calls or entries):
            self.fields[form] = self.fields.get(form, "") + text
        return ""

    def message_fields(self) -> Json:
        """The fields to set in the message."""
        return {**self.fields, **({DETAILS: merged(self.details)} if self.details else {})}


def _read(record: str, text: str) -> tuple[str, list[Json], Json]:
    """(form, details, calls) of a record."""
    value: Any = {_FORM: record}
    if record.startswith("{"):
        try:
            value = msgspec.json.decode(record)
        except (ValueError, RecursionError):
            value = {}
    form, calls = value.get(_FORM), value.get(_CALLS)
    return (
        form if form in (*FIELDS, PARTS, *TAGS) else FIELDS[0],
        _with_texts(value.get(DETAILS), text),
        calls if isinstance(calls, dict) else {},
    )


def _with_texts(entries: Any, text: str) -> list[Json]:
    """The entries, those that only tell how long their text is with that much of it."""
    found = [dict(entry) for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    at = 0
    for entry in found:
        key = _TEXTS.get(entry.get("type", ""), "")
        length = entry.get(key)
        if isinstance(length, int):
            entry[key] = text[at : at + length]
            at += length
    return found


class TagReader:
    """Takes the thinking out of content that begins with `<think>`, in any split.

    Only at the start, white space allowed before it: later on the model may be talking about tags.
    """

    __slots__ = ("_held", "_started", "_tag")

    def __init__(self) -> None:
        self._held = ""
        self._started = False
        self._tag = ""  # the one that is open

    def feed(self, text: str) -> list[tuple[str, str]]:
        """(tag or "" for text, what belongs to it), in order; nothing is empty."""
        if self._held:
            text, self._held = self._held + text, ""
        if self._tag:
            return self._thinking(text)
        if self._started:
            return _told(("", text))
        start = text.lstrip()
        for tag in TAGS:
            if start.startswith(f"<{tag}>"):
                self._tag, self._started = tag, True
                return self._thinking(start[len(tag) + 2 :])
        if any(f"<{tag}>".startswith(start) for tag in TAGS):
            self._held = text
            return []
        self._started = True
        return _told(("", text))

    def flush(self) -> list[tuple[str, str]]:
        """Something that is no content comes now, or nothing: what was held back is what it looks like."""
        text, self._held = self._held, ""
        self._started = self._started or bool(text)
        return _told((self._tag, text))

    def _thinking(self, text: str) -> list[tuple[str, str]]:
        tag, end = self._tag, f"</{self._tag}>"
        thought, closed, rest = text.partition(end)
        if closed:
            self._tag = ""
            return _told((tag, thought), ("", rest))
        for length in range(min(len(end) - 1, len(text)), 0, -1):
            if text.endswith(end[:length]):
                self._held = text[-length:]
                return _told((tag, text[:-length]))
        return _told((tag, text))


def _told(*found: tuple[str, str]) -> list[tuple[str, str]]:
    return [(tag, text) for tag, text in found if text]
