"""A user's limits as people write them: `day=5,month=100`, `glm*,claude-*`, `24h`.

Rules of this file: pure; what can't be read raises ValueError, in words for whoever has written it.
"""

from __future__ import annotations

import math
import re
from typing import Final

import msgspec

from addons.config.routing import VIA, Budget
from addons.wire.limits import MODEL_NAME

NONE: Final = "none"
"""Takes a limit away."""
WINDOWS: Final = Budget.__struct_fields__
MOST_DOLLARS: Final = 1e9
MOST_COUNT: Final = 1_000_000
MOST_PATTERNS: Final = 100
UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
PATTERN: Final = re.compile(r"[\x21-\x7e]+")


def read_budget(text: str, before: Budget | None = None) -> Budget:
    """`day=5,month=100`, as a change of what it was before; `none` takes all away, `day=none` one."""
    if text.strip().lower() == NONE:
        return Budget()
    budget = before or Budget()
    for part in text.split(","):
        window, equals, amount = (word.strip() for word in part.partition("="))
        if not equals or window not in WINDOWS:
            raise ValueError(f"{part.strip()!r} is no budget: write {', '.join(f'{name}=5' for name in WINDOWS)}")
        budget = msgspec.structs.replace(budget, **{window: None if amount.lower() == NONE else dollars(amount)})
    return budget


def dollars(text: str) -> float:
    """US dollars: `5`, `$2.50`; 0 lets nothing through."""
    try:
        amount = float(text.removeprefix("$"))
    except ValueError:
        amount = math.nan
    if not 0 <= amount <= MOST_DOLLARS or "_" in text:
        raise ValueError(f"{text!r} is no amount of US dollars")
    return amount


def read_number(text: str) -> int | None:
    """A whole number of at least 1; `none` is none."""
    if text.strip().lower() == NONE:
        return None
    if not re.fullmatch("[0-9]{1,7}", text, re.ASCII) or not 1 <= int(text) <= MOST_COUNT:
        raise ValueError(f"{text!r} is no number from 1 to {MOST_COUNT:,}")
    return int(text)


def read_patterns(text: str) -> tuple[str, ...]:
    """Patterns of models' names, separated by commas; `*` or `none` is no limit."""
    patterns = tuple(dict.fromkeys(filter(None, (part.strip() for part in text.split(",")))))
    if not patterns:
        raise ValueError("which models? `*` is all of them")
    for pattern in patterns:
        if not PATTERN.fullmatch(pattern) or len(pattern) > MODEL_NAME or pattern.count("*") > 1:
            raise ValueError(f"{pattern[:100]!r} is no pattern of a model's name: `glm*`, with one `*` at most")
        if pattern.startswith(VIA):
            raise ValueError(f"{pattern!r} would allow nothing: {VIA}NAME is called NAME here")
    if len(patterns) > MOST_PATTERNS:
        raise ValueError(f"more than {MOST_PATTERNS} patterns")
    return () if "*" in patterns or patterns == (NONE,) else patterns


def read_span(text: str) -> float:
    """Seconds in `24h`, `90m`, `7d`; `0` is none."""
    found = re.fullmatch(r"([0-9]{1,6})([smhdw]?)", text.strip(), re.ASCII)
    if not found or (not found[2] and int(found[1])):
        raise ValueError(f"{text!r} is no time: write it like 90m, 24h or 7d")
    return float(int(found[1]) * UNITS.get(found[2], 0))
