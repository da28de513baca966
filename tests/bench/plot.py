"""The plot for README: six questions, one colour a contender. Needs matplotlib (the extra `bench`)."""

import math
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.bench.contenders import BARE, CCR, DIRECT, GATEWAY, LITELLM
from tests.bench.figures import CHAT, NEW_STREAMS, TLS, Figure, names_in, number

COLOURS = {DIRECT: "#b8b8b8", BARE: "#e0a458", GATEWAY: "#2a7f62", LITELLM: "#7d6b91", CCR: "#4f7cac"}

PANELS = (
    ("Added to a request of 2 KB (ms)", {"": "added latency, 2 KB"}, False),
    (
        "Requests per second, 16 connections (log)",
        {"2 KB": "2 KB × 16", "200 KB": "200 KB × 16", "1 MB": "1 MB × 16"},
        True,
    ),
    (
        "Delay of an event, 100 streams × 50 events/s (ms, log)",
        {"median": "100 streams: delay p50", "99 %": "100 streams: delay p99"},
        True,
    ),
    (
        "CPU time of an event, 100 new streams × 500 (µs)",
        {
            "plain": NEW_STREAMS.format("100 × 500"),
            "TLS": NEW_STREAMS.format("100 × 500") + TLS,
            "Chat": NEW_STREAMS.format("100 × 500") + CHAT,
        },
        False,
    ),
    (
        "First event of a stream on a new connection (ms, log)",
        {"median": "100 × 500 new streams: first event p50", "99 %": "100 × 500 new streams: first event p99"},
        True,
    ),
    ("Peak memory (MiB)", {"": "peak memory"}, False),
)
"""Title, the rows of the table by what the axis calls them, and whether the axis is logarithmic."""


def can_plot() -> bool:
    return find_spec("matplotlib") is not None


def plot(rows: Sequence[Figure], path: Path) -> list[Path]:
    """Writes path.png and path.svg, and returns them."""
    matplotlib = import_module("matplotlib")
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "bench"  # the same figures give the same file
    pyplot = import_module("matplotlib.pyplot")
    contenders = names_in(rows)
    by_label = {row.label: row for row in rows}
    figure, axes = pyplot.subplots(3, 2, figsize=(11, 9.5))
    for axis, (title, groups, logarithmic) in zip(axes.flat, PANELS, strict=True):
        least = draw(axis, {name: by_label.get(label) for name, label in groups.items()}, contenders)
        axis.set_title(title, fontsize=11, loc="left")
        if logarithmic and least:
            axis.set_xscale("log")
            axis.set_xlim(left=10 ** math.floor(math.log10(least / 1.5)))
    colours = [pyplot.Rectangle((0, 0), 1, 1, color=COLOURS[name]) for name in contenders]
    figure.legend(colours, contenders, loc="lower center", ncols=len(contenders), frameon=False)
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    files = [path.with_name(f"{path.name}.{kind}") for kind in ("png", "svg")]
    for file in files:
        figure.savefig(file, dpi=150, metadata={"Date": None} if file.suffix == ".svg" else None)
    pyplot.close(figure)
    return files


def draw(axis: Any, groups: dict[str, Figure | None], contenders: Sequence[str]) -> float | None:
    """Horizontal bars, a group for each row of the table, with their values beside them. Returns the least value."""
    height = 0.8 / len(contenders)
    least = None
    for group, row in enumerate(groups.values()):
        for place, name in enumerate(contenders):
            value = row.middle(name) if row else None
            if value is None or value <= 0:
                continue
            at = group + (place - (len(contenders) - 1) / 2) * height
            axis.barh(at, value, height * 0.9, color=COLOURS[name])
            axis.annotate(f" {number(value)}", (value, at), va="center", fontsize=8)
            least = min(value, least or value)
    axis.set_yticks(range(len(groups)), groups.keys())
    axis.invert_yaxis()
    axis.margins(x=0.15)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    return least
