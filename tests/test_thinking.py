"""The stripper on flows: which steps a target's body goes through, and which reader an answer gets."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from mitmproxy.test import tflow

from addons.config.config import Target
from addons.state.exchange import Exchange, Kind, Plan, Trying
from addons.thinking import ThinkingStripper, read_count
from addons.wire.errors import ProviderError
from addons.wire.messages.body import RequestBody
from tests.exchanges import attempted, exchange, provider, read_by, target, trying

STRIPPER = ThinkingStripper()

TEXT = {"type": "text", "text": "ho"}
THOUGHT = {"type": "thinking", "thinking": "Hm", "signature": "c2ln"}
BODY = {
    "model": "asked",
    "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [THOUGHT, TEXT]},
        {"role": "user", "content": "again"},
    ],
    "metadata": {"user_id": "u"},
    "max_tokens": 32000,
}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "model": "m",
    "content": [THOUGHT, TEXT],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 4},
}


def request(at: Target, body: dict[str, Any] = BODY, **fields: Any) -> Trying:
    """The attempt at this target, after the steps."""
    return attempted(STRIPPER, at, body, **fields)


def sent(tried: Trying) -> dict[str, Any]:
    assert tried.attempt.draft
    body: dict[str, Any] = json.loads(tried.attempt.draft.encode())
    return body


def test_to_anthropic_goes_what_the_client_sent() -> None:
    tried = request(target("anthropic"))
    assert tried.attempt.draft
    assert tried.attempt.draft.encode() is tried.attempt.draft.body.raw
    assert tried.exchange.trail == []


def test_to_others_goes_what_they_understand_and_the_trail_says_so() -> None:
    tried = request(target("zai"))
    assert "metadata" not in sent(tried)
    assert sent(tried)["messages"][1]["content"] == [TEXT]
    steps = {step.who: step.what for step in tried.exchange.trail}
    assert set(steps) == {"metadata", "thinking"}
    assert steps["thinking"] == "dropped 1 thinking block (1 of Anthropic)"
    assert {step.attempt for step in tried.exchange.trail} == {1}


def test_the_target_decides_over_steps_and_limits() -> None:
    at = Target(alias="asked", provider=provider("zai", steps={"metadata": False}), model="m", max_output_tokens=8192)
    body = sent(request(at))
    assert body["metadata"] == {"user_id": "u"}
    assert body["max_tokens"] == 8192


def test_the_second_try_without_thinking() -> None:
    tried = request(target("anthropic"), plan=Plan(targets=[target("anthropic")], drop_thinking=True))
    assert sent(tried)["messages"][1]["content"] == [TEXT]


def test_each_attempt_has_a_draft_of_its_own() -> None:
    made = exchange(target("zai"), target("anthropic", fallback=True))
    made.body = RequestBody.parse(json.dumps(BODY).encode())
    first = trying(made)
    STRIPPER.attempt(first)
    made.plan.cursor = 1
    second = Trying(first.flow, made, made.begin())
    STRIPPER.attempt(second)
    assert "metadata" not in sent(first)
    assert sent(second) == BODY


def test_a_request_that_is_only_passed_on_has_no_steps() -> None:
    made = exchange()
    made.body = None
    tried = trying(made)
    STRIPPER.attempt(tried)
    assert tried.attempt.draft is None
    assert made.trail == []


# The answer


def answered(
    at: Target, body: bytes, *, code: int = 200, stream: bool = False, kind: Kind = "messages", coding: str = ""
) -> Exchange:
    """The exchange, when the provider's head is there; the body is fed to the reader if there is one."""
    tried = request(at, {**BODY, "stream": stream}, kind=kind)
    read_by(STRIPPER, tried, body, code=code, coding=coding)
    return tried.exchange


def message(made: Exchange) -> dict[str, Any]:
    assert made.attempt
    assert made.attempt.answer
    assert made.attempt.answer.body
    body: dict[str, Any] = json.loads(made.attempt.answer.body)
    return body


@pytest.mark.parametrize("coding", ["", "identity", "gzip"])
def test_thinking_is_wrapped_stripped_or_left_by_whose_it_is(coding: str) -> None:
    body = json.dumps(MESSAGE).encode()
    body = gzip.compress(body) if coding == "gzip" else body
    assert message(answered(target("anthropic"), body, coding=coding)) == MESSAGE
    wrapped = message(answered(target("zai"), body, coding=coding))["content"]
    assert wrapped == [{**THOUGHT, "signature": "gw1.zai.c2ln"}, TEXT]
    strips = Target(alias="asked", provider=provider("openrouter", thinking="strip"), model="m")
    assert message(answered(strips, body, coding=coding))["content"] == [TEXT]


def test_usage_is_read() -> None:
    made = answered(target("zai"), json.dumps(MESSAGE).encode())
    assert made.usage
    assert (made.usage.input_tokens, made.usage.output_tokens) == (3, 4)


def test_a_stream_has_another_reader() -> None:
    made = answered(target("zai"), json.dumps(MESSAGE).encode(), stream=True)
    assert made.attempt
    assert made.attempt.answer
    assert made.attempt.answer.stream
    assert made.attempt.answer.body is not None


@pytest.mark.parametrize("code", [199, 300, 307, 400, 404, 429, 500, 529])
def test_an_error_has_no_reader(code: int) -> None:
    made = answered(target("zai"), b"", code=code)
    assert made.attempt
    assert made.attempt.answer is None
    assert made.attempt.outcome is None


def test_a_coding_that_nobody_can_read_is_a_failed_attempt() -> None:
    made = answered(target("zai"), b"", coding="rot13")
    assert made.attempt
    assert made.attempt.answer is None
    assert made.attempt.outcome
    assert (made.attempt.outcome.kind, made.attempt.outcome.error.status) == ("invalid", 502)


def test_an_answer_of_another_format_is_the_translators() -> None:
    at = Target(alias="asked", provider=provider("ollama", format="openai-chat"), model="m")
    made = answered(at, b"")
    assert made.attempt
    assert made.attempt.answer is None


def test_flows_that_are_not_ours_are_left_alone() -> None:
    for flow in (tflow.tflow(), tflow.tflow(resp=True)):
        before = flow.get_state()
        STRIPPER.responseheaders(flow)
        assert flow.get_state() == before


def test_a_count_is_passed_as_it_is() -> None:
    body = b'{"input_tokens": 5, "more": [1.0]}'
    made = answered(target("zai"), body, kind="count_tokens")
    assert made.attempt
    assert made.attempt.answer
    assert made.attempt.answer.body == body


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"input_tokens": "5"}', b'{"input_tokens": null}', b"{", b"5"])
def test_what_is_no_count_is_an_error(body: bytes) -> None:
    assert isinstance(read_count(body), ProviderError)


def test_the_fields_of_a_model_are_sent_but_not_where_tokens_are_counted() -> None:
    at = target("zai", body={"temperature": 0.2})
    assert sent(request(at))["temperature"] == 0.2
    assert "temperature" not in sent(request(at, kind="count_tokens"))
