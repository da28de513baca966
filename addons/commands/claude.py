"""`./run.sh claude`: Claude Code with all that points it at this gateway, which is started where none runs.

./run.sh claude [ALIAS] [ARGUMENTS OF claude]

It touches no file. What `~/.claude/settings.json` says of the gateway's variables would win over the environment (seen
with Claude Code 2.1.332), so they are given as `--settings` besides, but for credentials: everybody can see arguments.
"""

from __future__ import annotations

import difflib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from addons.commands.running_gateway import Failed, address, run
from addons.commands.settings import database, is_a_place, loaded
from addons.config.client_settings import KEY_HEADER, PLACEHOLDER, client_settings, first_alias
from addons.config.config import Config
from addons.config.settings import HOME

OTHER_WAYS = ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY")
"""Variables with which Claude Code asks somebody else, whatever ANTHROPIC_BASE_URL says."""

START_WITHIN = 60.0
"""Seconds that a gateway has to start; the first start installs it."""

LOOK_EVERY = 0.05
RUN = HOME / "run.sh"
LOG_NAME = ".gateway.log"
LAST_LINES = 5
LONGEST_LIST = 1_000_000


def main(arguments: Sequence[str]) -> int:
    """Start Claude Code in the place of this process. Returns only when it can't."""
    if list(arguments[:1]) in (["-h"], ["--help"]):
        sys.stdout.write(__doc__ or "")
        return 0
    config = loaded().current
    alias, rest = divided(arguments, config)
    if alias is None:
        sys.stderr.write(f"{rest[0]!r} is no model; did you mean {closest(rest[0], config)!r}? (-- {rest[0]}: not)\n")
        return 2
    url, key = address(os.environ), os.environ.get("GATEWAY_KEY") or config.static_token
    missing = next((target.provider.missing for target in config.targets(alias)[:1]), "")
    if missing and not serves(url, key, alias):
        raise Failed(f"{alias} can't be used yet: {missing} is not set (in .env)")
    program = shutil.which("claude")
    if not program:
        raise Failed(
            "there is no `claude` on the PATH: Claude Code is installed with `npm install -g @anthropic-ai/claude-code`"
        )
    ensure_running(url)
    if not lets_in(url, key):
        raise Failed(
            "the gateway has users, and GATEWAY_KEY is not set: `./run.sh user add NAME` makes a key"
            if not key
            else f"the gateway refuses {'GATEWAY_KEY' if os.environ.get('GATEWAY_KEY') else 'PROXY_STATIC_TOKEN'}"
        )
    block = client_settings(config, alias, url)["env"]
    env = environment(os.environ, block, key)
    sys.stdout.flush()
    os.execve(program, [program, *settings_option(block, rest), *rest], env)  # noqa: S606
    raise AssertionError("not reached")


def divided(arguments: Sequence[str], config: Config) -> tuple[str | None, list[str]]:
    """The alias, and what is the client's. Without an alias it is the first model that can be used; None: what stands
    in its place is nearly one."""
    rest = list(arguments)
    if rest[:1] == ["--"]:
        return first_alias(config), rest[1:]
    if not rest or rest[0].startswith("-"):
        return first_alias(config), rest
    if "*" not in rest[0] and config.targets(rest[0]):
        return rest[0], rest[1:]
    return (None if closest(rest[0], config) else first_alias(config)), rest


def closest(word: str, config: Config) -> str:
    """The alias that a word is a misspelling of; empty when it is none."""
    names = [route.alias for route in config.aliases()]
    return next(iter(difflib.get_close_matches(word, names, 1, 0.6)), "")


def environment(inherited: Mapping[str, str], block: Mapping[str, str], key: str) -> dict[str, str]:
    """The environment of Claude Code: the block, with the gateway's key where the block has only a place for one."""
    env = {name: value for name, value in inherited.items() if name not in OTHER_WAYS}
    if "ANTHROPIC_AUTH_TOKEN" in block:
        env.pop("ANTHROPIC_API_KEY", None)  # the client would ask whether to use it, and the gateway needs none
    elif env.get("ANTHROPIC_AUTH_TOKEN") == PLACEHOLDER:
        del env["ANTHROPIC_AUTH_TOKEN"]  # of an earlier block: the client's own login is wanted here
    env |= block
    env.pop("ANTHROPIC_CUSTOM_HEADERS", None)
    others = [
        line
        for line in inherited.get("ANTHROPIC_CUSTOM_HEADERS", "").splitlines()
        if line.strip() and not line.lower().startswith(KEY_HEADER)
    ]
    if headers := [*others, *([f"{KEY_HEADER}: {key}"] if key else [])]:
        env["ANTHROPIC_CUSTOM_HEADERS"] = "\n".join(headers)
    host = block["ANTHROPIC_BASE_URL"].partition("://")[2].rpartition(":")[0].strip("[]")
    for name in ("NO_PROXY", "no_proxy"):
        if any(env.get(proxy) for proxy in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy")):
            env[name] = ",".join(filter(None, [env.get(name, ""), host]))
    return env


def settings_option(block: Mapping[str, str], rest: Sequence[str]) -> list[str]:
    """What makes the block win over settings files; nothing where the user gives settings of his own."""
    if any(argument == "--settings" or argument.startswith("--settings=") for argument in rest):
        return []
    shown = {name: value for name, value in block.items() if value == PLACEHOLDER or not is_a_place(value)}
    return ["--settings", json.dumps({"env": shown})]


def ensure_running(url: str) -> None:
    """See to it that a gateway answers at the address: one that runs is joined, else one is started, which goes on when
    this command is over. Raises Failed."""
    if (health := health_of(url)) is not None:
        if health:
            return
        raise Failed(f"what answers at {url} is no gateway: GATEWAY_PORT takes another port")
    log = database(os.environ).with_name(LOG_NAME)
    process = start(log)
    until = time.monotonic() + START_WITHIN
    while not health_of(url):
        if process.poll() is not None and not health_of(url):  # else another one was faster
            raise Failed(f"the gateway doesn't start ({log}):\n{last_lines(log)}")
        if time.monotonic() > until:
            raise Failed(f"the gateway has not started within {START_WITHIN:.0f} s, see {log}; kill {process.pid}")
        time.sleep(LOOK_EVERY)
    if process.poll() is None:
        sys.stderr.write(f"gateway: started (its log is {log}); it goes on until: kill {process.pid}\n")


def start(log: Path) -> subprocess.Popen[bytes]:
    """Start `./run.sh` by itself: it outlives this command, and Ctrl-C is not for it. Raises Failed."""
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise Failed(f"{log}: {error.strerror}") from None
    try:
        return subprocess.Popen(  # noqa: S603
            [RUN],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    finally:
        os.close(output)


def last_lines(log: Path) -> str:
    """The end of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:])


def health_of(url: str) -> dict[str, Any] | None:
    """What a gateway says of itself; empty when something else answers, None when nobody does."""
    try:
        with build_opener(ProxyHandler({})).open(f"{url}/health", timeout=15) as response:
            found = json.loads(response.read(10_000))
    except HTTPError as error:
        error.close()
        return {"status": "draining"} if error.code == 503 else {}
    except ValueError:
        return {}
    except OSError:
        return None
    return found if isinstance(found, dict) and found.get("status") in ("ok", "draining") else {}


def serves(url: str, key: str, alias: str) -> bool:
    """Whether a gateway runs that has this model, with other files than ours: the demo, say."""
    try:
        with build_opener(ProxyHandler({})).open(models_request(url, key), timeout=15) as response:
            found = json.loads(response.read(LONGEST_LIST))
        return any(model["id"] == alias for model in found["data"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False


def models_request(url: str, key: str) -> Request:
    """Asks a gateway for its models."""
    return Request(f"{url}/v1/models", headers={KEY_HEADER: key} if key else {})  # noqa: S310


def lets_in(url: str, key: str) -> bool:
    """Whether the gate opens for a key (empty: for nobody in particular)."""
    try:
        with build_opener(ProxyHandler({})).open(models_request(url, key), timeout=15):
            return True
    except HTTPError as error:
        error.close()
        return error.code != 401
    except OSError:
        return True


if __name__ == "__main__":
    run(main)
