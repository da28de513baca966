"""The arguments of a function call, on their way into a tool_use block: JSON text, read while it arrives.

Chat Completions promises a JSON object in a string. What models and servers send is that, nothing, `{}` before the
real object, a string in a string, raw line breaks inside strings, text that stops in the middle, or no JSON at all.

Rules that hold here:
- What `feed` gave so far is always the start of a JSON object, and with what `close` adds a whole one.
- A proper object comes out with its keys and values as they went in, as soon as they are in.
- What can't be read is never thrown away and never completed silently: half a shell command must not be run. It is
  told under the key INVALID_JSON (the name that Anthropic's documentation gives it), which tools' schemas refuse.
- Linear time: nothing is read twice, but for the token at a boundary.
"""

import json
import re
from enum import Enum
from typing import Any, Final

import msgspec

from addons.wire import raw_json

INVALID_JSON: Final = "INVALID_JSON"

EXACT: Final = 64
"""Pieces of arguments that are no object, each of which may complete a JSON value."""
LONGEST_TOKEN: Final = 1_000
"""Characters of a key, a number, or white space that may come in pieces: at each piece all of it is read again."""

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]+')
_ESCAPE: Final = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_IN_STRING: Final = re.compile(r'(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_HALF_ESCAPE: Final = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_KEY: Final = re.compile(r'"((?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*)"')
_HALF_KEY: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z')
_WORD: Final = re.compile(r"[-+.\w]*")
_LITERAL: Final = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")


class _State(Enum):
    START = "before the object"
    KEY = "a key, or the end of the object"
    COLON = "the colon after a key"
    VALUE = "a value"
    STRING = "inside a string value"
    AFTER = "a comma, or an end"
    DONE = "behind the object"
    BROKEN = "behind something that is no JSON"
    OTHER = "no object from the start"


class Arguments:
    """One call's arguments."""

    __slots__ = (
        "_ends",
        "_held",
        "_key_sent",
        "_members",
        "_pending",
        "_rest",
        "_seen",
        "_state",
        "_whole",
        "kept",
        "problem",
    )

    def __init__(self) -> None:
        self.problem = ""
        """What was wrong, in words; known for certain after `close`."""
        self._state = _State.START
        self._ends: list[str] = []  # the brackets that close what is open, outermost first
        self._held = ""  # the start of a token that is not complete
        self._pending = ""  # separators, sent with what they separate
        self._key_sent = False  # the last thing sent is a key
        self._members = False  # the outermost object has something in it, so its brace is out
        self._rest: list[str] = []  # what can't be read
        self.kept = 0
        """Characters that were kept and not sent, and brackets that are open; its reader sets it to 0."""
        self._seen = 0  # how many pieces of that were looked at
        self._whole = False  # and whether they were a JSON value

    @property
    def complete(self) -> bool:
        """A whole object is in: more can't belong to it."""
        if self._state is _State.OTHER:
            return self._other_is_whole()
        return self._state is _State.DONE

    def _other_is_whole(self) -> bool:
        """Whether what is no object from the start is a whole JSON value. Asked after each piece, but the longer it is
        the less often it is looked at."""
        if len(self._rest) != self._seen and (self._seen < EXACT or len(self._rest) > self._seen * 2):
            self._seen = len(self._rest)
            self._whole = _decoded("".join(self._rest)) is not None
        return self._whole and len(self._rest) == self._seen

    @property
    def empty(self) -> bool:
        """Nothing came yet, or only the `{}` that may stand for nothing yet."""
        return self._state is _State.START or (self._state is _State.DONE and not self._members)

    def feed(self, text: str) -> str:
        """The next piece; what can be sent on of it."""
        if self._state is _State.START and text[-1:] == "}" and _is_object(text):
            self._state, self._members = _State.DONE, True
            return text
        if self._held:
            text = self._held + text
            self._held = ""
        out: list[str] = []
        at = 0
        while at < len(text):
            at = self._token(text, at, out)
        return "".join(out)

    def passes(self, text: str) -> bool:
        """Whether `feed` would give the next piece as it is, and be where it was: in the middle of a string value."""
        return self._state is _State.STRING and not self._held and _IN_STRING.fullmatch(text) is not None

    def close(self) -> str:
        """There is no more: what has to be sent to make the whole an object."""
        if self._state is _State.OTHER:
            return self._other("".join(self._rest))
        if self.empty:
            return "{}"
        if self._state is _State.DONE:
            return ""
        if self._state is not _State.BROKEN:
            self.problem = "end too early"
        rest = "".join(self._rest) + self._held
        return f'{self._ended()}"{INVALID_JSON}":{_encoded(rest or self.problem)}}}'

    def _ended(self) -> str:
        """Everything up to the place of one more key of the outermost object."""
        if not self._members:
            return "{"
        value = '"' if self._state is _State.STRING else ":null" if self._key_sent else ""
        return value + "".join(reversed(self._ends[1:])) + ","

    def _token(self, text: str, at: int, out: list[str]) -> int:
        """Reads one token at `at`; returns where the next one starts."""
        state = self._state
        if state is _State.STRING:
            return self._string(text, at, out)
        if state in (_State.BROKEN, _State.OTHER):
            self._rest.append(text[at:])
            self.kept += len(text) - at
            return len(text)
        space = _SPACE.match(text, at)
        end = space.end() if space else at
        if end > at:
            if state not in (_State.START, _State.DONE) and len(self._pending) <= LONGEST_TOKEN:
                self._pending += text[at:end]
            return end
        char = text[at]
        if state is _State.KEY and char == '"':
            return self._key(text, at, out)
        if state is _State.VALUE and char not in "]}":
            return self._value(text, at, out)
        if char == ":" and state is _State.COLON:
            self._pending += char
            self._state = _State.VALUE
        elif char == "," and state is _State.AFTER:
            self._pending += char
            self._state = _State.KEY if self._ends[-1] == "}" else _State.VALUE
        elif self._ends and char == self._ends[-1] and not self._key_sent:
            self._end(out)
        elif char == "{" and (state is _State.START or (state is _State.DONE and not self._members)):
            # A second object behind `{}` is the real one.
            self._pending, self._ends, self._state = "", ["}"], _State.KEY
        elif state is _State.START:
            self._state = _State.OTHER
            return at
        elif state is _State.DONE:
            self.problem = "go on behind their end"
            return len(text)
        else:
            return self._broken(at)
        return at + 1

    def _end(self, out: list[str]) -> None:
        """A closing bracket where one may stand."""
        bracket = self._ends.pop()
        if "," in self._pending:
            self._pending = ""
            self.problem = "have a comma too many"
        self._state = _State.AFTER if self._ends else _State.DONE
        if self._ends or self._members:
            out.append(self._pending + bracket)
        self._pending = ""

    def _key(self, text: str, at: int, out: list[str]) -> int:
        """Keys are sent whole."""
        found = _KEY.match(text, at)
        if not found:
            if len(text) - at > LONGEST_TOKEN or not _HALF_KEY.match(text, at):
                return self._broken(at)
            self._held = text[at:]
            return len(text)
        if not self._members:
            self._pending = "{" + self._pending
            self._members = True
        out.append(self._pending + found[0])
        self._pending, self._key_sent, self._state = "", True, _State.COLON
        return found.end()

    def _value(self, text: str, at: int, out: list[str]) -> int:
        char = text[at]
        end = at + 1
        if char == '"':
            token, self._state = char, _State.STRING
        elif char in "{[":
            token = char
            self._ends.append("}" if char == "{" else "]")
            self.kept += 8
            self._state = _State.KEY if char == "{" else _State.VALUE
        else:
            found = _WORD.match(text, at)
            end = found.end() if found else at
            if end == len(text) and end - at <= LONGEST_TOKEN:
                self._held = text[at:]
                return end
            token = text[at:end]
            if not _LITERAL.fullmatch(token):
                return self._broken(at)
            self._state = _State.AFTER
        out.append(self._pending + token)
        self._pending, self._key_sent = "", False
        return end

    def _string(self, text: str, at: int, out: list[str]) -> int:
        found = _PLAIN.match(text, at) or _ESCAPE.match(text, at)
        if found:
            out.append(found[0])
            return found.end()
        char = text[at]
        if char == '"':
            out.append(char)
            self._state = _State.AFTER
        elif char != "\\":
            out.append(json.dumps(char)[1:-1])  # a raw line break or tab
        elif _HALF_ESCAPE.match(text, at):
            self._held = text[at:]
            return len(text)
        else:
            out.append("\\\\")  # an escape that JSON doesn't have: meant as it stands
        return at + 1

    def _broken(self, at: int) -> int:
        self.problem = f"are no JSON ({self._state.value} was expected)"
        self._state = _State.BROKEN
        return at

    def _other(self, text: str) -> str:
        value = _decoded(text)
        if isinstance(value, str):
            value = _decoded(value) if value.strip() else {}
        if isinstance(value, dict):
            return bytes(raw_json.dump(value)).decode()
        if value in (_NULL, []):
            return "{}"
        self.problem = "are no JSON object"
        return f'{{"{INVALID_JSON}":{_encoded(text)}}}'


_NULL: Final = object()


def _decoded(text: str) -> Any:
    """The JSON value of a text, `_NULL` for null; None when it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return _NULL if value is None else value


def _is_object(text: str) -> bool:
    """Whether it is all of an object, with something in it: most providers send arguments in one piece."""
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and bool(value)


def _encoded(text: str) -> str:
    return bytes(raw_json.dump(text)).decode()
