"""`./run.sh metrics`: what the running gateway has counted, in Prometheus' text format.

./run.sh metrics             print it, as `GET /metrics` does for the administrator
./run.sh metrics --grafana   print a dashboard for Grafana, to be imported there
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from addons.commands.running_gateway import RunningGateway, add_options, run, show
from addons.team.grafana import dashboard


def main(arguments: Sequence[str]) -> int:
    """Run `./run.sh metrics` with these arguments; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="./run.sh metrics", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--grafana", action="store_true", help="print a dashboard for Grafana (JSON)")
    options = parser.parse_args(arguments)
    if options.grafana:
        show(dashboard())
        return 0
    found = RunningGateway(options).ask("metrics")
    if options.json:
        show(found)
    else:
        sys.stdout.write(found["text"])
    return 0


if __name__ == "__main__":
    run(main)
