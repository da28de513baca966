"""Words of clients and providers, made fit for a line of a log, a trail or an error."""

from typing import Final

REPLACED: Final = "\N{REPLACEMENT CHARACTER}"


def in_a_line(text: str, limit: int) -> str:
    """The text without line breaks, terminal codes and lone surrogates, its end left out when it is longer than `limit`
    characters."""
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return text if text.isprintable() else "".join(char if char.isprintable() else REPLACED for char in text)


def listed(names: list[str]) -> str:
    """Names that may be many, in a few words: each once, the first ten of them."""
    few = list(dict.fromkeys(names))
    more = [f"{len(few) - MOST_NAMES} more"] if len(few) > MOST_NAMES else []
    return ", ".join([in_a_line(name, LONGEST_NAME) for name in few[:MOST_NAMES]] + more)


MOST_NAMES: Final = 10
LONGEST_NAME: Final = 100
