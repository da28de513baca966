"""`./run.sh doctor`: what is wrong with this gateway, and what to do about it.

It looks at Python, the files and their rights, the configuration (all mistakes at once), the port and who may enter,
each provider and key (by calls that cost nothing), each account of the running gateway, Claude Code's settings, the
clock and the disk. Exit code: 0 all is well, 1 something is broken, 2 wrong use.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from addons.commands.checks import accounts, client, configuration, machine, providers
from addons.commands.checks.check import Check
from addons.commands.claude import health_of
from addons.commands.running_gateway import Failed, RunningGateway, address, run, show
from addons.commands.settings import database
from addons.config.settings import closed_mark, settings
from addons.state.control import FILE_NAME
from addons.wire.masking import mask_text


def main(arguments: Sequence[str]) -> int:
    """Run `./run.sh doctor` with these arguments; returns the exit code."""
    options = parsed(arguments)
    found = examined(options, os.environ)
    ok = all(check.ok for check in found)
    if options.json:
        show({"ok": ok, "checks": [asdict(check) for check in found]})
    else:
        sys.stdout.write(table(found, colours=sys.stdout.isatty() and not os.environ.get("NO_COLOR")))
    return 0 if ok else 1


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options. Exits with 2 when they are wrong."""
    parser = argparse.ArgumentParser(
        prog="./run.sh doctor", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--spend", action="store_true", help="send one token where no free call would try a key")
    return parser.parse_args(arguments)


def examined(options: argparse.Namespace, env: Mapping[str, str]) -> list[Check]:
    """All checks, in the order in which one would set things up; no secret is in any."""
    where = settings()
    where.routing_path = Path(env.get("GATEWAY_ROUTING") or where.routing_path)
    where.env_path = Path(env.get("GATEWAY_ENV") or where.env_path)
    file, url = database(env), address(env)
    host, port = env.get("GATEWAY_HOST") or "127.0.0.1", urlsplit(url).port or 0
    health = health_of(url)
    found = configuration.of_files(where, env)
    config = found.config
    checks = [
        machine.python(),
        *machine.files(where.routing_path, where.env_path, file),
        machine.disk(file.parent),
        *found.checks,
        machine.port(host, port, health),
        machine.gate(host, config.static_token if config else "", file),
    ]
    if config:
        checks += providers.of_providers(config, spend=options.spend)
        checks += accounts.of_files(config.credential_files)
    if health:
        checks += of_running(env.get("GATEWAY_CONTROL") or str(file.with_name(FILE_NAME)), env)
    files = {name: client.read_settings(Path(name).expanduser()) for name in client.FILES}
    users = closed_mark(file).exists()
    checks += client.of_client(files, env, config, listens=(host, port), users=users)
    secrets = config.secrets() if config else ()
    return [Check(c.name, c.ok, mask_text(c.said, secrets), mask_text(c.do, secrets)) for c in checks]


def of_running(control: str, env: Mapping[str, str]) -> list[Check]:
    """What the running gateway says of its accounts. `control`: the file with its secret."""
    options = argparse.Namespace(url=None, control=control)
    try:
        return accounts.of_gateway(RunningGateway(options, env).ask("pool")["accounts"])
    except Failed as error:
        return [Check("accounts", False, str(error), "GATEWAY_CONTROL says where .gateway.control of that gateway is")]


def table(checks: Iterable[Check], *, colours: bool = False) -> str:
    """A line for each check, and below it what to do."""
    checks = list(checks)
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        mark, colour = ("✓", 32) if check.ok else ("✗", 31)
        shown = f"\x1b[{colour}m{mark}\x1b[0m" if colours else mark
        lines.append(f"{shown} {check.name.ljust(width)}  {check.said}")
        if check.do:
            lines.append(f"  {''.ljust(width)}  → {check.do}")
    wrong = sum(not check.ok for check in checks)
    lines += ["", f"{wrong} of {len(checks)} {'is' if wrong == 1 else 'are'} wrong" if wrong else "all is well"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run(main)
