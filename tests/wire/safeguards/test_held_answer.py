"""The end of an answer is held back, its calls are read, and the results stand in the final message_delta."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.wire.messages.answer import MessagesAnswer, Rewrite, rewrite_message
from addons.wire.messages.assembler import Assembler, message_events
from addons.wire.safeguards import held_answer
from addons.wire.safeguards.held_answer import HeldAnswer
from addons.wire.safeguards.question import RESULTS, ToolCall
from addons.wire.sse import frame

REWRITE = Rewrite(provider="zai", is_anthropic=False, strip_thinking=False)
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "text", "text": "message_delta and tool_use are words"},
        {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}},
        {"type": "text", "text": "and"},
        {"type": "tool_use", "id": "toolu_2", "name": "Write", "input": {"content": "x" * 50}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 7, "output_tokens": 9},
}
STREAM = b"".join(message_events(MESSAGE))
FOUND = [{"type": "dangerous_tool_use", "status": {"type": "unsupported"}}]
CALLS = [ToolCall("toolu_1", "Bash", {"command": "ls"}), ToolCall("toolu_2", "Write", {"content": "x" * 50})]


def reader(*, stream: bool = True) -> HeldAnswer:
    return HeldAnswer(
        stream=stream, events=MessagesAnswer(REWRITE), complete=lambda body: rewrite_message(body, REWRITE)
    )


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_in_any_split_the_same_goes_on_and_the_same_is_held(cuts: list[int]) -> None:
    answer, bounds = reader(), [0, *sorted(cuts), len(STREAM)]
    out = b"".join(answer.feed(STREAM[a:b]) for a, b in pairwise(bounds)) + answer.end()
    assert answer.is_held
    assert answer.finished
    assert b"message_stop" not in out
    assert answer.calls() == CALLS
    ending = answer.ending(FOUND)
    assert ending.count(b"event: ") == 2
    assembler = Assembler()
    assembler.feed(out + ending)
    assert assembler.complete
    assert assembler.message() == MESSAGE | {RESULTS: FOUND}


@pytest.mark.parametrize("stream", [True, False])
def test_a_json_answer_is_read_too(stream: bool) -> None:
    answer = reader(stream=stream)
    out = answer.feed(json.dumps(MESSAGE).encode()) + answer.end()
    assert answer.is_held
    assert answer.calls() == CALLS
    assert (b"content_block_stop" in out) == stream


def test_a_stream_for_a_client_that_wants_json() -> None:
    answer = reader(stream=False)
    assert not answer.feed(STREAM) + answer.end()
    assert answer.calls() == CALLS


def test_a_call_that_was_cut_is_known_as_such() -> None:
    cut = {**MESSAGE, "stop_reason": "max_tokens"}
    answer = reader()
    answer.feed(b"".join(message_events(cut)))
    assert [call.is_cut for call in answer.calls()] == [False, True]
    unread = STREAM.replace(rb"{\"command\":\"ls\"}", rb"{\"command\":\"l")
    assert unread != STREAM
    answer = reader()
    answer.feed(unread)
    assert [call.is_cut for call in answer.calls()] == [True, False]


def test_without_a_final_message_delta_one_is_made() -> None:
    answer = reader()
    events = message_events(MESSAGE)
    answer.feed(b"".join(events[:-2]) + frame("message_stop", {"type": "message_stop"}))
    assert answer.is_held
    assembler = Assembler()
    assembler.feed(answer.ending(FOUND))
    assert assembler.complete
    assert assembler.message()[RESULTS] == FOUND
    assert assembler.message()["stop_reason"] == "tool_use"


def test_calls_that_are_too_long_are_known_by_their_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_answer, "LONGEST_CALLS", 300)
    answer = reader()
    for event in message_events(MESSAGE):
        answer.feed(event)
    assert answer.is_too_long
    assert [call.id for call in answer.calls()] == ["toolu_1", "toolu_2"]
