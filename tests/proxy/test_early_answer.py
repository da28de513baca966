"""Answers that are known before the body is read: sent at once, and the body is thrown away as it comes.

client_request.py and replies.py are tested here too.
"""

import pytest

from addons.proxy.client_request import MOST_PARTS
from addons.proxy.replies import error_response, too_large
from addons.wire import limits
from tests.proxy.playbook import Playbook
from tests.proxy.provider_bytes import LAST_CHUNK, answer, chunk, encode, events, message, stream

HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: g\r\nContent-Length: %d\r\n\r\n"
CHUNKED_HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n"


def refusing(play: Playbook) -> None:
    """The gate lets nobody in."""

    def requestheaders(flow):
        play.stand_ins.requestheaders(flow)
        flow.response = error_response(401, "who are you?")

    play.on["requestheaders"] = requestheaders


def test_a_refusal_is_sent_before_the_body_is_read():
    with Playbook() as play:
        refusing(play)
        play.client_sends(HEAD % 30)
        assert play.answer.status == 401
        assert play.hooks == ["requestheaders", "response"]
        play.client_sends(b"x" * 30)
        assert not play.servers


def test_the_body_is_never_kept():
    with Playbook() as play:
        refusing(play)
        play.client_sends(HEAD % 3000)
        for _ in range(3):
            play.client_sends(b"secret" * 100)
            assert not play.under_way.body_parts
        play.client_sends(b"x" * 1200)
        assert play.flows[0].request.raw_content == b""
        assert not play.gateway.streams


@pytest.mark.parametrize("times", [1, 3])
def test_the_connection_lives_on_when_the_body_ends(times):
    with Playbook() as play:
        usual = play.on["requestheaders"]
        refusing(play)
        for _ in range(times):
            play.client_sends(HEAD % 30 + b"x" * 10)
            play.client_sends(b"x" * 20)
        play.on["requestheaders"] = usual
        play.client_asks()
        play.server(1).sends(stream(events()))
        assert [answer.status for answer in play.answers] == [401] * times + [200]
        play.advance(100)
        assert not play.client_is_gone


def test_the_body_may_be_there_already():
    with Playbook() as play:
        refusing(play)
        play.client_asks()
        play.client_asks()
        assert [answer.status for answer in play.answers] == [401, 401]


def test_a_request_without_a_body():
    with Playbook() as play:
        refusing(play)
        play.client_sends(b"GET /v1/models HTTP/1.1\r\nHost: g\r\n\r\n")
        assert play.answer.status == 401
        assert not play.gateway.streams


def test_while_the_response_hook_is_pending_the_body_is_thrown_away_too():
    with Playbook() as play:
        refusing(play)
        play.holds.add("response")
        play.client_sends(HEAD % 30)
        play.client_sends(b"x" * 30)
        play.complete("response")
        assert play.answer.status == 401
        play.holds.clear()
        play.client_asks()
        assert len(play.answers) == 2


def test_a_client_that_never_finishes_is_closed():
    with Playbook() as play:
        refusing(play)
        play.client_sends(HEAD % 30)
        play.advance(limits.DISCARDED - 1)
        play.client_sends(b"x")
        assert play.client.connected
        play.advance(1)
        assert play.client_is_gone
        assert not play.hung_up
        assert play.answer.complete
        assert play.ends == ["response"]


def test_a_client_that_goes_away_instead():
    with Playbook() as play:
        refusing(play)
        play.client_sends(HEAD % 30)
        play.client_closes()
        assert play.ends == ["response"]


class TestTooLarge:
    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch):
        monkeypatch.setattr(limits, "BODY", 1000)

    def test_by_its_chunks(self):
        with Playbook() as play:
            play.client_sends(CHUNKED_HEAD, *[chunk(b"x" * 100)] * 10)
            assert not play.sent_to_client
            play.client_sends(chunk(b"x"))
            assert play.answer.status == 413
            assert b"request_too_large" in play.answer.body
            assert not play.under_way.body_parts
            play.client_sends(*[chunk(b"x" * 100)] * 10)
            assert not play.under_way.body_parts
            play.client_sends(LAST_CHUNK)
            assert play.hooks == ["requestheaders", "response"]
            assert play.client_is_gone
            assert not play.servers

    def test_by_its_chunks_in_one_read(self):
        with Playbook() as play:
            play.client_sends(CHUNKED_HEAD + chunk(b"x" * 100) * 30 + LAST_CHUNK)
            assert play.answer.status == 413

    def test_and_never_finished(self):
        with Playbook() as play:
            play.client_sends(CHUNKED_HEAD, chunk(b"x" * 1001))
            for _ in range(20):
                if not play.client_is_gone:
                    play.client_sends(chunk(b"x" * 100))
                    play.advance(1)
            assert play.client_is_gone
            assert play.answer.status == 413

    def test_a_body_of_just_that_size(self):
        with Playbook() as play:
            body = b'{"model": "m", "messages": []}'.ljust(1000)
            play.client_sends(HEAD % 1000 + body)
            assert play.server(1).asked[0].body == body


def test_the_announced_size_is_refused_at_once():
    """By the gate's choice, with the response that this file makes for it."""

    def requestheaders(flow):
        play.stand_ins.requestheaders(flow)
        if int(flow.request.headers["content-length"]) > limits.BODY:
            flow.response = too_large("req_1")

    with Playbook() as play:
        play.on["requestheaders"] = requestheaders
        play.client_sends(HEAD % (limits.BODY + 1), b"x" * 100)
        assert play.answer.status == 413
        play.advance(limits.DISCARDED)
        assert play.client_is_gone


class TestMitmproxysOwnLimits:
    """Options that would make mitmproxy send a body on before the plan is known."""

    def test_stream_large_bodies_has_no_say_in_requests(self):
        with Playbook() as play:
            play.context.options.update(stream_large_bodies="10")
            play.client_asks()
            play.server(1).sends(stream(events()))
            assert play.server(1).host == "one.test"
            assert play.answer.body == events()

    def test_nor_in_relayed_requests(self):
        with Playbook() as play:
            play.context.options.update(stream_large_bodies="10")
            play.client_asks(path="/v1/files")
            assert play.hooks == ["requestheaders", "request", "attempt"]

    def test_nor_in_refused_ones(self):
        with Playbook() as play:
            refusing(play)
            play.context.options.update(stream_large_bodies="10")
            play.client_asks()
            assert play.answer.status == 401


@pytest.mark.parametrize(
    "wire",
    [
        b"POST /v1/messages HTTP/1.1\r\nHost: g\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nHost: g\r\nContent-Length: -1\r\n\r\n",
        b"CONNECT one.test:443 HTTP/1.1\r\nHost: g\r\n\r\n",
    ],
)
def test_a_request_that_is_not_valid_http(wire):
    with Playbook() as play:
        play.client_sends(wire)
        assert play.answer.status == 400
        assert play.ends == ["error"]
        assert play.client_is_gone


def test_a_request_that_is_no_http():
    with Playbook() as play:
        play.client_sends(b"\x00\x01\x02\r\n\r\n")
        assert play.sent_to_client.startswith(b"HTTP/1.1 400 ")
        assert play.hooks == []
        assert play.client_is_gone


def test_expect_continue():
    with Playbook() as play:
        play.client_sends(
            b"POST /v1/messages HTTP/1.1\r\nHost: g\r\nExpect: 100-continue\r\nContent-Length: 30\r\n\r\n"
        )
        assert play.sent_to_client == b"HTTP/1.1 100 Continue\r\n\r\n"
        play.client_sends(b'{"model": "m", "messages": []}')
        play.server(1).sends(stream(events()))
        assert play.answer.status == 200


def test_a_body_that_trickles_in_is_kept_in_one_piece():
    """A piece of a byte takes fifty."""
    with Playbook() as play:
        body = encode({"model": "m", "stream": False, "messages": [], "x": "y" * 3000})
        play.client_sends(HEAD % len(body))
        most = 0
        for index in range(len(body)):
            most = max(most, len(play.under_way.body_parts))
            play.client_sends(body[index : index + 1])
        assert most <= MOST_PARTS + 1
        assert play.server(1).asked[0].body == body
        play.server(1).sends(answer(200, message()))
        assert play.answer.status == 200
