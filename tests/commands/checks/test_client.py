"""Checks of Claude Code's settings: where they point, what is missing, what subagents ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from addons.commands.checks.check import Check
from addons.commands.checks.client import of_client, points_here, read_settings
from addons.config.client_settings import client_settings
from tests.config.routing_texts import KEYS, config

EXAMPLE = (Path(__file__).resolve().parents[3] / "routing.yaml.example").read_text(encoding="utf-8")
ONE_KEY = {"ZAI_API_KEY": "zai-secret-0123456789"}
POOL = {**KEYS, "CLAUDE_OAUTH_TOKENS": "sk-ant-oat01-one"}
URL = "http://localhost:4000"
FILE = "~/.claude/settings.json"


def checks(file: dict[str, Any] | str, env: dict[str, str], process: dict[str, str] | None = None) -> list[Check]:
    return of_client({FILE: file}, process or {}, config(EXAMPLE, env), listens=("127.0.0.1", 4000))


def wrong(file: dict[str, Any] | str, env: dict[str, str] = ONE_KEY, process: dict[str, str] | None = None) -> str:
    """What is wrong and what to do about it, in one text."""
    return "\n".join(f"{check.said} → {check.do}" for check in checks(file, env, process) if not check.ok)


def block(alias: str = "glm", env: dict[str, str] = ONE_KEY) -> dict[str, str]:
    return client_settings(config(EXAMPLE, env), alias, URL)["env"]


@pytest.mark.parametrize("env", [ONE_KEY, KEYS, POOL])
@pytest.mark.parametrize("alias", ["glm", "claude-opus-5-5"])
def test_what_settings_prints_is_fine(alias: str, env: dict[str, str]) -> None:
    assert wrong(block(alias, env), env) == ""


def test_the_environment_counts_where_no_file_says_otherwise() -> None:
    assert wrong({}, process=block()) == ""
    assert "points to other.test" in wrong({"ANTHROPIC_BASE_URL": "https://me:pw@other.test/x"}, process=block())
    (only,) = checks({}, ONE_KEY)
    assert (only.ok, only.said) == (True, "not set up for the gateway")
    assert "run.sh claude" in only.do


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"CLAUDE_CODE_USE_BEDROCK": "1"}, "CLAUDE_CODE_USE_BEDROCK in ~/.claude/settings.json sends it elsewhere"),
        ({"ANTHROPIC_MODEL": "kimi"}, "kimi can't be had: KIMI_API_KEY is not set"),
        ({"ANTHROPIC_MODEL": "gml"}, "no route for gml"),
        ({"CLAUDE_CODE_MAX_CONTEXT_TOKENS": ""}, "CLAUDE_CODE_MAX_CONTEXT_TOKENS is not set"),
        ({"CLAUDE_CODE_MAX_CONTEXT_TOKENS": "1000000"}, "is too large"),
        ({"CLAUDE_CODE_SUBAGENT_MODEL": "kimi"}, "→ set CLAUDE_CODE_SUBAGENT_MODEL: ./run.sh settings glm"),
    ],
)
def test_what_is_wrong(change: dict[str, str], said: str) -> None:
    assert said in wrong({**block(), **change})


def test_subagents_that_ask_for_what_nobody_has() -> None:
    text = EXAMPLE.partition("fallbacks:")[0]
    file = {name: value for name, value in block().items() if "DEFAULT" not in name and "CODE_SUB" not in name}
    found = of_client({FILE: file}, {}, config(text, ONE_KEY), listens=("127.0.0.1", 4000))
    (subagents,) = [check for check in found if check.name == "client subagents" and "haiku" in check.said]
    assert subagents.said == "claude-haiku-5-5 can't be had: there is no credential for Claude"
    assert "ANTHROPIC_DEFAULT_HAIKU_MODEL" in subagents.do
    assert wrong(file) == "", "where fallbacks stand in, nothing is wrong"


def test_a_placeholder_hides_the_clients_own_login() -> None:
    file = {"ANTHROPIC_BASE_URL": URL, "ANTHROPIC_MODEL": "claude-opus-5-5", "ANTHROPIC_AUTH_TOKEN": "any-value"}
    assert "hides the client's own login" in wrong(file, KEYS)
    assert wrong(file, POOL) == ""


def test_the_key_of_a_closed_gate() -> None:
    closed = {**ONE_KEY, "PROXY_STATIC_TOKEN": "static-token-0123456789"}
    assert "it doesn't send PROXY_STATIC_TOKEN" in wrong(block(env=closed), closed)
    header = {"ANTHROPIC_CUSTOM_HEADERS": "x-litellm-api-key: static-token-0123456789, x-claude-token-mode: rotate"}
    assert wrong({**block(), **header}, closed) == ""
    assert wrong({**block(), "ANTHROPIC_AUTH_TOKEN": "static-token-0123456789"}, closed) == ""
    everything = str(checks({**block(), "ANTHROPIC_AUTH_TOKEN": "wrong-token-0123456789"}, closed))
    assert "0123456789" not in everything

    def users(env: dict[str, str]) -> bool:
        found = of_client({FILE: env}, {}, config(EXAMPLE, ONE_KEY), listens=("127.0.0.1", 4000), users=True)
        return all(check.ok for check in found)

    assert not users(block())
    assert users({**block(), "ANTHROPIC_CUSTOM_HEADERS": "x-litellm-api-key: gw-abcdefgh-secret"})


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://localhost:4000", True),
        ("http://127.0.0.1:4000/", True),
        ("http://[::1]:4000", True),
        ("http://10.0.0.5:4000", True),
        ("http://localhost:4001", False),
        ("http://localhost:x", False),
        ("https://api.anthropic.com", False),
    ],
)
def test_which_addresses_are_here(url: str, here: bool) -> None:
    assert points_here(url, "10.0.0.5", 4000) == here


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    assert read_settings(file) == {}
    for text, found in [
        ("", {}),
        ('{"env": {"A": "1"}}', {"A": "1"}),
        ("[]", "must be a JSON object, and so must its `env`"),
    ]:
        file.write_text(text)
        assert read_settings(file) == found
    file.write_text("{,")
    said = read_settings(file)
    assert isinstance(said, str) and said.startswith("is not valid JSON")
    assert f"{FILE} {said}" in wrong(said)
