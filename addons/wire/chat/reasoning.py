"""Where a chat provider's reasoning comes from, and how it finds its way back there.

A thinking block has a text and a signature. Chat providers sign nothing, but most want their reasoning back in tool
loops, each in the field it came in. So the signature (wrapped in the provider's name, provenance.py) remembers that
field, and whatever else belongs to the reasoning and is not its text: signatures, encrypted parts, what a function
call carries for its own provider.

Rules that hold here:
- A record is the name of a field, or a JSON object for what needs more. It never holds the text a second time.
- What can't be read as a record (somebody else's signature) is one that says nothing, never an error.
"""

import operator
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from addons.wire import raw_json
from addons.wire.chat.thinking_tags import TAGS

Json = dict[str, Any]
Lists = dict[str, list[Json]]
"""Entries by the field that holds them."""

FIELDS: Final = ("reasoning_content", "reasoning", "reasoning_text")
"""The fields of a message or delta that hold reasoning as a string, in the order in which they are believed. Some
providers say the same thing in two of them."""

DETAILS: Final = "reasoning_details"
"""OpenRouter's list of typed entries: `.text`, `.summary`, `.encrypted`; the same text as in `reasoning`, if any."""

LISTS: Final[tuple[str, ...]] = (DETAILS, "thinking_blocks")
"""The fields that hold reasoning as a list of entries; `thinking_blocks` are Anthropic's blocks behind LiteLLM."""

OPAQUE: Final[tuple[str, ...]] = ("reasoning_opaque",)
"""The fields that hold what only the provider can read of its reasoning: GitHub Copilot's."""

PARTS: Final = "parts"
"""Mistral: `{"type": "thinking"}` among the parts of `content`."""

_FORM: Final = "form"
_CALLS: Final = "calls"
_OPAQUE: Final = "opaque"
_TEXTS: Final = {"reasoning.text": "text", "reasoning.summary": "summary", "thinking": "thinking"}
"""The key that holds an entry's text. In a record it holds the number of characters that the text has."""
_SECRETS: Final = ("reasoning.encrypted", "redacted_thinking")
"""The types of entries that only the provider can read."""


def text_of(entry: Json) -> str:
    """The readable text of an entry; empty when there is none."""
    text = entry.get(_TEXTS.get(entry.get("type", ""), "text"))
    return text if isinstance(text, str) else ""


def merged(entries: Iterable[Any]) -> list[Json]:
    """The entries of a stream put together as the provider would have sent them in one piece: neighbours of the same
    type and index are one entry, whose texts follow each other and whose other values are the last that say something.
    Text behind a signature begins another entry.
    """
    whole: list[Json] = []
    texts: list[str] = []  # of the last entry, to be joined when another begins
    for entry in [*entries, {}]:
        if not isinstance(entry, dict):
            continue
        last = whole[-1] if whole else {}
        key = _TEXTS.get(entry.get("type", ""))
        text = text_of(entry)
        same = key and all(entry.get(name) == last.get(name) for name in ("type", "index"))
        if key and same and not (text and last.get("signature")):
            texts.append(text)
            last.update((name, value) for name, value in entry.items() if value is not None and name != key)
            continue
        if len(texts) > 1:
            last[_TEXTS[last["type"]]] = "".join(texts)
        texts = [text]
        whole.append(dict(entry))
    return whole[:-1]


class Reasoning(msgspec.Struct):
    """What is to be remembered of one thinking block."""

    form: str
    """One of FIELDS, PARTS or TAGS: where its text came from."""
    lists: Lists = msgspec.field(default_factory=dict)
    calls: Json = msgspec.field(default_factory=dict)
    """By tool call id: fields of the call that only its provider understands (Gemini's `extra_content`)."""
    opaque: dict[str, str] = msgspec.field(default_factory=dict)
    """By name: the fields of OPAQUE."""

    @property
    def plain(self) -> bool:
        """Whether there is nothing to remember but the form."""
        return not (self.lists or self.calls or self.opaque)

    def joins(self, other: "Reasoning") -> bool:
        """Whether more reasoning belongs to the same block."""
        return self.form == other.form or (self.form in FIELDS and other.form in FIELDS)

    def add(self, other: "Reasoning") -> None:
        """Remember what is to be remembered of another piece, too."""
        for name, entries in other.lists.items():
            self.lists.setdefault(name, []).extend(entries)
        self.calls.update(other.calls)
        self.opaque.update(other.opaque)

    def secrets(self) -> "dict[str, Reasoning]":
        """What of it holds no word of the thinking and must go back all the same, by the id of the call that it
        belongs to; under "" what belongs to none."""
        found: dict[str, Reasoning] = {}
        for name, entries in self.lists.items():
            for entry in entries:
                if entry.get("type") in _SECRETS:
                    call_id = entry.get("id")
                    key = call_id if isinstance(call_id, str) else ""
                    found.setdefault(key, Reasoning(self.form)).add(Reasoning(self.form, {name: [entry]}))
        if self.opaque:
            found.setdefault("", Reasoning(self.form)).opaque.update(self.opaque)
        return found

    @property
    def size(self) -> int:
        """About how many characters there are to remember."""
        if self.plain:
            return 0
        values = [entry.values() for entries in self.lists.values() for entry in entries]
        texts = [value for found in values for value in found if isinstance(value, str)]
        return sum(map(len, texts)) + 100 * (len(values) + len(self.calls)) + sum(map(len, self.opaque.values()))

    def record(self, says: Callable[[str], bool] = operator.not_) -> str:
        """The record of a block. `says`: whether a text is the block's; without it the block has none."""
        if self.plain:
            return self.form
        record: Json = {_FORM: self.form}
        for name, pieces in self.lists.items():
            entries = merged(pieces)
            if says("".join(map(text_of, entries))):
                for entry in entries:
                    key = _TEXTS.get(entry.get("type", ""))
                    if key and key in entry:
                        entry[key] = len(text_of(entry))
            record[name] = entries
        if self.calls:
            record[_CALLS] = self.calls
        if self.opaque:
            record[_OPAQUE] = self.opaque
        return bytes(raw_json.dump(record)).decode()

    @classmethod
    def recorded(cls, record: str, text: str) -> "Reasoning":
        """The inverse of `record`."""
        if record in FIELDS:
            return cls(record)
        value: Any = {_FORM: record}
        if record.startswith("{"):
            try:
                value = msgspec.json.decode(record)
            except (ValueError, RecursionError):
                value = {}
        form, calls, opaque = value.get(_FORM), value.get(_CALLS), value.get(_OPAQUE)
        return cls(
            form if form in (*FIELDS, PARTS, *TAGS) else FIELDS[0],
            {name: entries for name in LISTS if (entries := _with_texts(value.get(name), text))},
            calls if isinstance(calls, dict) else {},
            {name: opaque[name] for name in OPAQUE if name in opaque} if isinstance(opaque, dict) else {},
        )


class Returned(msgspec.Struct):
    """The reasoning of one assistant message on its way back."""

    only: str = ""
    """The field that the configuration wants it in; empty: where it came from."""
    lists: Lists = msgspec.field(default_factory=dict)
    fields: dict[str, list[str]] = msgspec.field(default_factory=dict)
    """The texts that are to be in each field, one behind the other."""
    calls: Json = msgspec.field(default_factory=dict)
    _taken: set[bytes] = msgspec.field(default_factory=set)

    def take(self, record: str, text: str) -> str:
        """One thinking block of this provider's: puts it where it belongs. What it can't keep it names: PARTS or one
        of TAGS, whose text is for the caller to put into the content.
        """
        found = Reasoning.recorded(record, text)
        self.add(found)
        if self.only == DETAILS and not found.lists and text:
            self.lists.setdefault(DETAILS, []).append({"type": "reasoning.text", "text": text})
        if self.only == DETAILS or (found.lists and not self.only):
            return ""
        form = self.only or found.form
        if form in (PARTS, *TAGS):
            return form
        if text or found.plain:
            self.fields.setdefault(form, []).append(text)
        return ""

    def add(self, found: Reasoning) -> None:
        """What belongs to the reasoning besides its text; nothing is taken twice."""
        self.calls.update(found.calls)
        self.fields.update((name, [text]) for name, text in found.opaque.items())
        if self.only in ("", DETAILS):
            for name, entries in found.lists.items():
                kept = self.lists.setdefault(name, [])
                for entry in entries:
                    if (key := bytes(raw_json.dump(entry))) not in self._taken:
                        self._taken.add(key)
                        kept.append(entry)

    def __bool__(self) -> bool:
        return bool(self.fields or self.lists)

    def message_fields(self) -> Json:
        """The fields to set in the message."""
        texts = {name: "".join(texts) for name, texts in self.fields.items()}
        return {**texts, **{name: merged(entries) for name, entries in self.lists.items()}}


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
