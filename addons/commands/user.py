"""`./run.sh user`: the users of this gateway, and their keys.

  ./run.sh user add NAME [LIMITS]           make a user; the key is shown once
  ./run.sh user list                        all users
  ./run.sh user show NAME                   one of them
  ./run.sh user set NAME [LIMITS]           change limits (`none` takes one away)
  ./run.sh user rotate NAME [--grace 24h]   make a new key; the old one is good for that long still (else not)
  ./run.sh user revoke NAME                 let the user in no more (`rotate` does again, with a new key)
  ./run.sh user delete NAME                 forget the user, and the rows of the user's requests
  ./run.sh user open-gate                   let everybody in again who can connect, with a key or without

LIMITS: --budget day=5,week=20,month=60 (US dollars)   --models 'glm*,claude-*'   --rpm 60   --sessions 4   --admin

The gateway need not run. In one that runs, a change is in force within a second. With the first user its gate is
closed: only users, PROXY_STATIC_TOKEN and LITELLM_MASTER_KEY come in.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from addons.commands.database import add_option, path_of
from addons.commands.running_gateway import Failed, NotRunning, RunningGateway, run, show, table
from addons.commands.user_shown import (
    HEAD,
    described,
    hint_of_unknown_models,
    limits_in_words,
    local,
    old_key_is_good,
    row,
)
from addons.state.control import FILE_NAME
from addons.state.forgetting import forget_rows
from addons.state.users import SHARED, KnownUser, Mistake, User, UserFile, check_name
from addons.team.keys import digest, make_id, make_key
from addons.team.limit_options import read_budget, read_number, read_patterns, read_span

IN_FORCE_WITHIN = 3.0
"""Seconds in which a running gateway should have read a change."""


def main(arguments: Sequence[str]) -> int:
    """Run `./run.sh user` with these arguments; returns the exit code."""
    options = parsed(arguments)
    file = UserFile(path_of(options))
    try:
        actions: dict[str, Callable[[UserFile, argparse.Namespace], None]] = {
            "add": add,
            "list": list_all,
            "show": show_one,
            "set": change,
            "rotate": rotate,
            "revoke": revoke,
            "delete": delete,
            "open-gate": open_gate,
        }
        actions[options.action](file, options)
    except Mistake as error:
        raise Failed(str(error)) from None
    except (OSError, sqlite3.Error) as error:
        raise Failed(f"{file.path} can't be used: {getattr(error, 'strerror', None) or error}") from None
    return 0


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options. Exits with 2 when they are wrong."""
    parser = argparse.ArgumentParser(
        prog="./run.sh user", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    # Before the action too, where they have their defaults: behind it they say nothing by themselves.
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    for one in (parser, common):
        one.add_argument("--json", action="store_true", help="print JSON")
        add_option(one)
    limits = argparse.ArgumentParser(add_help=False)
    limits.add_argument("--budget", metavar="day=5,week=20,month=60", help="US dollars")
    limits.add_argument("--models", metavar="'glm*,claude-*'", help="models that may be asked for ('*': all)")
    limits.add_argument("--rpm", metavar="N", help="requests a minute")
    limits.add_argument("--sessions", metavar="N", help="sessions at once")
    limits.add_argument("--admin", action=argparse.BooleanOptionalAction, help="what LITELLM_MASTER_KEY may, too")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, others in (("add", [limits]), ("set", [limits]), ("show", []), ("revoke", []), ("delete", [])):
        actions.add_parser(name, parents=[common, *others]).add_argument("name")
    rotate = actions.add_parser("rotate", parents=[common])
    rotate.add_argument("name")
    rotate.add_argument("--grace", default="0", metavar="24h", help="how long the old key is good still")
    for name in ("list", "open-gate"):
        actions.add_parser(name, parents=[common])
    options = parser.parse_args(arguments)
    try:
        read_options(options)
    except ValueError as error:  # a name that nobody may have is one too
        actions.choices[options.action].error(str(error))
    return options


def read_options(options: argparse.Namespace) -> None:
    """Check what is said in words. Raises ValueError."""
    if options.action == "add":
        check_name(options.name)
    if options.action == "rotate":
        options.grace = read_span(options.grace)
    if options.action in ("add", "set"):
        options.fields = limits_of(options, User("", ""))
        if options.action == "set" and not options.fields:
            raise ValueError("set what? --budget, --models, --rpm, --sessions, --admin")


def limits_of(options: argparse.Namespace, before: User) -> dict[str, Any]:
    """The fields of a user that the options change. Raises ValueError."""
    readers: dict[str, Callable[[str], object]] = {
        "budget": lambda text: read_budget(text, before.budget),
        "models": read_patterns,
        "rpm": read_number,
        "sessions": read_number,
    }
    changed: dict[str, Any] = {
        name: read(text) for name, read in readers.items() if (text := getattr(options, name)) is not None
    }
    return changed if options.admin is None else {**changed, "admin": options.admin}


def add(file: UserFile, options: argparse.Namespace) -> None:
    """Make a user."""
    was_closed = file.read().is_closed
    public = make_id()
    key = make_key(public)
    known = KnownUser(User(options.name, public, **options.fields), digest(key), created=time.time())
    file.add(known)
    tell_key(file, options, known, key, f"{options.name} may come in with this key, which is shown this once:")
    if not options.json:
        say('(in Claude Code\'s settings: "env": {"ANTHROPIC_CUSTOM_HEADERS": "x-litellm-api-key: THE KEY"})')
    say_of_models(options)
    if not was_closed:
        say("the gate is closed from now on: who has no key stays out (`./run.sh user open-gate` opens it)")
    say_in_force(file, options)


def list_all(file: UserFile, options: argparse.Namespace) -> None:
    """Show all users."""
    roll = file.read()
    if options.json:
        show(described(file.path, *roll.users))
        return
    if roll.users:
        sys.stdout.write(table([HEAD, *(row(known) for known in roll.users)]))
    else:
        sys.stdout.write("there are no users: ./run.sh user add NAME makes one\n")
    if roll.users and not roll.is_closed:
        sys.stdout.write("the gate is open: who has no key comes in as well, unless PROXY_STATIC_TOKEN is set\n")
    elif roll.is_closed and not roll.users:
        sys.stdout.write("the gate is closed all the same: ./run.sh user open-gate opens it\n")


def show_one(file: UserFile, options: argparse.Namespace) -> None:
    """Show one user."""
    known = file.get(options.name)
    if options.json:
        show(described(file.path, known)[0])
        return
    spending = described(file.path, known)[0]["spent"]
    lines = [(title.lower(), cell) for title, cell in zip(HEAD, row(known), strict=True)]
    if old_key_is_good(known):
        lines.append(("old key", f"good until {local(known.old_until)}"))
    lines.append(("spent", ", ".join(f"${amount:,.2f} this {window}" for window, amount in spending.items())))
    sys.stdout.write("".join(f"{title:<9} {cell}\n" for title, cell in lines))


def change(file: UserFile, options: argparse.Namespace) -> None:
    """Change a user's limits."""
    roll = file.read()
    before = roll.find(options.name)
    if options.admin and options.name.lower() == SHARED:
        raise Mistake(
            f"{SHARED} is everybody who has PROXY_STATIC_TOKEN, and all of them would be administrators: make a user "
            "(`./run.sh user add NAME --admin`), or use LITELLM_MASTER_KEY"
        )
    known = file.change(options.name, **limits_of(options, before.user if before else User("", "")))
    say_of_models(options)
    tell(file, options, known, f"{known.user.name}: {limits_in_words(known.user)}")


def rotate(file: UserFile, options: argparse.Namespace) -> None:
    """Make a new key."""
    before = with_key(file, options.name)
    key = make_key(before.user.id)
    now = time.time()
    keeps_old = bool(options.grace) and before.revoked is None
    known = file.change(
        before.user.name,
        digest=digest(key),
        old_digest=before.digest if keeps_old else b"",
        old_until=now + options.grace if keeps_old else 0.0,
        revoked=None,
    )
    until = local(known.old_until) if keeps_old else ""
    old = f"the old one is good until {until}" if keeps_old else "the old one is no good any more"
    again = f"{known.user.name} was revoked, and may come in again; " if before.revoked is not None else ""
    tell_key(file, options, known, key, f"{again}this is the new key of {known.user.name}, shown this once; {old}:")
    say_in_force(file, options)


def with_key(file: UserFile, name: str) -> KnownUser:
    """The user of this name. Raises Mistake for the one who has no key of its own."""
    known = file.get(name)
    if known.user.name == SHARED:
        raise Mistake(
            f"{SHARED} is whoever has PROXY_STATIC_TOKEN: change it in .env, or take it out, to keep them out"
        )
    return known


def revoke(file: UserFile, options: argparse.Namespace) -> None:
    """Let a user in no more."""
    before = with_key(file, options.name)
    known = before if before.revoked is not None else file.change(options.name, revoked=time.time())
    tell(file, options, known, f"{known.user.name} is not let in any more, and running answers end")
    if not file.read().is_closed:
        say("the gate is open: without a key, everybody comes in, unless PROXY_STATIC_TOKEN is set")


def delete(file: UserFile, options: argparse.Namespace) -> None:
    """Forget a user."""
    known = file.get(options.name)
    before = described(file.path, known)[0]
    file.delete(known.user.name)
    rows = forget_rows(file.path, known.user.name)
    if options.json:
        show(before)
    else:
        sys.stdout.write(f"{known.user.name} and {rows:,} rows of requests are forgotten\n")
    say_in_force(file, options)


def open_gate(file: UserFile, options: argparse.Namespace) -> None:
    """Let everybody in."""
    file.open_gate()
    if options.json:
        show({"gate": "open"})
    else:
        sys.stdout.write("the gate is open: everybody who can connect may come in, unless PROXY_STATIC_TOKEN is set\n")
    say_in_force(file, options)


def tell(file: UserFile, options: argparse.Namespace, known: KnownUser, text: str) -> None:
    """Print what has been done."""
    if options.json:
        show(described(file.path, known)[0])
    else:
        sys.stdout.write(f"{text}\n")
    say_in_force(file, options)


def tell_key(file: UserFile, options: argparse.Namespace, known: KnownUser, key: str, text: str) -> None:
    """Print a key. It goes to standard output alone, so that it can be put somewhere."""
    if options.json:
        show({**described(file.path, known)[0], "key": key})
    else:
        say(text)
        sys.stdout.write(f"{key}\n")


def say_of_models(options: argparse.Namespace) -> None:
    """Say which of the models that are to be allowed there is none of."""
    if hint := hint_of_unknown_models(options.fields.get("models", ())):
        say(hint)


def say_in_force(file: UserFile, options: argparse.Namespace) -> None:
    """Wait until the gateway that runs here has read what was done; say so when none has."""
    version = file.read().version
    where = argparse.Namespace(url=None, control=str(file.path.with_name(FILE_NAME)))
    deadline = time.monotonic() + IN_FORCE_WITHIN
    try:
        gateway = RunningGateway(where)
        while (told := gateway.ask("users"))["version"] < version:
            if time.monotonic() > deadline:
                say(f"the gateway that runs here has not read it: {told['problem'] or 'see its log'}")
                return
            time.sleep(0.02)
    except NotRunning as error:
        say(f"({error}: it holds for the next one that uses {file.path})")
    except Failed as error:
        say(f"(the gateway at this address is another one, which doesn't use {file.path}: {error})")


def say(text: str) -> None:
    """Say something beside what is asked for."""
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    run(main)
