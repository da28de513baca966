"""`./run.sh statusline`: one line for Claude Code's status line: today's cost, what is left of the budget, the account.

In ~/.claude/settings.json:  "statusLine": {"type": "command", "command": "/path/to/run.sh statusline"}

Claude Code tells on standard input which session it is. With GATEWAY_KEY=… the cost is that of the user.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from addons.commands.running_gateway import RunningGateway, add_options, run, show
from addons.team.figures import dollars

LONGEST_INPUT = 1_000_000


def main(arguments: Sequence[str]) -> int:
    """Run `./run.sh statusline` with these arguments; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="./run.sh statusline", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--session", metavar="ID", help="the session, when nobody tells it on standard input")
    options = parser.parse_args(arguments)
    found = RunningGateway(options, as_user=True).ask("statusline", session=options.session or session_told())
    if options.json:
        show(found)
    else:
        print(line(found))
    return 0


def session_told() -> str:
    """The session that Claude Code names on standard input; empty without one."""
    if sys.stdin.isatty():
        return ""
    try:
        told = json.loads(sys.stdin.read(LONGEST_INPUT))
    except ValueError:
        return ""
    session = told.get("session_id") if isinstance(told, dict) else ""
    return session if isinstance(session, str) else ""


def line(found: dict[str, Any]) -> str:
    """`$1.23 today · $18.77 of $20.00 left (day) · claude:2`."""
    cost = found["cost_usd"]
    parts = ["cost unknown" if cost is None else f"${cost:,.2f}{' + ?' if found['unpriced'] else ''} today"]
    if budget := found.get("budget"):
        whole = budget["budget_usd"]
        left = max(whole - budget["spent_usd"], 0)
        parts.append(f"{dollars(left, whole)} of {dollars(whole, whole)} left ({budget['window']})")
    if where := found["account"] or found["provider"]:
        parts.append(where)
    return " · ".join(parts)


if __name__ == "__main__":
    run(main)
