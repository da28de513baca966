"""Variables of .env and of the process, and the credentials in them: read, unquoted, checked for what can't be sent.

Rules of this file: no value is in any error; a variable that is set but empty counts as missing.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path

from dotenv.parser import parse_stream

from addons.config.yaml_reader import ConfigError

VISIBLE = re.compile(r"[\x21-\x7e]+")
NOT_VISIBLE = "has a space or a character that is not ASCII"
"""What is wrong with a credential that no header could carry."""


def environment(dotenv_path: Path | None, process: Mapping[str, str]) -> dict[str, str]:
    """The variables of the .env file (it may be missing, or None) under those of the process.

    A variable that is set but empty counts as missing in both, so an empty one in the process doesn't hide
    that of the file. Raises ConfigError when the file can't be read.
    """
    try:
        text = dotenv_text(dotenv_path)
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(dotenv_path, error) from None
    given = [(binding.key, binding.value) for binding in parse_stream(io.StringIO(text)) if binding.key]
    both = [*given, *process.items()]
    return {name: value for name, value in both if value and value.strip()}


def dotenv_text(path: Path | None) -> str:
    """The text of a .env file; empty when there is none (it may be a pipe: what isn't a folder is read)."""
    return path.read_text(encoding="utf-8") if path and path.exists() and not path.is_dir() else ""


def unquoted(value: str) -> str:
    """The value without white space and one pair of quotes around it (`docker --env-file` keeps quotes)."""
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1].strip()
    return value


def credential(env: Mapping[str, str], name: str) -> str:
    """The value of a variable that is compared with, or put into, a header; empty when it isn't set."""
    value = env.get(name, "")
    if value and not VISIBLE.fullmatch(value):
        raise ConfigError(f"{name}: {NOT_VISIBLE}")
    return value


def oauth_tokens(env: Mapping[str, str]) -> tuple[str, ...]:
    """CLAUDE_OAUTH_TOKENS: separated by commas or white space, quoted or not, each once."""
    tokens = tuple(dict.fromkeys(token_parts(env.get("CLAUDE_OAUTH_TOKENS", ""))))
    for number, token in enumerate(tokens, 1):
        if not VISIBLE.fullmatch(token):
            raise ConfigError(f"CLAUDE_OAUTH_TOKENS: token {number} {NOT_VISIBLE}")
    return tokens


def token_parts(value: str) -> list[str]:
    """The tokens in the order given, one that is there twice included."""
    return [token for part in re.split(r"[,\s]+", value) if (token := part.strip("\"'"))]


def credential_files(env: Mapping[str, str]) -> tuple[str, ...]:
    """CLAUDE_CREDENTIALS: absolute paths, separated by commas, each once."""
    parts = filter(None, (part.strip().strip("\"'") for part in env.get("CLAUDE_CREDENTIALS", "").split(",")))
    return tuple(dict.fromkeys(str(Path(part).expanduser().absolute()) for part in parts))


def unreadable(path: Path | None, error: OSError | UnicodeDecodeError) -> ConfigError:
    """The ConfigError for a file that can't be read."""
    why = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
    return ConfigError(f"{path}: {why}")
