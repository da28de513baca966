"""Tool calls that a model writes into its text, for servers that have no parser for them.

Rules that hold here: what is no call after all stays text, to the last character; what may be the beginning of a mark
is held back until that is decided; linear time.
"""

import json
import re
from typing import Any, Final, NamedTuple

from addons.wire.chat.thinking_tags import half_of

Json = dict[str, Any]


class Marks(NamedTuple):
    """What calls stand between."""

    opening: str
    closing: str
    """Empty: they go on to the end of the answer."""


FORMS: Final = {"hermes": Marks("<tool_call>", "</tool_call>"), "mistral": Marks("[TOOL_CALLS]", "")}
_SPACE: Final = re.compile(r"\s*")
_NAMED: Final = re.compile(r"([a-zA-Z0-9_-]{1,128}+)(?:\[CALL_ID\][^\[]*+)?+\[ARGS\]\s*+(?=\{)")
"""Mistral's newer form: the name stands before the arguments."""
_decode: Final = json.JSONDecoder(strict=False).raw_decode


class TextCalls:
    """The text of one answer on its way to the client."""

    def __init__(self, form: str) -> None:
        """`form`: one of FORMS, or anything else for none."""
        self._marks = FORMS.get(form)
        self._held: list[str] = []  # the beginning of a mark, or what has come of calls
        self._inside = False
        self._count = 0

    def feed(self, text: str) -> list[str | Json]:
        """The next piece; what can be sent on of it: texts, and entries as `tool_calls` has them."""
        if self._marks is None:
            return [text]
        found: list[str | Json] = []
        while text:
            text = self._to_the_end(text, found) if self._inside else self._to_a_beginning(text, found)
        return found

    def flush(self) -> list[str | Json]:
        """What was held back, when no more text follows; the last closing mark may be missing."""
        text, self._held = "".join(self._held), []
        if self._inside:
            self._inside = False
            return self._read(text, "")
        return [text] if text else []

    def _to_a_beginning(self, text: str, found: list[str | Json]) -> str:
        assert self._marks
        text = "".join(self._held) + text
        self._held.clear()
        before, mark, rest = text.partition(self._marks.opening)
        if mark:
            self._inside = True
        elif half := half_of(text, self._marks.opening):
            before, self._held = text[:-half], [text[-half:]]
        if before:
            found.append(before)
        return rest

    def _to_the_end(self, text: str, found: list[str | Json]) -> str:
        assert self._marks
        closing = self._marks.closing
        if not closing:
            self._held.append(text)
            return ""
        # Only the end of what has come can be the beginning of the mark.
        tail = self._held.pop() if self._held else ""
        before, mark, rest = (tail + text).partition(closing)
        self._held.append(before)
        if mark:
            content, self._held, self._inside = "".join(self._held), [], False
            found += self._read(content, mark)
            return rest
        if half := half_of(before, closing):
            self._held[-1:] = [before[:-half], before[-half:]]
        else:
            self._held.append("")
        return ""

    def _read(self, content: str, mark: str) -> list[str | Json]:
        """The calls in what stood behind a mark; the text as it was where it is none."""
        assert self._marks
        calls = read_calls(content)
        if not calls:
            return [self._marks.opening + content + mark]
        entries: list[str | Json] = []
        for name, arguments in calls:
            entries.append({"index": self._count, "function": {"name": name, "arguments": arguments}})
            self._count += 1
        return entries


def _after_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def read_calls(content: str) -> list[tuple[str, Any]]:
    """(name, arguments) of each call; none where the content is anything else besides."""
    found: list[tuple[str, Any]] = []
    at = 0
    try:
        while (start := _after_space(content, at)) < len(content):
            named = _NAMED.match(content, start)
            value, at = _decode(content, named.end() if named else start)
            if named:
                value = {"name": named[1], "arguments": value}
            for call in value if isinstance(value, list) else [value]:
                name = call["name"]
                arguments = call.get("arguments", call.get("parameters", {}))
                if not isinstance(name, str) or not isinstance(arguments, dict | str):
                    return []
                found.append((name, arguments))
            if content.startswith("[TOOL_CALLS]", at):
                at += len("[TOOL_CALLS]")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return []
    return found
