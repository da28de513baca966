"""The two files that the gateway is configured by, their paths, and the last good configuration that they gave.

Rules of this file: a file is read again only when its stamp has changed; a mistake never takes the last good
configuration away. When to look is for the caller to decide (`reload.py`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from shlex import quote

from addons.config.config import Config, load
from addons.config.env_warnings import env_warnings
from addons.config.environment import dotenv_text, environment, unreadable
from addons.config.presets import texts
from addons.config.yaml_reader import ConfigError

HOME = Path(__file__).resolve().parents[2]
"""The project's folder: routing.yaml, .env and the database lie there where no option says otherwise."""

MOST_LEARNED = 1000


def closed_mark(database: Path) -> Path:
    """The file that says that the gate was closed by a user, also where the database that says so has been lost."""
    return database.with_name(f"{database.name}.closed")


Stamp = tuple[int, int, int] | None
"""What tells a file from its next version: modification time, size, inode. None: it is missing or empty."""


def stamp(path: Path) -> Stamp:
    """The stamp of the file as it is now. One that is being rewritten looks empty: it counts as missing."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino) if status.st_size else None


STAYS_CLOSED = (
    "PROXY_STATIC_TOKEN is not set any more: the gate stays closed, and the last token stays valid, until a restart"
)


def is_open_to_others(path: Path) -> bool:
    """Whether users other than the owner may read this file. (On Windows the mode says nothing of that.)"""
    try:
        return os.name == "posix" and bool(path.stat().st_mode & 0o044)
    except OSError:
        return False


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
        self.learned: dict[str, None] = {}
        """Secrets that came while the gateway ran, in the order in which they came."""
        self._known: tuple[Stamp, Stamp] = (None, None)
        self._vanished: tuple[Stamp, Stamp] | None = None

    def learn(self, *secrets: str) -> None:
        """From now on these are masked too. The oldest make room in the end: they have long been replaced."""
        for secret in filter(None, secrets):
            self.learned.pop(secret, None)
            self.learned[secret] = None
        while len(self.learned) > MOST_LEARNED:
            del self.learned[next(iter(self.learned))]

    def load(self) -> None:
        """Read both files now. Raises ConfigError, and what was in force before stays."""
        self._known, self._vanished = self._stamps(), None
        self.current = self._kept_closed(self._read())

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
        self.current = self._kept_closed(outcome)
        return True

    def _kept_closed(self, config: Config) -> Config:
        """The configuration, with the last PROXY_STATIC_TOKEN where it has none any more: a misspelt name or a lost
        .env must not let everybody in. Only a restart opens the gate."""
        before: Config | None = getattr(self, "current", None)
        if before is None or not before.static_token or config.static_token:
            return config
        warnings = (STAYS_CLOSED, *config.warnings)
        return replace(config, static_token=before.static_token, warnings=warnings)

    def _stamps(self) -> tuple[Stamp, Stamp]:
        return stamp(self.routing_path), stamp(self.env_path)

    def _read(self) -> Config:
        env = environment(self.env_path, self.process_env)
        try:
            text = self.routing_path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise unreadable(self.routing_path, error) from None
        config = load(text, env, filename=str(self.routing_path))
        presets = [texts()[provider.preset] for provider in config.providers.values() if provider.preset]
        said = "\n".join([text, *presets])
        warnings = env_warnings(dotenv_text(self.env_path), env, said, filename=str(self.env_path))
        if is_open_to_others(self.env_path):
            private = f"chmod 600 {quote(str(self.env_path))}"
            warnings = (f"{self.env_path} can be read by other users of this machine: {private}", *warnings)
        return replace(config, warnings=(*warnings, *config.warnings)) if warnings else config


def settings() -> Settings:
    """The settings of a gateway that has not read its files yet."""
    return Settings(HOME / "routing.yaml", HOME / ".env", dict(os.environ))
