"""`./run.sh routes`: what clients may ask for and where it goes, and what one request would get.

  ./run.sh routes                                       rules and models
  ./run.sh routes --explain '{"model": "glm"}'          which rule, targets and accounts this request would get
  ./run.sh routes --explain-file request.json           the same for the body in a file (-: standard input)
  ./run.sh routes --explain … --user alice              what alice would get, who may not use every model

Beside the fields of a request a question may have what rules ask for: class, agent, user, header, tokens, image,
session. Nothing is sent to a provider. Without a running gateway the answer comes from the files, and knows of no
account.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from addons.commands.database import add_option, path_of
from addons.commands.running_gateway import NotRunning, RunningGateway, add_options, run, show
from addons.config.config import Config, ConfigError
from addons.config.reload import shown
from addons.config.settings import settings
from addons.state.conversations import Conversations
from addons.state.explanation import check_question, explain, facts_of
from addons.state.users import read_users
from addons.team.limits import named
from addons.team.users import Users
from addons.wire.errors import BadRequest


def main(arguments: Sequence[str]) -> int:
    """Run `./run.sh routes` with these arguments; returns the exit code."""
    options = parsed(arguments)
    asked = question(options)
    try:
        if asked is None:
            return list_routes(options)
        return tell(options, asked)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options. Exits with 2 when they are wrong."""
    parser = argparse.ArgumentParser(
        prog="./run.sh routes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--explain", metavar="JSON", help="a request's body, or what there is of it")
    which.add_argument("--explain-file", metavar="FILE", help="a file with it")
    parser.add_argument("--user", metavar="NAME", help="who asks (a user)")
    add_option(parser)
    options = parser.parse_args(arguments)
    options.parser = parser
    if options.user and not (options.explain or options.explain_file):
        parser.error("--user goes with --explain or --explain-file")
    return options


def question(options: argparse.Namespace) -> dict[str, Any] | None:
    """The request that is asked about; None when no request is. Exits with 2 when it is no JSON object."""
    text = options.explain
    if options.explain_file:
        try:
            file = options.explain_file
            text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            options.parser.error(f"{options.explain_file}: {error}")
    if text is None:
        return None
    try:
        asked: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        options.parser.error(f"not JSON: {error}")
    if not isinstance(asked, dict) or not isinstance(asked.get("model"), str):
        options.parser.error('a request is a JSON object with a "model"')
    try:
        check_question(asked)
    except ValueError as error:
        options.parser.error(str(error))
    return {**asked, "user": options.user} if options.user else asked


def configuration(env: Mapping[str, str] = os.environ) -> Config:
    """The configuration in the files that these variables name. Raises ConfigError."""
    where = settings()
    where.routing_path = Path(env.get("GATEWAY_ROUTING") or where.routing_path)
    where.env_path = Path(env.get("GATEWAY_ENV") or where.env_path)
    where.load()
    return where.current


def list_routes(options: argparse.Namespace) -> int:
    """Print rules and models."""
    config = configuration()
    if not options.json:
        sys.stdout.write(shown(config) + "\n")
        return 0
    rules = [{"rule": str(rule), "to": rule.to} for rule in config.rules]
    models = [
        {
            "model": route.alias,
            "targets": [
                {"provider": target.provider.name, "model": target.model, "skipped": off(target.provider.missing)}
                for target in config.targets(route.alias)
            ],
        }
        for route in config.models
    ]
    show({"rules": rules, "models": models})
    return 0


def off(missing: str) -> str | None:
    """Why a provider is not asked."""
    return f"{missing} is not set" if missing else None


def tell(options: argparse.Namespace, asked: dict[str, Any]) -> int:
    """Print what the request would get."""
    try:
        found = RunningGateway(options).ask("routes/explain", request=asked)
    except NotRunning as error:
        if options.url:
            raise
        sys.stderr.write(f"{error}; the files say:\n")
        try:
            facts = facts_of(asked, Conversations(), 0.0)
            config = configuration()
            user = named(users_in(path_of(options)), facts.user, config.users)
        except ConfigError:
            raise
        except (BadRequest, ValueError, TypeError) as problem:
            sys.stderr.write(f"{problem}\n")
            return 1
        found = explain(config, facts, lambda *_: (None, None), user)
    if options.json:
        show(found)
    else:
        sys.stdout.write(described(found))
    return 0 if found["targets"] else 1


def users_in(path: Path) -> Users:
    """The users in the file, who are nobody where it can't be read."""
    users = Users()
    with suppress(OSError, sqlite3.Error):
        users.take(read_users(path))
    return users


def described(found: dict[str, Any]) -> str:
    """The answer in lines."""
    lines = [f"{found['rule'] or 'no rule'}: {found['model']}"]
    for number, target in enumerate(found["targets"], 1):
        account = f" with {target['account']}" if target["account"] else ""
        skipped = f" (skipped: {target['skipped']})" if target["skipped"] else ""
        lines.append(f"  {number}. {target['provider']}/{target['model']}{account}{skipped}")
    return "\n".join(lines if found["targets"] else [*lines, "  no model is called so"]) + "\n"


if __name__ == "__main__":
    run(main)
