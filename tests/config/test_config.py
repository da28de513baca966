"""What routing.yaml and the environment give."""

from __future__ import annotations

import math
import re
from pathlib import Path

import certifi
import pytest
import yaml

from addons.config.config import ConfigError, Price
from addons.config.presets import texts
from addons.config.routing import SafeguardSettings
from tests.config.routing_texts import (
    MINIMAL,
    brief,
    complaint,
    config,
    with_models,
    with_provider,
    with_section,
)

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (ROOT / "routing.yaml.example").read_text(encoding="utf-8")


# The example


def test_the_example_has_the_routes_it_promises() -> None:
    gateway = config(EXAMPLE)
    assert [route.alias for route in gateway.aliases()] == ["glm", "glm-fast", "kimi", "openrouter"]
    assert brief(gateway.targets("glm")) == ["glm > zai/glm-5"]
    assert brief(gateway.targets("glm-fast")) == ["glm-fast > zai/glm-5-air"]
    assert brief(gateway.targets("kimi")) == ["kimi > kimi/kimi-for-coding"]
    assert brief(gateway.targets("openrouter")) == ["openrouter > openrouter/qwen/qwen3.6-plus:free"]
    assert gateway.warnings == ()
    assert gateway.failover == config().failover
    assert gateway.pool == config().pool


@pytest.mark.parametrize(
    ("asked", "model", "fallback"),
    [
        ("anthropic/claude-opus-5-5", "claude-opus-5-5", "glm > zai/glm-5"),
        ("anthropic/claude-haiku-4-5", "claude-haiku-4-5", "glm-fast > zai/glm-5-air"),
        ("claude-sonnet-5-5", "claude-sonnet-5-5", "glm > zai/glm-5"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5-20251001", "glm-fast > zai/glm-5-air"),
    ],
)
def test_the_example_falls_back_for_claude_models(asked: str, model: str, fallback: str) -> None:
    assert brief(config(EXAMPLE).targets(asked)) == [f"{asked} > anthropic/{model}", f"fallback {fallback}"]


def test_the_example_says_what_is_known_of_the_models() -> None:
    gateway = config(EXAMPLE)
    assert gateway.targets("glm")[0].context_window == 200_000
    assert gateway.targets("kimi")[0].context_window == 262_144
    assert gateway.providers["openrouter"].thinking == "strip"
    assert {name: provider.is_anthropic for name, provider in gateway.providers.items()} == {
        "anthropic": True,
        "zai": False,
        "kimi": False,
        "openrouter": False,
    }


def test_the_defaults_that_the_example_shows_in_comments_are_the_defaults() -> None:
    commented = EXAMPLE[EXAMPLE.index("# failover:") :]
    shown = yaml.safe_load("\n".join(line.removeprefix("#") for line in commented.splitlines()))
    assert shown["failover"] == {key: getattr(config().failover, key) for key in config().failover.__struct_fields__}
    assert shown["pool"] == {"strategy": config().pool.strategy}
    assert shown["ledger"] == {"keep_days": config().ledger.keep_days}
    assert shown["safeguards"] == {"model": config().safeguards.model, "timeout": config().safeguards.timeout}


def test_what_the_example_has_in_comments_is_valid() -> None:
    there = re.sub(r"(ca_bundle: )\S+", rf"\1{certifi.where()}", EXAMPLE)
    text = re.sub(r"^  # (?=(ollama|local|vertex):$|  )", "  ", there, flags=re.MULTILINE)
    (local,) = config(text).targets("local")
    assert (local.provider.format, local.provider.path, local.model) == (
        "openai-chat",
        "/v1",
        "qwen3-coder:30b",
    )
    assert (local.context_window, local.max_output_tokens) == (131_072, 8192)
    assert local.price == Price(input=1, output=5, cache_read=0.1, cache_write=1.25, cache_write_1h=2)
    assert local.provider.headers == {"X-Title": "claude-gateway"}
    assert local.provider.betas == {"interleaved-thinking-2025-05-14"}
    assert local.provider.steps == {"metadata": False}
    assert local.body == {"temperature": 0.6}
    assert local.provider.dialect("qwen3").images == "note" and local.provider.dialect("llama").images == "send"
    assert local.provider.dialect("qwen3").tool_choice == "required"


def test_env_example_names_every_variable_and_sets_none() -> None:
    names = re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    assert [value for _, value in names if value] == []
    presets = [texts()[name] for name in re.findall(r"preset: ([a-z-]+)\b(?!`)", EXAMPLE) if name in texts()]
    used = set(re.findall(r"\$\{([A-Z_]{5,})\}", EXAMPLE + "".join(presets)))
    others = {
        "CLAUDE_OAUTH_TOKENS",
        "CLAUDE_CREDENTIALS",
        "CLAUDE_TOKEN_MODE",
        "PROXY_STATIC_TOKEN",
        "LITELLM_MASTER_KEY",
        "GATEWAY_REDIS_URL",
    }
    assert {name for name, _ in names} == used | others


# Providers


def test_a_provider_is_read_whole() -> None:
    text = with_provider(
        "base_url: http://LocalHost:8080/api/anthropic/",
        "auth: x-api-key",
        "api_key: literal-key",
        "format: anthropic",
        "thinking: strip",
        "headers: {X-Title: gateway, X-Org: 'org ${ORG}', X-Number: 7}",
        "betas: [one-2025-01-01, two-2025-01-01]",
        "steps: {billing-header: off, cache-control: true}",
    )
    provider = config(text, {"ORG": "acme"}).providers["zai"]
    assert (provider.base_url, provider.scheme, provider.host, provider.port, provider.path) == (
        "http://LocalHost:8080/api/anthropic",
        "http",
        "localhost",
        8080,
        "/api/anthropic",
    )
    assert (provider.auth, provider.api_keys, provider.missing) == ("x-api-key", ("literal-key",), "")
    assert provider.thinking == "strip"
    assert provider.headers == {"X-Title": "gateway", "X-Org": "org acme", "X-Number": "7"}
    assert provider.betas == {"one-2025-01-01", "two-2025-01-01"}
    assert provider.steps == {"billing-header": False, "cache-control": True}


def test_a_provider_has_defaults() -> None:
    provider = config().providers["zai"]
    assert (provider.format, provider.thinking, provider.port) == ("anthropic", "keep", 443)
    assert (provider.headers, provider.betas, provider.steps) == ({}, frozenset(), {})


def test_providers_and_targets_can_be_keys() -> None:
    assert len({config().providers["zai"], config().providers["zai"], *config().targets("glm")}) == 2


@pytest.mark.parametrize(
    ("base_url", "where"),
    [
        ("https://api.anthropic.com", ("https", "api.anthropic.com", 443, "")),
        ("http://127.0.0.1/", ("http", "127.0.0.1", 80, "")),
        ("http://[::1]:8080/x", ("http", "::1", 8080, "/x")),
        ("HTTPS://Api.Example.com//", ("https", "api.example.com", 443, "")),
    ],
)
def test_base_urls(base_url: str, where: tuple[str, str, int, str]) -> None:
    provider = config(with_provider(f"base_url: {base_url}", "auth: none")).providers["zai"]
    assert (provider.scheme, provider.host, provider.port, provider.path) == where


def test_anthropic_is_known_by_its_tokens_or_its_host() -> None:
    def is_anthropic(base_url: str, auth: str) -> bool:
        return config(with_provider(f"base_url: {base_url}", f"auth: {auth}")).providers["zai"].is_anthropic

    assert is_anthropic("https://api.anthropic.com", "none")
    assert is_anthropic("https://a-relay.example", "claude-oauth")
    assert not is_anthropic("https://anthropic.example", "none")


# Variables


@pytest.mark.parametrize("env", [{}, {"ZAI_API_KEY": ""}, {"ZAI_API_KEY": " \t"}, {"ZAI_API_KEY": '""'}])
def test_a_missing_key_only_switches_its_provider_off(env: dict[str, str]) -> None:
    text = MINIMAL + "  glm-fast: zai/glm-5-air\n"
    gateway = config(text, env)
    assert gateway.providers["zai"].missing == "ZAI_API_KEY"
    assert gateway.providers["zai"].api_keys == ()
    assert gateway.targets("glm")[0].provider.missing == "ZAI_API_KEY"
    assert gateway.warnings == ("ZAI_API_KEY is not set: provider zai is off, and with it glm, glm-fast",)


def test_an_unused_provider_without_its_key_is_no_reason_to_warn() -> None:
    unused = "  kimi: {base_url: https://api.kimi.com/coding, auth: x-api-key, api_key: '${KIMI_API_KEY}'}\n"
    gateway = config(MINIMAL.replace("models:\n", unused + "models:\n"), {"ZAI_API_KEY": "k"})
    assert gateway.providers["kimi"].missing == "KIMI_API_KEY"
    assert gateway.warnings == ()


def test_variables_work_in_every_text_of_a_provider() -> None:
    text = with_provider("base_url: ${URL}/api", "auth: none", "headers: {X-A: '${A}-${B}'}")
    provider = config(text, {"URL": "https://z.example", "A": "1", "B": "2"}).providers["zai"]
    assert (provider.base_url, provider.host, provider.headers) == (
        "https://z.example/api",
        "z.example",
        {"X-A": "1-2"},
    )
    without_url = config(text, {"A": "1", "B": "2"}).providers["zai"]
    assert (without_url.missing, without_url.base_url, without_url.host, without_url.port) == (
        "URL",
        "",
        "",
        0,
    )
    assert config(text, {"URL": "https://z.example"}).providers["zai"].missing == "A"
    assert config(text, {"URL": "https://z.example", "A": "1"}).providers["zai"].missing == "B"


def test_a_variable_in_a_model_must_be_set() -> None:
    text = with_models("glm: zai/${GLM}")
    assert config(text, {"GLM": "glm-5.2"}).targets("glm")[0].model == "glm-5.2"
    assert complaint(text, {}) == "routing.yaml:4: models.glm: GLM is not set"


def test_quotes_that_docker_leaves_around_a_value_are_not_a_part_of_it() -> None:
    assert config(env={"ZAI_API_KEY": ' "key" '}).providers["zai"].api_keys == ("key",)


# Models, failover and pool


def test_the_long_form_of_a_model() -> None:
    text = with_models(
        "glm:",
        "  provider: zai",
        "  model: a/b",
        "  context_window: 131_072",
        "  price: {input: 0.6, output: 2}",
    )
    (target,) = config(text).targets("glm")
    assert (target.model, target.context_window, target.max_output_tokens) == ("a/b", 131_072, None)
    assert target.price == Price(input=0.6, output=2, cache_read=0.6, cache_write=0.6)


def test_names_are_what_the_file_says() -> None:
    gateway = config(with_models("on: zai/1.10", "5: zai/no", "'a b': ' zai/x '"))
    assert [(route.alias, route.model) for route in gateway.aliases()] == [
        ("on", "1.10"),
        ("5", "no"),
        ("a b", "x"),
    ]


def test_an_anchor_may_be_used_again() -> None:
    text = with_models("one: &spec {provider: zai, model: glm}", "two: *spec")
    assert [route.model for route in config(text).aliases()] == ["glm", "glm"]


def test_failover_settings() -> None:
    settings = config(with_section("failover:", "  retries: 0", "  hold: 0", "  cooldown: 1e2")).failover
    assert (settings.retries, settings.hold, settings.cooldown, settings.max_attempts) == (0, 0, 100, 6)
    limits = "first_byte_timeout: 0, answer_timeout: 0, ping_interval: 0"
    settings = config(with_section(f"failover: {{{limits}}}")).failover
    assert (settings.first_byte_timeout, settings.answer_timeout, settings.ping_interval) == (math.inf,) * 3


def test_how_long_rows_are_kept() -> None:
    assert config(with_section("ledger: {keep_days: 7}")).ledger.keep_days == 7
    assert config(with_section("ledger: {}")).ledger.keep_days == config().ledger.keep_days == 90
    assert config(with_section("safeguards: {model: off}")).safeguards.model == "off"
    assert config(with_section("safeguards: {model: 'off'}")).safeguards.model == "off"
    assert config(with_section("safeguards: {model: glm, timeout: 5.5}")).safeguards == SafeguardSettings(
        model="glm", timeout=5.5
    )


def test_pool_strategy() -> None:
    assert config(with_section("pool: {strategy: request}")).pool.strategy == "request"


def test_a_byte_order_mark_at_the_beginning_is_no_part_of_the_file() -> None:
    assert config("\ufeff" + MINIMAL) == config()


def test_sections_with_every_line_commented_out_are_as_good_as_none() -> None:
    gateway = config(with_section("fallbacks:", "  # claude-*: [glm]", "failover:", "pool:"))
    assert (gateway.fallbacks, gateway.failover, gateway.pool) == (
        (),
        config().failover,
        config().pool,
    )


def test_several_keys_make_a_pool() -> None:
    text = with_provider("base_url: https://a.example", "auth: bearer", 'api_keys: ["${ONE}", "${TWO}", three]')
    found = config(text, {"ONE": "1, 2", "TWO": ""}).providers["zai"]
    assert (found.api_keys, found.missing, found.key_source) == (("1", "2", "three"), "", "ONE and TWO")
    assert set(found.api_keys) <= set(config(text, {"ONE": "1, 2"}).secrets())
    text = with_provider("base_url: https://a.example", "auth: bearer", "api_key: ${ONE}")
    assert config(text, {"ONE": "1,2"}).providers["zai"].api_keys == ("1", "2")
    text = with_provider("base_url: https://a.example", "auth: bearer", 'api_keys: ["${ONE}", "${TWO}"]')
    assert config(text, {}).providers["zai"].missing == "ONE"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("api_keys: [a, two words]", "has a space"),
        ("api_keys: []", "api_keys"),
        ("api_key: ','", "has no key in it"),
    ],
)
def test_keys_that_cannot_be(line: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        config(with_provider("base_url: https://a.example", "auth: bearer", line))
