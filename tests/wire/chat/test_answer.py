"""Chat streams as Anthropic's: every recorded dialect, any split of its bytes, and what is odd about them.

answer_content.py, block_writer.py, chunk.py, ending.py, events.py, reasoning.py and whole_answer.py are tested here
too.
"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.wire.chat.whole_answer import message_from_chat
from addons.wire.messages.assembler import Assembler
from addons.wire.provenance import decode_tool_id, unwrap_signature, valid_tool_id
from tests.wire.chat.dialects import DIALECTS, Called, Dialect, Said, chunk, openai, usage_chunk
from tests.wire.chat.translated import ESTIMATE, blocks, call_piece, calls, chat_stream, delta, joined, new_answer, read
from tests.wire.checker import check, content_of
from tests.wire.streams import pieces_of

# What can be between the tags of a model, but for the tags.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="<>"), min_size=1, max_size=40)
ARGUMENTS = st.dictionaries(
    st.text(max_size=6),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9), st.lists),
    max_size=3,
)
CALLS = st.lists(st.builds(Called, st.sampled_from(["Bash", "Read"]), ARGUMENTS), max_size=3)
SAID = st.builds(Said, TEXTS.filter(str.strip), TEXTS | st.just(""), CALLS, st.sampled_from(["stop", "length"]))
ANY_DIALECT = st.sampled_from(list(DIALECTS.values()))


@given(ANY_DIALECT, SAID)
def test_every_dialect_says_exactly_what_went_in(dialect: Dialect, said: Said):
    answer, out = read(dialect.stream(said))
    assert answer.finished, answer.error
    content = content_of(check(out))
    said = dialect.can_say(said)
    assert joined(content, "thinking").strip() == said.thinking.strip()
    assert joined(content, "text").strip() == said.text.strip()
    if not dialect.padded:
        assert (joined(content, "thinking"), joined(content, "text")) == (said.thinking, said.text)
    assert calls(content) == [(call.name, call.arguments) for call in said.calls]
    assert answer.stop_reason == ("tool_use" if said.calls else "max_tokens" if said.finish == "length" else "end_turn")
    kinds = [block["type"] for block in content]
    assert "thinking" not in kinds[kinds.index("text") :], "thinking comes before text"
    assert not answer.notes


@given(ANY_DIALECT, SAID, st.data())
def test_any_split_gives_the_same_events(dialect: Dialect, said: Said, data: st.DataObject):
    stream = dialect.stream(said)
    answer = new_answer()
    out = b"".join([answer.feed(piece) for piece in data.draw(pieces_of(stream))])
    whole, expected = read(stream)
    assert out + answer.end() == expected
    assert (answer.usage, answer.stop_reason, answer.notes) == (whole.usage, whole.stop_reason, whole.notes)


@given(ANY_DIALECT, SAID)
def test_json_and_stream_say_the_same(dialect: Dialect, said: Said):
    said = dialect.can_say(said)
    read_json = message_from_chat(dialect.body(said), new_answer(), "prov")
    assert isinstance(read_json, tuple), read_json
    body, usage, stop_reason = read_json
    message = json.loads(body)
    answer, out = read(dialect.stream(said))
    content = content_of(check(out))
    for kind in ("text", "thinking"):
        assert joined(message["content"], kind).strip() == joined(content, kind).strip()
    assert calls(message["content"]) == calls(content)
    assert message["stop_reason"] == stop_reason == answer.stop_reason
    assert message["role"] == "assistant" and message["type"] == "message" and message["model"] == "alias"
    assert usage.output_tokens == said.completion


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_usage_wherever_it_comes(dialect: Dialect):
    said = dialect.can_say(Said("Hello there", prompt=120, cached=30, completion=17))
    answer, out = read(dialect.stream(said))
    end = next(data for kind, data in check(out) if kind == "message_delta")
    if not dialect.tells_usage:
        assert answer.usage.input_tokens == 0
        assert end["usage"]["input_tokens"] == ESTIMATE
        assert end["usage"]["output_tokens"] == 3
        return
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (said.prompt - said.cached, 17)
    assert answer.usage.cache_read_input_tokens == said.cached
    assert end["usage"] == {
        "input_tokens": said.prompt - said.cached,
        "output_tokens": 17,
        "cache_read_input_tokens": said.cached,
        "cache_creation_input_tokens": 0,
    }


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_the_first_text_leaves_with_its_chunk(dialect: Dialect):
    answer = new_answer()
    shown = ""
    for event, data in zip(dialect.events(Said("Hello there")), dialect.chunks(Said("Hello there")), strict=False):
        out = answer.feed(event)
        shown += "Hello"[: out.count(b"text_delta")]
        choices = data["choices"]
        told = choices[0].get("delta", {}).get("content") if choices else ""
        assert not told or b"text_delta" in out
    assert shown


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_a_stream_that_was_cut_is_not_finished(dialect: Dialect):
    """In front of the first thing that says that it ends."""
    said = dialect.can_say(Said("Hello there", "Let me see", [Called("Bash", {"command": "ls"})]))
    answer = new_answer()
    for event in dialect.events(said):
        if any(word in event for word in (b'finish_reason": "', b"[DONE]", b'"choices": [], "usage"')):
            break
        answer.feed(event)
    answer.end()
    assert answer.started and answer.content
    assert not answer.finished and answer.stop_reason is None


def test_message_start_carries_the_estimate():
    _, out = read(chat_stream(*openai(Said("Hi"))))
    kind, data = check(out)[0]
    assert kind == "message_start"
    assert data["message"]["usage"]["input_tokens"] == ESTIMATE
    assert data["message"]["id"] == "msg_s1"
    assert data["message"]["model"] == "alias"


def test_nothing_counts_as_content_before_there_is_some():
    answer = new_answer()
    assert not answer.feed(b": ping - 2026\n\n")
    assert answer.started and not answer.content
    assert not answer.feed(chat_stream(delta(role="assistant", content=""), done=False))
    assert not answer.content
    assert answer.feed(chat_stream(delta(content="x"), done=False))
    assert answer.content


def test_created_and_cached_tokens_are_not_input_tokens():
    counted = {"prompt_tokens": 120, "completion_tokens": 5, "cache_read_input_tokens": 30}
    answer, _ = read(chat_stream(delta(content="x"), usage_chunk({**counted, "cache_creation_input_tokens": 20})))
    assert answer.usage.input_tokens == 70
    assert answer.usage.cache_creation_input_tokens == 20


def test_usage_with_nulls_and_nonsense_is_passed_over():
    usage = {"prompt_tokens": None, "completion_tokens": "seven", "prompt_tokens_details": None}
    answer, _ = read(chat_stream(delta(content="x"), usage_chunk({"prompt_tokens": 9}), usage_chunk(usage)))
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (9, 0)


# Tool calls


CALL = {"type": "tool_use", "id": "c1", "name": "Bash", "input": {}}


@pytest.mark.parametrize("arguments", ["", "{}", None, {}, "null", " ", [], '""'])
def test_no_arguments_are_an_empty_object(arguments: Any):
    assert blocks(chat_stream(delta(tool_calls=[call_piece("Bash", arguments, id="c1", index=0)]))) == [CALL]


def test_arguments_as_an_object_are_taken_as_they_are():
    piece = call_piece("Bash", {"command": "ls"}, id="c1", index=0)
    assert blocks(chat_stream(delta(tool_calls=[piece]))) == [CALL | {"input": {"command": "ls"}}]


def test_a_call_is_announced_as_soon_as_its_name_is_known():
    answer = new_answer()
    assert not answer.feed(chat_stream(delta(tool_calls=[call_piece(id="c1", index=0)]), done=False))
    out = answer.feed(chat_stream(delta(tool_calls=[call_piece("Bash", index=0)]), done=False))
    assert b'"name":"Bash"' in out
    out = answer.feed(chat_stream(delta(tool_calls=[call_piece(None, '{"command":"l', index=0)]), done=False))
    assert b'"partial_json":"{\\"command\\":\\"l"' in out


def test_a_call_waits_for_its_turn_and_no_longer():
    """The second call starts in the chunk in which the first one's arguments are whole."""
    answer = new_answer()
    answer.feed(chat_stream(delta(tool_calls=[call_piece("A", "", id="a", index=0)]), done=False))
    out = answer.feed(chat_stream(delta(tool_calls=[call_piece("B", '{"y":', id="b", index=1)]), done=False))
    assert not out
    out = answer.feed(chat_stream(delta(tool_calls=[call_piece(None, '{"x":1}', index=0)]), done=False))
    assert b'"name":"B"' in out and b"y" in out


def test_text_after_a_call_is_a_block_of_its_own():
    stream = chat_stream(
        delta(content="a"), delta(tool_calls=[call_piece("Bash", "{}", id="c1", index=0)]), delta(content="b")
    )
    assert [block["type"] for block in blocks(stream)] == ["text", "tool_use", "text"]


def test_text_in_the_middle_of_arguments_does_not_break_them():
    stream = chat_stream(
        delta(tool_calls=[call_piece("Bash", '{"command":', id="c1", index=0)]),
        delta(content="b"),
        delta(tool_calls=[call_piece(None, '"ls"}', index=0)]),
    )
    assert blocks(stream) == [CALL | {"input": {"command": "ls"}}, {"type": "text", "text": "b"}]


def test_ids_are_valid_and_unique_and_remember_the_providers_own():
    pieces = [
        call_piece("Bash", "{}", id=id_, index=n) for n, id_ in enumerate(["functions.Bash:0", "x", "x", "", "y"])
    ]
    found = [block["id"] for block in blocks(chat_stream(delta(tool_calls=pieces)), tool_ids={"y"})]
    assert len(set(found)) == 5 and all(map(valid_tool_id, found))
    assert decode_tool_id(found[0]) == ("prov", "functions.Bash:0")
    assert found[1] == "x" and found[3] == "call_s1_3"
    assert "y" not in found
    for client_id, own in ((found[2], "x"), (found[4], "y")):
        decoded = decode_tool_id(client_id)
        assert decoded and decoded[1].partition("\0")[0] == own


def test_renamed_tools_get_their_names_back():
    stream = chat_stream(delta(tool_calls=[call_piece("sent", "{}", id="c1", index=0)]))
    assert blocks(stream, tool_names={"sent": "mcp__a.b"})[0]["name"] == "mcp__a.b"


@pytest.mark.parametrize("id_", [{}, {"id": ""}, {"id": None}, {"id": "null"}])
@pytest.mark.parametrize("index", [{}, {"index": 0}, {"index": None}, {"index": "zero"}])
def test_parallel_calls_of_one_tool_without_ids(id_: dict[str, Any], index: dict[str, Any]):
    pieces = [call_piece("Bash", json.dumps({"n": n}), **id_, **index) for n in range(3)]
    together = chat_stream(delta(tool_calls=pieces))
    apart = chat_stream(*[delta(tool_calls=[piece]) for piece in pieces])
    for stream in (together, apart):
        assert calls(blocks(stream)) == [("Bash", {"n": n}) for n in range(3)]


def test_a_call_that_is_repeated_whole_at_the_end_is_one():
    piece = call_piece("Bash", '{"a":1}', id="c1", index=0)
    answer, out = read(chat_stream(delta(tool_calls=[piece]), chunk({"tool_calls": [piece]}, "tool_calls")))
    assert calls(content_of(check(out))) == [("Bash", {"a": 1})]
    assert answer.notes == ["the arguments of Bash go on behind their end"]


def test_a_call_without_a_name_is_left_out_and_named():
    answer, out = read(chat_stream(delta(content="x"), delta(tool_calls=[call_piece(None, "{}", index=0)])))
    assert content_of(check(out)) == [{"type": "text", "text": "x"}]
    assert answer.stop_reason == "end_turn"
    assert answer.notes == ["left out a tool call without a name"]


def test_cut_arguments_are_marked_and_not_completed():
    """Half a command must not look like a whole one."""
    pieces = call_piece("Bash", '{"command":"rm -rf /tmp/', id="c1", index=0)
    answer, out = read(chat_stream(chunk({"tool_calls": [pieces]}, "length")))
    (block,) = content_of(check(out))
    assert block["input"] == {"command": "rm -rf /tmp/", "INVALID_JSON": "end too early"}
    assert answer.stop_reason == "max_tokens"
    assert answer.notes == ["the arguments of Bash end too early"]


def test_whole_calls_are_run_even_if_the_answer_was_too_long():
    answer, _ = read(chat_stream(chunk({"tool_calls": [call_piece("Bash", "{}", id="c1", index=0)]}, "length")))
    assert answer.stop_reason == "tool_use"


# Thinking


def test_thinking_remembers_where_it_came_from():
    for field in ("reasoning_content", "reasoning"):
        (block,) = blocks(chat_stream(delta(**{field: "hm"}), chunk({}, "stop")))
        assert unwrap_signature(block["signature"]) == ("prov", field)


def test_stripped_thinking_leaves_an_empty_text():
    answer, out = read(chat_stream(chunk({"reasoning": "hm"}, "stop")), strip_thinking=True)
    assert content_of(check(out)) == [{"type": "text", "text": ""}]
    assert answer.content
    content = blocks(
        chat_stream(delta(content="<think>hm</think>"), chunk({"content": "Hi"}, "stop")), strip_thinking=True
    )
    assert content == [{"type": "text", "text": "Hi"}]


def test_a_signature_after_the_text_gets_a_block_that_the_client_gives_back():
    late = {"type": "reasoning.encrypted", "data": "SECRET", "index": 0}
    content = blocks(chat_stream(delta(content="a"), delta(reasoning_details=[late]), delta(content="b")))
    assert [block["type"] for block in content] == ["text", "redacted_thinking"]
    assert joined(content, "text") == "ab"
    assert "SECRET" in content[1]["data"]


@pytest.mark.parametrize(
    ("content", "thinking", "text"),
    [
        ("<think>a</think>b", "a", "b"),
        ("\n <think>a</think>\n\nb", "a", "\n\nb"),
        ("<think>a", "a", ""),
        ("<think></think>b", "", "b"),
        ("<thinking>a</thinking>b", "a", "b"),
        ("<seed:think>a</seed:think>b", "a", "b"),
        ("[THINK]a[/THINK]b", "a", "b"),
        ("<thinkers>a", "", "<thinkers>a"),
        ("[THIS]", "", "[THIS]"),
        ("a</think>b", "", "a</think>b"),
        ("<thin", "", "<thin"),
        ("\n", "", "\n"),
        ("a<think>b</think>", "", "a<think>b</think>"),
        ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
        ("<think>a</thinkb</think>c", "a</thinkb", "c"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_think_tags_at_the_start_in_any_split(content: str, thinking: str, text: str, size: int):
    deltas = [delta(content=content[at : at + size]) for at in range(0, len(content), size)]
    found = blocks(chat_stream(*deltas))
    assert (joined(found, "thinking"), joined(found, "text")) == (thinking, text)


# How it ends


@pytest.mark.parametrize(
    ("finish_reason", "stop_reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("model_length", "max_tokens"),
        ("content_filter", "refusal"),
        ("tool_calls", "end_turn"),
        ("eos", "end_turn"),
        ("STOP", "end_turn"),
        (None, "end_turn"),
    ],
)
def test_stop_reasons(finish_reason: str | None, stop_reason: str):
    answer, out = read(chat_stream(chunk({"content": "x"}, finish_reason)))
    check(out)
    assert answer.stop_reason == stop_reason


def test_a_refusal_is_shown():
    answer, out = read(chat_stream(delta(refusal="I can't "), chunk({"refusal": "do that."}, "stop")))
    assert content_of(check(out)) == [{"type": "text", "text": "I can't do that."}]
    assert answer.stop_reason == "refusal"


def test_other_choices_are_left_out():
    other = {"choices": [{"index": 1, "delta": {"content": "no"}, "finish_reason": "stop"}]}
    assert blocks(chat_stream(delta(content="yes"), other, chunk({}, "stop"))) == [{"type": "text", "text": "yes"}]


ERRORS = {
    "groq": b'event: error\ndata: {"error":{"message":"Failed to call a function","type":"invalid_request_error"}}\n\n',
    "openrouter": chat_stream(
        {"id": "x", "error": {"code": 502, "message": "Failed to call"}, "choices": [{"index": 0, "delta": {}}]}
    ),
    "gpustack": b'error: {"code": 500, "message": "Failed to call"}\n\n',
    "gpustack, unended": b'error: {"code": 500, "message": "Failed to call"}',
    "a string": chat_stream({"error": "Failed to call"}, done=False),
    "vllm": chat_stream({"object": "error", "message": "Failed to call", "code": 400}),
    "fastapi": chat_stream({"detail": "Failed to call"}),
    "dashscope": chat_stream({"code": "InternalError", "message": "Failed to call", "request_id": "1"}),
    "minimax": chat_stream({"choices": None, "base_resp": {"status_code": 1002, "status_msg": "Failed to call"}}),
    "gemini": chat_stream([{"error": {"code": 503, "message": "Failed to call", "status": "UNAVAILABLE"}}]),
    "in the choice": chat_stream({"choices": [{"index": 0, "error": {"message": "Failed to call", "code": 502}}]}),
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize(
    "before", [b"", chat_stream(delta(content="Partial"), done=False)], ids=["first", "in the middle"]
)
def test_errors_under_a_200(error: bytes, before: bytes):
    answer, out = read(before + error)
    assert answer.error and "Failed to call" in answer.error.message
    assert answer.error.status >= 400
    assert not answer.finished
    assert answer.content == bool(before)
    assert b"Failed" not in out and b"message_stop" not in out
    assert answer.feed(chat_stream(delta(content="more"))) == b"" == answer.end()


@pytest.mark.parametrize("reason", ["error", "network_error", "insufficient_system_resource"])
def test_a_finish_reason_that_is_a_failure(reason: str):
    answer, _ = read(chat_stream(delta(content="x"), chunk({}, reason)))
    assert answer.error and reason in answer.error.message and not answer.finished


@pytest.mark.parametrize("data", [b"data: Internal Server Error\n\n", b'data: {"choices": [{\n\n', b"data: 7\n\n"])
def test_what_is_no_json_is_an_error(data: bytes):
    answer, _ = read(data)
    assert answer.error and answer.error.status == 502


@pytest.mark.parametrize("data", [b"data: [DONE]\n\n", b"", b": ping\n\n", b"data: \n\n"])
def test_an_answer_that_never_began_is_none(data: bytes):
    answer, out = read(data)
    assert not out and not answer.finished


def test_chunks_that_say_nothing_are_passed_over():
    odd = [
        {},
        {"choices": []},
        {"choices": [None]},
        {"choices": None, "usage": None},
        chunk(None),
        chunk({"content": None}),
    ]
    odd += [{"type": "ping"}, {"object": "chat.completion.chunk"}, delta(tool_calls=None), delta(tool_calls=[])]
    odd += [delta(tool_calls=[None, {}, {"function": None}]), delta(reasoning_details=[None, 1]), delta(content=[])]
    _, out = read(chat_stream(*odd, delta(content="x"), *odd, chunk({}, "stop")))
    assert content_of(check(out)) == [{"type": "text", "text": "x"}]


def test_lines_without_blank_lines_between_them():
    stream = chat_stream(delta(content="a"), delta(content="b"), chunk({}, "stop")).replace(b"\n\n", b"\n")
    assert blocks(stream) == [{"type": "text", "text": "ab"}]


def test_the_last_event_needs_no_blank_line():
    for stream in (chat_stream(chunk({"content": "a"}, "stop"), done=False), chat_stream(delta(content="a"))):
        assert blocks(stream.rstrip(b"\n")) == [{"type": "text", "text": "a"}]


def test_a_whole_message_in_one_event():
    """From servers that don't stream."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    assert blocks(chat_stream({"choices": [choice]})) == [{"type": "text", "text": "Hi"}]


@pytest.mark.parametrize(
    "raw",
    [b'{"content":"\\ud83d"}', b'{"content":"\xff"}', b'{"content":"a\nb"}'.replace(b"\n", b"\t"), b'{"content":"x"}'],
)
def test_json_that_parsers_differ_about(raw: bytes):
    body = b'{"choices":[{"index":0,"logprobs":NaN,"delta":%b,"finish_reason":"stop"}]}' % raw
    (block,) = blocks(b"data: " + body + b"\n\n")
    assert block["text"]


def test_a_message_is_a_message_with_an_assembler_too():
    """What clients with stream: false get of a provider that streams all the same."""
    _, out = read(DIALECTS["kimi"].stream(Said("Hi", "hm", [Called("Bash", {"a": 1})])))
    assembler = Assembler()
    assembler.feed(out)
    assert assembler.complete
    assert [block["type"] for block in assembler.message()["content"]] == ["thinking", "text", "tool_use"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error":{"message":"no such model","code":null}}', "no such model"),
        (b'{"detail":"Unauthorized"}', "Unauthorized"),
        (b'{"choices":[]}', "no answer"),
        (b"[]", "no answer"),
        (b"nope", "not JSON"),
        (b'{"choices":[{"index":0,"error":{"message":"broke"}}]}', "broke"),
    ],
)
def test_json_that_is_no_answer(body: bytes, words: str):
    error = message_from_chat(body, new_answer(), "prov")
    assert not isinstance(error, tuple)
    assert words in error.message


def test_copilot_spreads_an_answer_over_choices():
    choices = [
        {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "tool_calls"},
        {"index": 0, "message": {"tool_calls": [call_piece("Bash", "{}", id="c1")]}, "finish_reason": "tool_calls"},
    ]
    read_json = message_from_chat(json.dumps({"choices": choices}).encode(), new_answer(), "prov")
    assert isinstance(read_json, tuple)
    assert [block["type"] for block in json.loads(read_json[0])["content"]] == ["text", "tool_use"]
