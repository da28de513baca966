"""What a client asks verdicts for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from addons.wire.messages.assembler import PARTIAL_JSON
from addons.wire.messages.body import RequestBody
from addons.wire.safeguards.question import ToolCall, classifier_context, tool_calls


def asking(**fields: Any) -> RequestBody:
    return RequestBody.parse(json.dumps({"model": "glm", "messages": [], **fields}).encode())


@pytest.mark.parametrize(
    ("safeguards", "context"),
    [
        ([{"type": "dangerous_tool_use", "classifier_context": {"v": 1}}], {"v": 1}),
        ([{"type": "another"}, {"type": "dangerous_tool_use"}], {}),
        ([{"type": "dangerous_tool_use", "classifier_context": "odd"}], {}),
        ([{"type": "another"}], None),
        (["dangerous_tool_use"], None),
        ("dangerous_tool_use", None),
        (None, None),
    ],
)
def test_the_client_s_situation_is_what_it_says_where_it_asks_for_verdicts(safeguards: Any, context: Any) -> None:
    assert classifier_context(asking(safeguards=safeguards)) == context


def test_nothing_is_asked_without_the_field() -> None:
    assert classifier_context(asking()) is None


def test_the_calls_of_an_answer_are_those_of_the_client_s_tools() -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}}
    other = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    assert tool_calls([{"type": "text", "text": "hi"}, call, other, "odd"], "tool_use") == [
        ToolCall("toolu_1", "Bash", {"command": "ls"})
    ]
    assert tool_calls("no blocks", "end_turn") == []


@pytest.mark.parametrize(("stop_reason", "cut"), [("tool_use", False), ("max_tokens", True)])
def test_only_the_last_call_can_have_been_cut_by_a_limit(stop_reason: str, cut: bool) -> None:
    calls: Any = [{"type": "tool_use", "id": name, "name": "Bash", "input": {}} for name in ("one", "two")]
    assert [call.is_cut for call in tool_calls(calls, stop_reason)] == [False, cut]


def test_a_call_whose_input_is_not_whole_is_cut() -> None:
    assert tool_calls([{"type": "tool_use", "id": "a", "name": "b", PARTIAL_JSON: '{"x'}], "tool_use")[0].is_cut
