"""The settings block that points Claude Code at this gateway: `./run.sh settings [alias]` prints it.

Why each line is there was seen with the real client: the custom header alone sends nothing ("Not logged in"), so an
ANTHROPIC_AUTH_TOKEN of any value stands beside it; the context window of a model that Claude Code doesn't know is taken
as 1M, so that it would never compact unless it is told; with the hint headers it says which kind of request each is;
with discovery `/model` offers the gateway's models, where there is an ANTHROPIC_AUTH_TOKEN.
Whatever the main model is, subagents with `model: haiku`, `/model sonnet` and auto mode's check ask for Claude: where
the gateway has no credential for that, the block says what they shall ask for.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from addons.config.config import Config, ConfigError, token_mode
from addons.config.settings import HOME, closed_mark, settings

PLACEHOLDER = "any-value"
"""What a client sends as its own credential where the gateway has one: Claude Code sends nothing without any."""

HAIKU, SONNET = "claude-haiku-5-5", "claude-sonnet-5-5"
"""What Claude Code asks for by itself: in small matters, and else."""

MAIN_STAND_INS = (
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_FABLE_MODEL",
    "CLAUDE_CODE_SUBAGENT_MODEL",
    "CLAUDE_CODE_AUTO_MODE_MODEL",
)

DISCOVERY = "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY"

HERE = ("127.0.0.1", "::1", "0.0.0.0", "::")  # noqa: S104  # shown, not listened on


BUDGET_DISPLAY = "--budget-display"
BUDGET_COSTS = (
    "With CLAUDE_CODE_USE_GATEWAY=1 Claude Code shows how much of a budget is used (from 75 % on, and in /usage). It "
    "takes the address only behind TLS or on this machine, sends the key as its own login, leaves out most of its beta "
    "features, and doesn't use a claude.ai login beside it."
)


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
        env["ANTHROPIC_CUSTOM_HEADERS"] = "x-litellm-api-key: YOUR_GATEWAY_KEY"
    elif config.static_token:
        env["ANTHROPIC_CUSTOM_HEADERS"] = "x-litellm-api-key: YOUR_PROXY_STATIC_TOKEN"
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


def main(arguments: list[str]) -> int:
    """Print the block for the alias given, or for the first one that can be used. `--budget-display`: with what makes
    Claude Code show budgets.

    0: fine; 1: it can't be used as it is, or not at all, which is said; 2: this is no name of a model.
    """
    budget_display = BUDGET_DISPLAY in arguments
    arguments = [argument for argument in arguments if argument != BUDGET_DISPLAY]
    where = settings()
    where.routing_path = Path(os.environ.get("GATEWAY_ROUTING") or where.routing_path)
    where.env_path = Path(os.environ.get("GATEWAY_ENV") or where.env_path)
    try:
        where.load()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    config = where.current
    usable = [route.alias for route in config.aliases() if not route.provider.missing]
    alias = arguments[0] if arguments else (usable or ["claude-sonnet-5-5"])[0]
    if "*" in alias:
        sys.stderr.write(f"{alias!r} stands for many models: say which one, like {alias.replace('*', 'NAME')!r}\n")
        return 2
    targets = config.targets(alias)
    if not targets:
        sys.stderr.write(f"no route for {alias!r}; models: {', '.join(route.alias for route in config.models)}\n")
        return 1
    host = os.environ.get("GATEWAY_HOST", "127.0.0.1")
    shown = "localhost" if host in HERE else f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{os.environ.get('GATEWAY_PORT', '4000')}"
    has_users = closed_mark(Path(os.environ.get("GATEWAY_DB") or HOME / ".gateway.db")).exists()
    block = client_settings(config, alias, url, has_users=has_users, budget_display=budget_display)
    sys.stdout.write(json.dumps(block, indent=2) + "\n")
    if budget_display:
        sys.stderr.write(f"{BUDGET_COSTS}\n")
    if missing := targets[0].provider.missing:
        sys.stderr.write(f"{alias} can't be used yet: {missing} is not set (in {where.env_path})\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
