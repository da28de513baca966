"""The SQLite file that a command reads or writes itself: that of this folder's gateway, where nothing else is said."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from addons.config.settings import HOME


def add_option(parser: argparse.ArgumentParser) -> None:
    """The option of every command that uses the file."""
    parser.add_argument(
        "--db",
        metavar="FILE",
        help="the gateway's gateway_db, where that is elsewhere (default: GATEWAY_DB, or .gateway.db of this folder)",
    )


def path_of(options: argparse.Namespace, env: Mapping[str, str] = os.environ) -> Path:
    """Where the file is."""
    return Path(options.db or env.get("GATEWAY_DB") or HOME / ".gateway.db").expanduser()
