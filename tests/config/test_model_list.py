"""The list of models, as clients read it; its pages are in the end-to-end tests."""

from __future__ import annotations

import re

import anthropic.types
import pytest

from addons.config.model_list import model_card, model_list, names, spelt, thousands
from addons.config.presets import service, texts
from tests.config.routing_texts import KEYS, config, with_models

PRESETS = """\
providers:
  zai: {preset: zai}
  kimi: {preset: kimi}
  mine: {base_url: "http://localhost:1", auth: none, format: openai-chat}
models:
  glm: {provider: zai, model: glm-5, context_window: 200000, max_output_tokens: 8192}
  kimi: kimi/kimi-for-coding
  my-Claude: mine/zai-org/glm-5
  anthropic/opus: zai/glm-5
  claude-*: zai/glm-*
fallbacks: {kimi: [glm]}
"""


def test_every_name_is_there_and_a_second_one_where_claude_code_would_drop_it() -> None:
    assert names(config(PRESETS)) == ["glm", "kimi", "my-Claude", "anthropic/opus", "claude-via-glm", "claude-via-kimi"]


def test_what_a_model_says_of_itself() -> None:
    card = model_card(config(PRESETS), "claude-via-glm[1m]")
    assert card == {
        "type": "model",
        "id": "claude-via-glm",
        "display_name": "glm",
        "description": "GLM-5 at Z.AI, 200k",
        "created_at": "2025-01-01T00:00:00Z",
        "lifecycle": "active",
        "context_window": 200000,
        "max_input_tokens": 200000,
        "max_output_tokens": 8192,
        "max_tokens": 8192,
    }
    anthropic.types.ModelInfo.model_validate(card)
    described = [card["description"] for card in model_list(config(PRESETS), {})["data"]]
    assert described[1:4] == ["kimi-for-coding at Kimi Code", "GLM-5 at mine", "GLM-5 at Z.AI"]


def test_what_is_off_is_not_listed_and_what_another_stands_in_for_says_which() -> None:
    gateway = config(PRESETS, {"ZAI_API_KEY": "zai-secret"})
    (card,) = [card for card in model_list(gateway, {})["data"] if card["id"] == "kimi"]
    assert card["description"] == "GLM-5 at Z.AI, 200k"
    listed = [card["id"] for card in model_list(config(PRESETS, {}), {})["data"]]
    assert listed == ["my-Claude"]
    assert model_card(config(PRESETS, {}), "glm") is None
    assert model_card(config(PRESETS, KEYS), "nope") is None


def test_no_models_are_an_empty_page() -> None:
    assert model_list(config(with_models("claude-*: zai/claude-*")), {}) == {
        "data": [],
        "has_more": False,
        "first_id": None,
        "last_id": None,
    }


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        ("glm-5", "GLM-5"),
        ("zai-org/glm-5-air", "GLM-5-air"),
        ("gpt-oss-120b", "GPT-oss-120b"),
        ("kimi-for-coding", "kimi-for-coding"),
        ("qwen/qwen3.6-plus:free", "qwen3.6-plus:free"),
        ("o3", "o3"),
        ("K2", "K2"),
        ("", ""),
    ],
)
def test_a_models_name(model: str, shown: str) -> None:
    assert spelt(model) == shown


@pytest.mark.parametrize(
    ("tokens", "shown"),
    [
        (200_000, "200k"),
        (131_072, "128k"),
        (262_144, "256k"),
        (1_000_000, "1M"),
        (1_048_576, "1M"),
        (1_050_000, "1.05M"),
        (128_000, "128k"),
        (32_768, "32k"),
        (500, "500"),
        (512, "512"),
    ],
)
def test_a_window(tokens: int, shown: str) -> None:
    assert thousands(tokens) == shown


def test_every_preset_says_whose_service_it_is_in_a_word_or_two() -> None:
    for name in texts():
        assert re.fullmatch(r"[\w.']+( [\w.'-]+){0,3}", service(name)), service(name)
    assert [service(name) for name in ("kimi", "foundry", "azure")] == ["Kimi Code", "Microsoft Foundry", "Azure"]
