"""Answers in Anthropic's format: passed on as they came where nothing needs a change, and made whole where it does.

answer_blocks.py and wire/usage.py are tested here too.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.wire.errors import ProviderError
from addons.wire.messages.answer import MessagesAnswer, Rewrite, rewrite_message
from addons.wire.provenance import decode_tool_id, encode_tool_id, unwrap_signature
from addons.wire.sse import frame
from addons.wire.usage import Usage
from tests.wire.checker import check, content_of, events_of
from tests.wire.streams import (
    MESSAGE_STOP,
    PING,
    START,
    blocks,
    bytes_of,
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

OWN = Rewrite("anthropic", is_anthropic=True, strip_thinking=False)
KEEP = Rewrite("zai", is_anthropic=False, strip_thinking=False)
STRIP = Rewrite("zai", is_anthropic=False, strip_thinking=True)
EVERY = pytest.mark.parametrize("rewrite", [OWN, KEEP, STRIP], ids=["own", "keep", "strip"])
OTHERS = pytest.mark.parametrize("rewrite", [KEEP, STRIP], ids=["keep", "strip"])


def run(rewrite, *chunks):
    """The decoder after these chunks, and what came out of it."""
    answer = MessagesAnswer(rewrite)
    out = b"".join([answer.feed(chunk) for chunk in chunks])
    return answer, out


def run_to_end(rewrite, *chunks):
    answer, out = run(rewrite, *chunks)
    return answer, out + answer.end()


def blocks_after(rewrite, *parts):
    """The content that a client has after a whole message of these blocks."""
    return content_of(check(run(rewrite, sse(whole(*parts)))[1]))


PLAIN = sse(whole(text(0, "Hel", "lo"), tool(1, "toolu_1", '{"a":', "1}")))


# What passes


@EVERY
def test_a_plain_answer_leaves_as_the_providers_own_bytes(rewrite):
    answer, out = run(rewrite, PLAIN)
    assert out == PLAIN
    assert answer.finished
    assert not answer.error
    assert answer.stop_reason == "end_turn"
    assert answer.usage == Usage(25, 15, 3, 4)
    assert answer.end() == b""


@EVERY
def test_a_chunk_of_deltas_is_not_even_copied(rewrite):
    answer, _ = run(rewrite, sse([message_start(), start(0, type="text", text="")]))
    chunk = sse([delta(0, "text", text="thinking, signature, error, message_stop")] * 20)
    assert answer.feed(chunk) is chunk
    assert answer.content


@EVERY
def test_what_is_not_known_passes(rewrite):
    stream = sse(
        [
            message_start(container={"id": "c"}),
            {"type": "weather", "data": 1},
            start(0, type="compaction", content=None),
            delta(0, "compaction", content="…"),
            stop(0),
            message_delta("model_context_window_exceeded") | {"context_management": {"applied_edits": []}},
        ]
    ) + sse([MESSAGE_STOP]).replace(b"}", b"   }")
    stream = stream.replace(b"event: weather", b"event: weather\ndata: not JSON\n\nevent: weather")
    assert run(rewrite, stream)[1] == stream


@EVERY
def test_lines_that_are_not_the_events_data_pass(rewrite):
    start_line = b"event: content_block_start"
    stream = PLAIN.replace(start_line, b": comment\n\n\nid: 7\nretry: 10\n" + start_line)
    assert run(rewrite, stream)[1] == stream


@EVERY
def test_crlf_and_data_before_the_event_pass(rewrite):
    stream = PLAIN.replace(b"\n", b"\r\n")
    assert run(rewrite, stream)[1] == stream
    swapped = b"".join(
        b"data: %b\nevent: %b\n\n" % (block.split(b"\ndata: ")[1], block.split(b"\n")[0][7:])
        for block in PLAIN.split(b"\n\n")[:-1]
    )
    answer, out = run(rewrite, swapped)
    assert out == swapped
    assert answer.finished


@EVERY
def test_an_event_without_a_name_gets_one(rewrite):
    events = whole(text(0, "Hello"))
    answer, out = run(rewrite, sse(events, named=False))
    assert out == sse(events)
    assert answer.finished
    generic = sse(events).replace(b"event: ", b"event: message\nx: ")
    assert [data for _, data in check(run(rewrite, generic)[1])] == events


@EVERY
def test_done_is_dropped(rewrite):
    body = PLAIN.removesuffix(sse([MESSAGE_STOP]))
    assert run_to_end(rewrite, body + b"data: [DONE]\n\n")[1] == PLAIN
    assert run_to_end(rewrite, PLAIN + b"data: [DONE]\n\n")[1] == PLAIN


DELTA = sse([delta(0, "text", text="a")])


@EVERY
@pytest.mark.parametrize(
    "batch",
    [
        DELTA.replace(b"}\n\n", b"}\r\n\r\n") + sse([message_delta()]),
        DELTA + sse([message_delta()]).replace(b"}\n\n", b"} \n\n"),
        DELTA + b": event: content_block_delta\n\n" + sse([message_delta()]),
        DELTA.replace(b"event", b"retry: 1\nevent") + sse([message_delta()]),
        DELTA + b"\n" + sse([message_delta()]),
        DELTA.removesuffix(b"\n\n") + b"\r\r" + sse([message_delta()]).replace(b"\n", b"\r", 1),
    ],
)
def test_nothing_hides_between_deltas(rewrite, batch):
    answer, _ = run(rewrite, sse([message_start(), start(0, type="text", text="")]))
    answer.feed(batch)
    assert answer.stop_reason == "end_turn"


@EVERY
@pytest.mark.parametrize("kind", ["text", "thinking"])
def test_a_delta_stays_behind_what_came_before_it(rewrite, kind):
    """However plain a delta looks: the chunk before it ended inside an event, or said that the block is another one."""
    event = sse([delta(0, kind, **{kind: "a"})])
    begin = sse([message_start(), start(0, **{"type": kind, kind: ""})])
    other = sse([stop(0), start(0, type="thinking", thinking="")])
    chunks = [begin, event, event, b": comment\n", event, event, other, event, event]
    assert run(rewrite, *chunks)[1] == run(rewrite, b"".join(chunks))[1]


# Flags


@EVERY
def test_started_and_content(rewrite):
    def flags():
        return answer.started, answer.content

    answer = MessagesAnswer(rewrite)
    assert answer.feed(b": OPENROUTER") == b""
    assert flags() == (False, False)
    assert answer.feed(b" PROCESSING\n\n") == b": OPENROUTER PROCESSING\n\n"
    assert flags() == (True, False)
    answer.feed(sse([message_start(), PING]))
    answer.feed(sse([PING], named=False))
    assert flags() == (True, False)
    answer.feed(sse([start(0, type="thinking", thinking="")]))
    assert flags() == (True, True)


@EVERY
@pytest.mark.parametrize(
    "event",
    [message_delta(), MESSAGE_STOP, delta(0, "text", text=""), stop(0)],
    ids=lambda event: event["type"],
)
@pytest.mark.parametrize("named", [True, False])
def test_every_other_event_is_content(rewrite, event, named):
    assert run(rewrite, sse([event], named=named))[0].content
    assert run(rewrite, sse([message_start()]), sse([event], named=named))[0].content


@EVERY
@pytest.mark.parametrize(
    "event",
    [
        sse([{"type": "heartbeat"}]),
        sse([{"type": "heartbeat"}], named=False),
        b'data: {"choices": [{"delta": {"content": "of another API"}}]}\n\n',
        b"event: status\ndata: queued\n\n",
    ],
)
def test_an_event_that_is_not_known_is_no_content(rewrite, event):
    """Whoever keeps a connection alive that way may still say that there is no answer: then another is asked."""
    answer, out = run(rewrite, sse([message_start()]) + event)
    assert (out.endswith(event) or b"heartbeat" in out, answer.started, answer.content) == (True, True, False)


def test_stripped_thinking_is_content():
    answer, out = run(STRIP, sse([message_start(), start(3, type="thinking", thinking="")]))
    assert answer.content
    assert out == sse([message_start()])


@EVERY
def test_nothing_comes_after_the_end(rewrite):
    answer, out = run(rewrite, PLAIN + PLAIN, PLAIN)
    assert out == PLAIN
    assert answer.end() == b""


# How an answer ends


@EVERY
def test_a_missing_message_stop_is_added(rewrite):
    body = PLAIN.removesuffix(sse([MESSAGE_STOP]))
    answer, out = run(rewrite, body)
    assert out == body
    assert not answer.finished
    assert answer.end() == sse([MESSAGE_STOP])
    assert answer.finished


@EVERY
def test_an_end_without_a_stop_reason_is_a_cut(rewrite):
    answer, _ = run(rewrite, sse([message_start(), *text(0, "Hello"), message_delta(None)]))
    assert answer.end() == b""
    assert not answer.finished
    assert not answer.error
    assert answer.usage.output_tokens == 15


@EVERY
def test_a_last_event_without_its_blank_line_counts(rewrite):
    for missing in (b"\n", b"\n\n"):
        answer, out = run_to_end(rewrite, PLAIN.removesuffix(missing))
        assert out == PLAIN
        assert answer.finished
    answer, out = run_to_end(rewrite, PLAIN[: -len(sse([MESSAGE_STOP])) - 5])
    assert not answer.finished
    assert not answer.error


@EVERY
def test_blocks_that_are_open_at_the_end_are_closed(rewrite):
    stream = sse([message_start(), *text(0, "Hello")[:-1], message_delta()])
    answer, out = run_to_end(rewrite, stream)
    assert answer.finished
    assert [kind for kind, _ in events_of(out)].count("content_block_stop") == 1
    if rewrite is not OWN:
        assert check(out)


@OTHERS
def test_blocks_that_are_open_at_message_stop_are_closed_before_message_delta(rewrite):
    stream = sse([message_start(), *text(0, "Hello")[:-1], message_delta(), MESSAGE_STOP])
    assert content_of(check(run(rewrite, stream)[1])) == [{"type": "text", "text": "Hello"}]


@OTHERS
def test_what_comes_with_the_end_of_the_message_stays_in_order(rewrite):
    usage = message_delta(None, output_tokens=99)
    events = [message_start(), *text(0, "Hello")[:-1], message_delta(), usage, MESSAGE_STOP]
    kinds = events_of(run(rewrite, sse(events))[1])
    assert [data for _, data in kinds[-4:]] == [stop(0), message_delta(), usage, MESSAGE_STOP]


@OTHERS
def test_a_stop_that_comes_after_message_delta_is_not_said_twice(rewrite):
    events = [message_start(), *text(0, "Hello"), message_delta(), MESSAGE_STOP]
    events[3], events[4] = events[4], events[3]
    assert content_of(check(run(rewrite, sse(events))[1])) == [{"type": "text", "text": "Hello"}]


@OTHERS
def test_a_start_ends_the_block_before_it_when_both_have_one_index(rewrite):
    events = whole(text(0, "a")[:-1], text(0, "b"), text(0, "c"))
    assert [block["text"] for block in content_of(check(run(rewrite, sse(events))[1]))] == ["a", "b", "c"]


@EVERY
def test_arguments_that_are_an_object_and_no_text(rewrite):
    events = whole([*tool(0, "toolu_1")[:-1], delta(0, "input_json", partial_json={"command": "ls"}), stop(0)])
    assert content_of(check(run(rewrite, sse(events))[1]))[0]["input"] == {"command": "ls"}


@OTHERS
def test_a_stop_of_no_block_is_dropped(rewrite):
    assert check(run(rewrite, sse(whole([stop(7)], text(0, "a"), [stop(0)])))[1])


# Errors


OVERLOADED = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'


@EVERY
@pytest.mark.parametrize(
    ("event", "status", "kind"),
    [
        (OVERLOADED, 529, "overloaded_error"),
        (OVERLOADED.split(b"\n", 1)[1], 529, "overloaded_error"),
        (OVERLOADED.replace(b"overloaded", b"rate_limit"), 429, "rate_limit_error"),
        (b'event: error\r\ndata: {"error":{"message":"Overloaded"}}\r\n\r\n', 529, "overloaded_error"),
        (b'data: {"error":{"message":"no","code":502}}\n\n', 502, "api_error"),
        (b'error: {"message":"no"}\n\n', 500, "api_error"),
        (b"event: error\ndata: upstream went away\n\n", 500, "api_error"),
    ],
)
@pytest.mark.parametrize("before", [[], [message_start()], [message_start(), start(0, type="text", text="")]])
def test_an_error_ends_the_answer_and_is_not_sent_on(rewrite, event, status, kind, before):
    answer, out = run(rewrite, sse(before) + event + PLAIN, PLAIN)
    assert answer.error
    assert (answer.error.status, answer.error.type) == (status, kind)
    assert out == sse(before)
    assert answer.content == (len(before) == 2)
    assert answer.started
    assert not answer.finished
    assert answer.end() == b""


@EVERY
def test_an_error_without_its_blank_line_is_seen_at_the_end(rewrite):
    for tail in (b"\n", b"\n\n"):
        answer, out = run_to_end(rewrite, sse([message_start()]) + OVERLOADED.removesuffix(tail))
        assert answer.error
        assert answer.error.status == 529
        assert not answer.finished
        assert out == sse([message_start()])
    answer, _ = run_to_end(rewrite, b'error: {"message":"no"}\n')
    assert answer.error
    assert answer.started


@EVERY
def test_nothing_comes_after_an_error(rewrite):
    answer, out = run_to_end(rewrite, OVERLOADED + PLAIN + sse([message_delta()]).removesuffix(b"\n"))
    assert (out, answer.stop_reason) == (b"", None)


@EVERY
def test_a_known_event_with_an_error_field_is_what_it_says(rewrite):
    stream = sse([message_start() | {"error": {"message": "?"}}])
    answer, out = run(rewrite, stream)
    assert out == stream
    assert not answer.error


@EVERY
@pytest.mark.parametrize(
    "event",
    [
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"del\n\n',
        b"event: message_delta\ndata: {{}\n\n",
        b"data: oops\n\n",
        b"event: content_block_start\ndata: [1]\n\n",
    ],
)
def test_what_is_not_json_is_an_error(rewrite, event):
    answer, out = run(rewrite, sse([message_start(), start(0, type="text", text="")]), event + PLAIN)
    assert answer.error
    assert answer.error.status == 502
    assert answer.error.type == "api_error"
    assert answer.error.message.startswith(f"{rewrite.provider} sent an event that is not JSON")
    assert out == sse([message_start(), start(0, type="text", text="")])


@EVERY
def test_an_event_without_end_is_an_error(rewrite):
    answer = MessagesAnswer(rewrite)
    for _ in range(40):
        assert answer.feed(b"x" * 1024 * 1024) == b""
    assert answer.error
    assert answer.error.status == 502


# Usage


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ({"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 90, "output_tokens": 7}, Usage(90, 7)),
        ({"input_tokens": 9, "output_tokens": 1}, {"input_tokens": 0, "output_tokens": 7}, Usage(9, 7)),
        ({"input_tokens": 9}, {"input_tokens": None, "output_tokens": None}, Usage(9)),
        (None, {"cache_read_input_tokens": 5.0, "cache_creation_input_tokens": "x"}, Usage(0, 0, 5)),
        ({"input_tokens": {"a": 1}, "output_tokens": -1}, {"output_tokens": 10**4000}, Usage()),
        ([], {"service_tier": "standard"}, Usage()),
    ],
)
@EVERY
def test_usage(rewrite, first, last, expected):
    events = [message_start(usage=first), message_delta(None, **last), message_delta(x=1), MESSAGE_STOP]
    stream = sse(events).replace(b"0" * 4000, b"0" * 5000)  # more digits than Python's json takes
    answer, out = run(rewrite, stream)
    assert answer.usage == expected
    assert out == stream


# Other providers' blocks


def test_anthropics_own_thinking_is_untouched():
    stream = sse(whole(thinking(0, "hm", signed=["EqQB"]), [start(1, type="redacted_thinking", data="x"), stop(1)]))
    assert run(OWN, stream)[1] == stream


@pytest.mark.parametrize(
    ("given", "deltas", "original"),
    [
        ({}, ["abc"], "abc"),
        ({"signature": ""}, ["ab", "", "c"], "abc"),
        ({"signature": "abc"}, [], "abc"),
        ({"signature": "ab"}, ["abc"], "abc"),
        ({"signature": None}, [], ""),
        ({}, [], ""),
        ({}, [""], ""),
    ],
)
def test_kept_thinking_is_signed_with_its_provider(given, deltas, original):
    (block,) = blocks_after(KEEP, thinking(0, "hm", "m", signed=deltas, **given))
    assert block["thinking"] == "hmm"
    assert unwrap_signature(block["signature"]) == ("zai", original)


def test_the_signature_comes_once_and_just_before_its_stop():
    stream = sse(whole(thinking(0, "hm", signed=["a", "b"])))
    events = [data for _, data in check(run(KEEP, stream)[1])]
    assert events[3] == delta(0, "signature", signature="gw1.zai.ab")
    assert events[:3] + events[4:] == whole(thinking(0, "hm"))


def test_a_signature_in_a_start_is_never_seen_unwrapped():
    stream = sse([message_start(), start(0, type="thinking", thinking="", signature="abc")])
    assert b'"signature":"gw1.zai.abc"' in run(KEEP, stream)[1]


def test_kept_thinking_that_is_never_stopped_is_signed_too():
    stream = sse([message_start(), *thinking(0, "hm", signed=["abc"])[:-1], message_delta()])
    (block,) = content_of(check(run_to_end(KEEP, stream)[1]))
    assert block["signature"] == "gw1.zai.abc"


def test_redacted_thinking_is_wrapped():
    (block,) = blocks_after(KEEP, [start(0, type="redacted_thinking", data="abc"), stop(0)])
    assert block == {"type": "redacted_thinking", "data": "gw1.zai.abc"}


@OTHERS
def test_tool_ids(rewrite):
    result = start(2, type="web_search_tool_result", tool_use_id="srv_1", content=[{"type": "x"}])
    kimi, server, found, mcp, fine = blocks_after(
        rewrite,
        tool(0, "functions.Bash:0"),
        tool(1, "srv_1", kind="server_tool_use"),
        [result, stop(2)],
        tool(3, "mcp_1", kind="mcp_tool_use"),
        tool(4, "call_1"),
    )
    assert decode_tool_id(kimi["id"]) == ("zai", "functions.Bash:0")
    assert decode_tool_id(server["id"]) == decode_tool_id(found["tool_use_id"]) == ("zai", "srv_1")
    assert found["content"] == [{"type": "x"}]
    assert decode_tool_id(mcp["id"]) == ("zai", "mcp_1")
    assert fine["id"] == "call_1"


@EVERY
@pytest.mark.parametrize("spaced", [True, False])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_blocks_are_numbered_from_0(rewrite, spaced, newline):
    events = whole(text(1, "a", '"index": 1'), tool(4, "toolu_1", "{}"))
    stream = sse(events, spaced=spaced).replace(b"\n", newline)
    out = run(rewrite, stream)[1]
    if rewrite is OWN:
        assert out == stream
    else:
        text_block, tool_block = content_of(check(out))
        assert text_block["text"] == 'a"index": 1'
        assert tool_block["input"] == {}


# Strip


THOUGHTS = [
    thinking(0, "hm", signed=["abc"]),
    [start(0, type="redacted_thinking", data="x"), stop(0)],
    [start(0, type="thinking", thinking="hm"), stop(0)],
]


@pytest.mark.parametrize("thought", THOUGHTS)
def test_thinking_is_stripped_and_the_rest_renumbered(thought):
    out = run(STRIP, sse(whole(thought, text(1, "a", "b"), tool(2, "toolu_1", "{}"))))[1]
    assert [data for _, data in check(out)] == whole(text(0, "a", "b"), tool(1, "toolu_1", "{}"))


def test_an_escaped_type_hides_nothing():
    stream = sse(whole(thinking(0, "hm", signed=["abc"]), text(1, "a")))
    stream = stream.replace(b'"thinking"', rb'"think\u0069ng"').replace(b"thinking_delta", rb"thinking\u005fdelta")
    stream = stream.replace(b'"index":0', rb'"ind\u0065x":0')
    assert [data for _, data in check(run(STRIP, stream)[1])] == whole(text(0, "a"))


def test_a_delta_is_not_taken_for_one_of_another_block_that_is_open():
    """Neither by its index nor by its type; the keys of these deltas are in an order of their own."""
    thought, said = (sse([delta(1, "thinking", thinking="hm")]), sse([delta(10, "text", text="a")]))
    thought = thought.replace(b'"type":"thinking_delta","thinking":"hm"', b'"thinking":"hm","type":"thinking_delta"')
    begin = sse([message_start(), start(1, type="thinking", thinking=""), start(10, type="text", text="")])
    answer, out = run_to_end(STRIP, begin, *[thought, said] * 3, sse([stop(1), stop(10), message_delta()]))
    assert [data for _, data in check(out)] == whole(text(0, "a", "a", "a"))
    assert answer.finished


def test_thinking_inside_another_block_is_stripped():
    first, last = text(0, "a", "b"), thinking(1, "hm", "m", signed=["abc"])
    mixed = [first[0], last[0], first[1], last[1], last[2], first[2], first[3], last[3], last[4]]
    out = run(STRIP, sse(whole(mixed, tool(2, "toolu_1", "{}"))))[1]
    assert [data for _, data in check(out)] == whole(text(0, "a", "b"), tool(1, "toolu_1", "{}"))


def test_thinking_whose_start_got_lost_is_stripped():
    stream = sse(whole(thinking(0, "hm", signed=["abc"])[1:], text(1, "a"), thinking(2, "hm", signed=["abc"])[1:]))
    assert [data for _, data in check(run(STRIP, stream)[1])] == whole(text(0, "a"))


@pytest.mark.parametrize("thought", THOUGHTS)
@pytest.mark.parametrize("end", [[message_delta(), MESSAGE_STOP], [message_delta()]])
def test_an_answer_of_nothing_but_thinking_gets_an_empty_text(thought, end):
    out = run_to_end(STRIP, sse([message_start(), *thought, *end]))[1]
    assert [data for _, data in check(out)] == whole(text(0))


def test_an_answer_of_thinking_without_message_delta_gets_an_empty_text():
    out = run(STRIP, sse([message_start(), *thinking(0, "hm"), MESSAGE_STOP]))[1]
    assert events_of(out)[1:] == events_of(sse([*text(0), MESSAGE_STOP]))


def test_an_unfinished_thought_before_message_delta_leaves_an_empty_text():
    out = run(STRIP, sse([message_start(), *thinking(0, "hm")[:-1], message_delta(), MESSAGE_STOP]))[1]
    assert [data for _, data in check(out)] == whole(text(0))


@EVERY
def test_an_answer_that_came_empty_stays_empty(rewrite):
    stream = sse(whole())
    assert run(rewrite, stream)[1] == stream


def test_content_in_message_start():
    thought = {"type": "thinking", "thinking": "hm", "signature": "abc"}
    answer = {"type": "text", "text": "a"}

    def content(rewrite, *given):
        out = run(rewrite, sse([message_start(content=list(given)), message_delta(), MESSAGE_STOP]))[1]
        return check(out)[0][1]["message"]["content"], len(events_of(out))

    assert content(STRIP, thought, answer) == ([answer], 3)
    assert content(STRIP, thought) == ([{"type": "text", "text": ""}], 3)
    assert content(KEEP, thought, answer) == ([thought | {"signature": "gw1.zai.abc"}, answer], 3)
    assert content(OWN, thought, answer) == ([thought, answer], 3)

    events = [message_start(content=[answer]), *thinking(0, "hm"), message_delta(), MESSAGE_STOP]
    assert len(events_of(run(STRIP, sse(events))[1])) == 3


# Properties


@EVERY
@given(st.data())
def test_any_split_gives_the_same(rewrite, data):
    stream = data.draw(bytes_of(data.draw(messages())))
    answer, out = run_to_end(rewrite, stream)
    other, pieces = run_to_end(rewrite, *data.draw(pieces_of(stream)))
    assert pieces == out
    single, bytewise = run_to_end(rewrite, *[stream[i : i + 1] for i in range(len(stream))])
    assert bytewise == out
    for decoder in (answer, other, single):
        assert decoder.finished
        assert not decoder.error
        assert (decoder.usage, decoder.stop_reason) == (Usage(25, 15, 3, 4), "end_turn")


@OTHERS
@given(st.data())
def test_what_comes_out_is_what_anthropic_would_send(rewrite, data):
    events = data.draw(messages())
    stream = data.draw(bytes_of(events))
    expected = []
    for number, block in enumerate(content_of(renumbered(events))):
        if rewrite.strip_thinking and "thinking" in block["type"]:
            continue
        match block["type"]:
            case "thinking":
                signature = signature_of([event for _, event in renumbered(events) if event.get("index") == number])
                block["signature"] = f"gw1.zai.{signature}"
            case "redacted_thinking":
                block["data"] = f"gw1.zai.{block['data']}"
            case "tool_use" if block["id"] in ("", "functions.Bash:0"):
                block["id"] = encode_tool_id("zai", block["id"])
            case "server_tool_use":
                block["id"] = encode_tool_id("zai", block["id"])
        expected.append(block)
    if not expected and any(event["type"] == "content_block_start" for event in events):
        expected = [{"type": "text", "text": ""}]
    assert content_of(check(run(rewrite, stream)[1])) == expected


def renumbered(events):
    numbers: dict[int, int] = {}
    for event in events:
        changes = {"index": numbers.setdefault(event["index"], len(numbers))} if "index" in event else {}
        yield event["type"], event | changes


def signature_of(events):
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    pieces = [delta["signature"] for delta in deltas if delta["type"] == "signature_delta"]
    return "".join(pieces) or events[0]["content_block"].get("signature", "")


@given(st.data())
def test_anthropics_bytes_are_never_changed(data):
    stream = sse(data.draw(messages()), spaced=data.draw(st.booleans()))
    newline = data.draw(st.sampled_from([b"\n", b"\r\n"]))
    stream = stream.replace(b"\n", newline)
    assert run(OWN, *data.draw(pieces_of(stream)))[1] == stream


@EVERY
@given(st.data())
def test_nothing_raises_on_odd_events(rewrite, data):
    odd = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=4),
        max_leaves=8,
    )
    events = [message_start(), *data.draw(blocks(0)), message_delta()]
    position = data.draw(st.integers(0, len(events)))
    event = {"type": data.draw(st.sampled_from(TYPES))} | data.draw(st.dictionaries(KEYS, odd, max_size=5))
    kind = data.draw(st.sampled_from(TYPES)).encode()
    middle = b"event: %b\ndata: %b\n\n" % (kind, json.dumps(event).encode())
    stream = sse(events[:position]) + middle + sse(events[position:])
    answer, out = run_to_end(rewrite, stream)
    assert answer.error or answer.finished
    events_of(out)


@EVERY
@given(st.binary())
def test_nothing_raises_on_garbage(rewrite, garbage):
    run_to_end(rewrite, sse([message_start()]), garbage, b"\n\n", garbage)
    rewrite_message(garbage, rewrite)


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=3)  # lone surrogates too
TYPES = sorted({event["type"] for event in whole(text(0, "a"))} | {"", "message", "error", "ping", "x"})
KEYS = st.sampled_from(
    [
        "type",
        "index",
        "delta",
        "content_block",
        "message",
        "usage",
        "content",
        "id",
        "signature",
        "error",
        "stop_reason",
    ]
)


# JSON answers


def rewritten(answer, rewrite):
    """The body, usage and stop reason of an answer that is a message."""
    result = rewrite_message(answer, rewrite)
    assert isinstance(result, tuple)
    return result


def body(*content, **changes):
    return json.dumps(START | {"content": list(content), "stop_reason": "tool_use"} | changes).encode()


THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "abc"}
TEXT = {"type": "text", "text": "ü"}


@EVERY
@pytest.mark.parametrize("space", [b"", b"\n  \n"])
def test_a_json_answer_that_needs_no_change_is_returned_itself(rewrite, space):
    answer = space + body(TEXT, {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}, {"type": "new"})
    result = rewritten(answer, rewrite)
    assert result == (answer, Usage(25, 1, 3, 4), "tool_use")
    assert result[0] is answer


def test_anthropics_json_answer_is_untouched():
    answer = body(THOUGHT, {"type": "server_tool_use", "id": "srvtoolu_1", "name": "x", "input": {}})
    assert rewritten(answer, OWN)[0] is answer


def content_after(rewrite, *content):
    message = json.loads(rewritten(body(*content, extra=[1, {"a": 2.50}]), rewrite)[0])
    assert {**message, "content": []} == json.loads(body(extra=[1, {"a": 2.5}]))
    return message["content"]


def test_blocks_of_a_json_answer():
    assert content_after(KEEP, THOUGHT, TEXT) == [THOUGHT | {"signature": "gw1.zai.abc"}, TEXT]
    assert content_after(KEEP, {"type": "thinking", "thinking": "hm"})[0]["signature"] == "gw1.zai."
    assert content_after(KEEP, {"type": "redacted_thinking", "data": "x"})[0]["data"] == "gw1.zai.x"
    assert content_after(STRIP, THOUGHT, TEXT) == [TEXT]
    assert content_after(STRIP, THOUGHT) == [{"type": "text", "text": ""}]
    assert content_after(STRIP) == []
    call = {"type": "tool_use", "id": "functions.Bash:0", "name": "Bash", "input": {"big": 10**30}}
    assert content_after(STRIP, call) == [call | {"id": encode_tool_id("zai", "functions.Bash:0")}]


def test_the_bytes_around_a_change_are_the_providers():
    answer = b'{"type": "message", "content": [{"type": "thinking"}, {"type":"text" , "text":"\\u00fc"}], "n": 1.50e0}'
    assert rewritten(answer, STRIP)[0] == (
        b'{"type":"message","content":[{"type":"text" , "text":"\\u00fc"}],"n":1.50e0}'
    )


def test_a_lone_surrogate_in_a_json_answer():
    answer = body(THOUGHT, TEXT | {"text": "\ud83d"})
    assert json.loads(rewritten(answer, STRIP)[0])["content"] == [TEXT | {"text": "\ufffd"}]
    answer = body(TEXT | {"text": "\ud83d"})
    assert rewritten(answer, STRIP)[0] is answer


@EVERY
@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', 529),
        (b'{"error":{"message":"no","code":429}}', 429),
        (b"", 502),
        (b"<html>", 502),
        (b'{"type":"message"', 502),
        (b"[]", 502),
        (b'{"choices":[]}', 502),
        (b'{"type":"message","content":null}', 502),
    ],
)
def test_a_json_answer_that_is_no_message(rewrite, answer, status):
    error = rewrite_message(answer, rewrite)
    assert isinstance(error, ProviderError)
    assert error.status == status


@pytest.mark.parametrize("error", [None, {"message": "?"}])
def test_a_message_with_an_error_field_is_a_message(error):
    assert isinstance(rewrite_message(body(TEXT, error=error), KEEP), tuple)


def test_a_byte_order_mark_before_a_json_answer():
    answer = b"\xef\xbb\xbf" + body(TEXT)
    assert rewritten(answer, KEEP)[0] is answer


def opened(index):
    block = {"type": "text", "text": ""}
    return frame("content_block_start", {"type": "content_block_start", "index": index, "content_block": block})


@pytest.mark.parametrize("rewrite", [OWN, KEEP, STRIP])
def test_an_answer_that_leaves_everything_open_has_failed(rewrite):
    answer = MessagesAnswer(rewrite)
    for index in range(1002):
        answer.feed(opened(index))
    assert answer.error is not None
    assert "left more open" in answer.error.message


def test_an_answer_that_ends_again_and_again_has_failed():
    answer = MessagesAnswer(KEEP)
    answer.feed(opened(0))
    for _ in range(101):
        answer.feed(frame("message_delta", {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}))
    assert answer.error is not None


def test_signatures_without_end_fail(monkeypatch):
    monkeypatch.setattr("addons.wire.messages.answer_blocks.KEPT_BACK", 1000)
    answer = MessagesAnswer(KEEP)
    block = {"type": "thinking", "thinking": "", "signature": ""}
    answer.feed(frame("content_block_start", {"type": "content_block_start", "index": 0, "content_block": block}))
    delta = {"type": "signature_delta", "signature": "x" * 100}
    for _ in range(11):
        answer.feed(frame("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": delta}))
    assert answer.error is not None
