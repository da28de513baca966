"""The configuration in force: routing.yaml and the environment, read together, looked up, and reloaded.

Rules of this file: a Config never changes (a reload makes another one), and a request keeps the one it began
with; nothing here knows of mitmproxy or of a clock; no `repr`, error or warning holds a secret. The types
that a Config is made of are in `routes`, and can be had from here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from dotenv import dotenv_values

from addons.config import routing_file
from addons.config.routing import (
    FailoverSettings,
    Fallback,
    PatternTable,
    PoolSettings,
    Price,
    Provider,
    Route,
    Target,
)
from addons.config.yaml_reader import ConfigError

__all__ = [
    "Config",
    "ConfigError",
    "FailoverSettings",
    "Fallback",
    "PoolSettings",
    "Price",
    "Provider",
    "Route",
    "Settings",
    "Target",
    "TokenMode",
    "environment",
    "load",
]

TokenMode = Literal["rotate", "passthrough"]
TOKEN_MODES: tuple[TokenMode, ...] = get_args(TokenMode)

REMEMBERED_NAMES = 512
LONGEST_REMEMBERED = 200
"""Clients choose the names that are looked up: neither their number nor their length may cost memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that can be configured, validated."""

    providers: Mapping[str, Provider]
    """By name. One that misses an environment variable is among them, with `missing`."""
    models: tuple[Route, ...]
    """In the order of the file."""
    fallbacks: tuple[Fallback, ...] = ()
    """In the order of the file."""
    failover: FailoverSettings = field(default_factory=FailoverSettings)
    pool: PoolSettings = field(default_factory=PoolSettings)
    tokens: tuple[str, ...] = field(default=(), repr=False)
    """CLAUDE_OAUTH_TOKENS: the pool, in the order given, without blanks and duplicates. Default: none."""
    token_mode: TokenMode = TOKEN_MODES[0]
    """CLAUDE_TOKEN_MODE. `rotate` (default): requests to Anthropic use the pool. `passthrough`: the client's
    own token."""
    static_token: str = field(default="", repr=False)
    """PROXY_STATIC_TOKEN: what every client must present. Default: empty, everybody may enter."""
    admin_key: str = field(default="", repr=False)
    """LITELLM_MASTER_KEY: the administrator's. Default: empty, nobody is one."""
    warnings: tuple[str, ...] = ()
    """One line each: what is switched off because something is missing."""
    header_secrets: tuple[str, ...] = field(default=(), repr=False)
    """Credentials in providers' `headers:`."""

    _routes: PatternTable[Route] = field(init=False, repr=False, compare=False)
    _fallbacks: PatternTable[tuple[str, ...]] = field(init=False, repr=False, compare=False)
    _found: dict[str, tuple[Target, ...]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        routes = PatternTable((route.alias, route) for route in self.models)
        fallbacks = PatternTable((fallback.asked, fallback.models) for fallback in self.fallbacks)
        object.__setattr__(self, "_routes", routes)
        object.__setattr__(self, "_fallbacks", fallbacks)

    def targets(self, model: str) -> list[Target]:
        """Where a request for `model` can go: its route, then its fallbacks; empty when no route matches.

        No (provider, model) is in it twice. Targets of a provider with `missing` are in it, for the caller to
        skip and to name in an error.
        """
        found = self._found.get(model)
        if found is None:
            found = self._search(model)
            if len(model) <= LONGEST_REMEMBERED:
                if len(self._found) >= REMEMBERED_NAMES:
                    self._found.clear()
                self._found[model] = found
        return list(found)

    def aliases(self) -> list[Route]:
        """The models that have a name of their own (no wildcard), in the order of the file."""
        return [route for route in self.models if "*" not in route.alias]

    def secrets(self) -> tuple[str, ...]:
        """Every secret value, for masking."""
        keys = (provider.api_key for provider in self.providers.values())
        secrets = (*keys, *self.header_secrets, *self.tokens, self.static_token, self.admin_key)
        return tuple(dict.fromkeys(filter(None, secrets)))

    def _search(self, model: str) -> tuple[Target, ...]:
        first = self._resolve(model, fallback=False)
        if first is None:
            return ()
        fallbacks = self._fallbacks.find(model)
        names = fallbacks[0] if fallbacks else ()
        unique: dict[tuple[str, str], Target] = {}
        for target in (first, *(self._resolve(name, fallback=True) for name in names)):
            if target:
                unique.setdefault((target.provider.name, target.model), target)
        return tuple(unique.values())

    def _resolve(self, name: str, *, fallback: bool) -> Target | None:
        found = self._routes.find(name)
        return found[0].target(name, found[1], fallback=fallback) if found else None


def load(text: str, env: Mapping[str, str], *, filename: str) -> Config:
    """The configuration that a routing.yaml of this text gives under this environment. Pure.

    A variable that is set but empty counts as missing; white space and a pair of quotes around a value don't
    belong to it. `filename` is what error messages call the file. Raises ConfigError.
    """
    env = {name: value for name, raw in env.items() if (value := unquoted(raw))}
    routing = routing_file.read(text, env, filename=filename)
    mode = env.get("CLAUDE_TOKEN_MODE", "rotate").lower()
    token_mode = next((known for known in TOKEN_MODES if known == mode), None)
    if token_mode is None:
        raise ConfigError(f"CLAUDE_TOKEN_MODE: must be one of {', '.join(TOKEN_MODES)}")
    return Config(
        providers=routing.providers,
        models=routing.models,
        fallbacks=routing.fallbacks,
        failover=routing.failover,
        pool=routing.pool,
        tokens=oauth_tokens(env),
        token_mode=token_mode,
        static_token=credential(env, "PROXY_STATIC_TOKEN"),
        admin_key=credential(env, "LITELLM_MASTER_KEY"),
        warnings=routing.warnings,
        header_secrets=routing.header_secrets,
    )


def environment(dotenv_path: Path | None, process: Mapping[str, str]) -> dict[str, str]:
    """The variables of the .env file (it may be missing, or None) under those of the process.

    A variable that is set but empty counts as missing in both, so an empty one in the process doesn't hide
    that of the file. Raises ConfigError when the file can't be read.
    """
    try:
        given = dotenv_values(dotenv_path, interpolate=False) if dotenv_path else {}
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(dotenv_path, error) from None
    both = [*given.items(), *process.items()]
    return {name: value for name, value in both if value and value.strip()}


def unquoted(value: str) -> str:
    """The value without white space and one pair of quotes around it (`docker --env-file` keeps quotes)."""
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1].strip()
    return value


def credential(env: Mapping[str, str], name: str) -> str:
    """The value of a variable that is compared with, or put into, a header; empty when it isn't set."""
    value = env.get(name, "")
    if value and not routing_file.VISIBLE.fullmatch(value):
        raise ConfigError(f"{name}: {routing_file.NOT_VISIBLE}")
    return value


def oauth_tokens(env: Mapping[str, str]) -> tuple[str, ...]:
    """CLAUDE_OAUTH_TOKENS: separated by commas or white space, quoted or not, each once."""
    parts = re.split(r"[,\s]+", env.get("CLAUDE_OAUTH_TOKENS", ""))
    tokens = tuple(dict.fromkeys(filter(None, (part.strip("\"'") for part in parts))))
    for number, token in enumerate(tokens, 1):
        if not routing_file.VISIBLE.fullmatch(token):
            raise ConfigError(f"CLAUDE_OAUTH_TOKENS: token {number} {routing_file.NOT_VISIBLE}")
    return tokens


def unreadable(path: Path | None, error: OSError | UnicodeDecodeError) -> ConfigError:
    """What to raise when a file can't be read."""
    why = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
    return ConfigError(f"{path}: {why}")


Stamp = tuple[int, int, int] | None
"""What tells a file from its next version: modification time, size, inode. None: it is missing or empty."""


def stamp(path: Path) -> Stamp:
    """The stamp of the file as it is now. One that is being rewritten looks empty: it counts as missing."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino) if status.st_size else None


class Settings:
    """The two files, and the last good configuration that they gave.

    `load` once at start, then `poll` every second or so (two stat calls when nothing has changed). The paths
    may be changed; `load` again after that.
    """

    current: Config
    """The configuration in force. Only there after the first successful `load`."""

    def __init__(self, routing_path: Path, env_path: Path, process_env: Mapping[str, str]) -> None:
        self.routing_path = routing_path
        self.env_path = env_path
        self.process_env = process_env
        self._known: tuple[Stamp, Stamp] = (None, None)
        self._vanished: tuple[Stamp, Stamp] | None = None

    def load(self) -> None:
        """Read both files now. Raises ConfigError, and what was in force before stays."""
        self._known, self._vanished = self._stamps(), None
        self.current = self._read()

    def poll(self) -> bool:
        """Read the files again if they have changed: True when another configuration is in force now.

        Raises ConfigError once for each change that gives none; the last good one stays. A file that is gone
        or empty is taken for a change only when the next poll finds it so too: editors replace a file in two
        steps.
        """
        seen = self._stamps()
        if seen == self._known:
            self._vanished = None
            return False
        lost = any(now is None and before is not None for now, before in zip(seen, self._known, strict=True))
        if lost and seen != self._vanished:
            self._vanished = seen
            return False
        try:
            outcome: Config | ConfigError = self._read()
        except ConfigError as error:
            outcome = error
        if self._stamps() != seen:
            return False  # written while it was read: the next poll looks again
        self._known, self._vanished = seen, None
        if isinstance(outcome, ConfigError):
            raise outcome
        self.current = outcome
        return True

    def _stamps(self) -> tuple[Stamp, Stamp]:
        return stamp(self.routing_path), stamp(self.env_path)

    def _read(self) -> Config:
        env = environment(self.env_path, self.process_env)
        try:
            text = self.routing_path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise unreadable(self.routing_path, error) from None
        return load(text, env, filename=str(self.routing_path))
