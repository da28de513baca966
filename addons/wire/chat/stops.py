"""The client's stop sequences, looked for in what a provider says: some refuse, some ignore them, most take four.

Rules that hold here: linear time, one pattern for all of them; what may be the beginning of one is held back until
that is decided.
"""

import re
from collections.abc import Sequence

from addons.wire.chat.thinking_tags import half_of


class StopFinder:
    """The text of one answer on its way to the client."""

    def __init__(self, stops: Sequence[str]) -> None:
        self.found: str | None = None
        """The one that ended the text."""
        self._stops = [stop for stop in stops if stop]
        self._pattern = re.compile("|".join(map(re.escape, self._stops))) if self._stops else None
        self._held = ""

    def feed(self, text: str) -> str:
        """The next piece; what can be sent on of it."""
        if self._pattern is None:
            return text
        if self.found is not None:
            return ""
        text = self._held + text
        match = self._pattern.search(text)
        if match:
            self.found, self._held = match[0], ""
            return text[: match.start()]
        half = max(half_of(text, stop) for stop in self._stops)
        self._held = text[len(text) - half :]
        return text[: len(text) - half]

    def flush(self) -> str:
        """The text that was held back, now that no more follows."""
        text, self._held = self._held, ""
        return text
