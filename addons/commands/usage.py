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
from typing import Any, Final

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
"""Characters that a model's name has at least, in a wide table."""
NAMED: Final = 10 + 3 + SHORTEST + 3 + 1
"""Those of a date, the name of a model and the borders."""


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
        found: dict[str, Any] = RunningGateway(options).ask("usage", **asked)
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
    wide = console.width >= max(WIDE, needed(found))
    console.print(table(found, options.view, wide=wide))
    notes = []
    if found["total"].get("unpriced"):
        notes.append("?: with models of which no price is known (`price:` in routing.yaml gives one)")
    if found["total"]["estimated"]:
        count = found["total"]["estimated"]
        notes.append(f"~: {count:,} answer{'s' if count > 1 else ''} of unknown length in it, estimated")
    if not wide:
        notes.append("a wider terminal shows cache tokens and totals too")
    for note in notes:
        console.print(note, style="dim", highlight=False)


def table(found: dict[str, Any], view: str, *, wide: bool) -> Any:
    """The table that users of ccusage know."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.ROUNDED, header_style="bold", show_footer=True, footer_style="bold")
    total = found["total"]
    made.add_column(HEADS.get(view, view.capitalize()), "Total", no_wrap=wide, overflow="fold")
    if view != "model":
        made.add_column("Models", "", overflow="fold", min_width=SHORTEST if wide else 0)
    for name, _ in numbers(wide):
        add_numbers(made, name, f"{amount(total, name):,}", [f"{amount(row, name):,}" for row in found["rows"]])
    add_numbers(made, "Cost (USD)" if wide else "Cost", money(total), list(map(money, found["rows"])))
    for row in found["rows"]:
        models = "\n".join(f"- {shortened(model)}" for model in row["models"])
        cells = [shortened(title(row, view)), *([models] if view != "model" else [])]
        made.add_row(*cells, *(f"{amount(row, name):,}" for name, _ in numbers(wide)), money(row))
    return made


def needed(found: dict[str, Any]) -> int:
    """The columns of a terminal in which all numbers, a date and the names of models have room."""
    rows = [*found["rows"], found["total"]]
    widths = [max(len(f"{amount(row, name):,}") for row in rows) for name, _ in numbers(wide=True)]
    return (
        sum(max(len("Cache write"), width) + 3 for width in widths) + max(len(money(row)) + 3 for row in rows) + NAMED
    )


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
NARROW: Final = ("Input", "Output")


def numbers(wide: bool) -> list[tuple[str, str]]:
    """The columns of tokens."""
    return [*COLUMNS, ("Total", "")] if wide else [pair for pair in COLUMNS if pair[0] in NARROW]


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
