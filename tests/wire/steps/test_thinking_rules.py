"""Thinking rules towards providers with Anthropic's format.

wire/thinking_rules.py is tested here too.
"""

import json
from typing import Any

import pytest

from addons.wire.messages.body import Draft, RequestBody
from addons.wire.steps.table import Context, apply
from addons.wire.thinking_rules import ThinkingRules
from tests.client_messages import assistant, text, thinking, tool_result, tool_use, user
from tests.wire.bodies import request

KIMI = ThinkingRules(calls_need_it=True, can_be_off=False, forced_tool_excludes=True)
DEEPSEEK = ThinkingRules(calls_need_it=True, forced_tool_excludes=True)
ENABLED = {"type": "enabled", "budget_tokens": 2000}


def sent(rules: ThinkingRules, body: dict[str, Any]) -> dict[str, Any]:
    draft = Draft(RequestBody.parse(json.dumps(body).encode()))
    apply(draft, Context(provider="kimi", is_anthropic=False, rules=rules), {})
    found: dict[str, Any] = json.loads(draft.encode())
    return found


LOOP = ("go", assistant(thinking("gw1.zai.x"), text("a"), tool_use()), user(tool_result()))


def test_thinking_stands_in_for_another_providers() -> None:
    for rules in (KIMI, DEEPSEEK):
        blocks = sent(rules, request(*LOOP, thinking=ENABLED))["messages"][1]["content"]
        assert [block["type"] for block in blocks] == ["thinking", "text", "tool_use"]
        assert blocks[0]["thinking"] == rules.placeholder
    own = ("go", assistant(thinking("gw1.kimi.x"), tool_use()), user(tool_result()))
    assert sent(KIMI, request(*own, thinking=ENABLED))["messages"][1]["content"][0]["thinking"] == "hm"
    assert len(sent(ThinkingRules(), request(*LOOP, thinking=ENABLED))["messages"][1]["content"]) == 2
    assert len(sent(DEEPSEEK, request(*LOOP, thinking={"type": "disabled"}))["messages"][1]["content"]) == 2


def test_a_model_that_always_thinks_is_not_told_to_stop() -> None:
    assert "thinking" not in sent(KIMI, request("hi", thinking={"type": "disabled"}))
    assert sent(DEEPSEEK, request("hi", thinking={"type": "disabled"}))["thinking"] == {"type": "disabled"}


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "Bash"}])
def test_a_forced_tool(choice: dict[str, Any]) -> None:
    tools = [{"name": "Bash", "input_schema": {"type": "object"}}]
    body = request("hi", tools=tools, tool_choice=choice, thinking=ENABLED)
    found = sent(DEEPSEEK, body)
    assert found["thinking"] == {"type": "disabled"} and found["tool_choice"] == choice
    found = sent(KIMI, body)
    assert found["thinking"] == ENABLED and found["tool_choice"] == {"type": "auto"}
    assert sent(ThinkingRules(), body)["tool_choice"] == choice


@pytest.mark.parametrize(
    ("effort", "budget"), [("low", 4096), ("medium", 16384), ("high", 31999), ("max", 31999), (None, 31999)]
)
def test_effort_becomes_a_budget(effort: str | None, budget: int) -> None:
    body = request("hi", thinking={"type": "adaptive"}, max_tokens=64000)
    if effort:
        body["output_config"] = {"effort": effort}
    assert sent(ThinkingRules(), body)["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert sent(ThinkingRules(form="switch"), body)["thinking"] == {"type": "enabled"}
    assert sent(ThinkingRules(form="adaptive"), body)["thinking"] == {"type": "adaptive"}
