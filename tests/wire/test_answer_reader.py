"""What begins an answer, and what a provider must send to count as alive: more than pings, comments and white space."""

import gzip
import json
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.wire.answer_reader import AnswerReader
from addons.wire.chat.answer import ChatAnswer
from addons.wire.chat.answer_content import Asked
from addons.wire.chat.whole_answer import message_from_chat
from addons.wire.messages.answer import MessagesAnswer, Rewrite, rewrite_message
from tests.received import either_way
from tests.wire.chat.dialects import DIALECTS, Said, chunk
from tests.wire.streams import (
    MESSAGE_STOP,
    PING,
    bytes_of,
    delta,
    message_delta,
    message_start,
    messages,
    pieces_of,
    sse,
    start,
    text,
    thinking,
    whole,
)

Make = Callable[..., AnswerReader]


def of_messages(rewrite: Rewrite) -> Make:
    def make(*, stream: bool = True, content_encoding: str = "") -> AnswerReader:
        return AnswerReader(
            stream=stream,
            events=MessagesAnswer(rewrite),
            complete=lambda body: rewrite_message(body, rewrite),
            content_encoding=content_encoding,
        )

    return make


def of_chat(*, stream: bool = True) -> AnswerReader:
    answer = ChatAnswer(Asked(provider="prov"), model="alias", seed="s1", input_estimate=1)
    return AnswerReader(stream=stream, events=answer, complete=lambda body: message_from_chat(body, answer, "prov"))


OWN = of_messages(Rewrite("anthropic", is_anthropic=True, strip_thinking=False))
KEEP = of_messages(Rewrite("zai", is_anthropic=False, strip_thinking=False))
STRIP = of_messages(Rewrite("zai", is_anthropic=False, strip_thinking=True))
EVERY = pytest.mark.parametrize("make", [OWN, KEEP, STRIP, of_chat], ids=["own", "keep", "strip", "chat"])
MESSAGES = pytest.mark.parametrize("make", [OWN, KEEP, STRIP], ids=["own", "keep", "strip"])

SIGNS = st.sampled_from(
    [
        b'event: ping\ndata: {"type": "ping"}\n\n',
        b'event:ping\r\ndata:{"type":"ping"}\r\n\r\n',
        b"data: {}\nevent: ping\n\n",
        b'data: {"type": "ping"}\n\n',
        b'event: message\ndata: {"type":"ping","cost":"0"}\n\n',
        b"event: ping\n\n",
        b": OPENROUTER PROCESSING\n\n",
        b":\r\r",
        b": keep-alive\nevent: ping\ndata: {}\n\n",
        b":" + b" " * 3000 + b"\n\n",
        b"retry: 10\n\n",
        b"\n",
    ]
)


def spoke(reader: AnswerReader, chunks: Iterable[bytes]) -> bool:
    """Whether the reader says so of any of these chunks."""
    said = False
    for piece in chunks:
        reader.feed(piece)
        said = said or reader.spoke
    return said


@EVERY
@either_way
@given(st.data())
def test_pings_and_comments_say_nothing_however_they_are_cut(make: Make, stream: bool, data: st.DataObject):
    signs = b"".join(data.draw(st.lists(SIGNS, max_size=5)))
    reader = make(stream=stream)
    assert not spoke(reader, data.draw(pieces_of(signs)))
    assert not spoke(make(stream=stream), [signs[i : i + 1] for i in range(len(signs))])
    assert not reader.content


@MESSAGES
@given(st.data())
def test_something_was_said_or_not_however_it_is_cut(make: Make, data: st.DataObject):
    before, after = (b"".join(data.draw(st.lists(SIGNS, max_size=2))) for _ in "ab")
    answer = data.draw(bytes_of(data.draw(messages())))
    stream = before + answer[: data.draw(st.integers(0, len(answer)))] + after
    said = spoke(make(), [stream])
    assert spoke(make(), data.draw(pieces_of(stream))) == said
    assert spoke(make(), [stream[i : i + 1] for i in range(len(stream))]) == said


@EVERY
@given(st.data())
def test_so_it_is_with_anything(make: Make, data: st.DataObject):
    odd = b"".join(data.draw(st.lists(SIGNS | st.binary(max_size=9) | st.just(b"x" * 1500), max_size=6)))
    assert spoke(make(), data.draw(pieces_of(odd))) == spoke(make(), [odd])


@given(st.sampled_from(list(DIALECTS.values())), st.data())
def test_so_it_is_with_chat(dialect, data: st.DataObject):
    stream = b"".join([data.draw(SIGNS), dialect.stream(Said("hm", "a"))])
    assert spoke(of_chat(), [stream])
    assert spoke(of_chat(), data.draw(pieces_of(stream)))


@MESSAGES
@pytest.mark.parametrize("event", whole(text(0, "a"), thinking(1, "hm", signed=["x"])), ids=lambda event: event["type"])
def test_every_other_event_says_something_also_one_that_is_stripped(make: Make, event):
    assert spoke(make(), [sse([event])])
    assert spoke(make(), [sse([event], named=False)])


@MESSAGES
@pytest.mark.parametrize("kind", ["text", "thinking"])
def test_it_is_said_of_the_last_bytes(make: Make, kind: str):
    """On all ways that an event can take, the fast one too."""
    reader = make()
    reader.feed(sse([message_start(), start(0, **{"type": kind, kind: ""})]))
    event = sse([delta(0, kind, **{kind: "a"})])
    for data, said in [(event, True), (sse([PING]), False), (event, True), (event, True), (b": x\n\n", False)]:
        reader.feed(data)
        assert reader.spoke == said
    for data, said in [(event[:50], False), (event[50:], True), (event * 3, True), (b"", False)]:
        reader.feed(data)
        assert reader.spoke == said


@EVERY
def test_an_event_that_trickles_in_is_heard_before_it_is_whole(make: Make):
    reader = make()
    event = sse([delta(0, "text", text="a" * 5000)])
    said = [spoke(reader, [event[at : at + 100]]) for at in range(0, len(event), 100)]
    assert said[0] is False
    assert said[11:] == [True] * len(said[11:])


def test_an_empty_chunk_of_a_chat_is_no_ping():
    assert spoke(of_chat(), [b"data: " + json.dumps(chunk({"content": ""})).encode() + b"\n\n"])


@EVERY
def test_nothing_is_said_after_an_error(make: Make):
    reader = make()
    reader.feed(b'event: error\ndata: {"error": {"message": "no"}}\n\n')
    assert reader.error
    assert not spoke(reader, [sse(text(0, "a"))])


@EVERY
@given(st.data())
def test_any_byte_of_a_json_body_counts_but_white_space(make: Make, data: st.DataObject):
    space = b"\xef\xbb\xbf"[: data.draw(st.integers(0, 3))] + b"\n \t" * data.draw(st.integers(0, 100))
    reader = make(stream=False)
    assert (spoke(reader, data.draw(pieces_of(space))), reader.started) == (False, False)
    for byte in b'{"id"':
        reader.feed(bytes([byte]))
        assert (reader.spoke, reader.started) == (True, True)
    assert not spoke(reader, data.draw(pieces_of(space[3:])))


# What begins an answer


@pytest.mark.parametrize("space", [b"", b"\xef\xbb\xbf", b"\n" * 10, b"\n      " * 100])
@pytest.mark.parametrize("cut", [True, False])
def test_white_space_of_any_length_before_an_answer(space: bytes, cut: bool):
    def read(reader: AnswerReader, data: bytes) -> AnswerReader:
        for piece in [data[i : i + 1] for i in range(len(data))] if cut else [data]:
            reader.feed(piece)
        assert reader.started
        reader.end()
        assert reader.finished
        return reader

    body = b'{"type":"message","content":[],"stop_reason":"end_turn"}'
    assert json.loads((read(OWN(stream=False), space + body).body or b"").decode("utf-8-sig")) == json.loads(body)
    assert read(OWN(), space + sse(whole(text(0, "a")))).content


def test_a_stream_without_end_is_not_put_together(monkeypatch):
    monkeypatch.setattr("addons.wire.answer_reader.ANSWER", 1000)
    reader = KEEP(stream=False)
    reader.feed(sse(whole(text(0, "a" * 2000))))
    assert reader.error
    assert "never ends" in reader.error.message


def test_white_space_without_end_is_not_kept(monkeypatch):
    monkeypatch.setattr("addons.wire.answer_reader.ANSWER", 1000)
    reader = OWN(stream=False)
    assert not spoke(reader, [b" " * 600] * 2)
    assert reader.error


@MESSAGES
def test_a_compressed_stream_says_the_same(make: Make):
    stream = sse(whole(text(0, "a", "b")))
    plain, packed = make(), make(content_encoding="gzip")
    assert packed.feed(gzip.compress(stream)) + packed.end() == plain.feed(stream) + plain.end()
    assert packed.finished
    assert packed.spoke


def test_bytes_that_are_not_compressed_are_an_error():
    reader = OWN(content_encoding="gzip")
    assert reader.feed(sse([message_start()])) == b""
    assert reader.error
    assert not reader.spoke


# A stream for a client that wants JSON


@EVERY
def test_a_stream_is_put_together_and_has_no_content_before_its_end(make: Make):
    """Until then another provider can still be asked."""
    stream = DIALECTS["openai"].stream(Said("a")) if make is of_chat else sse(whole(text(0, "a")))
    reader = make(stream=False)
    assert (reader.feed(stream), reader.content, reader.finished, reader.body) == (b"", False, True, None)
    assert reader.end() == b""
    assert json.loads(reader.body or b"")["content"] == [{"type": "text", "text": "a"}]


@MESSAGES
@pytest.mark.parametrize(("more", "said"), [(b', "logprob": NaN}', "ab"), (b"}", "ab"), (b', "x":}', None)])
def test_no_word_is_missing_in_what_was_put_together(make: Make, more: bytes, said: str | None):
    first, second = (sse([delta(0, "text", text=text)]) for text in "ab")
    stream = sse(whole(text(0, "a", "b"))).replace(first + second, first + second.replace(b"}\n\n", more + b"\n\n"))
    reader = make(stream=False)
    reader.feed(stream)
    reader.end()
    if said:
        assert json.loads(reader.body or b"")["content"] == [{"type": "text", "text": said}]
    else:
        assert reader.body is None and reader.error and reader.error.status == 502


@MESSAGES
def test_what_is_put_together_has_its_usage(make: Make):
    reader = make(stream=False)
    events = [message_start(usage=None), *text(0, "a"), message_delta() | {"usage": None}, MESSAGE_STOP]
    reader.feed(sse(events))
    reader.end()
    assert json.loads(reader.body or b"")["usage"] == {"input_tokens": 0, "output_tokens": 0}


@EVERY
@either_way
def test_a_sentence_under_a_200_is_told(make: Make, stream: bool):
    reader = make(stream=stream)
    assert reader.feed(b"Service is busy,\ntry later") + reader.end() == b""
    assert reader.error and "Service is busy, try later" in reader.error.message
