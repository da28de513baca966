"""The attempt loop while nobody has answered: the client gets its 200 and pings, and failover goes on.

client_answer.py is tested here too.
"""

import pytest

from addons.proxy.replies import error_response
from addons.state.attempt import Verdict
from addons.wire.errors import ProviderError
from tests.proxy.playbook import Playbook
from tests.proxy.provider_bytes import (
    LAST_CHUNK,
    PING,
    START,
    STREAM_HEAD,
    answer,
    chunk,
    delta,
    error,
    error_event,
    events,
    message,
    stream,
)


def test_the_client_gets_a_200_and_a_ping_after_hold_seconds():
    with Playbook(hold=5) as play:
        play.client_asks()
        play.advance(4.9)
        assert not play.sent_to_client
        play.advance(0.1)
        assert play.answer.status == 200
        assert play.answer.headers["content-type"].startswith("text/event-stream")
        assert play.answer.headers["request-id"] == "req_1"
        assert play.answer.headers["cache-control"] == "no-cache"
        assert play.answer.body == PING


def test_pings_go_on_until_there_is_content():
    with Playbook(hold=5, ping_interval=10) as play:
        play.client_asks()
        play.advance(35)
        assert play.answer.body == PING * 4
        play.server(1).sends(STREAM_HEAD + chunk(START))
        play.advance(10)
        assert play.answer.body == PING * 5, "a message_start is the provider's word, not yet the client's"
        play.server(1).sends(chunk(delta("a")))
        assert play.answer.body == PING * 5 + START + delta("a")


@pytest.mark.parametrize("sent", [b"", STREAM_HEAD, STREAM_HEAD + chunk(START), STREAM_HEAD + chunk(PING)])
def test_failover_still_works(sent):
    with Playbook("one.test", "two.test", hold=5) as play:
        play.client_asks()
        if sent:
            play.server(1).sends(sent)
        play.advance(5)
        play.server(1).closes()
        play.advance(0)
        play.server(2).sends(stream(events()))
        assert play.answer.body == PING + events()
        assert play.ends == ["response"]


def test_content_before_hold_seconds_needs_no_early_head():
    with Playbook(hold=5, ping_interval=10) as play:
        play.client_asks()
        play.advance(4)
        play.server(1).sends(STREAM_HEAD + chunk(START + delta("a")))
        play.advance(2)
        assert play.answer.body == START + delta("a")
        play.server(1).sends(LAST_CHUNK)


def test_when_every_target_fails_the_client_is_told_in_the_stream():
    with Playbook("one.test", "two.test", hold=5) as play:
        play.client_asks()
        play.advance(5)
        play.server(1).sends(error(500))
        play.advance(0)
        play.server(2).sends(error(529, "overloaded_error", "too much to do"))
        assert play.answer.complete
        assert play.answer.body.startswith(PING + b"event: error\ndata: {")
        assert b"too much to do" in play.answer.body
        assert b"overloaded_error" in play.answer.body
        assert play.hooks[-1] == "response"
        response = play.flows[0].response
        assert response
        assert response.status_code == 200, "the flow shows what the client got"
        play.client_asks()
        play.server(1).sends(stream(events()))
        assert play.answers[1].body == events(), "the connection lives on"


def test_the_verdict_may_have_better_words():
    def verdict(trying):
        better = ProviderError(400, "invalid_request_error", "prompt is too long: 3 tokens > 2 maximum")
        trying.exchange.attempts[-1].verdict = Verdict(False, "an answer", error=better)

    with Playbook(hold=5) as play:
        play.on["verdict"] = verdict
        play.client_asks()
        play.advance(5)
        play.server(1).sends(error(500, words="context size exceeded"))
        assert b"prompt is too long" in play.answer.body
        assert b"context size" not in play.answer.body


@pytest.mark.parametrize("failure", [error_event(), START + error_event()])
def test_an_error_as_the_first_event_is_told_in_the_stream(failure):
    with Playbook(hold=5) as play:
        play.client_asks()
        play.advance(5)
        play.server(1).sends(STREAM_HEAD + chunk(failure) + LAST_CHUNK)
        assert play.answer.complete
        assert play.answer.body.count(b"event: error") == 1


def test_json_for_the_stream_is_sent_as_events():
    with Playbook(hold=5) as play:
        play.client_asks()
        play.advance(5)
        play.server(1).sends(answer(200, message()))
        assert play.answer.body.startswith(PING + b"event: message_start")


def test_stream_false_never_gets_an_early_head():
    with Playbook(hold=5) as play:
        play.client_asks(stream=False)
        play.advance(500)
        assert not play.sent_to_client
        play.server(1).sends(error(529))
        assert play.answer.status == 529


def test_pings_while_a_retry_is_waited_for_and_while_connecting():
    with Playbook("one.test", "two.test", hold=5, ping_interval=10) as play:
        play.answers_connects = False
        play.client_asks()
        play.advance(15)
        assert play.answer.body == PING * 2
        play.server(1).refuses()
        play.advance(10)
        assert play.answer.body == PING * 3


def test_a_hook_that_takes_long_delays_the_early_head_but_does_not_lose_it():
    with Playbook(hold=5) as play:
        play.holds.add("attempt")
        play.client_asks()
        play.advance(20)
        play.complete("attempt")
        play.advance(0)
        assert play.answer.body == PING


def test_an_addon_that_refuses_a_later_attempt_is_heard_in_the_stream():
    def adapt(trying):
        play.stand_ins.attempt(trying)
        if trying.attempt.number == 2:
            trying.flow.response = error_response(401, "no credential for this one")

    with Playbook("one.test", "two.test", hold=5) as play:
        play.on["attempt"] = adapt
        play.client_asks()
        play.advance(5)
        play.server(1).sends(error(500))
        play.advance(0)
        assert play.answer.complete
        assert play.answer.body.startswith(PING + b"event: error\n")
        assert b"no credential for this one" in play.answer.body
        assert play.ends == ["response"]


def test_a_target_that_is_skipped_last_is_told_in_the_stream():
    def adapt(trying):
        play.stand_ins.attempt(trying)
        if trying.attempt.number == 2:
            trying.attempt.skip(ProviderError(503, "overloaded_error", "resting"))

    with Playbook("one.test", "two.test", hold=5) as play:
        play.on["attempt"] = adapt
        play.client_asks()
        play.advance(5)
        play.server(1).closes()
        play.advance(0)
        assert b"resting" in play.answer.body
        assert play.answer.complete


def test_without_hold_the_head_comes_at_once():
    with Playbook(hold=0) as play:
        play.client_asks()
        play.advance(0)
        assert play.answer.body == PING
        play.server(1).sends(stream(events()))
        assert play.answer.body == PING + events()


def test_without_pings():
    with Playbook(hold=5, ping_interval=float("inf")) as play:
        play.client_asks()
        play.advance(100)
        assert play.answer.body == PING
        play.server(1).sends(STREAM_HEAD + chunk(START + delta("a")))
        play.advance(100)
        assert play.answer.body == PING + START + delta("a")


def test_a_megabyte_before_any_content_is_no_answer():
    with Playbook("one.test", "two.test") as play:
        play.client_asks()
        play.server(1).sends(STREAM_HEAD, chunk(START))
        for _ in range(17):
            if play.server(1).is_open and not play.server(1).given_up:
                play.server(1).sends(chunk(b": nothing\n\n" * 6000))
        assert play.outcomes == ["invalid"]
        assert play.server(1).given_up
        play.advance(0)
        play.succeeds(2)
