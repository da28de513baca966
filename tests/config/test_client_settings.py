"""The block that `./run.sh settings` prints: what the real client needs with one key only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from addons.config.client_settings import client_settings
from tests.config.routing_texts import KEYS, config, with_models

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (ROOT / "routing.yaml.example").read_text(encoding="utf-8")
URL = "http://localhost:4000"
STAND_INS = (
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_FABLE_MODEL",
    "CLAUDE_CODE_SUBAGENT_MODEL",
    "CLAUDE_CODE_AUTO_MODE_MODEL",
)


def block(alias: str, env: dict[str, str], text: str = EXAMPLE) -> dict[str, str]:
    return client_settings(config(text, env), alias, URL)["env"]


def stand_ins(alias: str, env: dict[str, str], text: str = EXAMPLE) -> list[str | None]:
    shown = block(alias, env, text)
    return [shown.get(name) for name in STAND_INS]


def test_with_one_key_all_that_the_client_asks_for_by_itself_is_served_with_it() -> None:
    """Tried with Claude Code 2.1.332: subagents with `model: haiku`, /model sonnet, auto mode's check."""
    assert stand_ins("glm", {"ZAI_API_KEY": "zai-key"}) == ["glm-fast", *["glm"] * 5]
    assert stand_ins("openrouter", {"OPENROUTER_API_KEY": "or-key"}) == ["openrouter"] * 6
    local = with_models("local: {provider: zai, model: qwen3, context_window: 32768}")
    assert stand_ins("local", {}, local) == ["local"] * 6


@pytest.mark.parametrize(
    ("alias", "env", "text"),
    [
        ("glm", {**KEYS, "CLAUDE_OAUTH_TOKENS": "sk-ant-oat01-one"}, EXAMPLE),
        ("claude-sonnet-5-5", KEYS, EXAMPLE),
        ("glm", KEYS, EXAMPLE.replace("{preset: anthropic}", "{preset: anthropic, auth: x-api-key, api_key: key}")),
    ],
)
def test_where_claude_can_be_had_nothing_stands_in_for_it(alias: str, env: dict[str, str], text: str) -> None:
    assert stand_ins(alias, env, text) == [None] * 6


def test_a_closed_gate_has_a_place_for_the_key() -> None:
    assert "ANTHROPIC_CUSTOM_HEADERS" not in block("glm", KEYS)
    token = block("glm", {**KEYS, "PROXY_STATIC_TOKEN": "token"})
    assert token["ANTHROPIC_CUSTOM_HEADERS"] == "x-litellm-api-key: YOUR_PROXY_STATIC_TOKEN"


def test_in_passthrough_a_block_with_a_placeholder_has_no_login() -> None:
    tokens = {**KEYS, "CLAUDE_OAUTH_TOKENS": "sk-ant-oat01-one", "CLAUDE_TOKEN_MODE": "passthrough"}
    assert stand_ins("kimi", tokens) == ["glm-fast", *["kimi"] * 5]


def test_the_list_of_models_is_asked_for_with_a_token_only() -> None:
    """With a login of its own Claude Code doesn't ask: seen with 2.1.332."""
    asks = "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY"
    assert block("glm", KEYS)[asks] == "1"
    assert block("claude-opus-5-5", {**KEYS, "CLAUDE_OAUTH_TOKENS": "sk-ant-oat01-one"})[asks] == "1"
    assert asks not in block("claude-opus-5-5", KEYS)


def test_every_variable_is_explained_in_readme() -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Point Claude Code at it")[2]
    prose = section.partition("\n## ")[0].rpartition("```")[2]
    explained = set(re.findall(r"`([A-Z_]+)`", prose))
    explained |= {f"ANTHROPIC_DEFAULT_{name}_MODEL" for name in ("SONNET", "OPUS", "FABLE")}
    shown = block("glm", {"ZAI_API_KEY": "zai-key", "PROXY_STATIC_TOKEN": "static-token-0123456789"})
    assert shown.keys() <= explained
    assert set(re.findall(r"^- `(\w+)`", prose, re.MULTILINE)) <= shown.keys()


@pytest.mark.parametrize(
    ("alias", "window"), [("glm", "200000"), ("glm-fast", "131072"), ("kimi", "262144"), ("openrouter", "1000000")]
)
def test_every_model_of_the_example_says_its_window(alias: str, window: str) -> None:
    assert block(alias, KEYS)["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == window
