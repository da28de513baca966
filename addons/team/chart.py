"""Charts in SVG, drawn here: stacked bars over days, and small lines beside a number.

Rules that hold here: pure; a chart stretches to the width that there is (its words are HTML beside it, and keep their
size); every bar says its numbers when it is pointed at, without a script; a series that isn't among the first eight
goes into `other`, so that colours stay apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from math import ceil, floor, log10
from typing import Final

import msgspec

from addons.team.markup import Markup, tag

MOST_SERIES: Final = 7
"""Before `other`, or one more in its place."""
OTHER: Final = "other"
COLUMN: Final = 10
"""Units of width that a day has; its bar takes seven of them."""
HEIGHT: Final = 100.0


class Series(msgspec.Struct, frozen=True):
    """A name, and a value for each day."""

    name: str
    values: Sequence[float]

    @property
    def total(self) -> float:
        return sum(self.values)


def largest(series: Sequence[Series], most: int = MOST_SERIES) -> list[Series]:
    """The first of them, and the others summed up as `other`. (Charts beside each other get their series in the same
    order, so that a name has one colour.)"""
    if len(series) <= most + 1:
        return list(series)
    rest = zip(*(one.values for one in series[most:]), strict=True)
    return [*series[:most], Series(OTHER, [sum(values) for values in rest])]


def scale(highest: float) -> tuple[float, int]:
    """A round top of the axis, not below `highest`, and into how many equal parts its lines divide it."""
    if highest <= 0:
        return 1.0, 2
    unit = 10.0 ** floor(log10(highest))
    for step, parts in ((1, 2), (1.5, 3), (2, 2), (3, 3), (4, 4), (5, 5), (6, 3), (8, 4), (10, 2)):
        if highest <= step * unit * (1 + 1e-9):
            return step * unit, parts
    return 10 * unit, 2


def bars(
    days: Sequence[date],
    series: Sequence[Series],
    tick: Callable[[float], str],
    shown: Callable[[float], str],
    *,
    label: str,
) -> Markup:
    """A stacked bar for each day, the first series at the bottom, with its axes."""
    totals = [sum(values) for values in zip(*(one.values for one in series), strict=True)] or [0.0] * len(days)
    top, parts = scale(max(totals, default=0.0))
    width = COLUMN * len(days)
    lines = [
        tag("line", class_="grid", x1=0, x2=width, y1=y, y2=y)
        for y in (number(HEIGHT * part / parts) for part in range(parts + 1))
    ]
    columns = [column(place, day, series, totals[place], top, shown) for place, day in enumerate(days)]
    drawn = tag(
        "svg",
        lines,
        columns,
        viewBox=f"0 0 {width} {HEIGHT:.0f}",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )
    ticks = [tag("span", tick(top * (parts - part) / parts)) for part in range(parts + 1)]
    axis = tag("div", ticks, class_="y", aria_hidden="true")
    return tag("div", axis, tag("div", drawn, under(days), class_="area"), class_="plot")


def column(
    place: int, day: date, series: Sequence[Series], total: float, top: float, shown: Callable[[float], str]
) -> Markup:
    """One day: its bar, and over the whole height what tells its numbers."""
    x, y = place * COLUMN, HEIGHT
    rects: list[Markup] = []
    said = [f"{day:%A}, {day.day} {day:%B}: {shown(total)}"]
    for index, one in enumerate(series):
        value = one.values[place]
        if value <= 0:
            continue
        height = HEIGHT * value / top
        y -= height
        # (Written by itself: there are hundreds of them.)
        place_and_size = f'x="{x + 1.5}" y="{number(y)}" width="7" height="{number(height)}"'
        rects.append(Markup(f'<rect class="{colour(index, one)}" {place_and_size}/>'))
        said.append(f"{one.name}: {shown(value)}")
    hit = tag("rect", class_="hit", x=x, y=0, width=COLUMN, height=100)
    return tag("g", tag("title", "\n".join(said)), hit, rects, class_="day")


def colour(place: int, one: Series) -> str:
    """The class that has a series' colour."""
    return "c-other" if one.name == OTHER or place > MOST_SERIES else f"c{place}"


def under(days: Sequence[date]) -> Markup:
    """The names of some days, under their bars."""
    step = max(1, ceil(len(days) / 8))
    last = len(days) - 1
    names = []
    for place, day in enumerate(days):
        back, more = divmod(last - place, step)
        words = tag("b", f"{day.day} {day:%b}", class_="wide" if back % 2 else None) if not more else None
        names.append(tag("span", words))
    return tag("div", names, class_="x", aria_hidden="true")


def spark(values: Sequence[float], *, label: str) -> Markup:
    """A line without axes, for the side of a number."""
    top = max(values, default=0.0) or 1.0
    step = 100 / max(1, len(values) - 1)
    points = [f"{number(step * place)} {number(29 - 27 * value / top)}" for place, value in enumerate(values)]
    line = "M" + " L".join(points) if points else "M0 29"
    return tag(
        "svg",
        tag("path", class_="under", d=f"{line} L100 30 L0 30 Z"),
        tag("path", class_="line", d=line),
        viewBox="0 0 100 30",
        preserveAspectRatio="none",
        class_="spark",
        role="img",
        aria_label=label,
    )


def meter(part: float, *, label: str, marks: Sequence[float] = ()) -> Markup:
    """How full something is, from 0 to 1; beyond 1 it is full, and red."""
    filled = max(0.0, min(1.0, part))
    level = "over" if part >= 1 else "high" if part >= 0.8 else "fine"
    return tag(
        "svg",
        tag("title", label),
        tag("rect", class_="track", x=0, y=0, width=100, height=6),
        tag("rect", class_=f"filled {level}", x=0, y=0, width=number(100 * filled), height=6),
        [tag("line", class_="mark", x1=number(100 * mark), x2=number(100 * mark), y1=0, y2=6) for mark in marks],
        viewBox="0 0 100 6",
        preserveAspectRatio="none",
        class_="meter",
        role="img",
        aria_label=label,
    )


def number(value: float) -> str:
    """A coordinate, with as few digits as are seen."""
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"
