"""The attempt loop for paths that no route serves: they go to the default upstream as they are, once."""

import pytest

from tests.proxy.playbook import Playbook
from tests.proxy.provider_bytes import LAST_CHUNK, chunk, error, head


def test_an_answer_is_streamed_as_it_comes():
    with Playbook() as play:
        play.client_asks(path="/v1/files")
        assert play.server(1).host == "default.test"
        play.server(1).sends(head(200, "content-length: 6") + b"abc")
        assert play.sent_to_client.endswith(b"abc")
        play.server(1).sends(b"def")
        assert play.answer.body == b"abcdef"
        assert play.ends == ["response"]


def test_an_error_is_an_answer_too():
    with Playbook() as play:
        play.client_asks(path="/v1/files")
        play.server(1).sends(error(500))
        assert play.answer.status == 500
        assert play.hooks.count("verdict") == 0


def test_it_may_take_as_long_as_it_likes_once_it_has_begun():
    with Playbook(answer_timeout=600) as play:
        play.client_asks(path="/v1/files")
        play.advance(500)
        play.server(1).sends(head(200, "content-length: 6") + b"abc")
        play.advance(5000)
        play.server(1).sends(b"def")
        assert play.answer.body == b"abcdef"
        assert play.outcomes == [None]


def test_it_must_begin_in_time():
    with Playbook(answer_timeout=600) as play:
        play.client_asks(path="/v1/files")
        play.advance(600)
        assert play.answer.status == 504
        assert play.server(1).given_up


@pytest.mark.parametrize(
    ("lines", "body"), [("Content-Length: 0", b""), ("Transfer-Encoding: chunked", chunk(b"abc") + LAST_CHUNK)]
)
def test_a_body_is_sent_with_its_length(lines, body):
    with Playbook() as play:
        play.on["attempt"] = lambda trying: None
        play.client_sends(f"PUT /v1/files HTTP/1.1\r\nHost: g\r\n{lines}\r\n\r\n".encode() + body)
        (asked,) = play.server(1).asked
        assert asked.body == body[3:6]
        assert asked.headers["content-length"] == str(len(asked.body))
        assert "transfer-encoding" not in asked.headers


def test_an_empty_post_has_a_length():
    with Playbook() as play:
        play.client_sends(b"POST /v1/files HTTP/1.1\r\nHost: g\r\n\r\n")
        assert play.server(1).asked[0].headers["content-length"] == "0"


def test_an_answer_without_a_body():
    with Playbook() as play:
        play.client_sends(b"GET /nothing HTTP/1.1\r\nHost: g\r\n\r\n")
        assert "content-length" not in play.server(1).asked[0].headers
        play.server(1).sends(head(204))
        assert play.answer.status == 204


def test_a_refused_connection_is_told():
    with Playbook() as play:
        play.answers_connects = False
        play.client_asks(path="/v1/files")
        play.server(1).refuses()
        assert play.answer.status == 502
        assert play.outcomes == ["connect"]


def test_an_answer_that_breaks_off_takes_the_clients_connection_with_it():
    with Playbook() as play:
        play.may_break = True
        play.client_asks(path="/v1/files")
        play.server(1).sends(head(200, "content-length: 6") + b"abc")
        play.server(1).closes()
        assert not play.answer.complete
        assert play.ends == ["error"]
        assert play.client_is_gone


def test_a_connection_that_becomes_something_else():
    """From there on the bytes are mitmproxy's business, and our timers must not get in its way."""
    play = Playbook()  # without the rules for HTTP, which this is no more
    play.client_sends(b"GET /socket HTTP/1.1\r\nHost: g\r\n\r\n")
    play.server(1).sends(head(101, "Connection: Upgrade", "Upgrade: something"))
    play.advance(3600)
    play.server(1).sends(b"from the provider")
    play.client_sends(b"from the client")
    assert play.sent_to_client.endswith(b"from the provider")
    assert play.server(1).received.endswith(b"from the client")


def test_an_invalid_answer_is_not_passed_on():
    with Playbook() as play:
        play.client_asks(path="/v1/files")
        play.server(1).sends(head(200, "content-length: 6", "transfer-encoding: chunked"))
        assert play.answer.status == 502
        assert b"not valid HTTP" in play.answer.body
