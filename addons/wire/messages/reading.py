"""Reading a body with the help of what is remembered of earlier ones, which is most of it.

Rules that hold here:
- A body is read to the same end whether anything of it is known or not; in doubt all of it is parsed.
- Remembered are the messages that the next request will repeat, all of `tools`, and of `system` what comes behind its
  first block (the billing header, which is always another). Bodies that are not written as JavaScript writes JSON,
  with nothing between a value and a comma, are not remembered.
"""

from typing import Any, Final, NamedTuple

from msgspec import UNSET, Raw

from addons.wire import raw_json
from addons.wire.errors import BadRequest
from addons.wire.messages.memory import Known, Memory
from addons.wire.messages.original_messages import KnownMessages, OriginalMessages, OriginalText
from addons.wire.messages.parsing import Parsed, parse
from addons.wire.messages.traits import NOTHING, Traits

LEAST: Final = 16_000
"""Bytes of a body that is worth remembering."""
LEAST_ARRAY: Final = 2_000
"""Bytes of an array in it that is worth remembering."""
MOST_MESSAGES: Final = 10_000
MARKED: Final = 8
"""How many messages at the end may have a cache_control that the client moves on."""

MEMORIES: Final[dict[str, Memory[Any]]] = {
    "messages": Memory[KnownMessages](256),
    "system": Memory[Traits](16),
    "tools": Memory[Traits](16),
}
"""What is remembered, by top-level field."""


class Reading(NamedTuple):
    """A body that was parsed, and its messages."""

    parsed: Parsed
    messages: OriginalMessages


def read(data: bytes) -> Reading:
    """The body, parsed as far as it isn't known. Raises BadRequest."""
    known: dict[str, Known[Any]] = {}
    if len(data) >= LEAST:
        known = {name: found for name, memory in MEMORIES.items() if (found := memory.find(data))}
    reading = _recalled(data, known) if known else None
    if reading is None:
        known = {}
        parsed = parse(data)
        reading = Reading(parsed, OriginalMessages(OriginalText(parsed.fields["messages"]), parsed.heads))
    if len(data) >= LEAST and not reading.parsed.repaired:
        _learn(reading, known)
    return reading


def _recalled(data: bytes, known: dict[str, Known[Any]]) -> Reading | None:
    """The reading of a body of which only what isn't known is parsed; None when that is not possible."""
    view = memoryview(data)
    parts: list[bytes | memoryview] = []
    at = 0
    for name, found in sorted(known.items(), key=lambda item: item[1].start):
        if found.start < at:
            return None
        parts += (view[at : found.start], MEMORIES[name].stand_in)
        at = found.stop
    try:
        parsed = parse(b"".join((*parts, view[at:])))
    except BadRequest:
        return None
    if parsed.repaired:
        return None
    fields = parsed.fields.copy()
    for name, found in known.items():
        whole = _whole(fields.get(name), name, found, view)
        if whole is None:
            return None
        fields[name] = whole
    text, heads = OriginalText(parsed.fields["messages"]), parsed.heads
    if "messages" in known:
        start, _, stretch = known["messages"]
        text, heads = OriginalText(text.array, data, start, stretch.found), heads[1:]
    more = {name: found.stretch.found for name, found in known.items()}
    system, tools = parsed.system | more.get("system", NOTHING), parsed.tools | more.get("tools", NOTHING)
    return Reading(parsed._replace(raw=data, fields=fields, system=system, tools=tools), OriginalMessages(text, heads))


def _whole(array: Raw | None, name: str, known: Known[Any], view: memoryview) -> Raw | None:
    """An array with its own items again; None when the stand-in isn't one of them: the last of `system`, or else the
    first."""
    if array is None:
        return None
    text, stand_in = bytes(array), MEMORIES[name].stand_in
    before = len(text) - len(stand_in) - 1 if name == "system" else 1
    if text[:1] != b"[" or text[before : before + len(stand_in)] != stand_in:
        return None
    start = known.start - before
    return Raw(view[start : start + len(text) - len(stand_in) + known.stop - known.start])


def _learn(reading: Reading, known: dict[str, Known[Any]]) -> None:
    """Remember what is new in a body."""
    parsed, messages = reading
    new = [name for name in MEMORIES if name not in known and len(parsed.fields.get(name, b"")) >= LEAST_ARRAY]
    places = _places(parsed.raw, parsed.fields) if new else {}
    if places is None:
        return
    before, count = len(messages.text.known.ends), settled(messages)
    if ("messages" in known or "messages" in new) and before < count <= MOST_MESSAGES:
        learned = messages.learned(count)
        if learned is not None:
            start = messages.text.start if before else places["messages"] + 1
            stop = start + learned.ends[-1]
            MEMORIES["messages"].add(parsed.raw, start, stop, learned)
            if before:
                MEMORIES["messages"].forget(known["messages"])
    for name, traits in (("tools", parsed.tools), ("system", parsed.system)):
        if name in new and (begin := _first_remembered(name, text := bytes(parsed.fields[name]))):
            start, stop = places[name] + begin, places[name] + len(text) - 1
            is_behind = places[name] > places["messages"]
            MEMORIES[name].add(parsed.raw, start, stop, traits, from_end=is_behind)


def _first_remembered(name: str, array: bytes) -> int:
    """Where the items begin that are remembered of `tools` or `system`; 0 when there are none."""
    if array[:2] != b"[{" or array[-2:] != b"}]":
        return 0
    if name == "tools":
        return 1
    items = raw_json.split_array(Raw(array)) or []
    begin = 1 + len(items[0]) + 1
    return begin if array[begin - 1 : begin + 1] == b",{" else 0


def settled(messages: OriginalMessages) -> int:
    """How many messages the next request will repeat. Not those from a cache_control on that stands near the end: a
    client moves it on, and Claude Code writes a message without one in another way."""
    count = len(messages)
    for index in range(max(len(messages.text.known.ends), count - MARKED), count):
        if any(block.cache_control is not UNSET for block in messages[index].blocks):
            return index
    return count - 1


def _places(text: bytes, fields: dict[str, Raw]) -> dict[str, int] | None:
    """Where each top-level value begins; None when the text isn't written as JavaScript writes it."""
    places: dict[str, int] = {}
    at = 0
    for name, piece in fields.items():
        at += len(raw_json.dump(name)) + 2
        places[name] = at
        if not text.startswith(bytes(piece), at):
            return None
        at += len(piece)
    return places
