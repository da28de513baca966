"""Checks of this machine: Python, the files and their rights, the disk, the port, who may enter."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import socket
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from shlex import quote

from addons.commands.checks.check import Check
from addons.config.settings import is_open_to_others
from addons.state.control import FILE_NAME
from addons.state.users import Roll, lost, read_users

OLDEST_PYTHON = (3, 12)
MITMPROXY = "12.2"
"""Where its version begins."""

LITTLE, TOO_LITTLE = 1024**3, 100 * 1024**2
"""Bytes that are free on the disk."""

LOOPBACK = ("", "localhost", "127.0.0.1", "::1")


def python() -> Check:
    """The Python that this is, and the mitmproxy in it."""
    version = platform.python_version()
    try:
        mitmproxy = importlib.metadata.version("mitmproxy")
    except importlib.metadata.PackageNotFoundError:
        mitmproxy = ""
    if sys.version_info < OLDEST_PYTHON or not mitmproxy.startswith(f"{MITMPROXY}."):
        return Check(
            "python", False, f"Python {version}, mitmproxy {mitmproxy or 'missing'}", "delete .venv and start again"
        )
    return Check("python", True, f"Python {version}, mitmproxy {mitmproxy}")


def files(routing: Path, env: Path, database: Path) -> list[Check]:
    """The files that the gateway reads and writes, and who may."""
    return [routing_file(routing), env_file(env), database_file(database), *control_file(database)]


def routing_file(path: Path) -> Check:
    """routing.yaml can be read."""
    if not path.exists():
        return Check("routing.yaml", False, f"{path} is not there", "./run.sh makes it from routing.yaml.example")
    if not os.access(path, os.R_OK):
        return Check("routing.yaml", False, f"{path} can't be read", f"chmod u+r {quote(str(path))}")
    return Check("routing.yaml", True, str(path))


def env_file(path: Path) -> Check:
    """.env can be read, and by its owner only. It need not be there."""
    if not path.exists():
        return Check(".env", True, f"{path} is not there", "not needed where the environment has the keys")
    if not os.access(path, os.R_OK):
        return Check(".env", False, f"{path} can't be read", f"chmod 600 {quote(str(path))}")
    if is_open_to_others(path):
        said = f"{path} can be read by other users of this machine"
        return Check(".env", False, said, f"chmod 600 {quote(str(path))}")
    return Check(".env", True, f"{path}, for its owner only")


def database_file(path: Path) -> Check:
    """The database can be written, and read as one."""
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        what = path if path.exists() else path.parent
        return Check("database", False, f"{what} can't be written", "GATEWAY_DB puts the database elsewhere")
    if not path.exists():
        return Check("database", True, f"{path} is made at the first start")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=2)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:  # the file may be whole
        return Check("database", False, f"{path}: {error}", "is the disk full, or does another program hold the file?")
    except sqlite3.Error as error:
        do = f"stop the gateway and move {path.name} away: a new one is made, without users and usage"
        return Check("database", False, f"{path}: {error}", do)
    return Check("database", True, f"{path}, {path.stat().st_size / 1e6:.1f} MB")


def control_file(database: Path) -> list[Check]:
    """The secret of local commands is its owner's, where there is one."""
    path = database.with_name(FILE_NAME)
    if not path.exists() or not is_open_to_others(path):
        return []
    said = f"{path} can be read by other users of this machine"
    return [Check(FILE_NAME, False, said, f"chmod 600 {quote(str(path))}")]


def disk(folder: Path) -> Check:
    """There is room for the database and the log."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    said = f"{free / 1e9:.1f} GB are free at {folder}"
    return Check("disk", free >= TOO_LITTLE, said, "" if free >= LITTLE else "make room")


def port(host: str, number: int, health: Mapping[str, object] | None) -> Check:
    """Somebody can listen there, or this gateway does. `health`: what answers there says of itself; empty: something
    else; None: nobody answers."""
    where = f"port {number} of {host or '127.0.0.1'}"
    if health:
        return Check("port", True, f"a gateway listens on {where}")
    do = f"end what listens there, or GATEWAY_PORT={number + 1}"
    if health is not None:
        return Check("port", False, f"{where} is taken by something that is no gateway", do)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host or "127.0.0.1", number))
    except OSError as error:
        return Check("port", False, f"{where}: {error.strerror or error}", do)
    return Check("port", True, f"{where} is free: no gateway runs", "./run.sh starts it")


def gate(host: str, static_token: str, database: Path) -> Check:
    """Who may enter. An open gate is for this machine only."""
    try:
        roll = read_users(database)
    except (OSError, sqlite3.Error) as error:
        return Check("gate", False, f"the users can't be read: {error}", "nobody can enter until they can")
    if lost(database, roll):
        do = "restore it, or `./run.sh user add NAME`, or `./run.sh user open-gate`"
        return Check("gate", False, "closed: the database with the users is gone", do)
    return gate_of(host, static_token, roll)


def gate_of(host: str, static_token: str, roll: Roll) -> Check:
    """Who may enter, by the users that there are."""
    if roll.is_closed or static_token:
        many = sum(known.revoked is None for known in roll.users)
        who = [f"{many} user{'s' * (many != 1)}"] if roll.is_closed else []
        who += ["PROXY_STATIC_TOKEN"] if static_token else []
        return Check("gate", True, f"closed: for {' and '.join(who)}")
    if host in LOOPBACK:
        return Check("gate", True, "open: everybody on this machine may enter")
    said = f"open, and GATEWAY_HOST={host} lets other machines in: everybody who reaches the port uses your keys"
    return Check("gate", False, said, "set PROXY_STATIC_TOKEN in .env, or make users: ./run.sh user add NAME")
