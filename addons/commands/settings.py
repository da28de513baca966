"""`./run.sh settings`: the settings block for Claude Code, printed or put into a settings file.

./run.sh settings [ALIAS]                  print it (default: the first model that can be used)
./run.sh settings [ALIAS] --write FILE     put it into a file (~/.claude/settings.json), which keeps all else
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from addons.commands.running_gateway import Failed, run
from addons.config.client_settings import BLOCK, PLACEHOLDER, client_settings, client_url, first_alias
from addons.config.config import Config, ConfigError
from addons.config.settings import HOME, Settings, closed_mark, settings
from addons.wire.masking import is_credential_header, mask

BUDGET_COSTS = (
    "With CLAUDE_CODE_USE_GATEWAY=1 Claude Code shows how much of a budget is used: at 75 %, at 95 %, in /usage. It "
    "takes the address only behind TLS or on this machine, sends the key as its own login, and doesn't use a claude.ai "
    "login beside it. It leaves out some of its beta features: the effort level, context management, and tools that "
    "change in the middle of a conversation. Auto mode goes on asking for verdicts (seen with Claude Code 2.1.332)."
)

A_PLACE = (PLACEHOLDER, "YOUR_")
"""How a value begins that stands in the place of a credential: one that is there already is never replaced by it."""


def main(arguments: Sequence[str]) -> int:
    """Run `./run.sh settings` with these arguments. 0: fine; 1: it can't be used as it is, or not at all, which is
    said; 2: wrong use, or no name of a model."""
    options = parsed(arguments)
    where = loaded()
    config = where.current
    alias = options.alias or first_alias(config)
    if "*" in alias:
        sys.stderr.write(f"{alias!r} stands for many models: say which one, like {alias.replace('*', 'NAME')!r}\n")
        return 2
    targets = config.targets(alias)
    if not targets:
        raise Failed(no_route(alias, config))
    url, has_users = client_url(os.environ), closed_mark(database(os.environ)).exists()
    block = client_settings(config, alias, url, has_users=has_users, budget_display=options.budget_display)
    if options.write:
        write(Path(options.write).expanduser(), block["env"], sure=options.yes)
    else:
        sys.stdout.write(json.dumps(block, indent=2) + "\n")
    if options.budget_display:
        sys.stderr.write(f"{BUDGET_COSTS}\n")
    if missing := targets[0].provider.missing:
        raise Failed(f"{alias} can't be used yet: {missing} is not set (in {where.env_path})")
    return 0


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options. Exits with 2 when they are wrong."""
    parser = argparse.ArgumentParser(
        prog="./run.sh settings", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("alias", nargs="?", help="a name of `models:` in routing.yaml")
    parser.add_argument("--json", action="store_true", help="print JSON, as without it")
    parser.add_argument("--write", metavar="FILE", help="put it into this file, after showing what changes in it")
    parser.add_argument("--yes", action="store_true", help="don't ask before writing")
    parser.add_argument("--budget-display", action="store_true", help="with what makes Claude Code show budgets")
    options = parser.parse_args(arguments)
    if options.write == "":
        parser.error("--write which file?")
    if options.yes and not options.write:
        parser.error("--yes without --write FILE")
    return options


def loaded() -> Settings:
    """The gateway's configuration, from where the environment says. Raises Failed."""
    where = settings()
    where.routing_path = Path(os.environ.get("GATEWAY_ROUTING") or where.routing_path)
    where.env_path = Path(os.environ.get("GATEWAY_ENV") or where.env_path)
    try:
        where.load()
    except ConfigError as error:
        raise Failed(str(error)) from None
    return where


def database(env: Mapping[str, str]) -> Path:
    """Where the gateway's database is."""
    return Path(env.get("GATEWAY_DB") or HOME / ".gateway.db").expanduser()


def no_route(alias: str, config: Config) -> str:
    """What is said of a name that no model has."""
    return f"no route for {alias!r}; models: {', '.join(route.alias for route in config.models)}"


def write(path: Path, block: Mapping[str, str], *, sure: bool) -> None:
    """Put a block into a settings file. Shows the difference first, and asks whoever sits at a terminal. Raises
    Failed."""
    before = read(path)
    after = merged(before, block)
    if after == before:
        sys.stdout.write(f"{path} says so already\n")
        return
    sys.stdout.write(difference(before, after, str(path)))
    if not sure:
        if not sys.stdin.isatty():
            raise Failed(f"{path} was not changed: nobody can be asked here; --yes writes it")
        sys.stdout.write(f"Write this to {path}? [y/N] ")
        sys.stdout.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise Failed(f"{path} was not changed")
    try:
        save(path, json.dumps(after, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise Failed(f"{path}: {error.strerror}") from None
    sys.stdout.write(f"{path} is written\n")
    for name, value in after["env"].items():
        if name in block and "YOUR_" in value:
            sys.stdout.write(f"Now put your key in the place of {value[value.index('YOUR_') :]} ({name})\n")


def read(path: Path) -> dict[str, Any]:
    """What a settings file says; nothing when it isn't there. Raises Failed."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{path}: {getattr(error, 'strerror', None) or 'is not UTF-8 text'}") from None
    try:
        found = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise Failed(f"{path} is not valid JSON: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("env", {}), dict):
        raise Failed(f"{path}: must be a JSON object, and so must its `env`")
    return found


def merged(before: Mapping[str, Any], block: Mapping[str, str]) -> dict[str, Any]:
    """The settings with the block in them. Where an earlier block of this gateway was in them, what the new one has no
    more is taken out: the window of another model, say. A credential is never replaced by the place for one."""
    env: dict[str, Any] = before.get("env", {})
    earlier = env.get("ANTHROPIC_BASE_URL") == block["ANTHROPIC_BASE_URL"]
    stale = BLOCK - block.keys() - {"ANTHROPIC_CUSTOM_HEADERS"} if earlier else frozenset()
    if env.get("ANTHROPIC_AUTH_TOKEN") != PLACEHOLDER:
        stale -= {"ANTHROPIC_AUTH_TOKEN"}
    kept = {name: value for name, value in env.items() if name not in stale}
    new = {name: value for name, value in block.items() if not (is_a_place(value) and kept.get(name))}
    return {**before, "env": {**kept, **new}}


def is_a_place(value: str) -> bool:
    """Whether a value of a block stands in the place of a credential."""
    return value.rpartition(": ")[2].startswith(A_PLACE)


def difference(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> str:
    """What changes in a file, with credentials masked."""
    old, new = (json.dumps(masked(value), indent=2, ensure_ascii=False).splitlines() for value in (before, after))
    return "\n".join(difflib.unified_diff(old, new, name, name, lineterm="", n=2)) + "\n"


def masked(value: Any, name: str = "") -> Any:
    """Settings in which no credential can be read."""
    if isinstance(value, dict):
        return {key: masked(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [masked(part, name) for part in value]
    if not isinstance(value, str) or is_a_place(value):
        return value
    if name == "ANTHROPIC_CUSTOM_HEADERS":
        return "\n".join(masked_header(line) for line in value.split("\n"))
    return mask(value) if is_secret(name) else value


def is_secret(name: str) -> bool:
    """Whether a variable or a key of the settings holds a credential, by its name."""
    words = set(name.upper().replace("-", "_").split("_"))
    return bool(words & {"TOKEN", "KEY", "SECRET", "PASSWORD", "APIKEY"}) or is_credential_header(name)


def masked_header(line: str) -> str:
    """`x-litellm-api-key: …6789`; a token mode behind a comma goes with it."""
    name, colon, value = line.partition(":")
    return f"{name}{colon} {mask(value.strip())}" if colon and is_secret(name.strip()) else line


def save(path: Path, text: str) -> None:
    """Put a text in the place of a file, in one step and with the rights that it had; through a link, where it leads.
    Raises OSError."""
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o600
    with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            new = Path(file.name)
            new.chmod(mode)
            new.replace(path)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise


if __name__ == "__main__":
    run(main)
