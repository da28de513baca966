"""The tokens of one answer, as Anthropic counts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

_NUMBERS: Final = (int, float)


@dataclass(slots=True)
class Usage:
    """Tokens of one answer. `input_tokens` are those neither read from a cache nor written to one."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0

    def update(self, usage: Any) -> None:
        """Takes over the numbers of a `usage` object, if it is one. They are cumulative, and the last that isn't
        zero counts: some providers begin with zeros (Z.AI), others leave out at the end what they said at the start.
        Beside tokens of the cache, no input tokens are meant as they stand: everything was cached.
        """
        if isinstance(usage, dict) and usage.get("input_tokens") == 0 and usage.get("cache_read_input_tokens"):
            self.input_tokens = 0
        for name in self.__slots__ if isinstance(usage, dict) else ():
            number = usage.get(name)
            if isinstance(number, _NUMBERS) and 0 < number < 1e15:
                setattr(self, name, int(number))
