"""Prometheus' text format: counters, gauges and histograms as lines. Pure.

Rule that holds here: adding to a metric costs a look-up and an addition; the text is made when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from math import inf
from typing import Final

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[str, ...]


class Counter:
    """A number for each combination of label values; it only grows."""

    def __init__(self, name: str, text: str, *labels: str) -> None:
        self.name, self.text, self.labels = name, text, labels
        self.values: dict[Labels, float] = {}

    def add(self, labels: Labels, amount: float = 1) -> None:
        """Add to one of the numbers."""
        self.values[labels] = self.values.get(labels, 0) + amount

    def dump(self) -> list[tuple[Labels, float]]:
        """Every number with its labels."""
        return list(self.values.items())

    def merge(self, dump: Iterable[tuple[Iterable[str], float]]) -> None:
        """Add the numbers of another one."""
        for labels, value in dump:
            self.add(tuple(labels), value)

    def lines(self) -> Iterable[str]:
        yield from head(self.name, self.text, "counter")
        for labels, value in self.values.items():
            yield sample(self.name, self.labels, labels, value)


class Histogram:
    """How often values of up to each of the bounds were seen, for each combination of label values."""

    def __init__(self, name: str, text: str, bounds: Sequence[float], *labels: str) -> None:
        self.name, self.text, self.labels, self.bounds = name, text, labels, tuple(bounds)
        self.counts: dict[Labels, list[int]] = {}
        self.sums: dict[Labels, float] = {}

    def observe(self, labels: Labels, value: float) -> None:
        """Count a value."""
        counts = self.counts.get(labels)
        if counts is None:
            counts = self.counts[labels] = [0] * (len(self.bounds) + 1)
            self.sums[labels] = 0.0
        counts[bisect_left(self.bounds, value)] += 1
        self.sums[labels] += value

    def dump(self) -> list[tuple[Labels, list[int], float]]:
        """Every count and sum with its labels."""
        return [(labels, list(counts), self.sums[labels]) for labels, counts in self.counts.items()]

    def merge(self, dump: Iterable[tuple[Iterable[str], Sequence[int], float]]) -> None:
        """Add the counts of another one with the same bounds."""
        for names, counts, total in dump:
            labels = tuple(names)
            own = self.counts.get(labels) or [0] * (len(self.bounds) + 1)
            self.counts[labels] = [one + other for one, other in zip(own, counts, strict=True)]
            self.sums[labels] = self.sums.get(labels, 0.0) + total

    def lines(self) -> Iterable[str]:
        yield from head(self.name, self.text, "histogram")
        names = (*self.labels, "le")
        for labels, counts in self.counts.items():
            seen = 0
            for bound, count in zip((*self.bounds, inf), counts, strict=True):
                seen += count
                yield sample(f"{self.name}_bucket", names, (*labels, number(bound)), seen)
            yield sample(f"{self.name}_sum", self.labels, labels, self.sums[labels])
            yield sample(f"{self.name}_count", self.labels, labels, seen)


def gauge(name: str, text: str, labels: Sequence[str], values: Iterable[tuple[Labels, float]]) -> Iterable[str]:
    """The lines of numbers as they are now."""
    yield from head(name, text, "gauge")
    for of, value in values:
        yield sample(name, labels, of, value)


def head(name: str, text: str, kind: str) -> Iterable[str]:
    """What is said of a metric before its numbers."""
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def sample(name: str, labels: Sequence[str], values: Labels, value: float) -> str:
    """One line: a name, its labels, a number."""
    named = ",".join(f'{label}="{escaped(of)}"' for label, of in zip(labels, values, strict=True))
    return f"{name}{{{named}}} {number(value)}" if named else f"{name} {number(value)}"


def escaped(text: str) -> str:
    """A label's value as it stands between quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def number(value: float) -> str:
    """A number as the format has it."""
    if value == inf:
        return "+Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
