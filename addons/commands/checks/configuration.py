"""Checks of routing.yaml and .env: every mistake, and what is odd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from addons.commands.checks.check import Check
from addons.config.config import Config, ConfigError
from addons.config.environment import environment
from addons.config.mistakes import mistakes
from addons.config.presets import hints
from addons.config.settings import Settings

MEND = "mend it: no gateway starts with it, and a running one goes on with what it had"

OWN_CHECK = "can be read by other users"
"""What is said of a file's rights has a check of its own; so has each provider that is off."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the files give."""

    checks: list[Check]
    config: Config | None
    """None: there is a mistake."""


def of_files(where: Settings, process: Mapping[str, str]) -> Found:
    """The configuration that the gateway would start with, or all that is wrong with it."""
    try:
        where.load()
    except ConfigError as error:
        lines = all_mistakes(where.routing_path, where.env_path, process) or [str(error)]
        return Found([Check("configuration", False, line, MEND) for line in lines], None)
    config = where.current
    said = f"models: {len(config.models)}, providers: {len(config.providers)}"
    odd = [*config.warnings, *hints(config.providers.values())]
    notes = [Check("configuration", True, line) for line in odd if OWN_CHECK not in line and line not in config.off]
    return Found([Check("configuration", True, said), *notes], config)


def all_mistakes(routing: Path, env: Path, process: Mapping[str, str]) -> list[str]:
    """Every mistake in the files; nothing when they can't be read."""
    try:
        text = routing.read_text(encoding="utf-8")
        return mistakes(text, environment(env, process), filename=str(routing))
    except (OSError, UnicodeDecodeError, ConfigError):
        return []
