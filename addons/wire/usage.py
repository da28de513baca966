"""The tokens of one answer, as Anthropic counts them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

_NUMBERS: Final = (int, float)

COUNTS: Final = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
"""The numbers that every provider's usage is told in, to clients as well."""
INPUT_COUNTS: Final = tuple(name for name in COUNTS if name != "output_tokens")
BYTES_PER_TOKEN: Final = 4
"""For what was streamed of an answer that nobody has counted."""


@dataclass(slots=True)
class Usage:
    """Tokens of one answer. `input_tokens` are those neither read from a cache nor written to one."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    """All that was written to the cache."""
    cache_creation_1h_input_tokens: int = 0
    """What of that was written for an hour; the rest is kept for five minutes."""
    web_search_requests: int = 0
    """Searches that the provider has made, each with a price of its own."""
    fast: bool = False
    """It was answered in fast mode, which has prices of its own."""
    is_final: bool = field(default=False, compare=False)
    """The output was counted when the answer had ended. What is told before is no more than a beginning."""

    def update(self, usage: Any, *, at_end: bool = False) -> None:
        """Takes over the numbers of a `usage` object, if it is one. They are cumulative, and the last that isn't
        zero counts: some providers begin with zeros (Z.AI), others leave out at the end what they said at the start.
        Beside tokens of the cache the other numbers of the input are meant as they stand, zeros too. `at_end`: it came
        with the end of the answer.
        """
        if not isinstance(usage, dict):
            return
        numbers = {name: number for name in COUNTS if name in usage and (number := counted(usage, name))}
        if "cache_read_input_tokens" in numbers or "cache_creation_input_tokens" in numbers:
            for name in INPUT_COUNTS:
                if usage.get(name) == 0:
                    setattr(self, name, 0)
        for name, number in numbers.items():
            setattr(self, name, number)
        if "cache_creation" in usage:
            self._split(usage["cache_creation"])
        if "server_tool_use" in usage:
            tools = usage["server_tool_use"]
            self.web_search_requests = counted(tools, "web_search_requests") or self.web_search_requests
        if "speed" in usage:
            self.fast = usage["speed"] == "fast"
        self.cache_creation_1h_input_tokens = min(self.cache_creation_1h_input_tokens, self.cache_creation_input_tokens)
        self.is_final = self.is_final or (at_end and isinstance(usage.get("output_tokens"), _NUMBERS))

    def _split(self, split: Any) -> None:
        """Takes over for how long what was written to the cache is kept: the last that is told replaces all before,
        or a write whose time was corrected would be paid for twice."""
        short, long = counted(split, "ephemeral_5m_input_tokens"), counted(split, "ephemeral_1h_input_tokens")
        if short or long:
            self.cache_creation_1h_input_tokens = long
            self.cache_creation_input_tokens = self.cache_creation_input_tokens or short + long

    @property
    def has_input(self) -> bool:
        """Whether anything was told of the input."""
        return bool(self.input_tokens or self.cache_read_input_tokens or self.cache_creation_input_tokens)

    @property
    def has_any(self) -> bool:
        """Whether anything was used."""
        return bool(self.output_tokens) or self.has_input


def counted(usage: Any, name: str) -> int:
    """A number of a usage object; 0 where there is none that can be meant."""
    number = usage.get(name) if isinstance(usage, dict) else None
    return int(number) if isinstance(number, _NUMBERS) and 0 < number < 1e15 else 0
