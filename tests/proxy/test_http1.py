"""A client's connection: its limits of time and size, and any bytes at all.

body_reading.py is tested here too, and in test_short_way.py.
"""

import json

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import events
from mitmproxy.proxy.layers.http._events import RequestHeaders
from mitmproxy.proxy.layers.http._http1 import Http1Server

from addons.proxy.http1 import (
    no_end_within,
)
from addons.proxy.replies import error_response
from addons.wire import limits
from addons.wire.errors import BadRequest
from tests.proxy.playbook import Playbook
from tests.proxy.provider_bytes import ENDING, LAST_CHUNK, START, STREAM_HEAD, answer, chunk, delta, message, stream
from tests.proxy.provider_bytes import events as event_bytes

BODY = b'{"model":"m","stream":true,"messages":[]}'
HEAD = b"POST /v1/messages HTTP/1.1\r\nhost: g\r\ncontent-length: %d\r\n\r\n" % len(BODY)
GET = b"GET / HTTP/1.1\r\nhost: g\r\n\r\n"
CHUNKED = b"POST /v1/messages HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n"


def is_open(play: Playbook) -> bool:
    return play.client.state is ConnectionState.OPEN


def refusal(play: Playbook) -> int:
    """The status of the only answer, which is in the envelope and closes the connection."""
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method="POST", target="/", headers=[("host", "g")]))
    parser.send(h11.EndOfMessage())
    parser.receive_data(bytes(play.sent_to_client))
    head, body = parser.next_event(), parser.next_event()
    assert isinstance(head, h11.Response)
    assert isinstance(body, h11.Data)
    assert json.loads(bytes(body.data))["type"] == "error"
    assert parser.next_event() == h11.EndOfMessage()
    assert parser.their_state is h11.MUST_CLOSE
    assert not is_open(play)
    return head.status_code


@pytest.fixture
def play() -> Playbook:
    made = Playbook("a.test")
    made.may_break = True
    return made


def test_a_head_has_its_time(play: Playbook) -> None:
    with play:
        play.client_sends(HEAD[:20])
        play.advance(limits.HEAD_WITHIN - 1)
        assert is_open(play)
        play.advance(2)
        assert refusal(play) == 408
        assert play.flows == []


def test_bytes_now_and_then_give_a_head_no_more(play: Playbook) -> None:
    with play:
        for place in range(4):
            play.client_sends(HEAD[place : place + 1])
            play.advance(limits.HEAD_WITHIN / 4 + 0.1)
        assert refusal(play) == 408


def test_a_body_may_pause(play: Playbook) -> None:
    with play:
        play.client_sends(HEAD)
        for place in range(len(BODY) - 1):
            play.client_sends(BODY[place : place + 1])
            play.advance(limits.BODY_WITHIN / len(BODY) / 2)
        assert is_open(play)
        play.client_sends(BODY[-1:])
        play.succeeds(1)


def test_a_body_that_stops(play: Playbook) -> None:
    with play:
        play.client_sends(HEAD + BODY[:-1])
        play.advance(limits.BODY_SILENCE - 1)
        assert is_open(play)
        play.advance(2)
        assert refusal(play) == 408
        assert play.ends == ["error"]
        assert play.servers == []


def test_a_body_that_goes_on_for_ever(play: Playbook) -> None:
    with play:
        play.client_sends(CHUNKED)
        for _ in range(int(limits.BODY_WITHIN / (limits.BODY_SILENCE - 1)) + 1):
            play.client_sends(b"1\r\nx\r\n")
            play.advance(limits.BODY_SILENCE - 1)
        assert refusal(play) == 408
        assert play.ends == ["error"]


def test_an_idle_connection_stays(play: Playbook) -> None:
    with play:
        play.client_asks()
        play.succeeds(1)
        play.advance(3000)
        assert is_open(play)
        play.client_sends(HEAD[:-1])
        play.advance(limits.HEAD_WITHIN - 1)
        assert is_open(play)
        play.advance(2)
        assert not is_open(play)


def test_who_waits_for_an_answer_is_not_slow() -> None:
    with Playbook("a.test", first_byte_timeout=0, answer_timeout=0) as play:
        play.client_sends(HEAD, BODY[:5], BODY[5:])
        play.advance(5000)
        assert is_open(play)
        play.server(1).sends(stream(event_bytes("at last")))


def refusing_gets() -> Playbook:
    """A gateway that answers every GET at once."""
    play = Playbook("a.test", first_byte_timeout=0, answer_timeout=0)
    route = play.on["requestheaders"]

    def refuse(flow: http.HTTPFlow) -> None:
        route(flow)
        if flow.request.method == "GET":
            flow.response = error_response(400, "no")

    play.on["requestheaders"] = refuse
    return play


def test_requests_that_come_at_once_leave_others_their_turn() -> None:
    with refusing_gets() as play:
        if not play.in_place:
            pytest.skip("everybody has a turn at every hook")
        play.client_sends(GET * (2 * limits.REQUESTS_AT_ONCE))
        for turn in (1, 2):
            # A head is read on its own, and then what came with it.
            assert turn * limits.REQUESTS_AT_ONCE <= len(play.answers) <= turn * limits.REQUESTS_AT_ONCE + 1
            play.advance(0.001)
        assert len(play.answers) == 2 * limits.REQUESTS_AT_ONCE
        assert is_open(play)


@pytest.mark.parametrize("before", [0, 1, limits.REQUESTS_AT_ONCE + 4])
def test_the_next_request_may_wait_behind_an_answer(before: int) -> None:
    """It is sent on the provider's connection in the very moment in which the answer ends."""
    with refusing_gets() as play:
        play.client_sends(HEAD + BODY + GET * before + HEAD + BODY)
        for _ in range(2):
            play.servers[-1].sends(stream(event_bytes("an answer")))
            play.advance(0.1)
        assert [answer.status for answer in play.answers] == [200, *[400] * before, 200]


@pytest.mark.parametrize("blank", ["\r\n", "\r\n\r\n", "\n", "\r\n" * 20])
@pytest.mark.parametrize("how", ["at once", "behind the body", "before the next", "each by itself"])
def test_blank_lines_between_requests_are_nothing(blank: str, how: str) -> None:
    with Playbook("a.test", first_byte_timeout=0, answer_timeout=0) as play:
        request = (HEAD + BODY).decode()
        sent = {
            "at once": [request + blank + request],
            "behind the body": [request + blank, request],
            "before the next": [request, blank + request],
            "each by itself": [request, *blank, request],
        }
        for data in sent[how]:
            play.client_sends(data.encode())
            if play.servers and len(play.answers) < 1:
                play.servers[-1].sends(stream(event_bytes("an answer")))
        play.servers[-1].sends(stream(event_bytes("an answer")))
        assert [answer.status for answer in play.answers] == [200, 200]
        assert is_open(play)


def test_an_answer_behind_many_requests_has_the_usual_time() -> None:
    with refusing_gets() as play:
        play.client_sends(GET * (limits.REQUESTS_AT_ONCE + 4) + HEAD + BODY)
        play.advance(0.01)
        play.server(1).sends(STREAM_HEAD + chunk(START + delta("wait")))
        for _ in range(3):
            play.advance(limits.HEAD_WITHIN + 1)
        play.server(1).sends(chunk(ENDING) + LAST_CHUNK)
        assert play.answers[-1].complete
        assert is_open(play)


def test_requests_that_came_with_the_end_of_the_connection_are_answered() -> None:
    with refusing_gets() as play:
        play.client_sends(GET * 3 * limits.REQUESTS_AT_ONCE)
        play.client_closes()
        assert len(play.answers) == 3 * limits.REQUESTS_AT_ONCE


def test_a_request_in_one_piece_needs_no_timer() -> None:
    with Playbook("a.test", first_byte_timeout=0, answer_timeout=0, hold=5000, ping_interval=0) as play:
        play.client_sends(HEAD + BODY)
        assert all(at > play.clock.now + limits.BODY_WITHIN for at, _ in play.wakeups)
        play.server(1).sends(stream(event_bytes("hi")))


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nx: " + b"x" * (limits.HEAD + 1), 431),
        (b"GET / HTTP/1.1\r\nx: " + b"x" * (limits.HEAD + 1) + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nhost: g\r\n" + b"x: 1\r\n" * limits.HEAD_LINES + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (CHUNKED + b"1;" + b"x" * (limits.HEAD + 1), 431),
        (CHUNKED + b"0\r\n" + b"x: 1\r\n" * limits.HEAD, 431),
    ],
)
def test_too_much(play: Playbook, data: bytes, status: int) -> None:
    with play:
        play.client_sends(data)
        assert refusal(play) == status
        assert play.servers == []


def test_what_comes_before_it_is_asked_for_has_a_limit(play: Playbook) -> None:
    with play:
        play.client_sends(HEAD + BODY)
        play.client_sends(b"x" * limits.HEAD)
        assert is_open(play)
        play.client_sends(b"x")
        assert not is_open(play)
        assert play.ends == ["error"]
        assert play.server(1).given_up


def test_no_end_within() -> None:
    assert not no_end_within(b"GET / HTTP/1.1\r\n\r\n", 18)
    assert not no_end_within(b"GET / HTTP/1.1\n\n" + b"x" * 99, 18)
    assert no_end_within(b"GET / HTTP/1.1\r\n\r\n", 17)


def test_mitmproxy_gives_up_on_trailers_by_itself() -> None:
    """When this fails, `IgnoresTrailers` has nothing left to catch."""
    server = Http1Server(Playbook().context.fork())
    list(server.handle_event(events.Start()))
    commands = list(server.handle_event(events.DataReceived(server.conn, CHUNKED)))
    assert any(isinstance(getattr(command, "event", None), RequestHeaders) for command in commands)
    with pytest.raises(NotImplementedError):
        list(server.handle_event(events.DataReceived(server.conn, b"0\r\nx: 1\r\n\r\n")))


# Any bytes

GRAMMAR = st.sampled_from(
    [
        *(
            b"POST /v1/messages HTTP/1.1\r\n",
            b"GET / HTTP/1.1\r\n",
            b"HEAD / HTTP/1.0\r\n",
            b"CONNECT g:1 HTTP/1.1\r\n",
        ),
        *(
            b"POST http://x/ HTTP/1.1\r\n",
            b"host: g\r\n",
            b"content-length: 5\r\n",
            b"content-length: %d\r\n" % len(BODY),
        ),
        *(
            b"transfer-encoding: chunked\r\n",
            b"connection: close\r\n",
            b"expect: 100-continue\r\n",
            b"upgrade: h2c\r\n",
        ),
        *(
            b"\r\n",
            b"\n",
            b"\r",
            b" ",
            b":",
            b"\x00",
            b"\xff",
            b"5\r\nhello\r\n",
            b"0\r\n\r\n",
            b"0\r\nx: y\r\n\r\n",
            BODY,
        ),
        *(HEAD + BODY, CHUNKED, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ]
)


@given(pieces=st.lists(GRAMMAR | st.binary(min_size=1, max_size=20), min_size=1, max_size=12), hangs_up=st.booleans())
def test_any_bytes(pieces: list[bytes], hangs_up: bool) -> None:
    """Nothing raises, every request ends once, nothing is left behind, and nobody is waited for for ever."""
    play = Playbook("a.test")
    play.may_break = True
    read = play.on["request"]

    def request(flow: http.HTTPFlow) -> None:
        try:
            read(flow)
        except BadRequest as error:
            flow.response = error_response(400, error.message)

    play.on["request"] = request
    for piece in pieces:
        if not is_open(play):
            break
        play.client_sends(piece)
    if hangs_up and is_open(play):
        play.client_closes()
    play.advance(5000)
    for server in play.servers:
        server.ends()
    if play.client.state is not ConnectionState.CLOSED:
        play.client_closes()
    play.advance(100_000)
    assert not play.gateway.streams
    assert not play.gateway.alarms
    assert len(play.ended) == len(play.flows)


def test_a_connection_that_idles_after_an_answer_is_closed_after_an_hour() -> None:
    with Playbook("a.test") as play:
        for _ in range(2):
            play.client_asks()
            play.server(1).sends(stream(event_bytes("yes")))
            play.advance(limits.IDLE - 60)
            assert not play.client_is_gone
        play.advance(120)
        assert play.client_is_gone
        assert len(play.answers) == 2, "and nothing is said about it"


def test_a_client_waits_for_an_answer_as_long_as_it_likes() -> None:
    with Playbook("a.test", first_byte_timeout=0, answer_timeout=0) as play:
        play.client_asks(stream=False)
        play.advance(3 * limits.IDLE)
        assert not play.client_is_gone
        play.server(1).sends(answer(200, message()))
        assert play.answer.status == 200
