"""`./run.sh pool`: the accounts of a running gateway.

./run.sh pool                    which there are, whether each can be used, and how full its limits are; then the models
                                 that are asked last for a while, and why
./run.sh pool resume ACCOUNT     end its cooldown (all: of every account)
./run.sh pool test ACCOUNT       send one count_tokens request with it
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from addons.commands.running_gateway import RunningGateway, add_options, run, show, table

HEAD = ["ACCOUNT", "CREDENTIAL", "STATE", "5H", "7D", "SESSIONS", "1H", "FAILED", ""]


def main(arguments: Sequence[str]) -> int:
    """Run `./run.sh pool` with these arguments; returns the exit code."""
    options = parsed(arguments)
    gateway = RunningGateway(options)
    if options.action == "resume":
        resumed = gateway.ask("pool/resume", account=options.account)
        print_or_show(options, resumed, f"{', '.join(resumed['resumed'])} may be used again")
        return 0
    if options.action == "test":
        counted = gateway.ask("pool/test", account=options.account)
        print_or_show(options, counted, f"{options.account} works: {counted.get('input_tokens')} tokens counted")
        return 0
    found = gateway.ask("pool")
    if options.json:
        show(found["accounts"])
    else:
        sys.stdout.write(described(found))
    return 0


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options. Exits with 2 when they are wrong."""
    parser = argparse.ArgumentParser(
        prog="./run.sh pool", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("action", nargs="?", choices=("resume", "test"))
    parser.add_argument("account", nargs="?", help="as `./run.sh pool` calls it: claude:2, zai:1")
    options = parser.parse_args(arguments)
    if options.action and not options.account:
        parser.error(f"{options.action} which account?")
    return options


def print_or_show(options: argparse.Namespace, value: object, text: str) -> None:
    """Print the answer of a command, as JSON or as a sentence."""
    if options.json:
        show(value)
    else:
        sys.stdout.write(text + "\n")


def described(found: dict[str, Any]) -> str:
    """The accounts as a table, and the models that are avoided."""
    accounts, avoided = found["accounts"], found.get("avoided", [])
    lines = (
        table([HEAD, *map(row, accounts)]) if accounts else "there are no accounts: requests use each client's own\n"
    )
    for one in avoided:
        count = one["sessions"]
        whose = f" by {count} session{'s' if count > 1 else ''}" if count else ""
        lines += (
            f"{one['provider']}/{one['model'] or '*'} is asked last{whose} until {time_of(one['until'])}: "
            f"{one['reason']}\n"
        )
    return lines


def row(account: dict[str, Any]) -> list[str]:
    """The cells of one account in the table, as in HEAD."""
    until = f" until {time_of(account['until'])}" if account["until"] else ""
    return [
        account["account"],
        account["masked"],
        account["state"] + until,
        percent(account["utilization"]["5h"]),
        percent(account["utilization"]["7d"]),
        *(str(account[name]) for name in ("sessions", "requests_1h", "failures_1h")),
        account["reason"] or "",
    ]


def percent(share: float | None) -> str:
    """`82%`, or `-` when nothing is known."""
    return "-" if share is None else f"{100 * share:.0f}%"


def time_of(moment: str) -> str:
    """The local time of an ISO 8601 time; the day too, when it isn't today."""
    at = datetime.fromisoformat(moment).astimezone()
    return at.strftime("%H:%M:%S" if at.date() == datetime.now().astimezone().date() else "%Y-%m-%d %H:%M")


if __name__ == "__main__":
    run(main)
