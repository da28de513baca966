"""Tools between Messages and Chat Completions: their definitions, their names, and the ids of their calls.

Rules that hold here:
- A name goes out as it is when it is one that every provider takes; else it gets one that is made from it alone, so
  that the provider's prompt cache still finds it in the next request.
- JSON schemas keep the client's own bytes, unless the provider is known to refuse something in them.
- The client's ids are valid, and unique in the conversation. The provider gets back its own.
"""

import functools
import hashlib
import re
from collections.abc import Collection, Iterable
from typing import Any, Final, NamedTuple

from msgspec import UNSET, Raw, UnsetType

from addons.wire import raw_json
from addons.wire.chat.json_schema import EMPTY, SchemaRules, for_tool
from addons.wire.chat.reasoning import FIELDS, Reasoning
from addons.wire.chat.tool_calls import Call
from addons.wire.errors import BadRequest
from addons.wire.provenance import decode_tool_id, encode_tool_id, valid_tool_id
from addons.wire.raw_json import Optional
from addons.wire.steps.beta_tools import PLACEHOLDER

Json = dict[str, Any]

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_OTHER_THAN_NAME: Final = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST_ID: Final = 40
"""Characters that OpenAI takes of a tool call's id."""
_SHORT_ID: Final = re.compile(r"[a-zA-Z0-9]{9}")
_SALT: Final = "\x00"
"""Stands, in an encoded id, between the provider's id, what makes it unique, and what is carried with the call."""
_WORD: Final = re.compile(r"[a-zA-Z0-9_-]+")
_LONGEST_NAME: Final = 1000


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


class Functions(NamedTuple):
    """The tools of a request."""

    kept: tuple[tuple[str, Json], ...]
    """(name, function without its name) of each tool that the client runs itself."""
    left_out: tuple[str, ...]
    """The names of the tools that the client doesn't run itself."""


def functions(array: Optional, rules: SchemaRules) -> Functions:
    """The tools as functions. Raises BadRequest."""
    if isinstance(array, UnsetType) or raw_json.first(array) != "[":
        return Functions((), ())
    return (_remembered if len(array) <= _REMEMBERED else _functions)(bytes(array), rules)


def _functions(array: bytes, rules: SchemaRules) -> Functions:
    kept: list[tuple[str, Json]] = []
    left_out: list[str] = []
    for index, tool in enumerate(raw_json.split_array(Raw(array)) or []):
        fields = raw_json.split_object(tool)
        if fields is None:
            raise BadRequest(f"tools.{index}", "must be an object")
        name, kind = raw_json.string(fields.get("name", UNSET)), raw_json.string(fields.get("type", UNSET))
        if kind not in (None, "custom") or name == PLACEHOLDER:
            left_out.append(name or kind or "?")
            continue
        if not name:
            raise BadRequest(f"tools.{index}.name", "must be a string that is not empty")
        function: Json = {}
        if raw_json.string(fields.get("description", UNSET)):
            function["description"] = fields["description"]
        try:
            function["parameters"] = for_tool(fields.get("input_schema", EMPTY), rules)
        except RecursionError:
            raise BadRequest(f"tools.{index}.input_schema", "is nested too deeply") from None
        kept.append((name, function))
    return Functions(tuple(kept), tuple(left_out))


_remembered: Final = functools.lru_cache(maxsize=8)(_functions)
"""A client sends the same tools with every request."""
_REMEMBERED: Final = 200_000
"""Bytes of tools at most that are worth the memory."""


def meant(name: str, known: Collection[str]) -> str:
    """The tool that a model means: `todo_write` is TodoWrite; `functions.Bash`, `default_api:Bash`, `bash` and
    `Bash<|channel|>commentary` are Bash where there is no other. The name itself where it stands for none."""
    if name in known or not known:
        return name
    wanted = squeezed(name[:_LONGEST_NAME])
    spelled = [tool for tool in known if squeezed(tool) == wanted]
    if len(spelled) == 1:
        return spelled[0]
    words: list[str] = _WORD.findall(name[:_LONGEST_NAME])
    if found := next((word for word in words if word in known), None):
        return found
    lower = {word.lower() for word in words}
    alike = [tool for tool in known if tool.lower() in lower]
    return alike[0] if len(alike) == 1 else name


def squeezed(name: str) -> str:
    """A tool's name without what models get wrong about it: case and separators."""
    return "".join(filter(str.isalnum, name)).lower()


class CallIds:
    """The ids of one answer's calls, as the client gets them."""

    def __init__(self, provider: str, seed: str, taken: Collection[str], *, short: bool = False) -> None:
        """`seed`: letters, digits and _ that no other answer has. `taken`: the ids of the conversation. `short`: see
        `ChatOptions.tool_ids`."""
        self._provider = provider
        self._seed = seed
        self._short = short
        self._taken = set(taken)
        self._ids: dict[Call, str] = {}

    def of(self, call: Call) -> str:
        """The client's id of a call that has begun."""
        known = self._ids.get(call)
        return self.begin(call, None) if known is None else known

    def begin(self, call: Call, carried: Reasoning | None) -> str:
        """The client's id of a new call: the provider's own, if that is valid and new and would go back as it is.
        `carried`: what has to go back with the call."""
        salt = f"{self._seed}_{len(self._ids)}"
        call_id = call.id or f"call_{salt}"
        if call.extra:
            carried = carried or Reasoning(FIELDS[0])
            carried.calls[call_id] = call.extra
        if carried and not carried.plain:
            client_id = encode_tool_id(self._provider, _SALT.join((call_id, salt, carried.record())))
        elif call_id in self._taken or encode_tool_id(self._provider, call_id) in self._taken:
            client_id = encode_tool_id(self._provider, f"{call_id}{_SALT}{salt}")
        elif valid_tool_id(call_id) and (not call.id or _fits(call_id, short=self._short)):
            client_id = call_id
        else:
            client_id = encode_tool_id(self._provider, call_id)
        self._taken.add(client_id)
        self._ids[call] = client_id
        return client_id


def provider_id(client_id: str, provider: str, *, short: bool) -> str:
    """The id that this provider gets for one of the client's: its own as it made it; others as they are, but for those
    that are another provider's for certain, and those that are too long for OpenAI. `short`: see `ChatOptions`."""
    made = decode_tool_id(client_id)
    if made and made[0] == provider:
        return made[1].partition(_SALT)[0]
    return client_id if not made and _fits(client_id, short=short) else short_id(client_id)


def carried_by(client_id: str, provider: str) -> Reasoning | None:
    """What of this provider's goes back with the call that has this id."""
    if not client_id.startswith("gw1-"):
        return None
    made = decode_tool_id(client_id)
    parts = made[1].split(_SALT, 2) if made and made[0] == provider else ()
    return Reasoning.recorded(parts[2], "") if len(parts) == 3 else None


def _fits(tool_id: str, *, short: bool) -> bool:
    return bool(_SHORT_ID.fullmatch(tool_id)) if short else len(tool_id) <= _LONGEST_ID


def short_id(client_id: str) -> str:
    """An id that every provider takes."""
    return hashlib.sha256(client_id.encode("utf-8", "replace")).hexdigest()[:9]
