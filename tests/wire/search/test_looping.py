"""A conversation that may search: what its model is asked, and what its client gets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import anthropic.types
import pytest

from addons.wire.errands import Ask, Errand, Reply
from addons.wire.errors import ProviderError
from addons.wire.messages.body import RequestBody
from addons.wire.raw_json import dump
from addons.wire.search.looping import MOST_SEARCHES, ROUNDS, Conversation, can_loop
from addons.wire.search.question import Question
from addons.wire.search.settings import SearchSettings
from addons.wire.usage import Usage

SETTINGS = SearchSettings(provider="searxng", url="http://searx.test", loop=True)
TOOL: dict[str, Any] = {"type": "web_search_20250305", "name": "web_search"}
BASH = {"name": "Bash", "input_schema": {"type": "object"}}
HI = {"role": "user", "content": "hi"}
FOUND = Reply(status=200, body=b'{"results": [{"url": "https://a.org/", "title": "T", "content": "Says so."}]}')
SEARCHED = ["server_tool_use", "web_search_tool_result"]


def body(*messages: Any, tools: Any = (TOOL, BASH), **fields: Any) -> RequestBody:
    whole = {"model": "m", "max_tokens": 9, "messages": messages or [HI], "tools": tools, **fields}
    return RequestBody.parse(json.dumps(whole).encode())


def says(*content: Any, stop: str = "") -> Reply:
    calls = any(block["type"] == "tool_use" for block in content)
    message = {"type": "message", "content": content, "stop_reason": stop or ("tool_use" if calls else "end_turn")}
    return Reply(status=200, body=json.dumps(message).encode(), usage=Usage(input_tokens=10, output_tokens=2))


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def call(name: str = "web_search", number: int = 1, **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": given or {"query": "x"}}


def answered(message: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": message["content"]}


def done(number: int = 2) -> dict[str, Any]:
    return {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": "ok"}],
    }


def drive(errand: Errand[bytes | ProviderError], replies: Sequence[Reply], asked: list[Any]) -> None:
    asked.append(next(errand))
    left = [*replies]
    while left:
        asked.append(errand.send(left.pop(0)))


def run(
    *replies: Reply, request: RequestBody | None = None, question: Question | None = None
) -> tuple[list[dict[str, Any]], Any]:
    """The bodies that the model was asked, and the message (or the error) that came of it."""
    asked: list[Any] = []
    conversation = Conversation(question or Question(), SETTINGS, "glm-5", "req_1")
    with pytest.raises(StopIteration) as end:
        drive(conversation.answer(request or body(), 60), replies, asked)
    assert len(asked) == len(replies), "not all replies were asked for"
    bodies = [json.loads(bytes(dump(one.body))) for one in asked if isinstance(one, Ask)]
    if isinstance(end.value.value, ProviderError):
        return bodies, end.value.value
    anthropic.types.Message.model_validate_json(end.value.value)
    return bodies, json.loads(end.value.value)


def kinds(message: Any) -> list[str]:
    return [block["type"] for block in message["content"]]


def test_the_model_searches_and_goes_on_and_the_client_sees_all_of_it_in_order() -> None:
    first, second = says(text("I'll look."), call()), says(text("And again."), call(number=2))
    asked, message = run(first, FOUND, second, FOUND, says(text("So it is.")))
    assert kinds(message) == ["text", *SEARCHED, "text", *SEARCHED, "text"]
    said = [block["text"] for block in message["content"] if block["type"] == "text"]
    assert said == ["I'll look.", "And again.", "So it is."]
    assert message["stop_reason"] == "end_turn"
    assert (message["usage"]["input_tokens"], message["usage"]["output_tokens"]) == (30, 6)
    assert message["usage"]["server_tool_use"]["web_search_requests"] == 2
    assert [tool["name"] for tool in asked[0]["tools"]] == ["Bash", "web_search"]
    assert "type" not in asked[0]["tools"][1]
    assert (asked[0]["max_tokens"], "model" in asked[0], "stream" in asked[0]) == (9, False, False)
    assert asked[2]["messages"][:2] == [HI, {"role": "assistant", "content": [text("I'll look."), call()]}]
    (told,) = asked[2]["messages"][2]["content"]
    assert told["tool_use_id"] == "toolu_1"
    assert "Says so." in told["content"]


def test_who_does_not_search_is_asked_once() -> None:
    asked, message = run(says(text("hello")))
    assert (len(asked), kinds(message)) == (1, ["text"])


def test_a_call_of_the_clients_own_tool_ends_the_answer() -> None:
    asked, message = run(says(call(), call("Bash", 2)), FOUND)
    assert kinds(message) == [*SEARCHED, "tool_use"]
    assert (message["stop_reason"], len(asked)) == ("tool_use", 1)


def test_five_rounds_and_no_more() -> None:
    asked, message = run(*[says(call()), FOUND] * ROUNDS)
    assert (len(asked), message["stop_reason"]) == (5, "pause_turn")
    assert len(message["content"]) == 2 * ROUNDS


@pytest.mark.parametrize("stop", ["max_tokens", "refusal"])
def test_a_call_that_was_cut_is_not_made(stop: str) -> None:
    _, message = run(says(text("I"), call(), stop=stop))
    assert (kinds(message), message["stop_reason"]) == (["text"], stop)


def test_no_more_searches_than_are_allowed() -> None:
    many = [call(number=number) for number in range(3)]
    asked, message = run(says(*many), FOUND, FOUND, says(text("done")), question=Question(uses=2))
    assert message["content"][5]["content"]["error_code"] == "max_uses_exceeded"
    assert asked[1]["messages"][-1]["content"][2]["is_error"] is True
    many = [call(number=number) for number in range(MOST_SEARCHES + 1)]
    _, message = run(says(*many), *[FOUND] * MOST_SEARCHES, says(text("done")))
    assert message["usage"]["server_tool_use"]["web_search_requests"] == MOST_SEARCHES


def test_a_search_that_fails_or_has_no_query_is_told_to_both() -> None:
    asked, message = run(says(call(), call(number=2, q=1)), Reply(status=429), says(text("no luck")))
    codes = [message["content"][index]["content"]["error_code"] for index in (1, 3)]
    assert codes == ["too_many_requests", "invalid_tool_input"]
    assert all(one["is_error"] for one in asked[1]["messages"][-1]["content"])


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Reply(status=0, timed_out=True), 504),
        (Reply(status=0), 502),
        (Reply(status=529, body=b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'), 529),
    ],
)
def test_a_model_that_fails_is_a_failed_attempt(reply: Reply, status: int) -> None:
    _, error = run(says(call()), FOUND, reply)
    assert isinstance(error, ProviderError)
    assert error.status == status


def test_the_next_request_shows_the_model_its_calls_again() -> None:
    _, message = run(says(text("I'll look."), call()), FOUND, says(text("Now this."), call("Bash", 2)))
    asked, _ = run(says(text("end")), request=body(HI, answered(message), done()))
    roles = [(turn["role"], [block["type"] for block in turn["content"]]) for turn in asked[0]["messages"][1:]]
    assert roles == [("assistant", ["text", "tool_use"]), ("user", ["tool_result"])] * 2
    used, told = asked[0]["messages"][1]["content"][1], asked[0]["messages"][2]["content"][0]
    assert (used["name"], used["input"], used["id"]) == ("web_search", {"query": "x"}, told["tool_use_id"])
    assert "https://a.org/" in told["content"]
    assert "Says so." in told["content"]


def test_an_answer_that_was_paused_goes_on_and_results_come_before_others() -> None:
    _, message = run(*[says(call()), FOUND] * ROUNDS)
    asked, _ = run(says(text("end")), request=body(HI, answered(message)))
    assert kinds(asked[0]["messages"][-1]) == ["tool_result"] * ROUNDS
    _, message = run(says(call(), call("Bash", 2)), FOUND)
    asked, _ = run(says(text("end")), request=body(HI, answered(message), done()))
    ids = [block["tool_use_id"] for block in asked[0]["messages"][-1]["content"]]
    assert ids == ["toolu_req_1_1", "toolu_2"]


def test_a_message_of_the_system_stays_one() -> None:
    _, message = run(says(call()), FOUND, says(text("end")))
    paused = {"role": "assistant", "content": message["content"][:2]}
    system = {"role": "system", "content": "be brief"}
    asked, _ = run(says(text("end")), request=body(HI, paused, system, HI))
    assert [turn["role"] for turn in asked[0]["messages"]] == ["user", "assistant", "user", "system", "user"]
    assert asked[0]["messages"][3] == system


def test_what_is_forced_is_forced_once() -> None:
    forced = {"type": "tool", "name": "web_search"}
    asked, _ = run(says(call()), FOUND, says(text("end")), request=body(tool_choice=forced))
    assert [one["tool_choice"] for one in asked] == [forced, {"type": "auto"}]


def test_half_of_a_search_is_left_out() -> None:
    _, message = run(says(call()), FOUND, says(text("end")))
    half = {"role": "assistant", "content": [message["content"][1], text("x")]}
    asked, _ = run(says(text("end")), request=body(HI, half, HI))
    assert asked[0]["messages"][1]["content"] == [text("x")]


def test_a_tool_of_that_name_is_the_clients() -> None:
    assert can_loop(body())
    assert not can_loop(body(tools=[TOOL, {**BASH, "name": "web_search"}]))
