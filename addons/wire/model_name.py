"""Model names as clients write them: `claude-opus-4-8[1m]` is a model and a wish.

Claude Code marks the long context window of a session in the model's name and takes the mark off before it sends a
request; not everywhere (auto mode's own check sends `[1m]`, `[1M]`, `[1M][1m]`), and other clients never do. No
provider knows such a model.
"""

from typing import Final

LONG_CONTEXT_BETA: Final = "context-1m-2025-08-07"
"""The flag of `anthropic-beta` that asks for a context window of a million tokens."""

_MARK: Final = "[1m]"


def without_mark(name: str) -> tuple[str, bool]:
    """The name of the model alone, and whether the long context window was asked for with it."""
    plain = name.rstrip()
    if plain[-len(_MARK) :].lower() != _MARK:
        return name, False
    while plain[-len(_MARK) :].lower() == _MARK:
        plain = plain[: -len(_MARK)].rstrip()
    return plain, True
