"""Tools between Messages and Chat Completions: their definitions, their names, and the ids of their calls.

Rules that hold here:
- A name goes out as it is when it is one that every provider takes; else it gets one that is made from it alone, so
  that the provider's prompt cache still finds it in the next request.
- JSON schemas keep the client's own bytes, unless the provider is known to refuse something in them.
- The client's ids are valid, and unique in the conversation. The provider gets back its own.
"""

import hashlib
import re
from collections.abc import Collection, Iterable
from typing import Any, Final

from msgspec import UNSET, Raw

from addons.wire import raw_json as pieces
from addons.wire.chat.tool_calls import Call
from addons.wire.errors import BadRequest
from addons.wire.provenance import decode_tool_id, encode_tool_id, valid_tool_id

Json = dict[str, Any]

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_OTHER_THAN_NAME: Final = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST_ID: Final = 40
"""Characters that OpenAI takes of a tool call's id."""
_SHORT_ID: Final = re.compile(r"[a-zA-Z0-9]{9}")
_SALT: Final = "\x00"
"""Stands, in an encoded id, between the provider's id and what makes it unique."""
_NO_SCHEMA: Final = Raw(b'{"type":"object","properties":{}}')

# Where a JSON schema holds further ones: under a name of the author's choice, or directly.
_NAMED_SCHEMAS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_VALUES: Final = ("const", "default", "enum", "example", "examples", "required")


class ToolNames:
    """The names of one request's tools."""

    def __init__(self, names: Iterable[str]) -> None:
        """`names`: of the definitions. Those that need no change keep what they are called."""
        self.originals: dict[str, str] = {}
        """Sent name → the client's, where they differ."""
        self._sent: dict[str, str] = {}
        names = list(names)
        self._taken = {name for name in names if _NAME.fullmatch(name)}

    def sent(self, name: str) -> str:
        """What the provider knows the tool as."""
        if name in self._sent:
            return self._sent[name]
        sent = name
        if not _NAME.fullmatch(name):
            number = 0
            while sent == name or sent in self._taken:
                digest = hashlib.sha256(f"{name}{number or ''}".encode("utf-8", "replace")).hexdigest()[:8]
                sent = f"{_OTHER_THAN_NAME.sub('_', name)[:55]}_{digest}"
                number += 1
            self.originals[sent] = name
        self._taken.add(sent)
        self._sent[name] = sent
        return sent


def functions(tools: list[Raw], drop: Collection[str]) -> tuple[list[tuple[str, Json]], list[str]]:
    """(name, function without its name) of each tool that the client runs itself, and the names of those left out.

    `drop` are the JSON schema keywords that the provider refuses. Raises BadRequest.
    """
    kept: list[tuple[str, Json]] = []
    left_out: list[str] = []
    for index, tool in enumerate(tools):
        fields = pieces.split_object(tool)
        if fields is None:
            raise BadRequest(f"tools.{index}", "must be an object")
        name, kind = pieces.string(fields.get("name", UNSET)), pieces.string(fields.get("type", UNSET))
        if kind not in (None, "custom"):
            left_out.append(name or kind or "?")
            continue
        if not name:
            raise BadRequest(f"tools.{index}.name", "must be a string that is not empty")
        function: Json = {}
        if pieces.string(fields.get("description", UNSET)):
            function["description"] = fields["description"]
        schema = fields.get("input_schema", _NO_SCHEMA)
        function["parameters"] = _without(schema, drop) if pieces.first(schema) == "{" else _NO_SCHEMA
        kept.append((name, function))
    return kept, left_out


def _without(schema: Raw, drop: Collection[str]) -> Raw:
    """The schema without these keywords; its own bytes when none is in it."""
    text = bytes(schema)
    if not any(f'"{keyword}"'.encode() in text for keyword in drop):
        return schema
    return pieces.dump(_cleaned(pieces.load(schema), drop))


def _cleaned(schema: Any, drop: Collection[str]) -> Any:
    if isinstance(schema, list):
        return [_cleaned(item, drop) for item in schema]
    if not isinstance(schema, dict):
        return schema
    cleaned = {}
    for keyword, value in schema.items():
        if keyword in drop:
            continue
        if keyword in _NAMED_SCHEMAS and isinstance(value, dict):
            cleaned[keyword] = {name: _cleaned(item, drop) for name, item in value.items()}
        else:
            cleaned[keyword] = value if keyword in _VALUES else _cleaned(value, drop)
    return cleaned


class CallIds:
    """The ids of one answer's calls, as the client gets them."""

    def __init__(self, provider: str, seed: str, taken: Collection[str]) -> None:
        """`seed`: letters, digits and _ that no other answer has. `taken`: the ids of the conversation."""
        self._provider = provider
        self._seed = seed
        self._taken = set(taken)
        self._ids: dict[Call, str] = {}

    def of(self, call: Call) -> str:
        """The client's id of a call: the provider's own, if that is valid and new."""
        if call not in self._ids:
            client_id = call.id if valid_tool_id(call.id) else encode_tool_id(self._provider, call.id)
            salt = f"{self._seed}_{len(self._ids)}"
            if not call.id:
                client_id = f"call_{salt}"
            elif client_id in self._taken:
                client_id = encode_tool_id(self._provider, f"{call.id}{_SALT}{salt}")
            self._taken.add(client_id)
            self._ids[call] = client_id
        return self._ids[call]


def provider_id(client_id: str, provider: str, *, short: bool) -> str:
    """The id that this provider gets for one of the client's: its own as it made it; others as they are, but for those
    that are another provider's for certain, and those that are too long for OpenAI. `short`: see `ChatOptions`."""
    made = decode_tool_id(client_id)
    if made and made[0] == provider:
        return made[1].partition(_SALT)[0]
    fits = _SHORT_ID.fullmatch(client_id) if short else not made and len(client_id) <= _LONGEST_ID
    return client_id if fits else short_id(client_id)


def short_id(client_id: str) -> str:
    """An id that every provider takes."""
    return hashlib.sha256(client_id.encode("utf-8", "replace")).hexdigest()[:9]
