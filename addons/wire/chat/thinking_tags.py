"""Thinking inside the text of a chat provider's answer, between tags like `<think>`: taken out as it arrives.

Servers without a reasoning parser leave the model's tags in `content`; which ones there are was seen in their answers
and in the models' templates.
"""

from typing import Final

TAGS: Final = {
    "think": ("<think>", "</think>"),
    "thinking": ("<thinking>", "</thinking>"),
    "thought": ("<thought>", "</thought>"),  # Gemini
    "seed:think": ("<seed:think>", "</seed:think>"),
    "THINK": ("[THINK]", "[/THINK]"),  # Mistral's models behind other servers
}
"""What reasoning stands between inside `content`."""

LONGEST_BLANK: Final = 1_000
"""Characters of white space before a tag, which may come one by one."""


class TagReader:
    """Takes the thinking out of content that begins with `<think>`, in any split.

    Only at the start, white space allowed before it: later on the model may be talking about tags.
    """

    __slots__ = ("_held", "_inside", "_started", "_tag")

    def __init__(self, *, inside: bool = False) -> None:
        """`inside`: the server's template has opened the tag already, so the answer begins with thinking."""
        self._held = ""
        self._started = False
        self._tag = ""  # the one that is open
        self._inside = inside

    @property
    def holds(self) -> bool:
        """Whether something is held back."""
        return bool(self._held)

    def feed(self, text: str) -> list[tuple[str, str]]:
        """(tag or "" for text, what belongs to it), in order; nothing is empty."""
        if self._held:
            text, self._held = self._held + text, ""
        if self._tag:
            return self._thinking(text)
        if self._started:
            return _filled(("", text))
        start = text.lstrip() if len(text) < LONGEST_BLANK else text
        for tag, (opening, _) in TAGS.items():
            if start.startswith(opening):
                self._tag, self._started = tag, True
                return self._thinking(start[len(opening) :])
        if any(opening.startswith(start) for opening, _ in TAGS.values()):
            self._held = text
            return []
        self._started = True
        if self._inside:
            self._tag = "think"
            return self._thinking(text)
        return _filled(("", text))

    def flush(self) -> list[tuple[str, str]]:
        """Something that is no content comes now, or nothing: what was held back is what it looks like."""
        text, self._held = self._held, ""
        self._started = self._started or bool(text)
        return _filled((self._tag, text))

    def _thinking(self, text: str) -> list[tuple[str, str]]:
        tag, end = self._tag, TAGS[self._tag][1]
        thought, closed, rest = text.partition(end)
        if closed:
            self._tag = ""
            return _filled((tag, thought), ("", rest))
        if length := half_of(text, end):
            self._held = text[-length:]
            return _filled((tag, text[:-length]))
        return _filled((tag, text))


def half_of(text: str, word: str) -> int:
    """How many characters at the end of the text may be the beginning of the word."""
    for length in range(min(len(word) - 1, len(text)), 0, -1):
        if text.endswith(word[:length]):
            return length
    return 0


def _filled(*found: tuple[str, str]) -> list[tuple[str, str]]:
    return [(tag, text) for tag, text in found if text]
