"""Calls for so few tokens that a model which thinks would answer with nothing."""

import json
from typing import Any

import pytest

from addons.wire.messages.body import Draft, RequestBody
from addons.wire.steps.few_tokens import ROOM
from addons.wire.steps.table import Context, apply
from addons.wire.thinking_rules import ThinkingRules
from tests.wire.bodies import request

BY_DEFAULT = ThinkingRules(by_default=True)
ALWAYS = ThinkingRules(can_be_off=False)
OFF, ADAPTIVE = {"type": "disabled"}, {"type": "adaptive"}


def sent(rules: ThinkingRules, limit: int | None = None, **fields: Any) -> tuple[int, Any]:
    """`max_tokens` and `thinking` as the provider gets them."""
    draft = Draft(RequestBody.parse(json.dumps(request("hi", **fields)).encode()))
    apply(draft, Context(provider="x", is_anthropic=False, rules=rules, max_output_tokens=limit), {})
    body = json.loads(draft.encode())
    return body["max_tokens"], body.get("thinking")


@pytest.mark.parametrize("tokens", [1, 64, 1024])
@pytest.mark.parametrize("thinking", [{}, {"thinking": OFF}, {"thinking": ADAPTIVE}])
def test_a_model_that_thinks_by_default_is_told_not_to(tokens: int, thinking: dict[str, Any]) -> None:
    assert sent(BY_DEFAULT, max_tokens=tokens, **thinking) == (tokens, OFF)


@pytest.mark.parametrize("thinking", [{}, {"thinking": OFF}])
def test_a_model_that_always_thinks_gets_room(thinking: dict[str, Any]) -> None:
    assert sent(ALWAYS, max_tokens=64, **thinking) == (64 + ROOM, None)
    assert sent(ALWAYS, max_tokens=64, limit=2048, **thinking) == (2048, None)
    assert sent(ALWAYS, max_tokens=1, **thinking) == (1, None)  # nobody reads what a probe says


def test_where_there_is_room_nothing_changes() -> None:
    for rules in (BY_DEFAULT, ALWAYS, ThinkingRules()):
        assert sent(rules, max_tokens=2112) == (2112, None)
    assert sent(BY_DEFAULT, max_tokens=32000, thinking=ADAPTIVE)[1]["type"] == "enabled"


def test_of_a_model_of_which_nothing_is_known_nothing_is_assumed() -> None:
    assert sent(ThinkingRules(), max_tokens=64) == (64, None)
    assert sent(ThinkingRules(), max_tokens=64, thinking=OFF) == (64, OFF)
