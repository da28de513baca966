"""Checks of Claude Code's settings: whether it asks this gateway, and for models that can be had.

Rules of this file: pure but for `read_settings`; no value of a credential is in anything that is said.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from addons.commands.checks.check import Check
from addons.commands.claude import OTHER_WAYS
from addons.config.client_settings import HAIKU, HERE, KEY_HEADER, PLACEHOLDER, SONNET
from addons.config.config import Config, token_mode

FILES = ("~/.claude/settings.json", ".claude/settings.json", ".claude/settings.local.json")
"""Where Claude Code looks, the stronger last. All of them win over the environment (seen with 2.1.332)."""

ASKS_FOR = {
    "ANTHROPIC_DEFAULT_HAIKU_MODEL": HAIKU,
    "ANTHROPIC_DEFAULT_SONNET_MODEL": SONNET,
    "ANTHROPIC_DEFAULT_OPUS_MODEL": "claude-opus-5-5",
    "CLAUDE_CODE_SUBAGENT_MODEL": SONNET,
    "CLAUDE_CODE_AUTO_MODE_MODEL": SONNET,
}
"""What Claude Code asks for by itself where the variable isn't set."""

WRITE = "./run.sh settings --write ~/.claude/settings.json"


def read_settings(path: Path) -> dict[str, Any] | str:
    """The `env` of a settings file; a sentence when it can't be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8") or "{}")
    except FileNotFoundError:
        return {}
    except OSError as error:
        return f"can't be read: {error.strerror}"
    except (ValueError, RecursionError) as error:
        return f"is not valid JSON: {error}"
    env = found.get("env", {}) if isinstance(found, dict) else None
    return env if isinstance(env, dict) else "must be a JSON object, and so must its `env`"


def of_client(
    settings: Mapping[str, Mapping[str, Any] | str],
    environment: Mapping[str, str],
    config: Config | None,
    *,
    listens: tuple[str, int],
    users: bool = False,
) -> list[Check]:
    """What is found about the client. `settings`: by file, the stronger last; `listens`: host and port of the
    gateway; `users`: the gate is closed by users."""
    broken = [
        Check("client", False, f"{name} {found}", "Claude Code ignores such a file: mend it")
        for name, found in settings.items()
        if isinstance(found, str)
    ]
    merged: dict[str, str] = dict(environment)
    sources = dict.fromkeys(environment, "the environment")
    for name, found in settings.items():
        if not isinstance(found, str):
            merged |= {key: str(value) for key, value in found.items()}
            sources |= dict.fromkeys(found, name)
    url = merged.get("ANTHROPIC_BASE_URL", "")
    if not url:
        return [*broken, Check("client", True, "not set up for the gateway", f"./run.sh claude, or {WRITE}")]
    where = f"ANTHROPIC_BASE_URL in {sources['ANTHROPIC_BASE_URL']}"
    if not points_here(url, *listens):
        shown = urlsplit(url).netloc.rpartition("@")[2] or "no address"
        return [
            *broken,
            Check("client", False, f"{where} points to {shown}, not to this gateway", f"{WRITE}, or ./run.sh claude"),
        ]
    checks = [Check("client", True, f"{where} points here")]
    checks += [
        Check("client", False, f"{name} in {sources[name]} sends it elsewhere", "take it out")
        for name in OTHER_WAYS
        if merged.get(name, "").lower() not in ("", "0", "false")
    ]
    if config is not None:
        checks += [*login(merged, config), *key(merged, config, users=users), *models(merged, config)]
    return [*broken, *checks]


def points_here(url: str, host: str, port: int) -> bool:
    """Whether an address is this gateway's."""
    try:
        parts = urlsplit(url)
        there = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return False
    return there == port and (parts.hostname or "") in ("localhost", "::1", host, *HERE)


def uses_own_login(env: Mapping[str, str], config: Config) -> bool:
    """Whether requests to Claude go out with the client's own login."""
    wished = "passthrough" if "x-claude-token-mode: passthrough" in env.get("ANTHROPIC_CUSTOM_HEADERS", "") else ""
    return token_mode(config, wished) == "passthrough"


def login(env: Mapping[str, str], config: Config) -> list[Check]:
    """Whether it has something to log in with: it sends nothing otherwise."""
    token = env.get("ANTHROPIC_AUTH_TOKEN", "")
    targets = config.targets(env.get("ANTHROPIC_MODEL") or SONNET)
    claude = bool(targets) and targets[0].provider.auth == "claude-oauth"
    if claude and uses_own_login(env, config) and token == PLACEHOLDER:
        said = "ANTHROPIC_AUTH_TOKEN hides the client's own login, which is used for Claude"
        return [Check("client login", False, said, "take it out, and log in to Claude Code")]
    if not token and not env.get("ANTHROPIC_API_KEY") and not claude:
        said = "ANTHROPIC_AUTH_TOKEN is not set: without a login Claude Code sends nothing"
        return [
            Check("client login", True, said, f'"ANTHROPIC_AUTH_TOKEN": "{PLACEHOLDER}", where it is not logged in')
        ]
    return []


def key(env: Mapping[str, str], config: Config, *, users: bool) -> list[Check]:
    """Whether it shows the gateway's key, where the gate is closed."""
    if not config.static_token and not users:
        return []
    shown = [env.get("ANTHROPIC_AUTH_TOKEN", ""), env.get("ANTHROPIC_API_KEY", "")]
    for part in env.get("ANTHROPIC_CUSTOM_HEADERS", "").replace(",", "\n").splitlines():
        name, _, value = part.partition(":")
        if name.strip().lower() == KEY_HEADER:
            shown.append(value.strip())
    if any(hmac.compare_digest(one.encode(), config.static_token.encode()) for one in shown if config.static_token):
        return [Check("client key", True, "it sends PROXY_STATIC_TOKEN")]
    if users and any(one.startswith("gw-") for one in shown):
        return [Check("client key", True, "it sends a user's key")]
    what = "a user's key" if users else "PROXY_STATIC_TOKEN"
    do = f'"ANTHROPIC_CUSTOM_HEADERS": "{KEY_HEADER}: …"'
    return [Check("client key", False, f"it doesn't send {what}: the gateway answers 401", do)]


def models(env: Mapping[str, str], config: Config) -> list[Check]:
    """Whether what it asks for can be had: the main model, and what it asks for by itself."""
    asked = env.get("ANTHROPIC_MODEL", "")
    checks = []
    if asked:
        why = why_not(asked, env, config)
        do = "ANTHROPIC_MODEL takes a name of `models:` whose provider is on: ./run.sh routes" if why else ""
        checks.append(Check("client model", not why, why or f"{asked} can be had", do))
        checks += window(asked, env, config)
    lacking: dict[str, list[str]] = {}
    for name, default in ASKS_FOR.items():
        if why := why_not(env.get(name) or default, env, config):
            lacking.setdefault(why, []).append(name)
    for why, names in lacking.items():
        alias = asked if asked and not why_not(asked, env, config) else "ALIAS"
        do = f"set {', '.join(names)}: ./run.sh settings {alias} --write ~/.claude/settings.json"
        checks.append(Check("client subagents", False, why, do))
    return checks


def why_not(model: str, env: Mapping[str, str], config: Config) -> str:
    """Why a model can't be had; empty when it can."""
    targets = config.targets(model)
    if not targets:
        return f"no route for {model}"
    for target in targets:
        needs_login = target.provider.auth == "claude-oauth" and uses_own_login(env, config)
        if not target.provider.missing and not (needs_login and env.get("ANTHROPIC_AUTH_TOKEN") == PLACEHOLDER):
            return ""
    missing = targets[0].provider.missing or "there is no credential for Claude"
    return f"{model} can't be had: {missing}{' is not set' if targets[0].provider.missing else ''}"


def window(asked: str, env: Mapping[str, str], config: Config) -> list[Check]:
    """Whether it knows when to compact."""
    targets = config.targets(asked)
    if not targets or targets[0].provider.is_anthropic or not targets[0].context_window:
        return []
    wanted, given = targets[0].context_window, env.get("CLAUDE_CODE_MAX_CONTEXT_TOKENS", "")
    if given.isdigit() and len(given) < 10 and int(given) <= wanted:
        return []
    said = f"CLAUDE_CODE_MAX_CONTEXT_TOKENS is {'not set' if not given else 'too large'}: it compacts too late"
    return [Check("client window", False, said, f'"CLAUDE_CODE_MAX_CONTEXT_TOKENS": "{wanted}"')]
