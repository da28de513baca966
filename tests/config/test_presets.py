"""`preset:`: what it fills in, what wins over it, and whether every entry of the data file is one."""

from __future__ import annotations

import re

import pytest

from addons.config.presets import described, for_address, hints, texts
from addons.config.routing import Provider, matches
from addons.wire.chat.options import ChatOptions
from tests.config.routing_texts import complaint, config, with_provider

SERVICES = (
    *("anthropic", "zai", "zai-chat", "kimi", "kimi-chat", "moonshot", "moonshot-chat", "deepseek", "deepseek-chat"),
    *("minimax", "minimax-chat", "openrouter", "openrouter-chat", "openai", "azure", "gemini", "vertex", "xai", "groq"),
    *("cerebras", "mistral", "together", "fireworks", "nvidia", "dashscope", "dashscope-chat", "siliconflow"),
    *("volcengine", "copilot", "litellm", "ollama", "vllm", "sglang", "llama-cpp", "lm-studio", "bedrock-mantle"),
    *("aws", "foundry"),
)
VARIABLE = re.compile(r"\$\{([A-Z_]+)\}")


def provider(*lines: str, **env: str) -> Provider:
    return config(with_provider(*lines), env).providers["zai"]


def test_all_services_are_there() -> None:
    assert tuple(texts()) == SERVICES
    assert "".join(texts().values()).count("\n  title: ") == len(texts())


@pytest.mark.parametrize("name", SERVICES)
def test_every_preset_is_a_provider(name: str) -> None:
    url = {"LITELLM_BASE_URL": "http://litellm:4000/v1", "ANTHROPIC_AWS_BASE_URL": "https://aws.example"}
    env = dict.fromkeys(VARIABLE.findall(texts()[name]), "value") | url
    found = provider(f"preset: {name}", **env)
    assert found.preset == name and found.host and not found.missing
    assert found.api_keys or found.auth in ("none", "claude-oauth")
    sources = described(name)["sources"].items()
    assert sources and all(re.search(r"https://|#\d+|same page", source.text()) for source in sources)


def test_what_is_written_beside_it_wins() -> None:
    found = provider(
        "preset: zai-chat",
        "base_url: http://10.0.0.1/v1",
        "chat: {include_usage: true}",
        "thinking: strip",
        ZAI_API_KEY="k" * 20,
    )
    assert (found.host, found.thinking, found.api_keys) == ("10.0.0.1", "strip", ("k" * 20,))
    assert found.chat.include_usage and found.chat.tool_choice == "auto"
    assert provider("preset: zai-chat", "auth: none").api_keys == ()
    plain = provider("preset: zai-chat", "format: anthropic", "base_url: http://h", ZAI_API_KEY="k")
    assert plain.chat == ChatOptions() and plain.format == "anthropic"


def test_models_differ() -> None:
    found = provider("preset: openrouter-chat", OPENROUTER_API_KEY="k")
    assert found.dialect("google/gemini-3-pro").call_signatures == "openrouter"
    assert found.dialect("google/gemini-3-pro").documents == "send"
    assert found.dialect("google/gemini-2.5-pro").call_signatures == "none"
    assert found.dialect("openai/gpt-5") == found.chat
    mine = provider("preset: openrouter-chat", 'by_model: {"google/*": {chat: {images: note}}}', OPENROUTER_API_KEY="k")
    assert mine.dialect("google/gemini-2.5-pro").images == "note"
    assert mine.dialect("google/gemini-3-pro").call_signatures == "openrouter"
    assert (
        provider("preset: moonshot", MOONSHOT_API_KEY="k").dialect("kimi-k2-thinking-turbo").thinking_rules.can_be_off
        is False
    )


@pytest.mark.parametrize(
    ("name", "model", "on", "off", "can_be_off"),
    [
        ("dashscope-chat", "qwen3.7-max", True, True, True),
        ("dashscope-chat", "qwen3-235b-a22b-thinking-2507", False, False, False),
        ("dashscope-chat", "qwen3-coder-plus", False, False, True),
        ("siliconflow", "deepseek-ai/DeepSeek-V3.2", True, True, True),
        ("siliconflow", "Qwen/QwQ-32B", False, False, False),
        ("siliconflow", "Qwen/Qwen3-30B-A3B-Thinking-2507", False, False, False),
        ("siliconflow", "Qwen/Qwen3-Coder-480B-A35B-Instruct", False, False, True),
    ],
)
def test_who_is_told_whether_to_think_and_for_how_long(
    name: str, model: str, on: bool, off: bool, can_be_off: bool
) -> None:
    key = dict.fromkeys(VARIABLE.findall(texts()[name]), "k" * 20)
    rules = provider(f"preset: {name}", **key).dialect(model).thinking_rules
    assert (rules.on, rules.off) == ({"enable_thinking": True} if on else {}, {"enable_thinking": False} if off else {})
    assert (rules.can_be_off, rules.budget) == (can_be_off, "thinking_budget")


def test_which_claude_of_bedrock_takes_a_schema() -> None:
    found = provider("preset: bedrock-mantle", AWS_BEARER_TOKEN_BEDROCK="k", AWS_REGION="us-east-1")
    assert "format" in found.dialect("anthropic.claude-sonnet-4-6").output_config
    assert found.dialect("us.anthropic.claude-opus-4-7").output_config == {"effort", "task_budget"}
    assert "effort" in provider("preset: deepseek", DEEPSEEK_API_KEY="k").chat.output_config


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("gpt-5*", "GPT-5-mini", True),
        ("gpt-5*", "gpt-4", False),
        ("*coder*", "qwen3-coder-plus", True),
        ("a*a", "a", False),
        ("x", "x", True),
        ("*", "", True),
    ],
)
def test_patterns(pattern: str, name: str, fits: bool) -> None:
    assert matches(pattern, name) is fits


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("preset: zay",), "did you mean zai?"),
        (("preset: zai", "chat: {omit: [x]}"), "has a meaning only with format: openai-chat"),
        (("preset: zai", "thinking_rules: {form: maybe}"), "must be one of enabled, adaptive, switch"),
        (("preset: zai", "thinking_rules: {can_be_of: true}"), "did you mean can_be_off?"),
        (("preset: zai", "output_config: [efort]"), "did you mean effort?"),
        (("preset: groq", "output_config: [effort]"), "has a meaning only with format: anthropic"),
        (("preset: zai", "by_model: {'a*b*': {}}"), "has more than one *"),
    ],
)
def test_mistakes(lines: tuple[str, ...], message: str) -> None:
    assert message in complaint(with_provider(*lines))


def test_a_provider_at_a_known_address_gets_a_hint() -> None:
    assert for_address("https://api.groq.com/openai/v1", "openai-chat") == "groq"
    assert for_address("https://api.z.ai/api/anthropic", "anthropic") == "zai"
    assert for_address("https://api.z.ai/api/coding/paas/v4", "openai-chat") == "zai-chat"
    assert for_address("https://mine.openai.azure.com/openai/v1", "openai-chat") == "azure"
    assert for_address("http://127.0.0.1:11434/v1", "openai-chat") is None
    assert for_address("https://api.groq.com.evil.example/openai/v1", "openai-chat") is None
    plain = provider("base_url: https://api.groq.com/openai/v1", "format: openai-chat", "auth: none")
    (hint,) = hints([plain, provider("preset: groq", "auth: none")])
    assert "`preset: groq`" in hint


def test_who_runs_the_web_search_itself() -> None:
    url = {"ANTHROPIC_AWS_BASE_URL": "https://aws.example", "LITELLM_BASE_URL": "http://litellm:4000/v1"}
    searches = {
        name
        for name in SERVICES
        if provider(f"preset: {name}", **dict.fromkeys(VARIABLE.findall(texts()[name]), "value") | url).searches
    }
    assert searches == {"anthropic", "aws", "foundry"}
