"""What heads say of their bodies and of their connections, whoever wrote them."""

from __future__ import annotations

import pytest
from mitmproxy import http

from addons.proxy.framing import clean_head, one_framing
from tests.proxy.playbook import Playbook
from tests.proxy.provider_bytes import LAST_CHUNK, chunk, events, message

CHUNKED = b"transfer-encoding: chunked"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream"


@pytest.mark.parametrize(
    "lines",
    [
        [CHUNKED, CHUNKED],
        [CHUNKED, b"Content-Length: 5"],
        [b"content-length: 5", b"Transfer-Encoding:chunked"],
        [b"transfer-encoding: chunked, chunked"],
        [b"transfer-encoding: chunked", b"x-other: 1", b"Transfer-Encoding: Chunked"],
        [b"transfer-encoding: identity, chunked"],
    ],
)
def test_a_provider_that_says_chunked_twice_is_read_as_chunked(lines):
    head = b"\r\n".join([HEAD, *lines])
    mended = one_framing(head)
    assert mended
    assert mended.lower().count(b"transfer-encoding") == 1
    assert b"content-length" not in mended.lower()
    assert (b"x-other: 1" in mended) == (b"x-other: 1" in head)
    with Playbook() as play:
        play.client_asks()
        play.server(1).sends(head + b"\r\n\r\n" + chunk(events("yes")) + LAST_CHUNK)
        assert (play.answer.status, play.answer.body) == (200, events("yes"))
        assert play.answer.headers.get("transfer-encoding") == "chunked"
        assert "content-length" not in play.answer.headers


def test_one_length_said_twice_is_one_length():
    body = message()
    length = b"content-length: %d" % len(body)
    head = b"\r\n".join([b"HTTP/1.1 200 OK", length, length])
    assert one_framing(head) == b"HTTP/1.1 200 OK\r\n" + length
    with Playbook() as play:
        play.client_asks(stream=False)
        play.server(1).sends(head + b"\r\n\r\n" + body)
        assert (play.answer.status, play.answer.body) == (200, body)


@pytest.mark.parametrize("lines", [[b"content-length: 5, 5"], [b"transfer-encoding: identity", b"content-length: 5"]])
def test_a_list_of_one_length_and_no_coding_at_all(lines):
    assert one_framing(b"\r\n".join([HEAD, *lines])) == HEAD + b"\r\ncontent-length: 5"


@pytest.mark.parametrize(
    "lines",
    [[], [CHUNKED], [b"content-length: 5"], [b"content-length: 5", b"content-length: 6"], [b"transfer-encoding: gzip"]],
)
def test_any_other_head_stays_as_it_is(lines):
    assert one_framing(b"\r\n".join([HEAD, *lines])) is None


def test_two_lengths_are_no_answer():
    with Playbook() as play:
        play.client_asks(stream=False)
        play.server(1).sends(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef")
        assert play.answer.status == 502


@pytest.mark.parametrize("bad", [b"a\rset-cookie: pwn=1", b"a\0b", b"a\x1b[31m", b"a\x7f"])
def test_control_characters_of_a_provider_are_no_control_characters_any_more(bad):
    with Playbook() as play:
        play.client_asks(path="/v1/files")
        play.server(1).sends(b"HTTP/1.1 200 OK\r\nx-said: " + bad + b"\r\ncontent-length: 0\r\n\r\n")
        head = bytes(play.sent_to_client)
        assert b"x-said: a " in head
        assert bad not in head


def test_a_folded_line_of_a_provider_is_one_line():
    with Playbook() as play:
        play.client_asks(path="/v1/files")
        play.server(1).sends(b"HTTP/1.1 200 OK\r\nx-said: a\r\n b\r\ncontent-length: 0\r\n\r\n")
        assert b"\r\n b" not in play.sent_to_client


def test_a_clean_head_is_not_made_anew():
    response = http.Response.make(200, b"", {"x": "1\ty"})
    fields = response.headers.fields
    clean_head(response, ())
    assert response.headers.fields is fields
