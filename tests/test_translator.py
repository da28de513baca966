"""The translator on flows: which requests it translates, what the trail says of it, and which reader an answer gets."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from addons.config.config import Target
from addons.state.exchange import Exchange, Trying
from addons.translator import Translator
from addons.wire.chat.options import ChatOptions
from addons.wire.messages.body import RequestBody
from addons.wire.thinking_rules import ThinkingRules
from tests.exchanges import attempted, exchange, provider, read_by, target, trying
from tests.received import either_way
from tests.wire.chat.dialects import DIALECTS, Called, Said

TRANSLATOR = Translator()

BODY: dict[str, Any] = {
    "model": "asked",
    "messages": [{"role": "user", "content": "hi"}],
    "max_tokens": 32000,
    "metadata": {"user_id": "u"},
    "stream": True,
}
SAID = Said("Hello", "Hm", (Called("Bash", {"command": "ls"}),))
CONTENT = ["thinking", "text", "tool_use"]


def chat_target(**fields: Any) -> Target:
    given = {"format": "openai-chat", "path": "/v1", **fields}
    return Target(alias="asked", provider=provider("ollama", **given), model="qwen3", max_output_tokens=8192)


def request(at: Target, body: dict[str, Any] = BODY) -> Trying:
    """The attempt at this target, translated."""
    return attempted(TRANSLATOR, at, body)


def sent(tried: Trying) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(tried.flow.request.content or b"")
    return body


def steps(made: Exchange) -> list[tuple[str, str]]:
    return [(step.who, step.what) for step in made.trail]


# The request


def test_body_and_path() -> None:
    tried = request(chat_target())
    assert tried.flow.request.path == "/v1/chat/completions"
    assert sent(tried) == {
        "model": "qwen3",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 8192,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert tried.attempt.draft is None
    assert tried.attempt.translation
    assert tried.attempt.translation.request.body == tried.flow.request.content


def test_the_trail_says_what_was_done_and_what_was_lost() -> None:
    tried = request(chat_target())
    length = len(tried.flow.request.content or b"")
    assert steps(tried.exchange) == [
        ("max-tokens", "max_tokens 32000 → 8192"),
        ("translator", f"Messages → Chat Completions, {length:,} bytes"),
        ("translator", "left out metadata"),
    ]


def test_the_providers_options_count() -> None:
    options = ChatOptions(max_tokens_field="max_completion_tokens", include_usage=False, send_user=True)
    body = sent(request(chat_target(chat=options)))
    assert body["max_completion_tokens"] == 8192
    assert body["user"] == "u"
    assert "stream_options" not in body


OFF = {"chat_template_kwargs": {"enable_thinking": False}}


@pytest.mark.parametrize(
    ("rules", "fields"),
    [
        (ThinkingRules(by_default=True, off=OFF), {"max_tokens": 64, **OFF}),
        (ThinkingRules(by_default=True), {"max_tokens": 4160}),
        (ThinkingRules(can_be_off=False), {"max_tokens": 4160}),
        (ThinkingRules(off=OFF), {"max_tokens": 64}),
    ],
)
def test_a_call_for_a_few_tokens_leaves_room_for_an_answer(rules: ThinkingRules, fields: dict[str, Any]) -> None:
    found = sent(request(chat_target(chat=ChatOptions(thinking_rules=rules)), {**BODY, "max_tokens": 64}))
    assert {name: found[name] for name in found if name in ("max_tokens", *OFF)} == fields


def test_each_attempt_starts_from_what_the_client_sent() -> None:
    made = exchange(chat_target(), chat_target())
    made.body = RequestBody.parse(json.dumps(BODY).encode())
    first = trying(made)
    TRANSLATOR.attempt(first)
    made.plan.cursor = 1
    second = Trying(first.flow, made, made.begin())
    assert second.attempt.draft
    assert second.attempt.draft.encode() == made.body.raw
    TRANSLATOR.attempt(second)
    assert sent(second)["model"] == "qwen3"


def test_what_cannot_be_said_is_not_sent() -> None:
    tried = request(chat_target(), {**BODY, "tool_choice": {"type": "nonsense"}})
    outcome = tried.attempt.outcome
    assert outcome
    assert (outcome.kind, outcome.error.status, outcome.error.type) == ("skipped", 400, "invalid_request_error")
    assert outcome.error.message.startswith("tool_choice.type")
    assert tried.attempt.translation is None


def test_messages_targets_and_relayed_requests_are_left_alone() -> None:
    tried = request(target("zai"))
    assert tried.attempt.draft
    assert tried.attempt.draft.encode() == json.dumps(BODY, separators=(",", ":")).encode()
    assert tried.exchange.trail == []
    made = exchange()
    made.body = None
    relayed = trying(made)
    before = relayed.flow.request.get_state()
    TRANSLATOR.attempt(relayed)
    assert relayed.flow.request.get_state() == before


def test_a_request_that_is_answered_here_is_not_translated() -> None:
    """A count of tokens."""
    made = exchange(chat_target())
    tried = trying(made)
    tried.flow.response = http.Response.make(200)
    TRANSLATOR.attempt(tried)
    assert tried.attempt.translation is None
    assert made.trail == []


# The answer


def answered(body: bytes, *, stream: bool, code: int = 200, coding: str = "", **fields: Any) -> Exchange:
    """The exchange after this answer; an error body is not read here."""
    tried = request(chat_target(**fields), {**BODY, "stream": stream})
    read_by(TRANSLATOR, tried, body, code=code, coding=coding)
    TRANSLATOR.response(tried.flow)
    return tried.exchange


def kinds(made: Exchange) -> list[str]:
    assert made.attempt and made.attempt.answer and made.attempt.answer.body
    return [block["type"] for block in json.loads(made.attempt.answer.body)["content"]]


@pytest.mark.parametrize("coding", ["", "identity", "gzip"])
@pytest.mark.parametrize("streamed", [True, False])
def test_a_message_comes_of_it_however_it_was_sent(coding: str, streamed: bool) -> None:
    dialect = DIALECTS["deepseek"]
    body = dialect.stream(SAID) if streamed else dialect.body(SAID)
    made = answered(gzip.compress(body) if coding == "gzip" else body, stream=False, coding=coding)
    assert kinds(made) == CONTENT
    assert made.usage
    assert (made.usage.input_tokens, made.usage.cache_read_input_tokens, made.usage.output_tokens) == (90, 30, 17)


@pytest.mark.parametrize("streamed", [True, False])
def test_stripped_thinking(streamed: bool) -> None:
    dialect = DIALECTS["deepseek"]
    body = dialect.stream(SAID) if streamed else dialect.body(SAID)
    assert kinds(answered(body, stream=False, thinking="strip")) == CONTENT[1:]


def test_ids_are_the_exchanges_own() -> None:
    made = answered(DIALECTS["openai"].body(SAID), stream=False)
    assert made.attempt and made.attempt.answer and made.attempt.answer.body
    assert json.loads(made.attempt.answer.body)["id"] == "msg_req_1_1"


@either_way
def test_what_was_odd_about_an_answer_is_in_the_trail(stream: bool) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "Bash", "arguments": '{"command": "ls'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    made = answered(json.dumps({"choices": [choice]}).encode(), stream=stream)
    who, what = steps(made)[-1]
    assert who == "translator"
    assert what.startswith("the arguments of Bash ")


@pytest.mark.parametrize("code", [199, 300, 400, 404, 429, 500])
def test_an_error_has_no_reader(code: int) -> None:
    made = answered(b"", stream=True, code=code)
    assert made.attempt
    assert made.attempt.answer is None
    assert made.attempt.outcome is None


def test_a_coding_that_nobody_can_read_is_a_failed_attempt() -> None:
    made = answered(b"", stream=True, coding="rot13")
    assert made.attempt and made.attempt.outcome
    assert (made.attempt.outcome.kind, made.attempt.outcome.error.status) == ("invalid", 502)


def test_flows_that_are_not_ours_are_left_alone() -> None:
    for flow in (tflow.tflow(), tflow.tflow(resp=True), tflow.tflow(err=True)):
        before = flow.get_state()
        TRANSLATOR.responseheaders(flow)
        TRANSLATOR.response(flow)
        TRANSLATOR.error(flow)
        assert flow.get_state() == before
