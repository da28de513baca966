"""Which call a piece of a tool call belongs to.

OpenAI numbers the calls of an answer and sends id and name once, with the first piece. Others leave out the number,
number everything 0, begin with 1, repeat id and name, send new ids with every piece, or send no ids.

Rules that hold here:
- A new call begins with a name. A piece without one continues a call.
- A number or an id is believed before a position; two names in one chunk are two calls, whatever their numbers are.
"""

from typing import Any

from addons.wire import limits, raw_json
from addons.wire.chat.tool_arguments import Arguments
from addons.wire.names import clean_tool_name

Json = dict[str, Any]


class Call:
    """One tool call, as far as it has come."""

    __slots__ = ("arguments", "extra", "id", "index", "name", "new", "ready")

    def __init__(self) -> None:
        self.id = ""
        """The provider's; empty when it gave none."""
        self.name = ""
        """The provider's; empty until it is known."""
        self.index: int | None = None
        """The number with which its last piece came, of those that have one."""
        self.arguments = Arguments()
        self.ready: list[str] = []
        """What of the arguments is still to be sent."""
        self.new = 0
        """Characters of arguments that have come since somebody counted them."""
        self.extra: Json = {}
        """`extra_content`: what the provider (Gemini) wants to see again with this call."""

    @property
    def is_lost(self) -> bool:
        """Whether something is to be called, and nobody knows what."""
        return not self.name and bool(self.id or not self.arguments.empty)


class Calls:
    """The calls of one answer."""

    def __init__(self) -> None:
        self.all: list[Call] = []
        self.characters = 0
        """Of all arguments so far."""
        self._by_index: dict[int, Call] = {}
        self._by_id: dict[str, Call] = {}
        self._opened: list[Call] = []  # by the last chunk that opened any

    def take(self, entries: list[Json]) -> list[Call]:
        """The entries of one chunk: the calls that they belong to, each once."""
        touched: dict[Call, None] = {}
        opened: list[Call] = []
        for position, entry in enumerate(entries):
            function = entry.get("function")
            function = function if isinstance(function, dict) else entry  # some put name and arguments there
            call_id, name, arguments = _id(entry), _name(function), _arguments(function)
            index = entry.get("index")
            if isinstance(index, bool) or not isinstance(index, int):
                index = None
            call = self._find(index, call_id, name, position)
            if call is None or (name and (call in touched or _begins(call, call_id, name, arguments))):
                call = Call()
                self.all.append(call)
                opened.append(call)
            if index is not None and (index in self._by_index or len(self._by_index) < limits.TOOL_CALLS):
                self._by_index[index] = call  # some number the pieces
                call.index = index
            call.id = call.id or call_id
            if call.id:
                self._by_id[call.id] = call
            call.name = call.name or name
            extra = entry.get("extra_content")
            if isinstance(extra, dict):
                call.extra.update(extra)
            if arguments:
                call.new += len(arguments)
                self.characters += len(arguments)
                if ready := call.arguments.feed(arguments):
                    call.ready.append(ready)
            touched[call] = None
        self._opened = opened or self._opened
        return list(touched)

    def _find(self, index: int | None, call_id: str, name: str, position: int) -> Call | None:
        """The call that an entry would continue."""
        if index is not None and index in self._by_index:
            return self._by_index[index]
        if call_id and (found := self._by_id.get(call_id)):
            return found
        if not self.all or (index is not None and (call_id or name)):
            return None
        # No number and no id that is known: calls that were opened together are continued in their order.
        if position < len(self._opened) > 1 and not self._opened[position].arguments.complete:
            return self._opened[position]
        return next((call for call in self._opened if not call.arguments.complete), self.all[-1])


def _begins(call: Call, call_id: str, name: str, arguments: str) -> bool:
    """Whether an entry with a name that points to this call is the first of another one."""
    if not call.name:
        return False
    if call_id and call.id:
        return call_id != call.id
    if name != call.name:
        return True
    # The same name and no ids: repeated, or the next call of the same tool.
    arguments = arguments.strip()
    return call.arguments.complete and (arguments == "{}" or (arguments != "" and not call.arguments.empty))


def _id(entry: Json) -> str:
    value = entry.get("id")
    if isinstance(value, str):
        return "" if value == "null" else value  # Mistral's way of saying none
    return str(value) if isinstance(value, int) else ""


def _name(function: Json) -> str:
    name = function.get("name")
    return clean_tool_name(name) if isinstance(name, str) else ""


def _arguments(function: Json) -> str:
    """The arguments of a call as text, whatever they came as."""
    value = function.get("arguments")
    if value is None:
        return ""
    return value if isinstance(value, str) else bytes(raw_json.dump(value)).decode()
