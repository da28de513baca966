"""Tool calls that a model writes into its text, for servers that have no parser for them.

Rules that hold here: what is no call of one of the request's tools stays text, to the last character; what may be the
beginning of a mark is held back until that is decided; linear time, bounded memory.
"""

import re
from typing import Any, Final

from addons.wire import limits
from addons.wire.chat.thinking_tags import LONGEST_BLANK, half_of
from addons.wire.chat.written_calls import FORMS, LONGEST_BEGINNING, Marks, Tools, Unfinished

Json = dict[str, Any]

STRAY: Final = "</tool_call>"
"""The closing mark that Qwen3-Coder writes behind a call also where it forgot the opening one."""
MOST_TRIES: Final = 8
"""Closing marks within one value that are tried as the end of a call; each try reads what has come."""


class TextCalls:
    """The text of one answer on its way to the client."""

    def __init__(self, form: str, tools: Tools) -> None:
        """`form`: one of FORMS, or anything else for none. `tools`: of the request."""
        self.looks = form in FORMS and bool(tools.names)
        """Whether text can hold calls at all."""
        self._tools = tools
        self._marks = {marks.opening: marks for marks in FORMS[form]} if self.looks else {}
        self._words = (*self._marks, STRAY)
        self._openings = re.compile("|".join(map(re.escape, self._words)))
        self._held: list[str] = []  # the beginning of a mark, or what has come of calls; the last may be half a mark
        self._size = 0  # characters of what has come of calls
        self._inside: Marks | None = None
        self._begun = False  # what follows the opening can be calls
        self._tries = 0
        self._count = 0
        self._after_call = False  # white space that separates calls is nobody's text

    def feed(self, text: str) -> list[str | Json]:
        """The next piece; what can be sent on of it: texts, and entries as `tool_calls` has them."""
        if not self.looks:
            return [text]
        found: list[str | Json] = []
        while text:
            if marks := self._inside:
                text = self._to_the_end(text, marks, found) if self._begun else self._to_begin(text, marks, found)
            else:
                text = self._to_a_beginning(text, found)
        return found

    def flush(self) -> list[str | Json]:
        """What was held back, when no more text follows; the last closing mark may be missing."""
        text, marks, found = "".join(self._held), self._inside, list[str | Json]()
        self._held, self._inside = [], None
        if marks is None:
            self._show(text, found)
        elif not (calls := self._read(text, marks)):
            self._show(marks.opening + text, found)
        else:
            found += calls
        return found

    def _to_a_beginning(self, text: str, found: list[str | Json]) -> str:
        """Outside of calls; what is left to look at comes back."""
        text = "".join(self._held) + text
        self._held.clear()
        opened = self._openings.search(text)
        if opened and opened[0] == STRAY:
            self._show(text[: opened.start()], found)
            if not self._after_call:
                self._show(STRAY, found)
            return text[opened.end() :]
        if opened:
            self._inside, self._begun, self._size, self._tries = self._marks[opened[0]], False, 0, 0
            self._show(text[: opened.start()], found)
            return text[opened.end() :]
        half = max(half_of(text, word) for word in self._words) if "<" in text or "[" in text else 0
        self._show(text[: len(text) - half], found)
        self._held = [text[len(text) - half :]] if half else []
        return ""

    def _to_begin(self, text: str, marks: Marks, found: list[str | Json]) -> str:
        """Behind an opening mark, where it isn't known yet whether calls follow."""
        text = "".join(self._held) + text
        self._held.clear()
        begins = marks.begins(text, self._tools)
        if begins is None and len(text) < LONGEST_BEGINNING + LONGEST_BLANK:
            self._held = [text]
            return ""
        if begins:
            self._begun = True
        else:
            self._inside = None
            self._show(marks.opening, found)
        return text

    def _to_the_end(self, text: str, marks: Marks, found: list[str | Json]) -> str:
        """Within calls, up to their closing mark."""
        self._size += len(text)
        if self._size > limits.WRITTEN_CALLS:
            return self._give_up(text, marks, found)
        if not marks.closing:
            self._held.append(text)
            return ""
        # Only the end of what has come can be the beginning of the mark.
        tail = self._held.pop() if self._held else ""
        before, mark, rest = (tail + text).partition(marks.closing)
        if not mark:
            half = half_of(before, marks.closing)
            self._held += [before[: len(before) - half], before[len(before) - half :]]
            return ""
        self._held.append(before)
        content = "".join(self._held)
        self._size -= len(rest)
        try:
            calls = self._read(content, marks, raising=self._tries < MOST_TRIES)
        except Unfinished:
            self._tries += 1
            self._held = [content + mark, ""]
            return rest
        self._held, self._inside = [], None
        if calls:
            found += calls
        else:
            self._show(marks.opening + content + mark, found)
        return rest

    def _give_up(self, text: str, marks: Marks, found: list[str | Json]) -> str:
        """What is too long for a call is text."""
        self._show(marks.opening + "".join(self._held), found)
        self._held, self._inside = [], None
        return text

    def _show(self, text: str, found: list[str | Json]) -> None:
        if self._after_call:
            text = text.lstrip()
        if text:
            self._after_call = False
            found.append(text)

    def _read(self, content: str, marks: Marks, *, raising: bool = False) -> list[str | Json]:
        """The calls in what stood behind a mark; nothing where it is none. `raising`: Unfinished, where it is that."""
        try:
            calls = marks.read(content, self._tools)
        except Unfinished:
            if raising:
                raise
            return []
        except ValueError:
            return []
        entries: list[str | Json] = []
        for call in calls:
            entry: Json = {"index": self._count, "function": {"name": call.name, "arguments": call.arguments}}
            entries.append(entry | ({"id": call.id} if call.id else {}))
            self._count += 1
        self._after_call = self._after_call or bool(entries)
        return entries
