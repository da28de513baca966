"""Checks of the accounts: what the running gateway says of each, and the logins that stand in files."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from addons.commands.checks.check import Check
from addons.state.credentials_file import read

SOON = 7 * 86400.0
"""Seconds before the end of a login that can't be renewed."""


def of_gateway(accounts: Iterable[Mapping[str, Any]]) -> list[Check]:
    """What the running gateway knows of its accounts."""
    return [of_account(account) for account in accounts]


def of_account(account: Mapping[str, Any]) -> Check:
    """One account of a running gateway."""
    name, reason = f"account {account['account']}", account.get("reason") or ""
    shown = f"{account['masked']}: {account['state']}"
    if account.get("until"):
        shown += f" until {datetime.fromisoformat(account['until']).astimezone():%Y-%m-%d %H:%M}"
    shown += f" ({reason})" if reason else ""
    if account["state"] == "refused":
        return Check(name, False, shown, "replace it; it gets another chance by ./run.sh pool resume " + name[8:])
    if account["state"] == "cooling":
        return Check(name, True, shown, f"./run.sh pool resume {name[8:]} ends it")
    return Check(name, True, shown)


def of_files(paths: Iterable[str], now: float | None = None) -> list[Check]:
    """The logins in files: whether they can be read, and how long they are good."""
    return [of_file(Path(path), time.time() if now is None else now) for path in paths]


def of_file(path: Path, now: float) -> Check:
    """One login in a file."""
    name = f"login {path}"
    try:
        login, _ = read(path)
    except OSError as error:
        return Check(name, False, f"{error.strerror}", "log in to Claude Code there, or take it out")
    except ValueError as error:
        return Check(name, False, str(error), "log in to Claude Code there again")
    if login.expires_at is None:
        return Check(name, True, "it doesn't say when it ends")
    ends = f"{datetime.fromtimestamp(login.expires_at).astimezone():%Y-%m-%d %H:%M}"
    if login.refresh_token:
        return Check(name, True, f"good until {ends}, then renewed")
    if login.is_over(now):
        return Check(name, False, f"over since {ends}, and can't be renewed", "log in again")
    return Check(name, True, f"good until {ends}", "log in again before then" if login.expires_at - now < SOON else "")
