"""Answers that were reported to be read wrongly, each with its siblings."""

import json
from typing import Any

import pytest

from addons.wire.chat.whole_answer import message_from_chat
from addons.wire.errors import ProviderError
from addons.wire.messages.assembler import Assembler
from tests.wire.chat.dialects import chunk, usage_chunk
from tests.wire.chat.translated import blocks, calls, chat_stream, delta, joined, new_answer, read
from tests.wire.checker import check, content_of

BASH = frozenset({"Bash", "Read", "mcp__a__b"})


def called(name: str = "Bash", arguments: str = '{"command":"ls"}', **fields: Any) -> dict[str, Any]:
    return {"index": 0, "id": "x", "function": {"name": name, "arguments": arguments}, **fields}


def end_of(out: bytes) -> dict[str, Any]:
    return next(data for kind, data in check(out) if kind == "message_delta")


# function_call beside tool_calls


@pytest.mark.parametrize("size", [1, 4, 100])
def test_function_call_beside_tool_calls_is_the_same_call(size: int):
    text = '{"command":"ls -la"}'
    deltas = []
    for at in range(0, len(text), size):
        function = {"name": "Bash" if at == 0 else "", "arguments": text[at : at + size]}
        deltas.append(delta(tool_calls=[{"index": 0, "id": "x", "function": function}], function_call=function))
    assert calls(blocks(chat_stream(*deltas, chunk({}, "tool_calls")))) == [("Bash", {"command": "ls -la"})]


@pytest.mark.parametrize("function", [{"name": "", "arguments": ""}, {"name": None}, {}, None])
def test_an_empty_function_call_is_nothing(function: Any):
    assert calls(blocks(chat_stream(delta(content="hi", function_call=function), chunk({}, "stop")))) == []


def test_function_call_that_comes_first_gives_way():
    stream = chat_stream(
        delta(function_call={"name": "Bash", "arguments": ""}), delta(tool_calls=[called()]), chunk({}, "tool_calls")
    )
    assert calls(blocks(stream)) == [("Bash", {"command": "ls"})]


def test_function_call_alone_is_a_call():
    stream = chat_stream(
        delta(function_call={"name": "Bash"}), delta(function_call={"arguments": "{}"}), chunk({}, "function_call")
    )
    assert calls(blocks(stream)) == [("Bash", {})]


# Failed answers


@pytest.mark.parametrize(
    "reason",
    [
        "abort",
        "ABORT",
        "error",
        "function_call_filter: MALFORMED_FUNCTION_CALL",
        "function_call_filter: UNEXPECTED_TOOL_CALL",
        "MALFORMED_FUNCTION_CALL",
        "something_new",
        "something_new: with words",
        "FINISH_REASON_UNSPECIFIED",
        "timeout",
        "cancelled",
    ],
)
@pytest.mark.parametrize("said", [{"content": "Half a sent"}, {"tool_calls": [called(arguments='{"com')]}, {}])
def test_a_failed_answer_is_no_end(reason: str, said: dict[str, Any]):
    answer, out = read(chat_stream(chunk({"role": "assistant"}), chunk(said, reason)))
    assert answer.error and answer.error.status >= 500 and not answer.finished
    assert b"message_stop" not in out
    assert answer.content == bool(said)
    body = json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", **said}, "finish_reason": reason}]})
    assert isinstance(message_from_chat(body.encode(), new_answer(), "prov"), ProviderError)


NAMELESS = [
    {"index": 0, "id": "x", "function": {"arguments": '{"command":"ls"}'}},
    {"index": 0, "function": {"name": None, "arguments": '{"command":"ls"}'}},
    {"index": 0, "id": "x", "type": "custom", "custom": {"name": "Bash", "input": "ls"}},
    {"index": 0, "id": "x", "function": None},
]


@pytest.mark.parametrize("said", [{"content": "I look."}, {}])
@pytest.mark.parametrize("call", NAMELESS)
@pytest.mark.parametrize("reason", ["tool_calls", "stop"])
def test_an_answer_whose_call_got_lost_is_no_end(said: dict[str, Any], call: dict[str, Any], reason: str):
    """An agent that is told of the text alone believes that it is done."""
    message = said | {"tool_calls": [call]}
    answer, out = read(chat_stream(delta(**said), delta(tool_calls=[call]), chunk({}, reason)))
    assert answer.error and answer.error.status == 502 and not answer.finished
    assert b"message_stop" not in out
    assert answer.content == bool(said), "without a word to the client another provider can be asked"
    body = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": reason}]})
    assert isinstance(message_from_chat(body.encode(), new_answer(), "prov"), ProviderError)


@pytest.mark.parametrize("said", [{}, {"content": ""}, {"reasoning_content": "I could look."}, {"tool_calls": []}])
@pytest.mark.parametrize("strip", [False, True])
def test_calls_that_are_announced_and_never_come_are_no_end(said: dict[str, Any], strip: bool):
    answer, out = read(chat_stream(delta(**said), chunk({}, "tool_calls")), strip_thinking=strip)
    assert answer.error and not answer.finished and b"message_stop" not in out


@pytest.mark.parametrize(
    "calls_", [{"function": {"name": "Bash", "arguments": "{}"}}, [{"name": "Bash", "arguments": "{}"}]]
)
def test_a_call_without_its_list_or_its_function(calls_: Any):
    assert calls(blocks(chat_stream(delta(tool_calls=calls_), chunk({}, "tool_calls")))) == [("Bash", {})]


def test_an_end_before_the_message_is_no_content():
    """Until there is content another provider can be asked."""
    answer = new_answer()
    assert answer.feed(chat_stream({"choices": [{"index": 0, "text": "hi"}]}, done=False)) == b""
    assert answer.feed(chat_stream({"choices": [{"index": 0, "finish_reason": "stop"}]})) == b""
    assert answer.error and not answer.content


@pytest.mark.parametrize(
    "reason", ["content_filter: RECITATION", "content_filter: PROHIBITED_CONTENT", "SAFETY", "RECITATION", "spii"]
)
def test_a_filtered_answer_is_a_refusal(reason: str):
    answer, _ = read(chat_stream(delta(content="Half"), chunk({}, reason)))
    assert answer.stop_reason == "refusal"


@pytest.mark.parametrize(
    "reason", ["stop", "STOP", "eos", "end_turn", "tool_calls", "FinishReason.STOP", "FINISH_REASON_STOP", "tool-calls"]
)
def test_known_ends(reason: str):
    answer, _ = read(chat_stream(delta(content="hi"), chunk({}, reason)))
    assert answer.stop_reason == "end_turn"


@pytest.mark.parametrize(
    "reason", ["length", "MAX_TOKENS", "FINISH_REASON_MAX_TOKENS", "max_new_tokens", "length_limit"]
)
def test_an_answer_that_ran_into_its_limit(reason: str):
    answer, _ = read(chat_stream(delta(content="Half"), chunk({}, reason)))
    assert answer.stop_reason == "max_tokens"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"error": {"statusCode": "422", "message": "m"}}, 422),
        ({"object": "error", "message": "m", "type": "BadRequestError", "code": None}, 400),
        ({"error": {"type": "NotFoundError", "message": "m"}}, 404),
        ({"error": {"code": "content_policy_violation", "message": "m"}}, 400),
        ({"errors": [{"code": 400, "message": "m"}]}, 400),
        ({"errors": {"code": 400, "message": "m"}}, 400),
        ({"msg": "m", "code": 1302}, 429),
        ({"error_code": 336501, "error_msg": "m"}, 500),
        ({"code": "400", "message": "m"}, 400),
        ({"error": "m", "status": 400}, 400),
    ],
)
def test_an_error_within_a_stream_has_the_status_that_it_tells(error: dict[str, Any], status: int):
    answer, out = read(f"data: {json.dumps(error)}\n\n".encode())
    assert answer.error and (answer.error.status, out) == (status, b"")
    assert answer.error.message.startswith("m")


@pytest.mark.parametrize(
    "usage", [{"prompt_tokens": "100", "completion_tokens": "5"}, {"input_tokens": 100, "output_tokens": 5}]
)
def test_usage_in_other_spellings(usage: dict[str, Any]):
    answer, _ = read(chat_stream(delta(content="hi"), chunk({}, "stop"), {"choices": [], "usage": usage}))
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (100, 5)


@pytest.mark.parametrize("choice", [{"finish_reason": "stop"}, {"message": None, "finish_reason": "stop"}, {}])
def test_json_without_a_message_is_no_answer(choice: dict[str, Any]):
    found = message_from_chat(json.dumps({"choices": [{"index": 0, **choice}]}).encode(), new_answer(), "prov")
    assert isinstance(found, ProviderError) and found.status == 502


# Tool names that nobody has


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Bash<|channel|>commentary", "Bash"),
        ("functions.Bash", "Bash"),
        ("functions.Bash:0", "Bash"),
        ("default_api:Bash", "Bash"),
        ("default_api.mcp__a__b", "mcp__a__b"),
        ("Bash ", "Bash"),
        (" Bash", "Bash"),
        ("bash", "Bash"),
        ("to=functions.Read", "Read"),
        ("Bash", "Bash"),
        ("Grep", "Grep"),
        ("BASH", "Bash"),
        ("mcp_a_b", "mcp__a__b"),
        ("mcp-a-b", "mcp__a__b"),
        ("Bashful", "Bashful"),
    ],
)
def test_tool_names_that_nobody_has(said: str, meant: str):
    answer, out = read(chat_stream(delta(tool_calls=[called(said)]), chunk({}, "tool_calls")), tools=BASH)
    assert f'"name":"{meant}"'.encode() in out
    assert bool(answer.notes) == (said != meant)


# Stop sequences


@pytest.mark.parametrize("size", [1, 3, 100])
def test_an_answer_ends_at_the_clients_stop_sequence(size: int):
    text = "<block>no</bl</block> and more"
    deltas = [delta(content=text[at : at + size]) for at in range(0, len(text), size)]
    answer, out = read(chat_stream(*deltas, chunk({}, "stop")), stops=("</block>", "###"))
    assert answer.finished and answer.stop_reason == "stop_sequence"
    assert joined(content_of(check(out)), "text") == "<block>no</bl"
    assert end_of(out)["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "</block>"}


def test_the_beginning_of_a_stop_sequence_is_text_after_all():
    found = blocks(chat_stream(delta(content="a </blo"), chunk({}, "stop")), stops=("</block>",))
    assert joined(found, "text") == "a </blo"


@pytest.mark.parametrize("field", ["stop_reason", "matched_stop"])
def test_the_stop_sequence_that_the_provider_tells(field: str):
    last = chunk({}, "stop")
    last["choices"][0][field] = "END"
    answer, out = read(chat_stream(delta(content="hi"), last), stops=("END",))
    assert end_of(out)["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "END"}
    last["choices"][0][field] = 151645  # the number of the token that ends every answer
    answer, out = read(chat_stream(delta(content="hi"), last), stops=("END",))
    assert answer.stop_reason == "end_turn"


# Usage


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 10120, "completion_tokens": 1499, "total_tokens": 14428}, (10120, 4308, 0, 0)),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 115,
                "completion_tokens_details": {"reasoning_tokens": 100},
            },
            (10, 105, 0, 0),
        ),
        (
            {
                "prompt_tokens": 2168,
                "completion_tokens": 9,
                "prompt_tokens_details": {"cached_tokens": 2161, "cache_write_tokens": 2161},
            },
            (0, 9, 2161, 7),
        ),
        ({"prompt_tokens": 7, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 163}}, (7, 9, 163, 0)),
        (
            {
                "prompt_tokens": 7,
                "completion_tokens": 9,
                "total_tokens": 179,
                "prompt_tokens_details": {"cached_tokens": 163},
            },
            (7, 9, 163, 0),
        ),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 9,
                "total_tokens": 109,
                "prompt_tokens_details": {"cached_tokens": 100},
            },
            (0, 9, 100, 0),
        ),
    ],
)
def test_usage_as_anthropic_counts(usage: dict[str, Any], expected: tuple[int, ...]):
    stream = chat_stream(delta(content="hi"), chunk({}, "stop"), usage_chunk(usage))
    answer, out = read(stream)
    found = answer.usage
    assert (
        found.input_tokens,
        found.output_tokens,
        found.cache_read_input_tokens,
        found.cache_creation_input_tokens,
    ) == expected
    # A client that asked for JSON is told the same.
    assembler = Assembler()
    assembler.feed(out)
    assert assembler.message()["usage"]["input_tokens"] == expected[0]


# Content


@pytest.mark.parametrize("content", [{"answer": True}, 5, -0.5, True])
def test_content_that_is_json_is_its_text(content: Any):
    found = blocks(chat_stream(delta(content=content), chunk({}, "stop")))
    assert json.loads(joined(found, "text")) == content


def test_the_number_of_a_choice_may_be_a_text():
    found = blocks(chat_stream({"choices": [{"index": "0", "delta": {"content": "hi"}, "finish_reason": "stop"}]}))
    assert joined(found, "text") == "hi"


@pytest.mark.parametrize("size", [1, 1000])
def test_the_arguments_of_calls_count_as_said(size: int):
    """For a provider that doesn't tell its usage, and an answer that was cut."""
    arguments = json.dumps({"file": "x" * 2000})
    pieces = [arguments[at : at + size] for at in range(0, len(arguments), size)]
    answer = new_answer()
    answer.feed(chat_stream(*(delta(tool_calls=[called(arguments=piece)]) for piece in pieces), done=False))
    assert answer.streamed == len(arguments)
    assert b'"output_tokens":%d' % -(-len(arguments) // 4) in answer.feed(chat_stream(chunk({}, "tool_calls")))
