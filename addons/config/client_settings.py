"""The settings block that points Claude Code at this gateway.

Why each line is there was seen with the real client: the custom header alone sends nothing ("Not logged in"), so an
ANTHROPIC_AUTH_TOKEN of any value stands beside it; the context window of a model that Claude Code doesn't know is taken
as 1M, so that it would never compact unless it is told; with the hint headers it says which kind of request each is;
with discovery `/model` offers the gateway's models, where there is an ANTHROPIC_AUTH_TOKEN.
Whatever the main model is, subagents with `model: haiku`, `/model sonnet` and auto mode's check ask for Claude: where
the gateway has no credential for that, the block says what they shall ask for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from addons.config.config import Config, ConfigError, token_mode

PLACEHOLDER = "any-value"
"""What a client sends as its own credential where the gateway has one: Claude Code sends nothing without any."""

HAIKU, SONNET = "claude-haiku-5-5", "claude-sonnet-5-5"
"""What Claude Code asks for by itself: in small matters, and else."""

KEY_HEADER = "x-litellm-api-key"
"""The header in which a client shows the gateway's key."""

MAIN_STAND_INS = (
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_FABLE_MODEL",
    "CLAUDE_CODE_SUBAGENT_MODEL",
    "CLAUDE_CODE_AUTO_MODE_MODEL",
)

DISCOVERY = "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY"

BLOCK = frozenset(
    {
        *("ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS"),
        *("API_TIMEOUT_MS", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "CLAUDE_CODE_GATEWAY_HINT_HEADERS", DISCOVERY),
        *("CLAUDE_CODE_MAX_CONTEXT_TOKENS", "CLAUDE_CODE_USE_GATEWAY"),
        *("ANTHROPIC_DEFAULT_HAIKU_MODEL", *MAIN_STAND_INS),
    }
)
"""All variables that a block can have."""

HERE = ("127.0.0.1", "0.0.0.0", "::")  # noqa: S104  # shown, not listened on


def client_settings(
    config: Config, alias: str, url: str, *, has_users: bool = False, budget_display: bool = False
) -> dict[str, dict[str, str]]:
    """What belongs into `.claude/settings.json`. A gateway's token or a user's key is not in it, only a place for
    it."""
    targets = config.targets(alias)
    env = {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_MODEL": alias,
        "ANTHROPIC_AUTH_TOKEN": PLACEHOLDER,
        "API_TIMEOUT_MS": "3000000",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1",
        DISCOVERY: "1",
    }
    if has_users:
        env["ANTHROPIC_CUSTOM_HEADERS"] = f"{KEY_HEADER}: YOUR_GATEWAY_KEY"
    elif config.static_token:
        env["ANTHROPIC_CUSTOM_HEADERS"] = f"{KEY_HEADER}: YOUR_PROXY_STATIC_TOKEN"
    if targets and targets[0].provider.is_anthropic and token_mode(config, "") == "passthrough":
        # Passthrough: the login of Claude Code itself is used, and with that it asks for no models.
        del env["ANTHROPIC_AUTH_TOKEN"], env[DISCOVERY]
    if targets and targets[0].context_window and not targets[0].provider.is_anthropic:
        env["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] = str(targets[0].context_window)
    if targets and not targets[0].provider.is_anthropic and not serves_claude(config):
        env["ANTHROPIC_DEFAULT_HAIKU_MODEL"] = stand_in(config, HAIKU) or alias
        env |= dict.fromkeys(MAIN_STAND_INS, alias)
    if budget_display:
        # It asks for the budget with its own login, which so must be the gateway's key.
        env["ANTHROPIC_AUTH_TOKEN"] = "YOUR_GATEWAY_KEY"
        env["CLAUDE_CODE_USE_GATEWAY"] = "1"
        env.pop("ANTHROPIC_CUSTOM_HEADERS", None)
    return {"env": env}


def serves_claude(config: Config) -> bool:
    """Whether the gateway itself has a credential for Claude; what clients send in a block of ours is none."""
    for target in config.targets(SONNET)[:1]:
        provider = target.provider
        return not provider.missing and (provider.auth != "claude-oauth" or token_mode(config, "") == "rotate")
    return False


def stand_in(config: Config, asked: str) -> str:
    """The first fallback of a Claude model that can be used; empty when there is none."""
    usable = (target for target in config.targets(asked) if target.fallback and not target.provider.missing)
    return next((target.alias for target in usable if not target.provider.is_anthropic), "")


def client_url(env: Mapping[str, str]) -> str:
    """Where clients of this machine find the gateway, by GATEWAY_HOST and GATEWAY_PORT. Raises ConfigError."""
    host = env.get("GATEWAY_HOST") or "127.0.0.1"
    shown = "localhost" if host in HERE else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port_of(env)}"


def port_of(env: Mapping[str, str]) -> int:
    """Where the gateway of this machine listens, by GATEWAY_PORT. Raises ConfigError."""
    text = env.get("GATEWAY_PORT") or "4000"
    if not re.fullmatch("[0-9]{1,5}", text) or not 0 < int(text) <= 65535:
        raise ConfigError(f"GATEWAY_PORT={text} is no port: a number from 1 to 65535")
    return int(text)


def first_alias(config: Config) -> str:
    """The model of a client that has named none: the first that can be used."""
    return next((route.alias for route in config.aliases() if not route.provider.missing), SONNET)
