"""Requests of the gateway's own, as a stream makes them: in place of a provider, one after the other, ended in time.

own_requests.py, state/own_requests.py and wire/errands.py are tested here too.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
import pytest

from addons.state.exchange import Trying, exchange_of
from addons.wire.errands import Ask, Errand, Fetch, Reply
from addons.wire.errors import ProviderError
from tests.proxy.playbook import Playbook
from tests.proxy.provider_bytes import PING, answer, error, message

QUESTION = {"max_tokens": 10, "messages": [{"role": "user", "content": "the own question"}]}
SECRET = "sk-search-0123456789abcdef"


def ask(timeout: float = 30, model: str = "") -> Ask:
    return Ask(purpose="search", body=QUESTION, model=model, timeout=timeout)


def fetch(timeout: float = 30) -> Fetch:
    return Fetch(
        purpose="search", url="http://search.test:8080/find?q=x", credential={"x-token": SECRET}, timeout=timeout
    )


def running(play: Playbook, errand: Callable[[], Errand[bytes | ProviderError]]) -> list[Trying]:
    """The client's request is answered by this errand, and nobody else's is."""
    attempt, seen = play.on["attempt"], []

    def hook(trying: Trying) -> None:
        attempt(trying)
        seen.append(trying)
        if trying.exchange.own is None:
            trying.attempt.instead = errand()

    play.on["attempt"] = hook
    return seen


def say(reply: Reply) -> bytes:
    return message(f"{reply.status} {reply.timed_out} {reply.body.decode()[:40]}")


def one(asked: Ask | Fetch) -> Callable[[], Errand[bytes | ProviderError]]:
    def errand() -> Errand[bytes | ProviderError]:
        return say((yield asked))

    return errand


@pytest.mark.parametrize("stream", [True, False])
def test_an_errand_answers_in_place_of_a_provider(stream: bool) -> None:
    with Playbook() as play:
        tries = running(play, one(ask()))
        play.client_asks(stream=stream)
        assert len(play.servers) == 1
        request = play.server(1).received
        assert b"the own question" in request
        assert json.loads(request.partition(b"\r\n\r\n")[2])["stream"] is False
        play.server(1).sends(answer(200, message("found")))
        assert play.answer.complete
        assert b"200 False" in play.answer.body
        assert (b"message_stop" in play.answer.body) == stream
        (_, main), (_, own) = play.ended[-1], play.own[-1]
        assert main is not own
        exchange = exchange_of(own)
        assert exchange
        assert exchange.own
        assert exchange.own.of == play.exchange.request_id
        assert any(exchange.request_id in line.what for line in play.exchange.trail)
        assert [trying.exchange.own is None for trying in tries] == [True, False]


def test_a_plain_request_goes_to_its_address_with_its_credential_and_the_flow_shows_none() -> None:
    with Playbook() as play:
        running(play, one(fetch()))
        play.client_asks()
        request = play.server(1).received
        assert request.startswith(b"GET /find?q=x HTTP/1.1\r\n")
        assert b"search.test:8080" in request
        assert SECRET.encode() in request
        assert play.server(1).connection.address == ("search.test", 8080)
        play.server(1).sends(answer(200, b'{"results": []}'))
        assert b"results" in play.answer.body
        assert SECRET not in repr(play.own[0][1].get_state())


@pytest.mark.parametrize("announced", [True, False])
def test_an_answer_that_is_longer_than_was_asked_for_is_given_up(announced: bool) -> None:
    with Playbook() as play:
        running(play, one(msgspec.structs.replace(fetch(), longest=1000)))
        play.client_asks()
        head = answer(200, b"x" * 2000).partition(b"\r\n\r\n")[0]
        if not announced:
            head = head.replace(b"content-length: 2000", b"connection: close")
        play.server(1).sends(head + b"\r\n\r\n" + b"x" * 900)
        play.server(1).sends(b"x" * 101)
        assert b"0 False" in play.answer.body
        assert play.server(1).given_up
        assert [name for name, _ in play.own] == ["requestheaders", "error"]


def test_requests_of_one_errand_come_one_after_the_other_on_one_connection() -> None:
    def errand() -> Errand[bytes | ProviderError]:
        first = yield ask()
        second = yield ask()
        return message(f"{first.status} {second.status}")

    with Playbook() as play:
        running(play, errand)
        play.client_asks()
        play.server(1).sends(answer(200, message("a")))
        play.server(1).sends(answer(200, message("b")))
        assert len(play.servers) == 1
        assert b"200 200" in play.answer.body


def test_the_client_gets_pings_while_an_errand_runs() -> None:
    with Playbook(hold=5, ping_interval=10) as play:
        running(play, one(ask()))
        play.client_asks()
        play.advance(26)
        assert play.answer.body == PING * 3
        play.server(1).sends(answer(200, message("late")))
        assert play.answer.complete


def test_what_takes_too_long_is_a_reply_without_a_status_and_its_connection_is_closed() -> None:
    with Playbook() as play:
        running(play, one(ask(timeout=3)))
        play.client_asks()
        play.advance(4)
        assert b"0 True" in play.answer.body
        assert play.server(1).given_up
        assert [name for name, _ in play.own] == ["requestheaders", "error"]


def test_a_client_that_hangs_up_ends_the_errand() -> None:
    closed = []

    def errand() -> Errand[bytes | ProviderError]:
        try:
            return say((yield ask()))
        finally:
            closed.append(True)

    with Playbook() as play:
        running(play, errand)
        play.client_asks()
        play.client_closes()
        assert play.server(1).given_up
        assert closed == [True]
        assert [name for name, _ in play.own] == ["requestheaders", "error"]
        assert play.ends == ["error"]


def test_an_error_of_the_provider_is_the_reply() -> None:
    with Playbook() as play:
        running(play, one(ask()))
        play.client_asks()
        play.server(1).sends(error(400, "invalid_request_error", "no such thing"))
        assert b"400 False" in play.answer.body


def test_no_connection_is_a_reply_too() -> None:
    with Playbook() as play:
        play.answers_connects = False
        running(play, one(fetch()))
        play.client_asks()
        play.server(1).refuses()
        assert b"502 False" in play.answer.body


def test_an_errand_that_finds_nothing_is_a_failed_attempt() -> None:
    def errand() -> Errand[bytes | ProviderError]:
        yield ask()
        return ProviderError(529, "overloaded_error", "no search today")

    with Playbook("one.test") as play:
        running(play, errand)
        play.client_asks()
        play.server(1).sends(answer(200, message("found")))
        assert play.answer.status == 529
        assert play.outcomes == ["status"]


def test_an_errand_may_need_no_request_at_all() -> None:
    def errand() -> Errand[bytes | ProviderError]:
        yield from ()
        return message("known")

    with Playbook() as play:
        running(play, errand)
        play.client_asks()
        assert b"known" in play.answer.body
        assert not play.servers


def test_the_next_request_of_the_client_uses_the_connection_again() -> None:
    with Playbook() as play:
        running(play, one(ask()))
        play.client_asks()
        play.server(1).sends(answer(200, message("found")))
        play.client_asks()
        play.server(1).sends(answer(200, message("found again")))
        assert [len(play.servers), len(play.answers)] == [1, 2]
