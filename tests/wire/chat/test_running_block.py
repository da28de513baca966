"""Chunks that only say more: what comes out is what the usual way gives, byte for byte, whatever else there is."""

import json
from collections.abc import Iterator, Sequence
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.wire.chat.answer import ChatAnswer
from addons.wire.chat.running_block import MOST_MISSES
from tests.wire.chat.dialects import DIALECTS, Called, Said, chunk
from tests.wire.chat.translated import call_piece, new_answer
from tests.wire.streams import pieces_of

Json = dict[str, Any]

BEGIN = '{"content":"'
"""What the arguments of a call begin with, so that more of them is more of a string."""

ODD_TEXTS = [
    "",
    ":",
    ",",
    '"',
    '":"',
    '","',
    "\\",
    "n",
    "\n",
    "ü€😀",
    "\ud83d",
    "content",
    '"content":"',
    "<think>",
    "}}",
]
TEXTS = st.text(max_size=5) | st.sampled_from(["Hi", "a", *ODD_TEXTS])
FIELDS = ["content", "content", "reasoning_content", "reasoning", "tool_calls", "tool_calls"]
SPELLINGS = st.sampled_from([{"separators": (",", ":")}, {}, {"ensure_ascii": False, "separators": (",", ":")}])


def objects(lines: str) -> list[Json]:
    return [json.loads(value) for line in lines.strip().splitlines() for value in line.split(" ; ")]


BESIDE_CHOICES = objects("""
    {"error": {"message": "broke"}} ; {"error": ""} ; {"error": {}} ; {"type": "ping"} ; {"type": "chunk"} ; {"id": ","}
    {"usage": {"completion_tokens": 7}} ; {"usage": null} ; {"x_groq": {"usage": {"prompt_tokens": 9}}}
    {"choices": []} ; {"choices": [], "usage": {"completion_tokens": 3}} ; {"object": "error"} ; {"n": "\\ud800"}
    {"usage": []} ; {"error": []} ; {"x_groq": []} ; {"type": []}
""")
BESIDE_DELTA = objects("""
    {"index": 1} ; {"index": null} ; {"index": false} ; {"finish_reason": "stop"} ; {"finish_reason": ""}
    {"finish_reason": "error"} ; {"error": {"message": "broke"}} ; {"usage": {"prompt_tokens": 2}} ; {"logprobs": {}}
    {"message": {"content": "all"}} ; {"delta": null} ; {"finish_reason": []} ; {"index": "0"} ; {"index": []}
""")
IN_DELTA = objects("""
    {"role": "assistant"} ; {"content": ""} ; {"content": null} ; {"content": "b"} ; {"content": [{"type": "text"}]}
    {"reasoning": "c"} ; {"reasoning": ""} ; {"reasoning_content": "d"} ; {"reasoning_opaque": "e"} ; {"refusal": "no"}
    {"reasoning_details": [{"type": "reasoning.text", "text": "f"}]} ; {"parts": "h"} ; {"think": "i"}
    {"tool_calls": []} ; {"tool_calls": null} ; {"reasoning_details": []} ; {"reasoning": []} ; {"refusal": []}
    {"tool_calls": {"index": 0, "function": {"arguments": "a"}}} ; {"tool_calls": [{"index": 0, "arguments": "a"}]}
    {"tool_calls": [{"index": 0, "id": [], "function": {"name": [], "arguments": "a"}, "extra_content": []}]}
    {"function_call": {"arguments": "g"}}
    {"tool_calls": [{"index": 1, "id": "c2", "function": {"name": "Read", "arguments": "{"}}]}
    {"tool_calls": [{"index": 1, "function": {"arguments": "a"}}]} ; {"tool_calls": [{"function": {"arguments": "a"}}]}
    {"tool_calls": [{"index": 0, "id": "c9", "function": {"arguments": "a"}}]}
    {"tool_calls": [{"index": 0, "function": {"name": "Write", "arguments": "a"}}]}
    {"tool_calls": [{"index": 0, "function": {"name": "Read", "arguments": "a"}}]}
    {"tool_calls": [{"index": 0, "function": {"arguments": "a"}, "extra_content": {"a": 1}}]}
    {"tool_calls": [{"index": 0, "function": {"arguments": "\\"}"}}]}
""")
BYTES = {
    b"data: ": [b"data:", b" data: ", b"event: message\ndata: ", b": a\ndata: ", b"data: [DONE] "],
    b"\n\n": [b"\r\n\r\n", b"\r\r", b"\n", b"\n\n\n"],
    b"{": [b"{\n", b"{\r"],
    b"m": [b"\xff", b"\\q"],
    b'"m"': [b"NaN", b"1" * 4000, b"1" * 5000, b"[" * 900 + b"]" * 900, b"[" * 20_000, b"1e999"],
    b'"model"': [b'"\\u0065rror"', b'"content"'],
    b"}\n\n": [b"}}\n\n", b"\n\n", b"} \n\n", b"}{}\n\n"],
    b'"content":': [b'"c":1,"content":', b'"content":"x","content":', b'"content":1,"content":'],
}
SWAPS = [(old, new) for old, others in BYTES.items() for new in others]


def saying(field: str, text: str) -> Json:
    """The delta of a chunk that says this and nothing else."""
    if field == "tool_calls":
        return {"tool_calls": [call_piece(None, json.dumps(text)[1:-1], index=0)]}
    return {field: text}


def beginning(field: str) -> list[Json]:
    """The deltas that begin a block of it."""
    if field == "tool_calls":
        return [{"tool_calls": [call_piece("Write", BEGIN, id="c1", index=0)]}]
    return [saying(field, "a")]


@st.composite
def streams(draw: Any) -> list[bytes]:
    """The events of a stream: runs of chunks that are alike, and some among them that are odd."""
    events = []
    for _ in range(draw(st.integers(1, 4))):
        field, spelling = draw(st.sampled_from(FIELDS)), draw(SPELLINGS)
        if field == "tool_calls":
            call_id, index = draw(st.sampled_from(["c1", ""])), draw(st.sampled_from([0, 0, 1]))
            call = call_piece("Write", BEGIN, id=call_id, index=index)
            events.append(b"data: %b\n\n" % json.dumps(chunk({"tool_calls": [call]})).encode())
        padded = draw(st.booleans())  # no two are alike
        for text in draw(st.lists(TEXTS, min_size=1, max_size=6)):
            value = chunk(saying(field, text))
            odd = draw(st.integers(0, 11))
            if odd == 0:
                value |= draw(st.sampled_from(BESIDE_CHOICES))
            elif odd == 1:
                value["choices"][0] |= draw(st.sampled_from(BESIDE_DELTA))
            elif odd == 2:
                value["choices"][0]["delta"] |= draw(st.sampled_from(IN_DELTA))
            if padded:
                value["obfuscation"] = "p" * len(events)
            event = f"data: {json.dumps(value, **spelling)}\n\n".encode(errors="surrogatepass")
            if odd == 3:
                old, new = draw(st.sampled_from(SWAPS))
                event = event.replace(old, new, 1)
            events.append(event)
    return events


def outcome(answer: ChatAnswer, pieces: Sequence[bytes]) -> list[Any]:
    """All that can be known of an answer, after each of its pieces and at its end."""
    told: list[Any] = []
    for piece in [*pieces, None]:
        out = answer.end() if piece is None else answer.feed(piece)
        said, usage = answer._said, answer.usage
        told += [out, answer.spoke, answer.started, answer.content, answer.error, answer.finished, str(usage)]
        told += [answer.stop_reason, answer.streamed, len(answer.notes), said._kept, said.blocks.kept, said.is_too_much]
    return told


def usual(pieces: Sequence[bytes], **asked: Any) -> list[Any]:
    """What the usual way gives."""
    with patch("addons.wire.chat.answer.running_block", return_value=None):
        return outcome(new_answer(**asked), pieces)


WRITTEN = {"calls_in_text": "any", "tools": ("Write",)}
ASKED = st.sampled_from([{}, {}, {}, {"strip_thinking": True}, {"stops": ("a",)}, {"begins_thinking": True}, WRITTEN])


@given(streams(), ASKED, st.data())
def test_what_comes_out_is_what_the_usual_way_gives(events: list[bytes], asked: Json, data: st.DataObject):
    assert outcome(new_answer(**asked), events) == usual(events, **asked)
    pieces = data.draw(pieces_of(b"".join(events)))
    assert outcome(new_answer(**asked), pieces) == usual(pieces, **asked)


def as_events(*chunks: Json) -> list[bytes]:
    return [f"data: {json.dumps(value, separators=(',', ':'))}\n\n".encode() for value in chunks]


def deltas(*said: Json) -> list[bytes]:
    return as_events(*map(chunk, said))


def odd_events(field: str) -> Iterator[bytes]:
    """A chunk that says something, with everything in turn that makes it an odd one."""
    said = saying(field, "ab")
    for more in BESIDE_CHOICES:
        yield from as_events(chunk(said) | more)
    for about in BESIDE_DELTA:
        (choice,) = chunk(said)["choices"]
        yield from as_events(chunk(said) | {"choices": [choice | about]})
    for beside in IN_DELTA:
        yield from deltas(said | beside)
    (event,) = deltas(said)
    for old, new in SWAPS:
        yield event.replace(old, new, 1)
    for text in ODD_TEXTS:
        yield from deltas(saying(field, text))


@pytest.mark.parametrize("field", ["content", "reasoning", "tool_calls"])
def test_whatever_is_odd_goes_the_usual_way(field: str):
    """As the first chunk that is looked at, behind one, twice, and in one read with others."""
    begin = deltas(*beginning(field))
    more, end = deltas(saying(field, "d")), as_events(chunk({}, "stop"))
    for odd in odd_events(field):
        for events in (
            [*begin, odd, odd, *more, *end],
            [*begin, *more, odd, *more, odd, *more],  # cut
            [*begin, *more, b"".join([*more, odd, *more]), odd + odd[:20], odd[20:], *more, *end],
        ):
            assert outcome(new_answer(), events) == usual(events), odd


@pytest.mark.parametrize("field", ["content", "reasoning", "tool_calls"])
def test_a_text_that_stands_elsewhere_too(field: str):
    """What is around the one must not be taken for what is around the other."""
    models = ["ab", "ab", "cd", "ab", "cd"]
    events = deltas(*beginning(field)) + as_events(*[chunk(saying(field, "ab")) | {"model": model} for model in models])
    assert outcome(new_answer(), events) == usual(events)


@pytest.mark.parametrize("space", [b" ", b"\n", b"\r", b"\n\n"])
def test_white_space_that_ends_a_line_or_an_event(space: bytes):
    """Within JSON it says nothing; in a stream it does."""
    events = deltas(*[{"content": text} for text in ("a", "bc", "de")])
    for spaced in (b":%b%b" % (space, b'"bc"'), b':"bc"' + space):
        odd = [*events, events[1].replace(b':"bc"', spaced), *events]
        assert outcome(new_answer(), odd) == usual(odd)


SITUATIONS = {
    "a tag that may begin, between two pieces of a call": [
        *beginning("tool_calls"),
        saying("tool_calls", "a"),
        {"content": "<th"},
        *[saying("tool_calls", "a")] * 3,
    ],
    "half an escape": [
        *beginning("tool_calls"),
        *[
            {"tool_calls": [call_piece(None, piece, index=0)]}
            for piece in ("a", "a\\", "n", "a\\u0", "041", "a\\q", "\\")
        ],
    ],
    "pieces of two calls in turn": [
        *[{"tool_calls": [call_piece("Write", BEGIN, id=f"c{index}", index=index)]} for index in (0, 1)],
        *[{"tool_calls": [call_piece(None, "a", index=index)]} for index in (0, 0, 1, 1, 0, 0)],
    ],
    "more of a call that is over": [
        {"tool_calls": [call_piece("Write", '{"content":"a"}', id="c0", index=0)]},
        {"tool_calls": [call_piece("Write", BEGIN, id="c1", index=1)]},
        *[{"tool_calls": [call_piece(None, "a", index=index)]} for index in (1, 1, 0, 1)],
    ],
    "two calls with one number": [
        *[{"tool_calls": [call_piece(name, BEGIN, index=0)]} for name in ("Write", "Edit")],
        *[saying("tool_calls", "a")] * 3,
    ],
    "thinking that has no text yet": [
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]},
        *[saying("reasoning_content", "a")] * 3,
        *[saying("content", "b")] * 3,
    ],
    "details of thinking, some of which had none": [
        {"reasoning": "a", "reasoning_details": [{"type": "reasoning.text", "text": "a"}]},
        *[saying("reasoning", "b")] * 3,
        {"content": "c"},
    ],
    "a stop sequence in two pieces": [saying("content", text) for text in "xxab"],
    "a call in the text": [saying("content", text) for text in ("x", "x", "<tool", '_call>{"name":"Write",', "x")],
    "thinking between tags": [
        {"content": "<think>a"},
        *[{"content": "b"}] * 3,
        {"content": "</think>c"},
        {"content": "d"},
    ],
    "thinking among the parts of the content": [
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}]},
        *[{"parts": "b"}] * 2,
        *[{"reasoning_content": "b"}] * 3,
    ],
}


@pytest.mark.parametrize("said", SITUATIONS.values(), ids=SITUATIONS)
def test_what_is_between_goes_the_usual_way(said: list[Json]):
    events = [*deltas(*said), *as_events(chunk({}, "stop"))]
    for asked in ({}, {"stops": ("ab",)}, {"strip_thinking": True}, WRITTEN):
        assert outcome(new_answer(**asked), events) == usual(events, **asked)


@pytest.mark.parametrize("name", ["openai", "kimi", "ollama", "xai"])
def test_nearly_every_chunk_only_says_more(name: str):
    dialect = DIALECTS[name]
    said = Said("Hello there! " * 9, "Let me see. " * 9, [Called("Write", {"a": "b" * 99})])
    events = dialect.events(dialect.can_say(said))
    answer = new_answer()
    with patch.object(ChatAnswer, "_feed", autospec=True, side_effect=ChatAnswer._feed) as feed:
        for event in events:
            answer.feed(event)
    assert answer.finished and feed.call_count < 20 < len(events) / 2


def test_a_block_whose_chunks_all_say_more_is_not_looked_at_for_ever():
    said = deltas({"content": "a", "refusal": ""})
    told = as_events(chunk({"content": "a"}, usage={"completion_tokens": 7}))
    answer = new_answer()
    with patch("addons.wire.chat.running_block.reader") as reader:
        reader().side_effect = ValueError
        for event in [*said, *told * (MOST_MISSES + 5)]:
            answer.feed(event)
        assert reader().call_count == MOST_MISSES
