"""The attempt loop after the first content: no second provider, and a client that always learns how it ended.

provider_answer.py is tested here too.
"""

import pytest

from addons.wire import limits
from tests.proxy.playbook import Playbook
from tests.proxy.provider_bytes import (
    BLOCK_START,
    ENDING,
    LAST_CHUNK,
    PING,
    START,
    STOP_REASON,
    STREAM_HEAD,
    answer,
    chunk,
    delta,
    error,
    error_event,
    events,
    head,
    message,
    stream,
)

CONTENT = START + BLOCK_START + delta("a")


def begin(play: Playbook, framing: bytes = STREAM_HEAD) -> None:
    """The client has got the first content."""
    play.client_asks()
    play.server(1).sends(framing + (chunk(CONTENT) if framing == STREAM_HEAD else CONTENT))
    assert play.answer.body == CONTENT


def assert_told(play: Playbook, *words: bytes, kind: str = "dropped") -> None:
    """The client got an error event and then a proper end; nobody else was asked; the connection lives on."""
    assert play.answer.complete
    assert play.answer.body.startswith(CONTENT)
    assert play.answer.body.count(b"event: error\n") == 1
    for word in words:
        assert word in play.answer.body
    assert play.answer.body.rpartition(b"event: ")[2].startswith(b"error")
    assert play.ends == ["response"]
    assert play.outcomes == [kind]
    play.advance(1000)
    assert len(play.servers) == 1
    assert "verdict" not in play.hooks
    play.client_asks()
    play.servers[-1].sends(stream(events()))
    assert play.answers[1].body == events()


def test_a_connection_that_breaks():
    with Playbook("one.test", "two.test") as play:
        begin(play)
        play.server(1).closes()
        assert_told(play, b"api_error", b"broke off")


def test_a_connection_that_breaks_inside_an_event():
    with Playbook("one.test", "two.test") as play:
        begin(play)
        play.server(1).sends(chunk(delta("half")[:-7]))
        play.server(1).closes()
        assert_told(play)
        assert b"half" not in play.answers[0].body


def test_bytes_that_are_no_chunk():
    with Playbook("one.test", "two.test") as play:
        begin(play)
        play.server(1).sends(b"nonsense\r\n" + LAST_CHUNK)
        assert_told(play)


@pytest.mark.parametrize("begin_with", [b"5;", b"0\r\nx: "], ids=["the head of a chunk", "trailers"])
def test_what_comes_without_end_and_is_no_content(begin_with):
    with Playbook("one.test", "two.test") as play:
        begin(play)
        play.server(1).sends(begin_with)
        for _ in range(limits.HEAD // 1000 + 1):
            assert not play.server(1).given_up
            play.server(1).sends(b"x" * 1000)
        assert_told(play)


@pytest.mark.parametrize("framing", [STREAM_HEAD, head(200)])
def test_a_clean_end_without_the_end_of_the_message(framing):
    with Playbook("one.test", "two.test") as play:
        begin(play, framing)
        if framing == STREAM_HEAD:
            play.server(1).sends(LAST_CHUNK)
        else:
            play.server(1).closes()
        assert_told(play, b"before it was complete")


def test_a_missing_end_is_made_up_for_where_the_rest_is_there():
    with Playbook() as play:
        begin(play)
        play.server(1).sends(chunk(STOP_REASON) + LAST_CHUNK)
        assert play.answer.complete
        assert play.answer.body == CONTENT + ENDING
        assert b"event: error" not in play.answer.body
        assert play.outcomes == [None]


@pytest.mark.parametrize("rest", [b"", LAST_CHUNK, chunk(delta("late")) + LAST_CHUNK, b"broken\r\n"])
def test_an_error_event_is_passed_on(rest):
    with Playbook("one.test", "two.test") as play:
        begin(play)
        play.server(1).sends(chunk(delta("b") + error_event("overloaded_error", "Sorry")) + rest)
        assert play.server(1).given_up
        assert b"late" not in play.answer.body
        assert delta("b") in play.answer.body
        assert_told(play, b"overloaded_error", b"Sorry", kind="error event")


@pytest.mark.parametrize("rest", [b"", LAST_CHUNK])
def test_an_error_event_in_the_same_read_as_the_first_content(rest):
    with Playbook("one.test", "two.test") as play:
        play.client_asks()
        play.server(1).sends(STREAM_HEAD + chunk(CONTENT + error_event()) + rest)
        assert_told(play, b"overloaded_error", kind="error event")


def test_silence():
    with Playbook("one.test", "two.test", answer_timeout=100, ping_interval=30) as play:
        begin(play)
        play.advance(99)
        assert play.answer.body == CONTENT + PING * 3
        play.server(1).sends(chunk(delta("b")))
        play.advance(99)
        assert not play.ends
        play.advance(1)
        assert play.server(1).given_up
        assert_told(play, b"too long", kind="timeout")


def test_a_provider_that_only_pings_is_silent():
    with Playbook(answer_timeout=100, ping_interval=30) as play:
        begin(play)
        for _ in range(9):
            play.advance(11)
            play.server(1).sends(chunk(PING))
        play.advance(1)
        assert play.server(1).given_up
        assert_told(play, b"too long", kind="timeout")


def test_a_ping_only_in_silence_and_only_between_events():
    with Playbook(ping_interval=10) as play:
        begin(play)
        play.advance(9)
        play.server(1).sends(chunk(delta("b")))
        play.advance(9)
        assert play.answer.body == CONTENT + delta("b")
        play.server(1).sends(chunk(delta("c")[:20]))
        play.advance(1)
        assert play.answer.body == CONTENT + delta("b") + PING
        play.server(1).sends(chunk(delta("c")[20:] + ENDING) + LAST_CHUNK)
        assert play.answer.body == CONTENT + delta("b") + PING + delta("c") + ENDING


def test_the_providers_own_pings_count():
    with Playbook(ping_interval=10) as play:
        begin(play)
        for _ in range(5):
            play.advance(9)
            play.server(1).sends(chunk(PING))
        assert play.answer.body == CONTENT + PING * 5


def test_no_pings_after_the_end():
    with Playbook(ping_interval=10) as play:
        begin(play)
        play.server(1).sends(chunk(ENDING) + LAST_CHUNK)
        before = len(play.sent_to_client)
        play.advance(100)
        assert len(play.sent_to_client) == before


@pytest.mark.parametrize("how", ["whole", "cut", "error", "json", "early"])
def test_nothing_happens_while_the_response_hook_takes_its_time(how):
    with Playbook(hold=5, ping_interval=10, first_byte_timeout=30, answer_timeout=60) as play:
        play.holds.add("response")
        play.client_asks(stream=how != "json")
        play.advance(10 if how == "early" else 1)
        if how in ("whole", "early"):
            play.server(1).sends(stream(events()))
        elif how == "cut":
            play.server(1).sends(STREAM_HEAD + chunk(CONTENT))
            play.server(1).closes()
        elif how == "json":
            play.server(1).sends(answer(200, message()))
        else:
            play.server(1).sends(error(500))
        before = bytes(play.sent_to_client)
        play.advance(1000)
        assert play.sent_to_client == before
        play.complete("response")
        play.advance(1000)
        assert play.answer.complete
        assert play.hooks[-1] == "response"
        assert play.answer.body.count(PING) == (how == "early")


class TestNoEndAfterTheMessage:
    """The last event is there, only HTTP's own end is missing: the client has its whole answer."""

    def test_the_connection_breaks(self):
        with Playbook() as play:
            begin(play)
            play.server(1).sends(chunk(ENDING))
            play.server(1).closes()
            assert play.answer.body == CONTENT + ENDING
            assert play.answer.complete
            assert play.outcomes == [None]

    def test_the_connection_stays_open(self):
        with Playbook(ping_interval=10, answer_timeout=600) as play:
            begin(play)
            play.server(1).sends(chunk(ENDING))
            play.advance(limits.ANSWER_END)
            assert play.answer.body == CONTENT + ENDING
            assert play.answer.complete
            assert play.outcomes == [None]
            assert play.server(1).given_up

    def test_the_whole_answer_in_one_read(self):
        with Playbook(answer_timeout=600) as play:
            play.client_asks()
            play.server(1).sends(STREAM_HEAD + chunk(events()))
            play.advance(limits.ANSWER_END)
            assert play.answer.body == events()
            assert play.answer.complete

    def test_the_end_comes_a_little_later(self):
        with Playbook() as play:
            begin(play)
            play.server(1).sends(chunk(ENDING))
            play.advance(limits.ANSWER_END / 2)
            play.server(1).sends(LAST_CHUNK)
            assert not play.server(1).given_up
            play.client_asks()
            assert len(play.servers) == 1
