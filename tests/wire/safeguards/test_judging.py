"""The errand of a judge, step by step: what it asks, and what it makes of the reply."""

from __future__ import annotations

import json
from typing import Any

import pytest

from addons.wire.errands import Ask, Reply
from addons.wire.messages.assembler import message_events
from addons.wire.messages.body import RequestBody
from addons.wire.safeguards.judging import Check
from addons.wire.safeguards.question import classifier_context
from addons.wire.safeguards.verdicts import Judgement
from tests.wire.safeguards.test_held_answer import MESSAGE, reader


def body(**fields: Any) -> RequestBody:
    return RequestBody.parse(
        json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()
    )


def run(check: Check, message: dict[str, Any], reply: Reply | None) -> tuple[Ask | None, Judgement]:
    """What was asked, and the end."""
    answer, asked = reader(), None
    answer.feed(b"".join(message_events(message)))
    errand = check.judge(answer)
    try:
        found = next(errand)
        assert isinstance(found, Ask)
        asked = found
        assert reply
        errand.send(reply)
    except StopIteration as end:
        judgement: Judgement = end.value
        return asked, judgement
    raise AssertionError("it asks a second time")


@pytest.mark.parametrize(("model", "asks"), [("same", ""), ("glm-fast", "glm-fast")])
def test_the_judge_is_asked_once_for_all_calls(model: str, asks: str) -> None:
    verdicts = [{"call": n, "verdict": "safe", "reason": "fine"} for n in (1, 2)]
    message = {"content": [{"type": "text", "text": json.dumps({"verdicts": verdicts})}]}
    asked, judgement = run(Check(model, 30, {}, body()), MESSAGE, Reply(status=200, body=json.dumps(message).encode()))
    assert asked
    assert (asked.model, asked.timeout, asked.purpose) == (asks, 30, "safeguard")
    assert "tools" not in asked.body
    uses = judgement.results[0]["status"]["tool_uses"]
    assert {name: use["outcome"] for name, use in uses.items()} == {"toolu_1": "not_flagged", "toolu_2": "not_flagged"}


def test_nobody_is_asked_without_calls_or_when_it_is_off() -> None:
    text = {**MESSAGE, "content": [{"type": "text", "text": "done"}], "stop_reason": "end_turn"}
    assert run(Check("same", 30, {}, body()), text, None)[1].results[0]["status"] == {
        "type": "available",
        "tool_uses": {},
    }
    assert run(Check("off", 30, {}, body()), MESSAGE, None)[1].results[0]["status"] == {"type": "unsupported"}


@pytest.mark.parametrize(
    ("safeguards", "context"),
    [
        ([{"type": "dangerous_tool_use", "classifier_context": {"v": 1}}], {"v": 1}),
        ([{"type": "other"}, {"type": "dangerous_tool_use"}], {}),
        ([{"type": "dangerous_tool_use", "classifier_context": "x"}], {}),
        ([{"type": "other"}], None),
        ([1, "dangerous_tool_use", None], None),
        ("dangerous_tool_use", None),
        (None, None),
    ],
)
def test_only_a_client_that_asks_for_verdicts_gets_some(safeguards: Any, context: Any) -> None:
    assert classifier_context(body(safeguards=safeguards)) == context


def test_without_the_field_nobody_asks() -> None:
    assert classifier_context(body()) is None
