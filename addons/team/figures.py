"""Figures as people read them: money, tokens, durations, shares, times. Pure functions of numbers."""

from __future__ import annotations

from datetime import datetime
from typing import Final

THIN: Final = "\N{NARROW NO-BREAK SPACE}"
UNKNOWN: Final = "–"
MINUTE, HOUR, DAY = 60, 3600, 86_400


def money(usd: float | None) -> str:
    """`$12.34`; more digits below ten cents, none from a thousand dollars on; `–` where no price is known."""
    if usd is None:
        return UNKNOWN
    if usd == 0:
        return "$0"
    if usd < 0.0001:
        return "<$0.0001"
    if usd < 0.1:
        return f"${usd:.4f}"
    return f"${usd:,.2f}" if usd < 999.995 else f"${usd:,.0f}"


def dollars(usd: float, of: float) -> str:
    """`$12.34`: an amount beside the budget that it is part of; more digits where that is below ten cents."""
    return f"${usd:,.{4 if 0 < of < 0.1 else 2}f}"


def count(number: float) -> str:
    """A whole number with its thousands parted: `12,345`."""
    return f"{number:,.0f}"


def short(number: float) -> str:
    """A number in at most five characters: `950`, `12.4k`, `1.24M`, `31.0M`, `2.10B`."""
    if number < 1000:
        return f"{number:.0f}"
    for size, letter in ((1e3, "k"), (1e6, "M"), (1e9, "B")):
        scaled = number / size
        if scaled < 999.5 or letter == "B":
            return f"{scaled:.{2 if scaled < 9.995 else 1 if scaled < 99.95 else 0}f}{letter}"
    raise AssertionError


def on_axis(number: float) -> str:
    """A number beside a line of a chart: `short`, without digits that say nothing."""
    words = short(number)
    digits, letter = (words[:-1], words[-1]) if words[-1].isalpha() else (words, "")
    return (digits.rstrip("0").rstrip(".") if "." in digits else digits) + letter


def money_on_axis(usd: float) -> str:
    """An amount beside a line of a chart, without cents that are none."""
    return f"${usd:,.0f}" if usd >= 1 and usd == int(usd) else money(usd)


def share(part: float, whole: float = 1.0) -> str:
    """`82 %`; one digit more where it would be rounded to none or to all, though it isn't; `–` of nothing."""
    if whole <= 0:
        return UNKNOWN
    percent = 100 * part / whole
    digits = 1 if 0 < percent < 0.95 or 99.5 <= percent < 100 else 0
    return f"{min(percent, 99.9) if percent < 100 else percent:.{digits}f}{THIN}%"


def seconds(duration: float | None) -> str:
    """`0.42 s`, `12.3 s`, `2 min 10 s`, `1 h 5 min`, `3 d 4 h`; `–` where there is none."""
    if duration is None:
        return UNKNOWN
    if duration < 59.95:
        return f"{duration:.{2 if duration < 9.995 else 1}f}{THIN}s"
    whole = round(duration)
    for unit, name, part, part_name in (
        (DAY, "d", HOUR, "h"),
        (HOUR, "h", MINUTE, "min"),
        (MINUTE, "min", 1, "s"),
    ):
        if whole >= unit:
            more = whole % unit // part
            return f"{whole // unit}{THIN}{name}" + (f" {more}{THIN}{part_name}" if more else "")
    raise AssertionError


def ago(then: float, now: float) -> str:
    """`just now`, `3 min ago`, `in 2 h 5 min`."""
    distance = now - then
    if abs(distance) < 1.5:
        return "just now"
    rounded = round(abs(distance)) if abs(distance) < MINUTE else abs(distance) // MINUTE * MINUTE
    words = seconds(rounded).replace(f".0{THIN}s", f"{THIN}s").replace(f".00{THIN}s", f"{THIN}s")
    return f"{words} ago" if distance > 0 else f"in {words}"


def moment(at: datetime, now: datetime) -> str:
    """`14:02` today, `Thu 14:02` within a week, else `3 Nov 14:02`."""
    if at.date() == now.date():
        return f"{at:%H:%M}"
    if abs((at.date() - now.date()).days) < 7:
        return f"{at:%a %H:%M}"
    return f"{at.day} {at:%b %H:%M}"
