"""`./run.sh usage`: what was used and what it cost, by day, week, month, session, user, model or class.

  ./run.sh usage                        the last thirty days
  ./run.sh usage session --since 7d     each session of the last seven days
  ./run.sh usage model --user alice     alice's models (a name may have * in it, for --model)
  ./run.sh usage --json | --csv         the same for programs
  ./run.sh usage --merge a.db b.db      what the files of several gateways know together
  ./run.sh usage --reprice              compute all costs anew, by the prices of today's list and routing.yaml

It asks the running gateway, or reads the file when none runs. With GATEWAY_KEY=… it shows what that user has used.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sqlite3
import sys
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from addons.commands.routes import configuration
from addons.commands.running_gateway import Failed, NotRunning, RunningGateway, add_options, run, show
from addons.config.config import Config, ConfigError
from addons.config.settings import HOME
from addons.state.control import ControlError
from addons.state.merged_ledgers import merge
from addons.state.usage_report import KEYS, NAMES, VIEWS, day_of, report

WIDE: Final = 100
"""Columns of a terminal from which on each kind of tokens has its own column."""
LONGEST: Final = 40
"""Characters of a model's or a session's name."""
SHORTEST: Final = 16
"""Characters that a name has at least where there is a column for it: a longer one goes on below."""
DATE: Final = 10
"""Those of a date."""
BORDER: Final = 3
"""Those between two columns."""


def main(arguments: Sequence[str]) -> int:
    """Run `./run.sh usage` with these arguments; returns the exit code."""
    options = parsed(arguments)
    if options.reprice:
        return reprice(options)
    asked = {name: getattr(options, name) or "" for name in ("view", "since", "until", "user", "model")}
    found = answer(options, asked)
    if options.json:
        show(found)
    elif options.csv:
        write_csv(found, options.view)
    else:
        write_table(found, options)
    return 0


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options. Exits with 2 when they are wrong."""
    parser = argparse.ArgumentParser(
        prog="./run.sh usage", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("view", nargs="?", choices=VIEWS, default="daily")
    add_options(parser)
    parser.add_argument("--csv", action="store_true", help="print CSV")
    parser.add_argument("--since", metavar="D", help="the first day: 2026-11-28, or 7d for the last seven (2w, 3m)")
    parser.add_argument("--until", metavar="D", help="the last day")
    parser.add_argument("--user", metavar="NAME", help="only this user")
    parser.add_argument("--model", metavar="NAME", help="only this model, by the name that its provider knows")
    parser.add_argument("--db", metavar="FILE", help="the file, when no gateway runs (default: .gateway.db here)")
    parser.add_argument(
        "--merge", metavar="FILE", nargs="+", help="read these files, those of several gateways, as one"
    )
    parser.add_argument("--reprice", action="store_true", help="compute all costs anew, in the file")
    options = parser.parse_args(arguments)
    if options.json and options.csv:
        parser.error("--json or --csv?")
    for name in ("since", "until"):
        try:
            day_of(getattr(options, name) or "", date.today())  # noqa: DTZ011  # only whether it can be read
        except ControlError as error:
            parser.error(f"--{name}: {error}")
    return options


def answer(options: argparse.Namespace, asked: dict[str, str]) -> dict[str, Any]:
    """The report: the gateway's, or made here when none runs. Raises Failed."""
    if options.merge:
        return merged(options.merge, asked)
    try:
        found: dict[str, Any] = RunningGateway(options, as_user=True).ask("usage", **asked)
        return found
    except NotRunning:
        if options.url or os.environ.get("GATEWAY_KEY"):
            raise
        path = database(options)
        if not path.exists():
            raise
    return reported(path, asked)


def merged(files: Sequence[str], asked: dict[str, str]) -> dict[str, Any]:
    """The report about several files. Raises Failed."""
    with TemporaryDirectory(prefix="gateway-usage-") as folder:
        whole = Path(folder) / "whole.db"
        try:
            merge([Path(file).expanduser() for file in files], whole)
        except (OSError, sqlite3.Error) as error:
            raise Failed(f"--merge: {error}") from None
        return reported(whole, asked)


def reported(path: Path, asked: dict[str, str]) -> dict[str, Any]:
    """The report about one file. Raises Failed."""
    try:
        return report(path, asked, zone=configured().users.timezone, now=time.time())
    except ControlError as error:
        raise Failed(str(error)) from None


def write_csv(found: dict[str, Any], view: str) -> None:
    """Print the lines of a report; the first names the columns, also where no other follows."""
    rows = found["rows"]
    keys = KEYS.get(view) or (NAMES[view],)  # type: ignore[index]
    names = list(dict.fromkeys([*keys, *found["total"], *(name for row in rows for name in row)]))
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([cell_of(row.get(name)) for name in names] for row in rows)


def cell_of(value: Any) -> Any:
    return " ".join(value) if isinstance(value, list) else "" if value is None else value


def write_table(found: dict[str, Any], options: argparse.Namespace) -> None:
    """Print the lines of a report as a table, as wide as the terminal allows."""
    from rich.console import Console

    console = Console()
    if not found["rows"]:
        console.print("nothing was used in this time")
        return
    shape = fitting(found, options.view, console.width)
    console.print(table(found, options.view, shape))
    notes = []
    if found["total"].get("unpriced"):
        notes.append("?: with models of which no price is known (`price:` in routing.yaml gives one)")
    if found["total"]["estimated"]:
        count = found["total"]["estimated"]
        notes.append(f"~: {count:,} answer{'s' if count > 1 else ''} of unknown length in it, estimated")
    if shape.missing:
        notes.append(f"a wider terminal shows {shape.missing} too")
    for note in notes:
        console.print(note, style="dim", highlight=False)


def table(found: dict[str, Any], view: str, shape: Shape) -> Any:
    """The table that users of ccusage know."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.ROUNDED, header_style="bold", show_footer=True, footer_style="bold")
    total, wide, models = found["total"], not shape.missing, shape.models and view != "model"
    first = HEADS.get(view, view.capitalize())
    made.add_column(first, "Total", no_wrap=view in HEADS, overflow="fold", min_width=title_width(found, view))
    if models:
        made.add_column("Models", "", overflow="fold", min_width=SHORTEST)
    for name in shape.numbers:
        add_numbers(made, name, f"{amount(total, name):,}", [f"{amount(row, name):,}" for row in found["rows"]])
    add_numbers(made, "Cost (USD)" if wide else "Cost", money(total), list(map(money, found["rows"])))
    for row in found["rows"]:
        names = "\n".join(f"- {shortened(model)}" for model in row["models"])
        cells = [shortened(title(row, view)), *([names] if models else [])]
        made.add_row(*cells, *(f"{amount(row, name):,}" for name in shape.numbers), money(row))
    return made


class Shape(NamedTuple):
    """The columns of a table, beside what a line is about and its cost."""

    models: bool
    numbers: tuple[str, ...]
    missing: str
    """What is left out."""


def fitting(found: dict[str, Any], view: str, width: int) -> Shape:
    """The widest table in which everything can be read."""
    for shape in SHAPES:
        if width >= max(needed(found, view, shape), 0 if shape.missing else WIDE):
            return shape
    return SHAPES[-1]


def needed(found: dict[str, Any], view: str, shape: Shape) -> int:
    """The columns of a terminal in which a table has room."""
    rows = [*found["rows"], found["total"]]
    widths = [title_width(found, view), max(len("Cost"), *(len(money(row)) for row in rows))]
    widths += [SHORTEST] * (shape.models and view != "model")
    widths += [max(len(name), *(len(f"{amount(row, name):,}") for row in rows)) for name in shape.numbers]
    return sum(width + BORDER for width in widths) + 1


def title_width(found: dict[str, Any], view: str) -> int:
    """The characters that what a line is about needs: all of a date, the beginning of a name."""
    if view in HEADS:
        return DATE
    return min(SHORTEST, max(len("Session"), *(len(shortened(title(row, view))) for row in found["rows"])))


def add_numbers(made: Any, name: str, total: str, cells: list[str]) -> None:
    """A column that is never cut: others have to make room."""
    made.add_column(name, total, justify="right", no_wrap=True, min_width=max(map(len, [name, total, *cells])))


HEADS: Final = {"daily": "Date", "weekly": "Week", "monthly": "Month"}
COLUMNS: Final = (
    ("Input", "input_tokens"),
    ("Output", "output_tokens"),
    ("Cache write", "cache_write_tokens"),
    ("Cache read", "cache_read_tokens"),
)
SHAPES: Final = (
    Shape(True, (*dict(COLUMNS), "Total"), ""),
    Shape(True, ("Input", "Output"), "cache tokens and totals"),
    Shape(False, ("Input", "Output"), "models, cache tokens and totals"),
    Shape(False, (), "models and tokens"),
)
"""From the widest to the narrowest."""


def amount(row: dict[str, Any], column: str) -> int:
    """The tokens of a column."""
    names = dict(COLUMNS)
    return int(row[names[column]] if column in names else sum(row[name] for name in names.values()))


def title(row: dict[str, Any], view: str) -> str:
    """What a line is about."""
    named = str(row[NAMES[view]])  # type: ignore[index]
    if view == "model" and row.get("provider"):
        return f"{row['provider']}/{named}"
    return named or "-"


def money(row: dict[str, Any]) -> str:
    """`$1.23`; with `?` where some of it, or all, has no price, and `~` where some is estimated."""
    mark = "~" if row["estimated"] else ""
    if row["cost_usd"] is None:
        return "unknown"
    return f"{mark}${row['cost_usd']:,.2f}{' + ?' if row.get('unpriced') else ''}"


def shortened(name: str) -> str:
    """A name that clients make up, fit for a cell."""
    visible = "".join(letter if letter.isprintable() else "?" for letter in name)
    return visible if len(visible) <= LONGEST else f"{visible[: LONGEST - 1]}…"


def configured() -> Config:
    """The configuration in the files. Raises Failed."""
    try:
        return configuration()
    except ConfigError as error:
        raise Failed(str(error)) from None


def database(options: argparse.Namespace) -> Path:
    """The file, by the options; else beside the control file, else in this folder."""
    return Path(options.db or os.environ.get("GATEWAY_DB") or HOME / ".gateway.db").expanduser()


def reprice(options: argparse.Namespace) -> int:
    """Compute all costs anew."""
    from addons.state.reprice import reprice as compute

    path = database(options)
    if not path.exists():
        raise Failed(f"{path} is not there: --db FILE names another")
    found = compute(path, configured())
    if options.json:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        print(f"{found['attempts']:,} attempts looked at, {found['changed']:,} cost something else now")
    return 0


if __name__ == "__main__":
    run(main)
