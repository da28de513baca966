"""What systemd and launchd are told of the gateway: a unit and a property list, and what was written into them.

Rules that hold here: nothing is read or written; no secret is in them (keys are in .env); what stands in a value is
taken literally, whatever it looks like.
"""

from __future__ import annotations

import plistlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

NAME: Final = "claude-gateway"
STOP_WITHIN: Final = 40
"""Seconds: running answers have 30 to finish (`gateway_drain`)."""

PATHS: Final = ("GATEWAY_ROUTING", "GATEWAY_ENV", "GATEWAY_DB", "GATEWAY_CONTROL", "GATEWAY_PYTHON")
KEPT: Final = ("GATEWAY_HOST", "GATEWAY_PORT", "GATEWAY_WORKERS", *PATHS)
"""The variables that a service keeps of those with which it is installed."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """What is started, and as whom."""

    script: Path
    """run.sh."""
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    """Whom a service of the whole machine runs as; None: it is a service of the user who installs it."""


def kept(env: Mapping[str, str], folder: Path) -> dict[str, str]:
    """What a service keeps of an environment; `folder`: what its paths are relative to."""
    values = {name: env[name] for name in KEPT if env.get(name)}
    return {name: str(folder / Path(value).expanduser()) if name in PATHS else value for name, value in values.items()}


def has_workers(options: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether several processes serve: then they can be replaced one by one."""
    count = environment.get("GATEWAY_WORKERS") or "1"
    for option, value in pairwise([*options, ""]):
        if option == "--workers":
            count = value
        elif option.startswith("--workers="):
            count = option.partition("=")[2]
    return count != "1"


def systemd_unit(service: Service) -> str:
    """The unit file, of a user or of the system."""
    network = "After=network-online.target\nWants=network-online.target\n" if service.user else ""
    rights = f"User={literal(service.user)}\nPrivateTmp=yes\nProtectSystem=full\n" if service.user else ""
    variables = "".join(f"Environment={quoted(f'{name}={value}')}\n" for name, value in service.environment.items())
    # Variables are put into the words behind a program, never into its own path.
    options = (quoted(option).replace("$", "$$") for option in service.options)
    command = " ".join((quoted(str(service.script)), *options))
    reload = "ExecReload=/bin/kill -HUP $MAINPID\n" if has_workers(service.options, service.environment) else ""
    return f"""\
# Made by `./run.sh service install`, which writes it anew.
[Unit]
Description=Gateway for Claude Code
{network}StartLimitIntervalSec=120
StartLimitBurst=5

[Service]
Type=exec
WorkingDirectory={literal(str(service.script.parent))}
{variables}ExecStart={command}
{reload}KillMode=mixed
TimeoutStopSec={STOP_WITHIN}
Restart=on-failure
RestartSec=2
NoNewPrivileges=yes
{rights}
[Install]
WantedBy={"multi-user.target" if service.user else "default.target"}
"""


def literal(value: str) -> str:
    """A value of a unit file that is taken as it is."""
    if re.search(r"[\x00-\x1f\x7f]", value):
        raise ValueError(f"{value!r} can't stand in a unit file")
    return value.replace("%", "%%")


def quoted(value: str) -> str:
    """A word of a unit file, whatever is in it."""
    escaped = literal(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def unit_environment(unit: str) -> dict[str, str]:
    """The variables that a unit file of ours sets."""
    words = re.findall(r'^Environment="((?:[^"\\]|\\.)*)"$', unit, re.M)
    pairs = (re.sub(r"\\(.)", r"\1", word).replace("%%", "%").partition("=") for word in words)
    return {name: value for name, _, value in pairs}


def launchd_plist(service: Service, log: Path) -> bytes:
    """The property list, of an agent or of a daemon; `log`: where what it says is written to."""
    content: dict[str, Any] = {
        "Label": NAME,
        "ProgramArguments": [str(service.script), *service.options],
        "WorkingDirectory": str(service.script.parent),
        "EnvironmentVariables": dict(service.environment),
        "RunAtLoad": True,
        "KeepAlive": True,  # a restart is a SIGTERM
        "ExitTimeOut": STOP_WITHIN,
        "ProcessType": "Interactive",  # else macOS slows it down as work in the background
        "StandardOutPath": str(log),
        "StandardErrorPath": str(log),
    }
    if service.user:
        content["UserName"] = service.user
    return plistlib.dumps(content, sort_keys=False)


def unit_has_workers(unit: str) -> bool:
    """Whether a unit file of ours is of several processes."""
    return "\nExecReload=" in unit


def plist_has_workers(plist: bytes) -> bool:
    """Whether a property list of ours is of several processes."""
    return has_workers(plistlib.loads(plist).get("ProgramArguments", ()), plist_environment(plist))


def plist_environment(plist: bytes) -> dict[str, str]:
    """The variables that a property list of ours sets."""
    return dict(plistlib.loads(plist).get("EnvironmentVariables", {}))
