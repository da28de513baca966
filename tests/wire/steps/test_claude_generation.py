from typing import Any

import pytest

from addons.wire.claude_models import claude_of
from addons.wire.steps.context import Context
from tests.client_messages import assistant, system, text
from tests.wire.bodies import request
from tests.wire.steps.test_table import adapted

ADAPTIVE = {"type": "adaptive", "display": "omitted"}
ENABLED = {"type": "enabled", "budget_tokens": 20_000, "display": "omitted"}


def at(model: str) -> Context:
    return Context(provider="anthropic", is_anthropic=True, claude=claude_of(model))


def sent(model: str, **fields: Any) -> dict[str, Any]:
    body = request("hi", **{"max_tokens": 32_000, "thinking": ADAPTIVE, **fields})
    return adapted(body, at(model))[1]


@pytest.mark.parametrize(
    "model", ["claude-sonnet-4-5", "claude-haiku-4-5-20251001", "claude-opus-4-1", "claude-opus-4-5"]
)
def test_adaptive_becomes_a_budget_where_only_that_is_known(model: str) -> None:
    body = sent(model, output_config={"effort": "high"})
    assert body["thinking"] == {"type": "enabled", "display": "omitted", "budget_tokens": 31_999}
    assert "output_config" not in body


def test_the_effort_makes_the_budget() -> None:
    body = sent("claude-sonnet-4-5", output_config={"effort": "low", "format": {"type": "json_schema"}})
    assert body["thinking"]["budget_tokens"] == 4_096
    assert body["output_config"] == {"format": {"type": "json_schema"}}


@pytest.mark.parametrize("model", ["claude-opus-4-7", "claude-opus-5-5", "claude-sonnet-5", "claude-fable-5-2"])
def test_a_budget_becomes_adaptive_where_only_that_is_known(model: str) -> None:
    body = sent(model, thinking=ENABLED, temperature=1, top_k=5)
    assert body["thinking"] == ADAPTIVE
    assert "temperature" not in body
    assert "top_k" not in body


@pytest.mark.parametrize("thinking", [ADAPTIVE, ENABLED])
def test_4_6_takes_both(thinking: dict[str, Any]) -> None:
    assert sent("claude-opus-4-6", thinking=thinking)["thinking"] == thinking


@pytest.mark.parametrize(
    ("model", "effort", "kept"),
    [("claude-opus-4-6", "xhigh", "high"), ("claude-opus-4-6", "max", "max"), ("claude-opus-4-7", "xhigh", "xhigh")],
)
def test_effort(model: str, effort: str, kept: str) -> None:
    assert sent(model, output_config={"effort": effort})["output_config"] == {"effort": kept}


def test_no_thinking_and_the_highest_effort() -> None:
    body = sent("claude-opus-5", thinking={"type": "disabled"}, output_config={"effort": "max"})
    assert body["output_config"] == {"effort": "high"}


def test_max_tokens() -> None:
    body = sent("claude-sonnet-4-5", max_tokens=128_000)
    assert body["max_tokens"] == 64_000
    assert sent("claude-opus-4-1", max_tokens=128_000)["max_tokens"] == 32_000
    body = sent("claude-opus-4-1", max_tokens=128_000, thinking={"type": "enabled", "budget_tokens": 60_000})
    assert body["thinking"]["budget_tokens"] == 31_999
    assert sent("claude-opus-5-5", max_tokens=128_000)["max_tokens"] == 128_000


def test_one_that_never_thought() -> None:
    clear = {"edits": [{"type": "clear_thinking_20251015"}, {"type": "compact_20260112"}]}
    body = sent("claude-3-5-haiku-20241022", context_management=clear)
    assert "thinking" not in body
    assert "context_management" not in body


def test_system_messages_and_compactions() -> None:
    block = {"type": "compaction", "content": "long ago"}
    tool = {"name": "Read", "input_schema": {}}
    change = {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": tool}}
    body = request("hi", assistant(block, text("so")), "go", system([text("env"), change]), max_tokens=9)
    older = adapted(body, at("claude-sonnet-4-5"))[1]
    assert [message["role"] for message in older["messages"]] == ["user", "assistant", "user"]
    assert older["tools"] == [tool]
    assert adapted(body, at("claude-opus-4-6"))[1]["messages"][1] == assistant(block, text("so"))
    assert adapted(body, at("claude-opus-4-8")) == ([], body)


def test_the_model_that_was_asked_for_is_the_clients_business() -> None:
    body = request("hi", system("env"), thinking=ADAPTIVE, max_tokens=128_000, temperature=0)
    assert adapted(body, Context(provider="anthropic", is_anthropic=True)) == ([], body)
