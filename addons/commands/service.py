"""`./run.sh service`: the gateway as a service of this machine, by systemd (Linux) or launchd (macOS).

  ./run.sh service install [-- options]   install and start it: a service of this user, as root one of the machine
  ./run.sh service uninstall              stop it and take it away; files and settings stay
  ./run.sh service start|stop|status
  ./run.sh service restart                check the configuration, then restart it: running answers finish first; with
                                          --workers, one after the other: new ones don't wait
  ./run.sh service logs [-f]              what it says; -f: and goes on to say

What follows `--` are options of ./run.sh, as in `-- --set block_global=false` or `-- web`. GATEWAY_HOST, GATEWAY_PORT
and the paths (GATEWAY_ROUTING …) that are set when it is installed are kept; keys belong into .env.
"""

from __future__ import annotations

import argparse
import http.client
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from addons.commands.routes import configuration
from addons.commands.running_gateway import Failed, RunningGateway, address, run
from addons.commands.service_files import (
    NAME,
    Service,
    kept,
    launchd_plist,
    plist_environment,
    plist_has_workers,
    systemd_unit,
    unit_environment,
    unit_has_workers,
)
from addons.config.environment import environment
from addons.config.settings import HOME
from addons.config.variables import VARIABLE
from addons.config.yaml_reader import ConfigError
from addons.state.control import FILE_NAME

ACTIONS = ("install", "uninstall", "start", "stop", "restart", "status", "logs")
OF_THE_GATEWAY = (
    *("CLAUDE_OAUTH_TOKENS", "CLAUDE_CREDENTIALS", "CLAUDE_TOKEN_MODE", "PROXY_STATIC_TOKEN", "LITELLM_MASTER_KEY"),
    "GATEWAY_REDIS_URL",
    *("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"),
)
"""Variables that count without standing in routing.yaml."""
STARTS_WITHIN = 20.0
"""Seconds that a start is waited for."""

Commands = list[list[str]]


class Systemd:
    """systemd's way: a unit of the user, or of the system."""

    def __init__(self, *, system: bool, env: Mapping[str, str]) -> None:
        self.system = system
        config = Path(env.get("XDG_CONFIG_HOME") or Path(env["HOME"], ".config"))
        self.file = Path("/etc/systemd/system" if system else config / "systemd/user") / f"{NAME}.service"
        self.control = ["systemctl"] if system else ["systemctl", "--user"]

    def missing(self) -> str | None:
        """Why there can be no service here."""
        if shutil.which("systemctl") and succeeds([*self.control, "show-environment"]):
            return None
        return (
            f"systemd does not answer here{'' if self.system else ' for this user'} (on WSL: systemd=true under [boot] "
            "in /etc/wsl.conf; after `su`: log in instead); ./run.sh compose up -d is another way"
        )

    def written(self, service: Service) -> bytes:
        return systemd_unit(service).encode()

    def environment(self) -> dict[str, str]:
        return unit_environment(self.file.read_text())

    def has_workers(self) -> bool:
        """Whether several processes serve."""
        return unit_has_workers(self.file.read_text())

    def commands(self, action: str) -> Commands:
        """What is run for an action; for `uninstall` before the file is taken away."""
        if action == "replace":
            return [[*self.control, "reload-or-restart", NAME]]
        if action == "install":
            return [[*self.control, "daemon-reload"], [*self.control, "enable", "--quiet", "--now", NAME]]
        if action == "uninstall":
            return [[*self.control, "disable", "--quiet", "--now", NAME]]
        if action == "status":
            return [[*self.control, "status", "--no-pager", "--lines=5", NAME]]
        if action == "logs":
            return [["journalctl", *self.control[1:], f"--unit={NAME}", "--lines=100", "--no-pager", "--output=cat"]]
        return [[*self.control, action, NAME]]

    def advice(self, env: Mapping[str, str]) -> str:
        """What an installation leaves to do."""
        if self.system or Path("/var/lib/systemd/linger", env.get("USER", "")).is_file():
            return ""
        return "it ends when you log out; `loginctl enable-linger` keeps it running, and starts it with the machine\n"


class Launchd:
    """macOS's way: an agent of the user, or a daemon of the machine."""

    def __init__(self, *, system: bool, env: Mapping[str, str]) -> None:
        library = Path("/Library" if system else Path(env["HOME"], "Library"))
        self.file = library / ("LaunchDaemons" if system else "LaunchAgents") / f"{NAME}.plist"
        self.log = library / f"Logs/{NAME}.log"
        self.domain = "system" if system else f"gui/{os.getuid()}"

    def missing(self) -> str | None:
        """Why there can be no service here."""
        return None if shutil.which("launchctl") else "launchctl is not there"

    def written(self, service: Service) -> bytes:
        return launchd_plist(service, self.log)

    def environment(self) -> dict[str, str]:
        return plist_environment(self.file.read_bytes())

    def has_workers(self) -> bool:
        """Whether several processes serve."""
        return plist_has_workers(self.file.read_bytes())

    def commands(self, action: str) -> Commands:
        """What is run for an action; for `uninstall` before the file is taken away."""
        target = f"{self.domain}/{NAME}"
        return {
            "install": [["launchctl", "bootstrap", self.domain, str(self.file)]],
            "start": [["launchctl", "bootstrap", self.domain, str(self.file)]],
            "uninstall": [["launchctl", "bootout", target]],
            "stop": [["launchctl", "bootout", target]],
            "restart": [["launchctl", "kill", "SIGTERM", target]],
            "replace": [["launchctl", "kill", "SIGHUP", target]],
            "status": [["launchctl", "print", target]],
            "logs": [["tail", "-n", "100", str(self.log)]],
        }[action]

    def advice(self, env: Mapping[str, str]) -> str:
        """What an installation leaves to do."""
        return ""


Supervisor = Systemd | Launchd


def main(arguments: Sequence[str]) -> int:
    """Run `./run.sh service` with these arguments; returns the exit code."""
    options = parsed(arguments)
    kind = Launchd if sys.platform == "darwin" else Systemd
    supervisor = kind(system=os.geteuid() == 0, env=os.environ)
    if options.action == "uninstall":
        return uninstall(supervisor)
    if options.action == "restart" and not supervisor.file.exists():
        check(os.environ, before=options.before)
        sys.stderr.write(f"{NAME} is not installed as a service: what was started by hand, restart by hand\n")
        return 0 if options.before else 1
    if options.action != "install" and not supervisor.file.exists():
        raise Failed(f"{NAME} is not installed as a service: ./run.sh service install")
    if missing := supervisor.missing():
        raise Failed(missing)
    if options.action == "install":
        return install(supervisor, options)
    if options.action == "restart":
        check(supervisor.environment(), before=options.before)
        if supervisor.has_workers() and (old := workers(supervisor.environment())):
            return carry_out(supervisor.commands("replace")) or wait_for_others(supervisor.environment(), old)
    follow = ["-f"] if options.follow else []
    status = carry_out([[*command, *follow] for command in supervisor.commands(options.action)])
    if status == 0 and options.action in ("start", "restart"):
        return wait(supervisor.environment())
    return status


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options. Exits with 2 when they are wrong."""
    parser = argparse.ArgumentParser(
        prog="./run.sh service", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("--user", help="as root: whom it runs as (default: the owner of this folder)")
    parser.add_argument("-f", "--follow", action="store_true", help="of logs: go on")
    parser.add_argument("--before", help=argparse.SUPPRESS)  # ./run.sh update: the version before
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options, others = parser.parse_args(arguments[:end]), list(arguments[end + 1 :])
    if others and options.action != "install":
        parser.error("only install takes options for ./run.sh")
    if options.follow and options.action != "logs":
        parser.error("only logs takes -f")
    options.others = others
    return options


def install(supervisor: Supervisor, options: argparse.Namespace) -> int:
    """Write the file and start the service."""
    service = Service(
        script=HOME / "run.sh",
        options=tuple(options.others),
        environment=kept(os.environ, Path.cwd()),
        user=runs_as(options.user),
    )
    check(service.environment, then="install")
    try:
        content = supervisor.written(service)
    except ValueError as error:
        raise Failed(str(error)) from None
    if supervisor.file.exists():
        carry_out(supervisor.commands("stop"))
    elif health(url := address(service.environment)):
        raise Failed(f"a gateway runs at {url} already: stop it first")
    supervisor.file.parent.mkdir(parents=True, exist_ok=True)
    supervisor.file.write_bytes(content)
    said = f"wrote {supervisor.file}" + (f", which runs as {service.user}" if service.user else "")
    sys.stdout.write(said + "\n" + supervisor.advice(os.environ))
    if left := unseen(os.environ, service.environment):
        many, them = ("are", "them") if left[1:] else ("is", "it")
        sys.stdout.write(f"{', '.join(left)} {many} set here, not in .env: the service doesn't see {them}\n")
    status = carry_out(supervisor.commands("install"))
    return status or wait(service.environment, service.options)


def unseen(env: Mapping[str, str], kept: Mapping[str, str]) -> list[str]:
    """The variables of this environment that the configuration uses, and that a service without them doesn't have."""
    try:
        text = Path(kept.get("GATEWAY_ROUTING") or HOME / "routing.yaml").read_text(encoding="utf-8")
        there = environment(Path(kept.get("GATEWAY_ENV") or HOME / ".env"), {})
    except (OSError, UnicodeDecodeError, ConfigError):
        return []  # said when the configuration was checked
    written = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    used = {*VARIABLE.findall("\n".join(written)), *OF_THE_GATEWAY}
    return sorted(name for name in used if env.get(name) and name not in there)


def runs_as(asked: str | None) -> str | None:
    """The user as whom a service of the machine runs; None where it is one of the user."""
    if os.geteuid():
        if asked:
            raise Failed("--user is for root: another's service is of the machine")
        return None
    owner = pwd.getpwuid(HOME.stat().st_uid).pw_name
    if asked is None and owner == "root":
        sys.stderr.write(
            "this folder is root's, so the gateway runs as root; --user NAME: as another, who owns the folder\n"
        )
    try:
        return pwd.getpwnam(asked or owner).pw_name
    except KeyError:
        raise Failed(f"there is no user {asked}") from None


def uninstall(supervisor: Supervisor) -> int:
    """Stop the service and take its file away."""
    if not supervisor.file.exists():
        sys.stdout.write(f"{NAME} is not installed as a service\n")
        return 0
    if supervisor.missing() is None:
        carry_out(supervisor.commands("uninstall"))
    supervisor.file.unlink()
    if isinstance(supervisor, Systemd) and supervisor.missing() is None:
        carry_out([[*supervisor.control, "daemon-reload"]])
    sys.stdout.write(f"removed {supervisor.file}\n")
    return 0


def check(env: Mapping[str, str], *, then: str = "restart", before: str | None = None) -> None:
    """Read the configuration as a gateway with these variables would. Raises Failed."""
    try:
        configuration(env)
    except ConfigError as error:
        back = f"; or go back to the version before: git reset --keep {before}" if before else ""
        raise Failed(f"{error}\nwhat runs was left as it is: mend that, then ./run.sh service {then}{back}") from None


def carry_out(commands: Commands) -> int:
    """Run commands until one fails; returns its exit code."""
    sys.stdout.flush()
    for command in commands:
        if status := subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode:  # noqa: S603
            return status
    return 0


def succeeds(command: list[str]) -> bool:
    """Whether a command ends well; what it says isn't shown."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0  # noqa: S603


def wait(env: Mapping[str, str], options: Sequence[str] = ()) -> int:
    """Wait until the gateway answers, and say where; 1 when it doesn't."""
    if any(option.startswith(("-p", "--listen-", "--mode", "-m")) for option in options):
        return 0  # it listens elsewhere
    url, until = address(env), time.monotonic() + STARTS_WITHIN
    while not health(url):
        if time.monotonic() > until:
            raise Failed(f"nothing answers at {url} yet: ./run.sh service logs says why")
        time.sleep(0.1)
    sys.stdout.write(f"the gateway runs at {url}\n")
    return 0


def workers(env: Mapping[str, str]) -> set[int]:
    """The processes of the workers that serve; none where no gateway of several answers."""
    control = Path(env["GATEWAY_DB"]).with_name(FILE_NAME) if env.get("GATEWAY_DB") else None
    try:
        gateway = RunningGateway(argparse.Namespace(url=None, control=control), env)
        return {int(one["pid"]) for one in gateway.ask("workers")}
    except Failed:
        return set()


def wait_for_others(env: Mapping[str, str], old: set[int]) -> int:
    """Wait until all workers have been replaced, and say so."""
    until = time.monotonic() + STARTS_WITHIN * len(old)
    while len(new := workers(env)) < len(old) or new & old:
        if time.monotonic() > until:
            raise Failed("not all workers have been replaced, the old ones serve on: ./run.sh service logs says why")
        time.sleep(0.2)
    sys.stdout.write(f"{len(new)} workers were replaced one by one; running answers finish\n")
    return 0


def health(url: str) -> bool:
    """Whether a gateway answers there, and doesn't end at this moment."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    run(main)
