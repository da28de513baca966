"""A user who is not let in any more: the request ends in every state that it can be in, and others' go on.

addons/proxy/dismissal.py; what waits for its refusal is tested here too.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mitmproxy import http

from addons.proxy.dismissal import Dismissal
from addons.proxy.replies import refused
from addons.state.exchange import Client, exchange_of
from addons.state.users import User
from addons.wire.errors import ProviderError
from tests.proxy.playbook import Playbook
from tests.proxy.provider_bytes import (
    BLOCK_START,
    START,
    STREAM_HEAD,
    answer,
    chunk,
    delta,
    events,
    head,
    stream,
)

GONE = ProviderError(401, "authentication_error", "the key has been revoked")
CONTENT = START + BLOCK_START + delta("a")


def dismiss(play: Playbook, name: str = "alice") -> None:
    play.feed(Dismissal(lambda client: client.user is not None and client.user.name == name, GONE))


def asked_by(play: Playbook, name: str = "alice") -> Callable[[http.HTTPFlow], None]:
    """The gate's hook: who comes is this user."""
    enter = play.on["requestheaders"]

    def requestheaders(flow: http.HTTPFlow) -> None:
        enter(flow)
        exchange = exchange_of(flow)
        assert exchange
        exchange.client = Client(name, user=User(name, name))

    return requestheaders


def begun(play: Playbook, *, stream: bool = True) -> None:
    play.on["requestheaders"] = asked_by(play)
    play.client_asks(stream=stream)


def assert_told(play: Playbook) -> None:
    """The client knows why; nobody else was asked, nothing more is, and the connection lives on."""
    assert b"the key has been revoked" in play.answer.body
    assert play.answer.complete
    assert play.ends == ["response"]
    assert play.outcomes == ["error event"]
    play.advance(1000)
    assert len(play.servers) == 1 and "verdict" not in play.hooks
    assert play.server(1).given_up
    play.client_asks()
    play.succeeds(2)


def test_after_content() -> None:
    with Playbook("one.test", "two.test") as play:
        begun(play)
        play.server(1).sends(STREAM_HEAD + chunk(CONTENT))
        dismiss(play, "bob")
        assert not play.ends
        dismiss(play)
        assert play.answer.body.startswith(CONTENT + b"event: error\n")
        assert_told(play)


@pytest.mark.parametrize("data", [b"", STREAM_HEAD, STREAM_HEAD + chunk(START)])
def test_before_content(data: bytes) -> None:
    with Playbook("one.test", "two.test") as play:
        begun(play)
        play.server(1).sends(data)
        dismiss(play)
        assert play.answer.status == 401
        assert play.answer.headers["x-should-retry"] == "false"
        assert_told(play)


def test_after_an_early_head() -> None:
    with Playbook("one.test", "two.test", hold=1, first_byte_timeout=0) as play:
        begun(play)
        play.advance(1.5)
        dismiss(play)
        assert play.answer.status == 200
        assert_told(play)


@pytest.mark.parametrize("data", [b"", head(200, "content-length: 50") + b"{"])
def test_a_whole_answer(data: bytes) -> None:
    with Playbook("one.test", "two.test") as play:
        begun(play, stream=False)
        play.server(1).sends(data)
        dismiss(play)
        assert play.answer.status == 401
        assert_told(play)


def test_while_a_connection_is_opened() -> None:
    with Playbook("one.test", "two.test") as play:
        play.answers_connects = False
        begun(play)
        dismiss(play)
        assert play.answer.status == 401
        assert play.outcomes == ["error event"]


def test_between_two_attempts() -> None:
    with Playbook() as play:
        begun(play)
        play.server(1).sends(answer(429, b"{}"))
        dismiss(play)
        assert play.answer.status == 401
        play.advance(1000)
        assert len(play.servers) == 1


def test_while_the_body_comes() -> None:
    with Playbook() as play:
        play.on["requestheaders"] = asked_by(play)
        play.client_sends(b"POST /v1/messages HTTP/1.1\r\nHost: g\r\nContent-Length: 30\r\n\r\nabc")
        dismiss(play)
        assert play.answer.status == 401
        play.client_sends(b"x" * 27)
        assert play.ends == ["response"] and not play.servers


def test_an_answer_that_is_over_stays() -> None:
    with Playbook() as play:
        begun(play)
        play.server(1).sends(stream(events()))
        dismiss(play)
        assert play.answer.body == events()
        assert play.outcomes == [None]


def test_a_relayed_answer_breaks_off() -> None:
    with Playbook() as play:
        play.may_break = True
        play.on["requestheaders"] = asked_by(play)
        play.client_asks(path="/v1/files")
        play.server(1).sends(STREAM_HEAD + chunk(b"abc"))
        dismiss(play)
        assert play.client_is_gone and play.ends == ["error"]
        assert play.server(1).given_up


def test_a_hook_that_is_waited_for_comes_first() -> None:
    with Playbook() as play:
        play.holds.add("attempt")
        begun(play)
        dismiss(play)
        assert not play.ends
        play.complete("attempt")
        assert play.answer.status == 401


# Refusals that wait


def slowed(play: Playbook) -> None:
    """The gate lets nobody in, and keeps them waiting."""
    enter = play.on["requestheaders"]

    def requestheaders(flow: http.HTTPFlow) -> None:
        enter(flow)
        exchange = exchange_of(flow)
        assert exchange
        exchange.client.slowed = 5.0
        flow.response = refused(GONE)

    play.on["requestheaders"] = requestheaders


@pytest.mark.parametrize("body", [b"", b"x" * 29, b"x" * 30])
def test_a_refusal_may_have_to_wait(body: bytes) -> None:
    with Playbook() as play:
        slowed(play)
        play.client_sends(b"POST /v1/messages HTTP/1.1\r\nHost: g\r\nContent-Length: 30\r\n\r\n" + body)
        play.advance(4.9)
        assert not play.sent_to_client
        play.advance(0.2)
        assert play.answer.status == 401
        assert play.ends == ["response"] and not play.servers
        play.client_sends(b"x" * (30 - len(body)))
        play.on["requestheaders"] = play.stand_ins.requestheaders
        play.client_asks()
        play.succeeds(1)


def test_who_hangs_up_meanwhile_gets_nothing() -> None:
    with Playbook() as play:
        slowed(play)
        play.client_asks()
        play.client_closes()
        play.advance(10)
        assert not play.sent_to_client and play.ends == ["error"]
