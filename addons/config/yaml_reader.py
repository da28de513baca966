"""YAML whose every value knows its line and its dotted key, so that every complaint can name both.

Rules of this file: it knows YAML and nothing of what the file is about; every error is a ConfigError of one
line, `file:line: dotted.key: what is wrong`; a scalar's text is what the file says (`on` stays `on`, `1.10`
stays `1.10`), and becomes a number or a boolean only when its reader asks for one. A message may quote a key
or a choice, never a text value: that could be a credential.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
import yaml

CORE_TAG = "tag:yaml.org,2002:"


class ConfigError(Exception):
    """The configuration can't be used. `str()` is one line that says where and why, without any secret."""

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(" ".join(message.split()))
        self.key = key
        """The dotted key of the value that is wrong; empty where none is."""


class Entry(msgspec.Struct, frozen=True):
    """One value of the file: where it stands, and the readers that turn it into what is expected there.

    Each reader raises ConfigError when the value is something else.
    """

    node: yaml.Node
    file: str
    line: int
    """Of its key (from 1), or of itself when it is an item of a list."""
    key: str = ""
    """Dotted, `providers.zai.auth`; an item of a list is `fallbacks.claude-*[0]`; the whole file has none."""

    def error(self, what: str) -> ConfigError:
        """The exception to raise: `what` is wrong with this value."""
        return ConfigError(": ".join(part for part in (f"{self.file}:{self.line}", self.key, what) if part), self.key)

    @property
    def empty(self) -> bool:
        """Whether nothing stands there, or null."""
        return self.node.tag == CORE_TAG + "null"

    @property
    def is_mapping(self) -> bool:
        """Whether it has keys."""
        return isinstance(self.node, yaml.MappingNode)

    @property
    def is_list(self) -> bool:
        """Whether it has items."""
        return isinstance(self.node, yaml.SequenceNode)

    def mapping(self, known: Collection[str] | None = None) -> dict[str, Entry]:
        """Its keys and values, in the order of the file. `known`: every key there may be (None: any)."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self._unexpected("a mapping" if known is None else f"a mapping of {', '.join(known)}")
        entries: dict[str, Entry] = {}
        for key_node, value_node in self.node.value:
            name = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
            key = ".".join(filter(None, (self.key, name)))
            entry = Entry(value_node, self.file, key_node.start_mark.line + 1, key)
            if not name:
                raise entry.error("a key must be a non-empty text")
            if name in entries:
                raise entry.error(f"stands here a second time (first in line {entries[name].line})")
            if known is not None and name not in known:
                raise entry.error(f"unknown key{suggestion(name, known)}")
            entries[name] = entry
        return entries

    def over(self, below: Entry) -> Entry:
        """This mapping with those keys of another one that it doesn't have itself."""
        if not isinstance(self.node, yaml.MappingNode) or not isinstance(below.node, yaml.MappingNode):
            return self
        known = {key.value for key, _ in self.node.value}
        pairs = [*(pair for pair in below.node.value if pair[0].value not in known), *self.node.value]
        return Entry(yaml.MappingNode(self.node.tag, pairs, self.node.start_mark), self.file, self.line, self.key)

    def value(self) -> Any:
        """Whatever stands there, as JSON has it: for what goes to a provider as it is."""
        try:
            value = yaml.constructor.SafeConstructor().construct_document(self.node)
            json.dumps(value)
        except (yaml.YAMLError, TypeError, ValueError, RecursionError):
            raise self.error("must be something that JSON can hold") from None
        return value

    def items(self) -> list[Entry]:
        """The items of a list."""
        if not isinstance(self.node, yaml.SequenceNode):
            raise self._unexpected("a list, like [one, two]")
        return [
            Entry(node, self.file, node.start_mark.line + 1, f"{self.key}[{index}]")
            for index, node in enumerate(self.node.value)
        ]

    def text(self) -> str:
        """A non-empty text without the white space around it. Any scalar will do: `1.10` is the text 1.10."""
        if not isinstance(self.node, yaml.ScalarNode):
            raise self._unexpected("a text")
        text = str(self.node.value).strip()
        if self.empty or not text:
            raise self.error("has no value")
        if not self.node.tag.startswith(CORE_TAG):
            raise self.error(f"the YAML tag {self.node.tag} has no meaning here")
        return text

    def choice[T: str](self, options: Sequence[T]) -> T:
        """One of `options`."""
        text = self.text()
        for option in options:
            if option == text:
                return option
        raise self.error(f"must be one of {', '.join(options)}{suggestion(text, options)}")

    def number(self, *, minimum: float = 0) -> float:
        """A finite number, at least `minimum`."""
        number = self._parsed(float, "a number")
        if not math.isfinite(number):
            raise self._unexpected("a finite number")
        return self._bounded(number, minimum)

    def integer(self, *, minimum: int = 0) -> int:
        """A whole number, at least `minimum`."""
        return self._bounded(self._parsed(int, "a whole number"), minimum)

    def boolean(self) -> bool:
        """true or false, in any of YAML's spellings."""
        if self.node.tag != CORE_TAG + "bool":
            raise self._unexpected("true or false")
        return str(self.node.value).lower() in ("true", "yes", "on")

    def _parsed[N: (int, float)](self, kind: type[N], noun: str) -> N:
        # Not YAML's own rules: they take 1e3 for a text and 1:30 for ninety.
        if not isinstance(self.node, yaml.ScalarNode) or self.node.style or not self.node.value.isascii():
            raise self._unexpected(noun)
        try:
            return kind(self.node.value)
        except ValueError:
            raise self._unexpected(noun) from None

    def _bounded[N: (int, float)](self, number: N, minimum: N) -> N:
        if number < minimum:
            raise self.error(f"must be at least {minimum}")
        return number

    def _unexpected(self, wanted: str) -> ConfigError:
        if self.empty:
            return self.error("has no value")
        found = ", not a mapping" if self.is_mapping else ", not a list" if self.is_list else ""
        return self.error(f"must be {wanted}{found}")


def parse(text: str, *, file: str) -> Entry:
    """The whole file as one entry. Raises ConfigError on a syntax error and on an empty file."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        hint = " (a name that begins with * needs quotes)" if "alias" in problem else ""
        raise ConfigError(f"{file}:{mark.line + 1 if mark else 1}: not valid YAML: {problem}{hint}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{file}:{line}: not valid YAML: {error.reason} (#x{error.character:04x})") from None
    except RecursionError:
        raise ConfigError(f"{file}:1: not valid YAML: nested too deeply") from None
    if node is None:
        raise ConfigError(f"{file}:1: is empty")
    return Entry(node, file, 1)


def suggestion(word: str, options: Collection[str]) -> str:
    """` (did you mean …?)` when one of the options is close to `word`, else nothing."""
    close = difflib.get_close_matches(word, options, 1)
    return f" (did you mean {close[0]}?)" if close else ""
