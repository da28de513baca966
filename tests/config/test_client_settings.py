"""The block that `./run.sh settings` prints: what the real client needs with one key only, and what is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from addons.config.client_settings import client_settings, main
from addons.config.settings import closed_mark
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


def test_a_closed_gate_has_a_place_for_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "ANTHROPIC_CUSTOM_HEADERS" not in block("glm", KEYS)
    token = block("glm", {**KEYS, "PROXY_STATIC_TOKEN": "token"})
    assert token["ANTHROPIC_CUSTOM_HEADERS"] == "x-litellm-api-key: YOUR_PROXY_STATIC_TOKEN"
    (tmp_path / "routing.yaml").write_text(EXAMPLE)
    (tmp_path / ".env").write_text("ZAI_API_KEY=zai-key\nPROXY_STATIC_TOKEN=token\n")
    for name, file in (("ROUTING", "routing.yaml"), ("ENV", ".env"), ("DB", "x.db")):
        monkeypatch.setenv(f"GATEWAY_{name}", str(tmp_path / file))
    closed_mark(tmp_path / "x.db").touch()
    assert main(["glm"]) == 0
    shown = json.loads(capsys.readouterr().out)["env"]
    assert shown["ANTHROPIC_CUSTOM_HEADERS"] == "x-litellm-api-key: YOUR_GATEWAY_KEY"


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
    explained = set(re.findall(r"^- `(\w+)`", section.partition("\n## ")[0], re.MULTILINE))
    explained |= {f"ANTHROPIC_DEFAULT_{name}_MODEL" for name in ("SONNET", "OPUS", "FABLE")}
    shown = block("glm", {"ZAI_API_KEY": "zai-key", "PROXY_STATIC_TOKEN": "static-token-0123456789"})
    assert shown.keys() == explained


@pytest.mark.parametrize(
    ("alias", "window"), [("glm", "200000"), ("glm-fast", "131072"), ("kimi", "262144"), ("openrouter", "1000000")]
)
def test_every_model_of_the_example_says_its_window(alias: str, window: str) -> None:
    assert block(alias, KEYS)["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == window


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """What the command does: its status, the block, and what it complains of."""
    (tmp_path / "routing.yaml").write_text(EXAMPLE)
    (tmp_path / ".env").touch(0o600)
    for name in (*KEYS, "CLAUDE_OAUTH_TOKENS", "GATEWAY_HOST", "GATEWAY_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GATEWAY_ROUTING", str(tmp_path / "routing.yaml"))
    monkeypatch.setenv("GATEWAY_ENV", str(tmp_path / ".env"))

    def run(*arguments: str, env: str = "") -> tuple[int, dict[str, str], str]:
        (tmp_path / ".env").write_text(env)
        status = main(list(arguments))
        out, err = capsys.readouterr()
        return status, json.loads(out)["env"] if out else {}, err.replace(f"{tmp_path}/", "")

    return run


def test_a_model_without_its_key_is_printed_with_what_is_missing(run: Any) -> None:
    status, shown, said = run("glm")
    assert (status, shown["ANTHROPIC_MODEL"]) == (1, "glm")
    assert said == "glm can't be used yet: ZAI_API_KEY is not set (in .env)\n"
    assert run("glm", env="ZAI_API_KEY=key\n")[::2] == (0, "")


def test_the_first_model_that_can_be_used_is_the_default(run: Any) -> None:
    status, shown, _ = run(env="OPENROUTER_API_KEY=key\n")
    assert (status, shown["ANTHROPIC_MODEL"]) == (0, "openrouter")
    assert run()[1]["ANTHROPIC_MODEL"] == "claude-sonnet-5-5"


def test_a_pattern_is_no_name(run: Any) -> None:
    assert run("claude-*") == (2, {}, "'claude-*' stands for many models: say which one, like 'claude-NAME'\n")
    assert run("nope")[:2] == (1, {})


def test_where_the_gateway_listens(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for host, shown in [("localhost", "localhost"), ("0.0.0.0", "localhost"), ("fd00::1", "[fd00::1]")]:
        monkeypatch.setenv("GATEWAY_HOST", host)
        assert run()[1]["ANTHROPIC_BASE_URL"] == f"http://{shown}:4000"


def test_what_makes_the_client_show_budgets(run: Any) -> None:
    status, env, said = run("glm", "--budget-display", env="ZAI_API_KEY=key\nPROXY_STATIC_TOKEN=token\n")
    assert status == 0
    assert env["CLAUDE_CODE_USE_GATEWAY"] == "1" and env["ANTHROPIC_AUTH_TOKEN"] == "YOUR_GATEWAY_KEY"
    assert "ANTHROPIC_CUSTOM_HEADERS" not in env
    assert "only behind TLS or on this machine" in said
