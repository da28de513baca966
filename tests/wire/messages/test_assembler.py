import json

import httpx2
import pytest
from anthropic import Anthropic
from hypothesis import given
from hypothesis import strategies as st

from addons.wire.messages.assembler import Assembler, message_events, message_in
from tests.wire.checker import check, content_of
from tests.wire.streams import (
    MESSAGE_STOP,
    PING,
    START,
    delta,
    message_delta,
    message_start,
    messages,
    pieces_of,
    sse,
    start,
    stop,
    text,
    thinking,
    tool,
    whole,
)


def assemble(*chunks):
    assembler = Assembler()
    for chunk in chunks:
        assembler.feed(chunk)
    return assembler


def content(*events):
    return assemble(sse([message_start(), *events])).message()["content"]


def test_a_whole_stream():
    citation = {"type": "char_location", "cited_text": "x"}
    events = whole(
        thinking(0, "h", "m", signed=["ab"]),
        text(1, "Hel", "lo")[:-1],
        [delta(1, "citations", citation=citation), PING, stop(1)],
        tool(2, "toolu_1", '{"a":', "1}"),
        [start(3, type="web_search_tool_result", tool_use_id="s", content=[1]), stop(3)],
        end=[
            message_delta("tool_use", output_tokens=15, server_tool_use={"n": 1})
            | {"context_management": {"applied_edits": []}},
            MESSAGE_STOP,
        ],
    )
    assembler = assemble(sse(events))
    assert assembler.complete
    assert assembler.message() == START | {
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "ab"},
            {"type": "text", "text": "Hello", "citations": [citation]},
            {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"a": 1}},
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": [1]},
        ],
        "stop_reason": "tool_use",
        "usage": START["usage"] | {"output_tokens": 15, "server_tool_use": {"n": 1}},
        "context_management": {"applied_edits": []},
    }


def test_a_cut_stream():
    stream = sse(whole(text(0, "Hello"), tool(1, "toolu_1", '{"command": "ls', ' -l"}')))
    assembler = assemble(stream[: stream.index(b" -l")])
    assert not assembler.complete
    assert assembler.message() == START | {
        "content": [
            {"type": "text", "text": "Hello"},
            {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}, "partial_json": '{"command": "ls'},
        ]
    }


def test_nothing():
    assembler = assemble(b"")
    assert not assembler.complete
    assert assembler.message() == {"type": "message", "role": "assistant", "content": []}


@pytest.mark.parametrize("parts", [[], [""], ["", " "]])
def test_a_tool_without_arguments_keeps_the_input_it_started_with(parts):
    block = start(0, type="tool_use", id="1", name="x", input={"a": 1})
    deltas = [delta(0, "input_json", partial_json=part) for part in parts]
    assert content(block, *deltas, stop(0)) == [block["content_block"]]


def test_arguments_replace_the_input_it_started_with():
    block = start(0, type="tool_use", id="1", name="x", input={"a": 1})
    assert content(block, delta(0, "input_json", partial_json='{"b":2}'))[0]["input"] == {"b": 2}


def test_signatures():
    assert content(*thinking(0, "hm", signed=["a", "b"], signature="x"))[0]["signature"] == "ab"
    assert content(*thinking(0, "hm", signed=[""], signature="x"))[0]["signature"] == "x"
    assert "signature" not in content(*thinking(0, "hm"))[0]


def test_what_is_not_known_is_kept():
    block = start(0, type="compaction", content="a", parts=[1])
    assert content(block, delta(0, "compaction", content="b", parts=[2], more={"n": 1})) == [
        {"type": "compaction", "content": "ab", "parts": [1, 2], "more": {"n": 1}}
    ]
    assert content(start(0, type="x", content=None), delta(0, "x", content="b")) == [{"type": "x", "content": "b"}]
    thought = content(start(0, type="thinking", thinking=""), delta(0, "thinking", thinking="a", estimated_tokens=3))
    assert thought == [{"type": "thinking", "thinking": "a"}]


def test_deltas_whose_start_got_lost():
    assert content(delta(0, "text", text="a"), delta(0, "text", text="b")) == [{"type": "text", "text": "ab"}]
    assert content(delta(4, "input_json", partial_json="{}")) == [{"type": "tool_use", "input": {}}]


def test_one_index_for_all_blocks():
    assert content(*text(0, "a"), *text(0, "b")) == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


def test_zeros_and_nulls_say_nothing():
    usage = {"input_tokens": 9, "output_tokens": 1}
    events = [message_start(usage=usage), message_delta("end_turn", input_tokens=0, output_tokens=7)]
    assembler = assemble(sse([*events, message_delta(None, output_tokens=None)]))
    assert assembler.message()["usage"] == {"input_tokens": 9, "output_tokens": 7}
    assert assembler.message()["stop_reason"] == "end_turn"


def test_an_error_is_kept():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    assembler = assemble(sse([message_start(), *text(0, "a"), error]))
    assert assembler.error == error
    assert assembler.message()["content"] == [{"type": "text", "text": "a"}]


@given(messages(), st.booleans(), st.data())
def test_any_split_gives_the_same_message(events, named, data):
    stream = sse(events, named=named)
    assembler = assemble(*data.draw(pieces_of(stream)))
    assert assembler.complete
    assert assembler.message() == assemble(stream).message()


@given(st.binary(), st.data())
def test_nothing_raises(garbage, data):
    odd = st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=6,
    )
    events = [{"type": data.draw(TYPES)} | data.draw(st.dictionaries(KEYS, odd, max_size=4)) for _ in range(4)]
    assembler = assemble(sse(events), garbage, b"\n\n", sse(events))
    message_events(assembler.message())


TYPES = st.sampled_from(sorted({event["type"] for event in whole(text(0, "a"))} | {"error"}))
KEYS = st.sampled_from(
    ["type", "index", "delta", "content_block", "message", "usage", "content", "text", "input", "citation"]
)

NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
BLOCKS = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("text"), "text": st.text()}, optional={"citations": st.none() | st.lists(JSON, max_size=2)}
    ),
    st.fixed_dictionaries({"type": st.just("thinking"), "thinking": st.text()}, optional={"signature": st.text()}),
    st.fixed_dictionaries({"type": st.just("redacted_thinking"), "data": st.text()}),
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["tool_use", "server_tool_use"]),
            "id": st.text(),
            "name": st.text(),
            "input": st.dictionaries(st.text(), JSON, max_size=3),
        },
        optional={"caller": JSON},
    ),
    st.fixed_dictionaries({"type": st.just("web_search_tool_result"), "tool_use_id": st.text(), "content": JSON}),
)
MESSAGES = st.fixed_dictionaries(
    {
        "id": st.text(),
        "type": st.just("message"),
        "role": st.just("assistant"),
        "model": st.text(),
        "content": st.lists(BLOCKS, max_size=4),
        "stop_reason": st.text(min_size=1),
        "stop_sequence": st.none() | st.text(),
    },
    optional={
        "usage": st.dictionaries(st.text(), JSON) | st.just({"input_tokens": 0, "output_tokens": 3}),
        "container": JSON,
        "context_management": JSON,
        "anything": JSON,
    },
)


@given(MESSAGES)
def test_a_message_survives_being_streamed(message):
    events = message_events(message)
    assembler = assemble(*events)
    assert assembler.complete
    assert assembler.message() == message
    check(b"".join(events))


def test_the_stream_of_a_message_is_like_anthropics():
    message = START | {
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "abc"},
            {"type": "text", "text": "Hello"},
            {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"a": 1}},
        ],
        "stop_reason": "tool_use",
    }
    events = check(b"".join(message_events(message)))
    assert content_of(events) == message["content"]
    assert [data for _, data in events] == [
        message_start(usage=START["usage"] | {"output_tokens": 0}),
        *thinking(0, "hm", signed=["abc"], signature=""),
        *text(1, "Hello"),
        *tool(2, "toolu_1", '{"a":1}'),
        message_delta("tool_use", **START["usage"]),
        MESSAGE_STOP,
    ]


def test_the_message_in_a_body_that_parsers_refuse():
    body = json.dumps(START | {"content": [{"type": "text", "text": "\ud83d"}]}).encode()
    message = message_in(b"\xef\xbb\xbf\n" + body)
    assert message == START | {"content": [{"type": "text", "text": "\ufffd"}]}
    check(b"".join(message_events(message | {"stop_reason": "end_turn"})))
    assert message_in(b"[]") == {}


def test_an_sdk_reads_the_same_message():
    message = START | {
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "abc"},
            {"type": "text", "text": "Hüllo", "citations": None},
            {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"a": [1, {"b": None}]}},
        ],
        "stop_reason": "tool_use",
    }
    stream = b"".join(message_events(message))
    answer = httpx2.Response(200, content=stream, headers={"content-type": "text/event-stream"})
    with httpx2.Client(transport=httpx2.MockTransport(lambda request: answer)) as http_client:
        client = Anthropic(api_key="none", http_client=http_client)
        with client.messages.stream(model="x", max_tokens=100, messages=[{"role": "user", "content": "hi"}]) as reader:
            final = json.loads(reader.get_final_message().to_json())
    assert {key: final[key] for key in message} == message
