"""The body on its way to other providers: without what only Anthropic understands, step by step."""

from typing import Any

import pytest

from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import sign
from tests.received import either_way

BILLING = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330.abc; cc_entrypoint=cli;"}
IDENTITY = {"type": "text", "text": "You are Claude Code", "cache_control": {"type": "ephemeral"}}
SCHEMA = {"type": "object", "properties": {"command": {"type": "string"}}}
BASH = {"name": "Bash", "description": "Runs it", "input_schema": SCHEMA}

STEPS = [
    "hidden-credentials",
    "billing-header",
    "context-management",
    "output-config",
    "metadata",
    "anthropic-fields",
    "claude-generation",
    "compaction",
    "tool-input",
    "tool-changes",
    "beta-tools",
    "system-messages",
    "server-tools",
    "tool-ids",
    "cache-control",
    "empty-text",
    "max-tokens",
    "thinking-display",
    "thinking-force",
    "thinking-missing",
    "thinking-off",
    "thinking-adaptive",
    "few-tokens",
]


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any], providers: Any) -> dict[str, Any]:
    """With a provider that has every step switched off, one with one step off, and a model with a limit."""
    more = {
        "untouched": {"base_url": providers.kimi.url, "auth": "none", "steps": dict.fromkeys(STEPS, False)},
        "metadata-too": {"base_url": providers.kimi.url, "auth": "none", "steps": {"metadata": False}},
        "anthropic-but": {
            "base_url": providers.anthropic.url,
            "auth": "claude-oauth",
            "steps": {"metadata": True, "empty-text": False},
        },
    }
    models: dict[str, Any] = {
        "untouched": "untouched/m",
        "metadata-too": "metadata-too/m",
        "anthropic-but": "anthropic-but/m",
        "small": {"provider": "zai", "model": "small", "max_output_tokens": 8192},
        "tiny": {"provider": "zai", "model": "tiny", "max_output_tokens": 512},
        "claude-small": {"provider": "anthropic", "model": "claude-small", "max_output_tokens": 8192},
    }
    return {
        **routing,
        "providers": {**routing["providers"], **more},
        "models": {**routing["models"], **models},
    }


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "glm", "max_tokens": 32000, "messages": [{"role": "user", "content": "hi"}], **fields}


def got(gateway: Gateway, provider: Provider, fields: dict[str, Any]) -> dict[str, Any]:
    """What arrives of this body."""
    answer = gateway.client.post("/v1/messages?beta=true", json=fields)
    assert answer.status_code == 200, answer.text
    arrived: dict[str, Any] = provider.last.json
    return arrived


def claude_code() -> dict[str, Any]:
    """A request of Claude Code 2.1 (recorded, shortened): everything at once that other providers refuse."""
    return body(
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]},
            {"role": "system", "content": [{"type": "text", "text": "Environment: Linux"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Anthropic's", "signature": sign("anthropic", "Anthropic's")},
                    {"type": "text", "text": ""},
                    {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}, "caller": {"type": "direct"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "content": [{"type": "tool_reference", "tool_name": "Grep"}, {"type": "text", "text": "done"}],
                        "cache_control": {"type": "ephemeral", "ttl": "1h"},
                    }
                ],
            },
            {"role": "system", "content": "Today is Sunday"},
        ],
        system=[BILLING, {**IDENTITY, "cache_control": {"type": "ephemeral", "ttl": "1h", "scope": "global"}}],
        tools=[
            {**BASH, "eager_input_streaming": True, "strict": True, "input_examples": [{}]},
            {"name": "DeferredToolPlaceholder", "input_schema": SCHEMA, "defer_loading": True},
            {"type": "web_search_20250305", "name": "web_search"},
            {"type": "custom", **BASH, "name": "Other", "cache_control": {"type": "ephemeral", "ttl": "5m"}},
        ],
        metadata={"user_id": "u"},
        thinking={"type": "adaptive", "display": "omitted"},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        output_config={"effort": "high"},
        safeguards={"x": 1},
        extra_headers={"authorization": "Bearer sk-ant-oat01-hidden-0123456789"},
    )


@pytest.mark.parametrize("model", ["glm", "kimi", "openrouter"])
@either_way
def test_what_claude_code_sends_is_what_others_take(gateway: Gateway, providers: Any, model: str, stream: bool) -> None:
    provider: Provider = getattr(providers, {"glm": "zai"}.get(model, model))
    provider.refuse_like_others()
    arrived = got(gateway, provider, {**claude_code(), "model": model, "stream": stream})
    assert provider.refused == []
    assert list(arrived) == ["model", "max_tokens", "messages", "system", "tools", "thinking", "stream"]
    assert arrived["system"] == [IDENTITY]
    assert arrived["thinking"] == {"type": "enabled", "budget_tokens": 31999}
    assert [tool["name"] for tool in arrived["tools"]] == ["Bash", "Other"]
    assert arrived["tools"][0] == BASH
    assert [message["role"] for message in arrived["messages"]] == ["user", "assistant", "user"]
    assert "<system-reminder>\nEnvironment: Linux\n</system-reminder>" in repr(arrived["messages"][0]).replace(
        r"\n", "\n"
    )
    assert "Today is Sunday" in repr(arrived["messages"][2])


def test_a_model_behind_anthropic_gets_the_same_as_a_fallback(
    gateway: Gateway, anthropic: Provider, zai: Provider
) -> None:
    """What Anthropic refused to answer goes to the next provider as if it had been meant for it."""
    expected = got(gateway, zai, claude_code())
    anthropic.refuse()
    zai.refuse_like_others()
    assert got(gateway, zai, {**claude_code(), "model": "claude-sonnet-5-5"}) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"system": [BILLING, IDENTITY]}, {"system": [IDENTITY]}),
        ({"system": [BILLING]}, {}),
        ({"system": [IDENTITY, BILLING]}, {"system": [IDENTITY, BILLING]}),
        ({"system": "x-anthropic-billing-header: a=b;\nBe nice"}, {"system": "Be nice"}),
        ({"context_management": {"edits": []}, "output_config": {}, "metadata": {}}, {}),
        ({"betas": ["x"], "service_tier": "auto", "container": "c", "mcp_servers": []}, {}),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048, "display": "omitted"}},
         {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        ({"thinking": {"type": "adaptive"}}, {"thinking": {"type": "enabled", "budget_tokens": 31999}}),
        ({"thinking": {"type": "adaptive"}, "max_tokens": 4000},
         {"thinking": {"type": "enabled", "budget_tokens": 3999}, "max_tokens": 4000}),
        ({"thinking": {"type": "adaptive"}, "max_tokens": 100}, {"max_tokens": 100}),
        ({"thinking": {"type": "disabled"}}, {"thinking": {"type": "disabled"}}),
        ({"tools": [{**BASH, "strict": False, "defer_loading": True}]}, {"tools": [BASH]}),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}], "tool_choice": {"type": "auto"}}, {}),
        ({"temperature": 0.5, "top_k": 3, "stop_sequences": ["x"], "unknown": 1},
         {"temperature": 0.5, "top_k": 3, "stop_sequences": ["x"], "unknown": 1}),
    ],
)  # fmt: skip
def test_fields(gateway: Gateway, zai: Provider, fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert got(gateway, zai, body(**fields)) == {**body(), "model": "glm-5", **expected}


def test_what_nobody_has_to_change_arrives_as_it_is(gateway: Gateway, zai: Provider) -> None:
    sent = b'{"model":"glm","max_tokens":1e3,"messages":[{"content": "\\u00e9\\/" , "role":"user", "x":[1.0]}],"b":{ }}'
    assert gateway.client.post("/v1/messages", content=sent).status_code == 200
    assert zai.last.body == sent.replace(b'"glm"', b'"glm-5"')


@pytest.mark.parametrize(
    ("model", "limit", "given", "expected"),
    [
        ("small", 8192, {"max_tokens": 32000}, {"max_tokens": 8192}),
        ("small", 8192, {"max_tokens": 8192}, {"max_tokens": 8192}),
        ("small", 8192, {"max_tokens": 10}, {"max_tokens": 10}),
        ("small", 8192, {"thinking": {"type": "adaptive"}},
         {"max_tokens": 8192, "thinking": {"type": "enabled", "budget_tokens": 8191}}),
        ("small", 8192, {"thinking": {"type": "enabled", "budget_tokens": 31999}},
         {"max_tokens": 8192, "thinking": {"type": "enabled", "budget_tokens": 8191}}),
        ("tiny", 512, {"thinking": {"type": "enabled", "budget_tokens": 31999}}, {"max_tokens": 512}),
    ],
)  # fmt: skip
def test_max_tokens_is_clamped(
    gateway: Gateway, zai: Provider, model: str, limit: int, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert got(gateway, zai, body(model=model, **given)) == {**body(), "model": model, **expected}


def test_max_tokens_is_clamped_for_anthropic_too(gateway: Gateway, anthropic: Provider) -> None:
    assert got(gateway, anthropic, body(model="claude-small")) == body(model="claude-small", max_tokens=8192)


# Steps by name


def test_every_step_can_be_switched_off(gateway: Gateway, kimi: Provider) -> None:
    sent = {**claude_code(), "model": "untouched"}
    arrived = got(gateway, kimi, sent)
    for message in sent["messages"]:  # no switch lets a thinking block travel
        if message["role"] == "assistant":
            del message["content"][0]
    assert arrived == {**sent, "model": "m"}


def test_one_step_can_be_switched_off(gateway: Gateway, kimi: Provider) -> None:
    kimi.refuse_like_others(allow=frozenset(["metadata"]))
    arrived = got(gateway, kimi, {**claude_code(), "model": "metadata-too"})
    assert arrived["metadata"] == {"user_id": "u"}
    assert "output_config" not in arrived


def test_a_step_can_be_switched_on_and_off_for_anthropic(gateway: Gateway, anthropic: Provider) -> None:
    content = [{"type": "text", "text": ""}, {"type": "text", "text": "hi"}]
    sent = body(model="anthropic-but", metadata={"user_id": "u"}, messages=[{"role": "user", "content": content}])
    arrived = got(gateway, anthropic, sent)
    assert "metadata" not in arrived
    assert arrived["messages"] == sent["messages"]


def test_the_steps_are_those_of_the_configuration() -> None:
    from addons.wire.steps.table import STEP_NAMES

    assert set(STEPS) == STEP_NAMES
