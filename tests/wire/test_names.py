"""Names that clients and providers give, where they come in."""

from __future__ import annotations

import json

import pytest
from msgspec import UNSET, Raw

from addons.wire import limits
from addons.wire.answer_reader import AnswerReader
from addons.wire.errors import BadRequest
from addons.wire.messages.answer import MessagesAnswer, Rewrite, rewrite_message
from addons.wire.messages.body import RequestBody
from addons.wire.names import check_flags, check_tool_name
from tests.client_messages import assistant, tool_result, tool_use, user
from tests.wire.bodies import request
from tests.wire.chat.translated import blocks, call_piece, chat_stream, delta
from tests.wire.checker import check, content_of
from tests.wire.streams import sse, whole

TAKEN = ["Bash", "mcp__server-1__read_file", "a" * 128, "a.b:c/d", "größe", "工具", "functions.Bash"]
NOT_TAKEN = ["a" * (limits.TOOL_NAME + 1), "a\r\nset-cookie: x=1", "\x1b[31mred", "a\x00", "a\u2028b"]


@pytest.mark.parametrize("name", TAKEN)
def test_what_clients_call_their_tools_is_taken(name: str) -> None:
    for ascii_only in (True, False):
        check_tool_name(Raw(json.dumps(name, ensure_ascii=ascii_only).encode()), "tools.0.name")
    check_tool_name(UNSET, "tools.0.name")
    check_tool_name(Raw(b"7"), "tools.0.name")
    body = request(user("hi"), assistant(tool_use(name=name)), user(tool_result()), tools=[{"name": name}])
    RequestBody.parse(json.dumps(body).encode())


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_what_fits_in_no_line_is_refused(name: str) -> None:
    for body, field in (
        (request(user("hi"), tools=[{"name": "Bash"}, {"name": name}]), "tools.1.name"),
        (request(user("hi"), assistant(tool_use(name=name)), user(tool_result())), "messages: the name of a tool"),
    ):
        with pytest.raises(BadRequest, match=f"at most {limits.TOOL_NAME} characters") as refused:
            RequestBody.parse(json.dumps(body).encode())
        assert refused.value.field == field


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_a_provider_s_is_made_fit_for_a_line(name: str) -> None:
    rewrite = Rewrite("zai", is_anthropic=False, strip_thinking=False)
    call = {"type": "tool_use", "id": "t1", "name": name, "input": {"a": 1}}
    events = whole(
        [
            {"type": "content_block_start", "index": 0, "content_block": {**call, "input": {}}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
            {"type": "content_block_stop", "index": 0},
        ]
    )
    reader = AnswerReader(
        stream=True, events=MessagesAnswer(rewrite), complete=lambda body: rewrite_message(body, rewrite)
    )
    found = [content_of(check(reader.feed(sse(events)) + reader.end()))[0]["name"]]
    whole_answer = rewrite_message(json.dumps({"type": "message", "content": [call]}).encode(), rewrite)
    assert isinstance(whole_answer, tuple)
    found.append(json.loads(whole_answer[0])["content"][0]["name"])
    chat = chat_stream(
        delta(tool_calls=[call_piece(name, "{}", index=0, id="c1")]), {"choices": [{"finish_reason": "stop"}]}
    )
    found.append(blocks(chat)[0]["name"])
    for cleaned in found:
        assert cleaned.isprintable()
        assert 0 < len(cleaned) <= limits.TOOL_NAME


@pytest.mark.parametrize("value", ["", "a-1", "a-1, b-2", "a-1,,b-2 ", "\tclaude-code-20250219,context-1m-2025-08-07"])
def test_flags_are_taken(value: str) -> None:
    check_flags(value)


@pytest.mark.parametrize("value", ["ä", "a b", "a-1,\x1b[0m", "a" * (limits.BETA_FLAG + 1), "a-1\x0bb"])
def test_what_is_no_flag_is_refused(value: str) -> None:
    with pytest.raises(BadRequest, match=f"at most {limits.BETA_FLAG} characters"):
        check_flags(value)
