"""From what was measured to what is said: medians, ratios, the table, and the targets.

Rules of this file: pure. A ratio is taken within one round, where both sides were measured seconds apart, and then the
median of those: that survives a machine whose speed changes from minute to minute. Nothing is left out because it looks
bad, and the spread (lowest to highest round) stands beside every median.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tests.bench.contenders import (
    BARE,
    BARE_TLS,
    CCR,
    DIRECT,
    GATEWAY,
    GATEWAY_CHAT,
    GATEWAY_TLS,
    LITELLM,
    POOL,
)
from tests.bench.rounds import POOL_TASK, Results, Sample

COLUMNS = (DIRECT, BARE, GATEWAY, LITELLM, CCR)

type Values = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Figure:
    """One row of the table: what each contender reached in each round."""

    label: str
    unit: str
    values: Values

    def middle(self, contender: str) -> float | None:
        """The median of the rounds; None for a contender that has no such figure."""
        values = known(self.values.get(contender, ()))
        return statistics.median(values) if values else None

    def ratios(self, contender: str = GATEWAY, to: str = BARE) -> list[float]:
        """Round by round."""
        pairs = zip(self.values.get(contender, ()), self.values.get(to, ()), strict=False)
        return known([mine / theirs for mine, theirs in pairs if theirs > 0])


@dataclass(frozen=True)
class Target:
    """What the issue asks for: a ratio to bare mitmdump, for every one of these rows."""

    label: str
    rows: tuple[str, ...]
    at_most: float | None = None
    at_least: float | None = None


NEW_STREAMS = "{} new streams: CPU per event"
TLS, CHAT = ", TLS", ", translated"

TARGETS = (
    Target("added latency of 2 KB", ("added latency, 2 KB",), at_most=1.15),
    Target("requests per second of 2 KB", ("2 KB × 1", "2 KB × 16", "2 KB × 64"), at_least=0.9),
    Target("requests per second of 200 KB", ("200 KB × 1", "200 KB × 16", "200 KB × 64"), at_least=1.6),
    Target("requests per second of 1 MB", ("1 MB × 1", "1 MB × 16", "1 MB × 64"), at_least=2.0),
    Target("delay per event, 100 streams, median", ("100 streams: delay p50",), at_most=0.75),
    Target("delay per event, 100 streams, 99 %", ("100 streams: delay p99",), at_most=1.1),
    Target("CPU per event", (NEW_STREAMS.format("100 × 500"),), at_most=0.5),
    Target("CPU per event, provider behind TLS", (NEW_STREAMS.format("100 × 500") + TLS,), at_most=0.55),
    Target("CPU per event, translated", (NEW_STREAMS.format("100 × 500") + CHAT,), at_most=0.65),
    Target("CPU for opening a stream", ("CPU for opening a stream",), at_most=0.6),
    Target("first event on a new connection", ("100 × 500 new streams: first event p50",), at_most=1.0),
    Target("peak memory", ("peak memory",), at_most=1.2),
    Target("start-up", ("start-up",), at_most=1.3),
)


PAIRED: tuple[tuple[str, str, str, Callable[[Sample], float]], ...] = (
    ("latency", "2 KB × 1", " ms", lambda sample: sample["latency"]["p50"]),
    ("requests/s", "2 KB × 16", "", lambda sample: sample["rate"]),
    ("CPU a request", "2 KB × 16", " ms", lambda sample: sample["cpu"] / sample["requests"] * 1000),
)
"""What is compared with users and limits and without: in which task, in which unit, and where it is found."""


def figures(results: Results) -> list[Figure]:
    """All rows, in the order of the table."""

    def row(label: str, unit: str, task: str, detail: str, value: Callable[[Sample], float]) -> Figure:
        return Figure(label, unit, column(results, task, detail, value))

    loops = [detail for task, detail in cells(results) if task == "loop"]
    streams = [detail for task, detail in cells(results) if task == "streams"]
    new = [detail for task, detail in cells(results) if task == "new streams"]
    latency = column(results, "sequence", "2 KB", lambda s: s["latency"]["p50"])
    rows = [Figure("added latency, 2 KB", "ms", added(latency))]
    rows += [row(detail, "req/s", "loop", detail, lambda s: s["rate"]) for detail in loops]
    rate = column(results, "loop", POOL_TASK, lambda s: s["rate"])
    if POOL in rate:
        rows.append(Figure(f"{POOL_TASK}, through the token pool", "req/s", {BARE: rate[BARE], GATEWAY: rate[POOL]}))
    for detail in streams:
        rows += [
            row(f"{detail} streams: first event p50", "ms", "streams", detail, lambda s: s["latency"]["p50"]),
            row(f"{detail} streams: first event p99", "ms", "streams", detail, lambda s: s["latency"]["p99"]),
            row(f"{detail} streams: delay p50", "ms", "streams", detail, lambda s: s["delay"]["p50"]),
            row(f"{detail} streams: delay p99", "ms", "streams", detail, lambda s: s["delay"]["p99"]),
            row(f"{detail} streams: delay max", "ms", "streams", detail, lambda s: s["delay"]["max"]),
            row(f"{detail} streams: starved", "streams", "streams", detail, lambda s: s["starved"]),
        ]
    rows += [
        row(f"CPU for 1,000 requests, {detail}", "s", "loop", detail, lambda s: s["cpu"] / s["requests"] * 1000)
        for detail in loops
        if detail.endswith("× 16")
    ]
    rows += [
        row(f"CPU for 1,000 events, {detail} streams", "s", "streams", detail, lambda s: s["cpu"] / s["events"] * 1000)
        for detail in streams
    ]
    rows += [row for detail in new for row in new_streams(results, detail)]
    if len(new) > 1:
        rows.append(Figure("CPU for opening a stream", "ms", opening(results, *new[:2])))
    rows.append(Figure("peak memory", "MiB", {name: [peak] for name, peak in results.memory.items() if peak}))
    rows.append(Figure("start-up", "s", results.start))
    return rows


def new_streams(results: Results, detail: str) -> list[Figure]:
    """The rows of streams on connections of their own: what their events cost with their share of the opening."""

    def of(value: Callable[[Sample], float]) -> Values:
        return column(results, "new streams", detail, value)

    cpu = of(lambda s: s["cpu"] / s["events"] * 1e6)
    label = NEW_STREAMS.format(detail)
    rows = [Figure(label, "µs", asked(cpu))]
    if BARE_TLS in cpu:
        rows.append(Figure(label + TLS, "µs", {BARE: cpu[BARE_TLS], GATEWAY: cpu.get(GATEWAY_TLS, ())}))
    if GATEWAY_CHAT in cpu:
        rows.append(Figure(label + CHAT, "µs", {BARE: cpu.get(BARE, ()), GATEWAY: cpu[GATEWAY_CHAT]}))
    for part in ("p50", "p99"):
        first, delay = (of(partial(taken, key, part)) for key in ("latency", "delay"))
        rows.append(Figure(f"{detail} new streams: first event {part}", "ms", asked(first)))
        rows.append(Figure(f"{detail} new streams: delay {part}", "ms", asked(delay)))
    return rows


def taken(key: str, part: str, sample: Sample) -> float:
    """One figure of those that belong together."""
    return float(sample[key][part])


def asked(values: Values) -> Values:
    """Those of the contenders that have a column."""
    return {name: values[name] for name in COLUMNS if name in values}


def opening(results: Results, many: str, few: str) -> Values:
    """What the opening of a stream costs (ms of CPU): what remains of the short streams' time when their events cost
    what those of the long ones do."""
    long, short = (
        column(results, "new streams", detail, lambda s: s["cpu"] / s["requests"] * 1000) for detail in (many, few)
    )
    events = [float(detail.rpartition(" ")[2]) for detail in (many, few)]

    def rest(of_many: float, of_few: float) -> float:
        return of_few - events[1] * (of_many - of_few) / (events[0] - events[1])

    return asked({name: list(map(rest, long[name], short.get(name, ()))) for name in long})


def names_in(rows: Sequence[Figure]) -> list[str]:
    """The contenders that were measured, in the order of the table."""
    found = {name for row in rows for name in row.values}
    return [name for name in COLUMNS if name in found]


def cells(results: Results) -> list[tuple[str, str]]:
    """The tasks that were done, in their order."""
    return list(dict.fromkeys((task, detail) for task, detail, _ in results.cells))


def column(results: Results, task: str, detail: str, value: Callable[[Sample], float]) -> dict[str, list[float]]:
    """One value of a task for every contender and round; not a number where nothing came, or there is no /proc."""

    def read(sample: Sample) -> float:
        try:
            return float(value(sample))
        except (KeyError, ZeroDivisionError):
            return math.nan

    return {
        contender: [read(sample) for sample in samples]
        for (its_task, its_detail, contender), samples in results.cells.items()
        if (its_task, its_detail) == (task, detail)
    }


def added(latency: Values) -> Values:
    """What each contender adds to the direct connection, round by round."""
    base = latency.get(DIRECT, ())
    return {
        name: [mine - direct for mine, direct in zip(values, base, strict=False)]
        for name, values in latency.items()
        if name != DIRECT
    }


def known(values: Sequence[float]) -> list[float]:
    """The rounds that have a figure."""
    return [value for value in values if not math.isnan(value)]


def number(value: float) -> str:
    """Three significant digits, as far as they mean something."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(values: Sequence[float]) -> str:
    """The median with the lowest and the highest: `2.31 (2.20–2.52)`."""
    values = known(values)
    if not values:
        return "–"
    middle = number(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({number(min(values))}–{number(max(values))})"


def table(rows: Sequence[Figure], contenders: Sequence[str]) -> str:
    """All figures, in Markdown that reads well in a terminal too."""
    head = ["", *contenders, f"{GATEWAY} : bare"]
    lines = [
        [
            f"{row.label} ({row.unit})",
            *(spread(row.values.get(name, ())) for name in contenders),
            spread(row.ratios()) + ("×" if row.ratios() else ""),
        ]
        for row in rows
    ]
    widths = [max(len(line[index]) for line in [head, *lines]) for index in range(len(head))]

    def aligned(line: Sequence[str]) -> str:
        first, *others = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        return f"| {first} | {' | '.join(text.strip().rjust(len(text)) for text in others)} |"

    rule = f"|{'-' * (widths[0] + 2)}|" + "".join(f"{'-' * (width + 1)}:|" for width in widths[1:])
    return "\n".join([aligned(head), rule, *map(aligned, lines)])


def verdicts(rows: Sequence[Figure]) -> list[str]:
    """A line for each target: met, not met, or not measured. With several rows, the worst one counts."""
    by_label = {row.label: row for row in rows}
    lines = []
    for target in TARGETS:
        ratios = {
            label: statistics.median(by_label[label].ratios()) for label in target.rows if ratio_of(by_label, label)
        }
        limit = target.at_most or target.at_least or 0.0
        asked = f"at {'most' if target.at_most else 'least'} {limit:g}×"
        if not ratios:
            lines.append(f"not measured  {target.label}: {asked}")
            continue
        worst = max(ratios.values()) if target.at_most else min(ratios.values())
        met = worst <= limit if target.at_most else worst >= limit
        found = ", ".join(
            f"{ratio:.2f}×" + (f" ({label})" if len(ratios) > 1 else "") for label, ratio in ratios.items()
        )
        lines.append(f"{'met' if met else 'NOT MET':12}  {target.label}: {asked}, is {found}")
    starved = by_label.get("200 streams: starved")
    if starved and starved.values.get(GATEWAY):
        count = max(starved.values[GATEWAY])
        lines.append(
            f"{'NOT MET' if count else 'met':12}  200 streams: none starves, {count:.0f} did in the worst round"
        )
    return lines


def limits_cost(results: Results) -> str:
    """What users and limits cost, in one line: ratios of neighbours in time, and their medians."""
    ratios: dict[str, tuple[float, str]] = {}
    for what, detail, unit, value in PAIRED:
        both = [
            (value(plain), value(limited)) for plain, limited in results.pairs.get(detail, ()) if done(plain, limited)
        ]
        if both:
            plain, limited = (statistics.median(side) for side in zip(*both, strict=True))
            ratio = statistics.median([mine / other for other, mine in both])
            ratios[what] = ratio, f"{what} {ratio:.3f}× ({number(limited)} : {number(plain)}{unit})"
    if not ratios:
        return "not measured  users and limits"
    worst = max(1 / ratio if what.startswith("requests") else ratio for what, (ratio, _) in ratios.items())
    turns = max(map(len, results.pairs.values()))
    verdict = "met" if worst <= 1.03 else "NOT MET"
    said = ", ".join(text for _, text in ratios.values())
    return f"{verdict:12}  users and limits against a static token, at most 3 %, {turns} turns: {said}"


def done(*samples: Sample) -> bool:
    """Whether these were measured without an error."""
    return all(sample["requests"] and not sample["errors"] and sample.get("cpu") for sample in samples)


def ratio_of(by_label: Mapping[str, Figure], label: str) -> list[float]:
    return by_label[label].ratios() if label in by_label else []
