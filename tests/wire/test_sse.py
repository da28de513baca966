import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from addons.wire.sse import Event, EventTooLarge, Splitter, frame, parse, read_object, split

PING = b'event: ping\ndata: {"type": "ping"}\n\n'


def feed_in(pieces):
    splitter = Splitter()
    return [event for piece in pieces for event in splitter.feed(piece)], splitter.unfinished


def cut(data, positions):
    edges = [0, *sorted(positions), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_an_event_is_complete_with_its_blank_line(newline):
    event = PING.replace(b"\n", newline)
    splitter = Splitter()
    assert splitter.feed(event[:-1]) == []
    assert splitter.unfinished == event[:-1]
    assert splitter.feed(event[-1:]) == [event]
    assert splitter.unfinished == b""


def test_a_carriage_return_at_the_end_waits_for_the_other_half():
    splitter = Splitter()
    assert splitter.feed(b"data: 1\r\n\r") == []
    assert splitter.feed(b"\ndata: 2\r\r") == [b"data: 1\r\n\r\n"]
    assert splitter.feed(b"data: 3") == [b"data: 2\r\r"]
    assert splitter.unfinished == b"data: 3"


def test_mixed_line_ends():
    assert feed_in([b"a: 1\r\na: 2\ra: 3\n\r\nb: 2\r\n\nc: 3\r\rd: 4\n\n"])[0] == [
        b"a: 1\r\na: 2\ra: 3\n\r\n",
        b"b: 2\r\n\n",
        b"c: 3\r\r",
        b"d: 4\n\n",
    ]


def test_one_crlf_ends_a_line_and_not_an_event():
    assert feed_in([b"event: x\r\ndata: {}\r\n"]) == ([], b"event: x\r\ndata: {}\r\n")


def test_extra_blank_lines_and_comments_are_events_of_their_own():
    events, rest = feed_in([b"\n: hello\n\n\n\r\ndata: 1\n\n\n"])
    assert events == [b"\n", b": hello\n\n", b"\n", b"\r\n", b"data: 1\n\n", b"\n"]
    assert rest == b""


def test_a_chunk_of_whole_events_is_forwarded_as_it_is():
    chunk = PING * 3
    assert Splitter().take(chunk) is chunk


LINES = [b"data: 1", b": c", b"x", b"\xc3\xbc"]
MIXED = st.sampled_from([b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", *LINES])
ONE_KIND = st.sampled_from([b"\n", b"\r\n", b"\r"]).flatmap(
    lambda newline: st.lists(st.sampled_from([newline, newline * 2, newline * 3, *LINES]))
)
STREAMS = st.lists(MIXED) | ONE_KIND


@given(STREAMS.map(b"".join), st.data())
def test_any_split_gives_the_same_events(data, draw):
    # The last byte tells whether a carriage return at the very end was whole.
    data += b"end"
    whole, rest = feed_in([data])
    assert b"".join(whole) + rest == data
    assert all(split(event) == [event] for event in whole)
    positions = draw.draw(st.lists(st.integers(0, len(data))))
    assert feed_in(cut(data, positions)) == (whole, rest)
    assert feed_in(data[i : i + 1] for i in range(len(data))) == (whole, rest)


@given(STREAMS.map(b"".join))
def test_events_are_those_that_the_standard_says(data):
    data += b"end"
    lines = data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    blocks, block = [], []
    for line in lines[:-1]:
        if line:
            block.append(line)
        elif block:
            blocks.append(block)
            block = []
    events = [event.decode().splitlines() for event in feed_in([data])[0]]
    assert [event[:-1] for event in events if any(event)] == blocks


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("line", [b"y" * 1000, b"y" * 10])
def test_one_byte_at_a_time_is_linear(newline, line):
    def seconds(size):
        data = (b"data: " + line + newline) * (size // len(line)) + newline
        splitter = Splitter()
        begin = time.process_time()
        for position in range(len(data)):
            splitter.take(data[position : position + 1])
        splitter.take(b"z")
        assert splitter.unfinished == b"z"
        return time.process_time() - begin

    seconds(1_000)
    assert seconds(400_000) < 40 * seconds(40_000)


def test_an_event_without_end_is_refused():
    splitter = Splitter(limit=100)
    assert splitter.feed(b"data: " + b"x" * 94) == []
    with pytest.raises(EventTooLarge, match="more than"):
        splitter.feed(b"x")
    with pytest.raises(EventTooLarge):
        Splitter(limit=100).feed(b"x\r" + b"x" * 101)


def test_the_limit_is_of_one_event_not_of_the_stream():
    splitter = Splitter(limit=100)
    for _ in range(50):
        assert len(splitter.feed(PING[5:] + PING[:5])) == 1


@pytest.mark.parametrize(
    ("raw", "event"),
    [
        (PING, Event("ping", b'{"type": "ping"}', b"")),
        (b"\xef\xbb\xbfevent: x\ndata: 1\n\n", Event("x", b"1", b"")),
        (b"event:x\r\ndata:1\r\n\r\n", Event("x", b"1", b"")),
        (b"data: {\ndata:  1}\nevent: x\n\n", Event("x", b"{\n 1}", b"")),
        (b" data: 1\n\n", Event("", b"1", b"")),
        (b": OPENROUTER PROCESSING\n\n", Event("", b"", b": OPENROUTER PROCESSING\n")),
        (b"id: 7\nevent: x\nretry: 10\ndata: 1\n\n", Event("x", b"1", b"id: 7\nretry: 10\n")),
        (b'error: {"message":"no"}\n\n', Event("", b"", b'error: {"message":"no"}\n')),
        (b"data\n\n", Event("", b"", b"")),
        (b"data: 1\nx", Event("", b"1", b"x\n")),
        (b"\n", Event("", b"", b"")),
        (b"event: \xff\n\n", Event("�", b"", b"")),
    ],
)
def test_parse(raw, event):
    assert parse(raw) == event


@given(st.binary())
def test_parse_takes_anything(raw):
    parse(raw)


def test_frame_is_anthropics_own_framing():
    assert frame("ping", {"type": "ping"}) == b'event: ping\ndata: {"type":"ping"}\n\n'


ONE_LINE_END = st.binary().filter(lambda data: b"\r" not in data)


@given(st.text("ab", min_size=1), ONE_LINE_END, st.sampled_from([b"", b"id: 1\n"]))
def test_what_is_framed_parses_to_the_same(kind, data, other):
    assert parse(frame(kind, data, other)) == Event(kind, data, other)


def test_a_lone_surrogate_becomes_what_a_client_would_make_of_it():
    assert read_object(rb'{"a": {"b":"\ud83d"}, "c": 1}') == {"a": Raw(rb'{"b":"\ufffd"}'), "c": Raw(b"1")}


def test_what_is_not_utf8_becomes_what_a_client_would_make_of_it():
    assert read_object(b'{"a":"\xc3"}') == {"a": Raw('"\ufffd"'.encode())}


@pytest.mark.parametrize("data", [b"", b"[1]", b"1", b'{"a":', b"{'a':1}", b'{"a":' + b"[" * 200_000, b"null"])
def test_what_is_no_object(data):
    assert read_object(data) is None
