"""The attempt loop when a target fails and the client has no content yet: what is tried, when and where.

stream.py is tested here too.
"""

import gzip

import pytest

from addons.state.attempt import Outcome, Verdict
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
    encode,
    error,
    error_event,
    events,
    head,
    stream,
)
from tests.proxy.stand_ins import again


class TestHttpErrors:
    def test_same_connection_after_a_429(self):
        with Playbook() as play:
            play.client_asks()
            play.server(1).sends(error(429))
            assert len(play.server(1).asked) == 1, "never from inside the event that ended the last response"
            play.advance(0)
            assert len(play.server(1).asked) == 2
            assert play.exchange.attempts[1].reused
            play.succeeds(1)
            assert len(play.servers) == 1
            assert play.outcomes == ["status", None]

    def test_each_try_is_sent_the_whole_body(self):
        with Playbook() as play:
            play.client_asks("a long text")
            sent = play.server(1).asked[0].body
            assert b"a long text" in sent
            play.server(1).sends(error(429))
            play.advance(0)
            play.server(1).sends(error(429))
            play.advance(0)
            assert {asked.body for asked in play.server(1).asked} == {sent}
            assert play.outcomes == ["status", "status", None]

    def test_a_delay_is_waited_for(self):
        with Playbook() as play:
            play.on["verdict"] = again(2.5)
            play.client_asks()
            play.server(1).sends(error(500))
            play.advance(2.4)
            assert len(play.server(1).asked) == 1
            play.advance(0.1)
            play.succeeds(1)

    def test_the_time_limit_of_what_has_failed_is_over_with_it(self):
        with Playbook(first_byte_timeout=30) as play:
            play.on["verdict"] = again(10)
            play.client_asks()
            play.advance(29)
            play.server(1).sends(error(500))
            play.advance(9)
            assert play.outcomes == ["status"]
            play.advance(29)
            assert play.outcomes == ["status", None]
            assert play.hooks.count("verdict") == 1

    def test_a_timer_that_fires_a_hair_early_is_good_enough(self):
        with Playbook() as play:
            play.on["verdict"] = again(2.5)
            play.client_asks()
            play.server(1).sends(error(500))
            play.advance(2.5, early=0.0009)
            play.succeeds(1)

    def test_other_host_after_a_500(self):
        with Playbook("one.test", "two.test") as play:
            play.client_asks()
            play.server(1).sends(error(500))
            play.advance(0)
            assert play.server(2).host == "two.test"
            assert not play.server(1).given_up, "its answer was read to the end: it can serve again"
            play.succeeds(2)

    def test_the_verdict_sees_the_whole_error(self):
        seen = []
        with Playbook() as play:
            play.on["verdict"] = lambda trying: seen.append(trying.attempt.outcome)
            play.client_asks()
            body = error(503, "overloaded_error", "come back later", "Retry-After: 3")
            play.server(1).sends(body[:60], body[60:-3])
            assert not seen
            play.server(1).sends(body[-3:])
            (outcome,) = seen
            assert outcome.error == ProviderError(503, "overloaded_error", "come back later")
            assert outcome.headers["retry-after"] == "3"
            assert outcome.complete

    def test_the_last_error_is_the_answer(self):
        with Playbook("one.test", "two.test") as play:
            play.client_asks()
            play.server(1).sends(error(500, words="first"))
            play.advance(0)
            play.server(2).sends(error(503, words="last"))
            assert play.answer.status == 503
            assert b"last" in play.answer.body
            assert play.ends == ["response"]

    def test_an_endless_error_is_cut(self):
        with Playbook("one.test", "two.test") as play:
            play.client_asks()
            play.server(1).sends(head(500, "transfer-encoding: chunked"))
            for _ in range(20):
                if not play.server(1).given_up:
                    play.server(1).sends(chunk(b"x" * 100_000))
            assert play.server(1).given_up
            play.advance(0)
            play.succeeds(2)
            assert play.outcomes == ["invalid", None]

    def test_an_error_whose_body_never_comes(self):
        with Playbook("one.test", "two.test", first_byte_timeout=30) as play:
            play.client_asks(stream=False)
            play.advance(1)
            play.server(1).sends(head(500, "content-length: 10"))
            play.advance(700)
            assert play.server(1).given_up
            assert play.outcomes == ["timeout", None]

    def test_an_answer_that_is_not_valid_http(self):
        with Playbook("one.test", "two.test") as play:
            play.client_asks()
            play.server(1).sends(head(200, "b\u00e4d: 1") + chunk(events()) + LAST_CHUNK)
            play.advance(0)
            assert play.server(1).given_up
            play.succeeds(2)
            assert play.outcomes == ["invalid", None]

    def test_bytes_that_are_no_http(self):
        with Playbook("one.test", "two.test") as play:
            play.client_asks()
            play.server(1).sends(b"SSH-2.0-OpenSSH\r\n\r\n")
            play.advance(0)
            play.succeeds(2)
            assert play.outcomes == ["dropped", None]
            assert "SSH" not in play.failure(1).error.message

    def test_a_success_that_nobody_can_read(self):
        def responseheaders(flow):
            play.stand_ins.responseheaders(flow)
            if len(play.exchange.attempts) == 1:
                play.exchange.attempts[0].answer = None
                play.exchange.attempts[0].outcome = Outcome("invalid", ProviderError(502, "api_error", "?"))

        with Playbook("one.test", "two.test") as play:
            play.on["responseheaders"] = responseheaders
            play.client_asks()
            play.server(1).sends(stream(events()))
            play.advance(0)
            assert play.server(1).given_up
            play.succeeds(2)


@pytest.mark.parametrize(("encode_it", "words"), [(gzip.compress, "their words"), (bytes, "")])
def test_a_compressed_error_is_read_where_it_can_be(encode_it, words):
    body = encode_it(encode({"error": {"message": "their words"}}))
    with Playbook() as play:
        play.client_asks()
        play.server(1).sends(answer(500, body, "content-encoding: gzip"))
        assert words in play.failure(1).error.message
        assert play.answer.status == 500
        assert "content-encoding" not in play.answer.headers


class TestFirstEvents:
    @pytest.mark.parametrize("before", [b"", START, START + PING])
    @pytest.mark.parametrize("rest", [b"", LAST_CHUNK, chunk(delta("late")) + LAST_CHUNK, b"broken\r\n"])
    def test_an_error_as_the_first_event_under_a_200(self, before, rest):
        """What else is in the same read of the socket belongs to the attempt that is over."""
        with Playbook("one.test", "two.test") as play:
            play.client_asks()
            play.server(1).sends(STREAM_HEAD + chunk(before + error_event()) + rest)
            play.advance(0)
            assert play.server(1).given_up
            assert b"Overloaded" not in play.sent_to_client
            play.succeeds(2)
            assert play.outcomes == ["error event", None]
            assert play.failure(1).error.status == 529

    @pytest.mark.parametrize("rest", [b"", LAST_CHUNK, chunk(delta("late")) + LAST_CHUNK, b"broken\r\n"])
    def test_an_error_as_the_first_event_with_nothing_left_to_try(self, rest):
        with Playbook() as play:
            play.client_asks()
            play.server(1).sends(STREAM_HEAD + chunk(error_event()) + rest)
            assert play.answer.status == 529
            assert b"Overloaded" in play.answer.body
            assert play.ends == ["response"]
            play.client_asks()
            play.succeeds(2)

    @pytest.mark.parametrize("sent", [b"", START, PING, START + PING])
    def test_an_end_without_content(self, sent):
        with Playbook("one.test", "two.test") as play:
            play.client_asks()
            play.server(1).sends(STREAM_HEAD + (chunk(sent) if sent else b"") + LAST_CHUNK)
            play.advance(0)
            play.succeeds(2)
            assert not play.server(1).given_up
            assert play.outcomes == ["invalid", None]

    def test_an_error_object_under_a_200(self):
        with Playbook("one.test", "two.test") as play:
            play.client_asks()
            play.server(1).sends(answer(200, encode({"error": {"message": "quota", "code": 429}})))
            play.advance(0)
            assert play.outcomes[0] == "error event"
            assert play.failure(1).error.status == 429
            assert play.failure(1).complete
            play.succeeds(1)


class TestSkip:
    def test_leads_to_the_verdict_without_a_connection(self):
        def adapt(trying):
            play.stand_ins.attempt(trying)
            if trying.attempt.number == 1:
                trying.attempt.skip(ProviderError(429, "rate_limit_error", "all tokens rest"))

        with Playbook("one.test", "two.test") as play:
            play.on["attempt"] = adapt
            play.client_asks()
            assert not play.servers
            assert play.outcomes == ["skipped"]
            play.advance(0)
            play.advance(0)
            assert play.server(1).host == "one.test"
            play.succeeds(1)

    def test_of_all_targets(self):
        def adapt(trying):
            trying.attempt.skip(ProviderError(429, "rate_limit_error", "all tokens rest"))

        with Playbook() as play:
            play.on["attempt"] = adapt
            play.client_asks()
            for _ in range(5):
                play.advance(0)
            assert play.answer.status == 429
            assert play.outcomes == ["skipped"] * 3
            assert not play.servers


@pytest.mark.parametrize("framing", ["length", "chunks", "gzip"])
def test_a_verdict_may_leave_the_providers_own_error_as_it_is(framing):
    body = encode({"type": "error", "error": {"type": "invalid_request_error", "message": "their words"}})
    with Playbook() as play:
        play.on["verdict"] = lambda trying: setattr(trying.attempt, "verdict", Verdict(False, "an answer"))
        play.client_asks()
        if framing == "length":
            play.server(1).sends(answer(400, body))
        elif framing == "gzip":
            play.server(1).sends(answer(400, gzip.compress(body), "content-encoding: gzip"))
        else:
            play.server(1).sends(head(400, "transfer-encoding: chunked") + chunk(body) + LAST_CHUNK)
        assert play.answer.status == 400
        assert play.answer.body == body
        assert play.exchange.attempts[0].ended == play.clock.now


def test_a_verdict_may_leave_everything_to_the_loop():
    with Playbook() as play:
        play.on["verdict"] = lambda trying: setattr(trying.attempt, "verdict", Verdict(False, "no more"))
        play.client_asks()
        play.server(1).closes()
        assert play.answer.status == 502
        assert b"connection broke" in play.answer.body


def test_without_a_verdict_an_error_is_the_gateways_own():
    with Playbook() as play:
        play.on["verdict"] = lambda trying: None
        play.client_asks()
        play.server(1).sends(answer(500, b"<html>their words</html>"))
        assert play.answer.status == 500
        assert b'"type":"error"' in play.answer.body
        assert b"their words" in play.answer.body
        assert play.answer.headers["request-id"] == "req_1"


def test_without_a_verdict_the_failure_is_the_answer():
    """An addon that crashed must not leave the client with a provider's half answer."""
    with Playbook() as play:
        play.on["verdict"] = lambda trying: None
        play.client_asks()
        play.server(1).sends(STREAM_HEAD + chunk(START))
        play.server(1).closes()
        assert play.answer.status == 502
        assert b'"type":"error"' in play.answer.body


def test_six_failures_of_every_kind_and_then_an_answer():
    hosts = [f"{name}.test" for name in ("refused", "silent", "dropped", "error", "first", "late", "good")]
    with Playbook(*hosts, first_byte_timeout=30) as play:
        play.answers_connects = False
        play.client_asks()
        play.server(1).refuses()
        play.advance(0)
        play.server(2).connects()
        play.advance(30)
        play.server(3).connects()
        play.server(3).closes()
        play.advance(0)
        play.server(4).connects()
        play.server(4).sends(error(500))
        play.advance(0)
        play.server(5).connects()
        play.server(5).sends(STREAM_HEAD + chunk(error_event()))
        play.advance(0)
        play.server(6).connects()
        play.server(6).sends(STREAM_HEAD + chunk(START + error_event()))
        play.advance(0)
        play.server(7).connects()
        play.server(7).sends(stream(events("the answer")))
        assert play.answer.body.endswith(events("the answer"))
        assert play.outcomes == ["connect", "timeout", "dropped", "status", "error event", "error event", None]
        assert play.ends == ["response"]
