"""The attempt loop when a target fails and the client has no content yet: what is tried, when and where."""

import pytest

from addons.state import Outcome, Verdict
from addons.wire.errors import ProviderError
from tests.playbook import Playbook
from tests.provider_bytes import (
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

NEVER = float("inf")


def succeed(play: Playbook, number: int) -> None:
    """The connection's provider streams an answer, and the client gets just that."""
    play.server(number).sends(stream(events("the answer")))
    assert play.answers[-1].status == 200
    assert play.answers[-1].body == events("the answer")


def again(play: Playbook, delay: float = 0.0) -> None:
    """Let the verdict be: the same target once more."""
    play.on["verdict"] = lambda trying: setattr(trying.exchange, "verdict", Verdict(True, "again", delay))


class TestHttpErrors:
    def test_same_connection_after_a_429(self):
        with Playbook() as play:
            play.client_asks()
            play.server(1).sends(error(429))
            assert len(play.server(1).asked) == 1, "never from inside the event that ended the last response"
            play.advance(0)
            assert len(play.server(1).asked) == 2
            assert play.exchange.attempts[1].reused
            succeed(play, 1)
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
            again(play, 2.5)
            play.client_asks()
            play.server(1).sends(error(500))
            play.advance(2.4)
            assert len(play.server(1).asked) == 1
            play.advance(0.1)
            succeed(play, 1)

    def test_a_timer_that_fires_a_hair_early_is_good_enough(self):
        with Playbook() as play:
            again(play, 2.5)
            play.client_asks()
            play.server(1).sends(error(500))
            play.advance(2.5, early=0.0009)
            succeed(play, 1)

    def test_other_host_after_a_500(self):
        with Playbook("one.test", "two.test") as play:
            play.client_asks()
            play.server(1).sends(error(500))
            play.advance(0)
            assert play.server(2).host == "two.test"
            assert not play.server(1).given_up, "its answer was read to the end: it can serve again"
            succeed(play, 2)

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
            succeed(play, 2)
            assert play.outcomes == ["invalid", None]

    def test_an_error_whose_body_never_comes(self):
        with Playbook("one.test", "two.test", first_byte_timeout=30) as play:
            play.client_asks(stream=False)
            play.advance(1)
            play.server(1).sends(head(500, "content-length: 10"))
            play.advance(700)
            assert play.server(1).given_up
            assert play.outcomes == ["timeout", None]

    @pytest.mark.parametrize("lines", [("content-length: 1", "transfer-encoding: chunked"), ("b\u00e4d: 1",)])
    def test_an_answer_that_is_not_valid_http(self, lines):
        with Playbook("one.test", "two.test") as play:
            play.client_asks()
            play.server(1).sends(head(200, *lines) + chunk(events()) + LAST_CHUNK)
            play.advance(0)
            assert play.server(1).given_up
            succeed(play, 2)
            assert play.outcomes == ["invalid", None]

    def test_bytes_that_are_no_http(self):
        with Playbook("one.test", "two.test") as play:
            play.client_asks()
            play.server(1).sends(b"SSH-2.0-OpenSSH\r\n\r\n")
            play.advance(0)
            succeed(play, 2)
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
            succeed(play, 2)


class TestConnections:
    def test_refused_then_again_later(self):
        """mitmproxy remembers `connection.error` and would answer with it for ever."""
        with Playbook() as play:
            again(play, 0.5)
            play.answers_connects = False
            play.client_asks()
            play.server(1).refuses()
            assert play.outcomes == ["connect"]
            play.advance(0.5)
            play.server(2).refuses()
            play.advance(0.5)
            play.server(3).connects()
            succeed(play, 3)
            assert len(play.gateway.connections) == 2, "connections that never were are not kept"

    def test_refused_then_the_next_request(self):
        with Playbook() as play:
            play.answers_connects = False
            play.client_asks()
            play.server(1).refuses()
            assert play.answers[0].status == 502
            play.client_asks()
            play.server(2).connects()
            succeed(play, 2)

    def test_dropped_before_headers(self):
        with Playbook("one.test", "two.test") as play:
            play.client_asks()
            play.server(1).closes()
            play.advance(0)
            succeed(play, 2)
            assert play.outcomes == ["dropped", None]

    def test_dropped_inside_the_headers(self):
        with Playbook() as play:
            again(play)
            play.client_asks()
            play.server(1).sends(STREAM_HEAD[:30])
            play.server(1).closes()
            play.advance(0)
            succeed(play, 2)
            assert "HTTP/1.1" not in play.failure(1).error.message

    @pytest.mark.parametrize("sent", [b"", chunk(START), chunk(START + PING), chunk(START + PING)[:-4]])
    def test_dropped_after_headers_before_content(self, sent):
        with Playbook("one.test", "two.test") as play:
            play.client_asks()
            play.server(1).sends(STREAM_HEAD + sent)
            play.server(1).closes()
            play.advance(0)
            succeed(play, 2)

    def test_a_json_answer_that_breaks_off(self):
        with Playbook("one.test", "two.test") as play:
            play.client_asks(stream=False)
            play.server(1).sends(head(200, "content-length: 100") + b'{"type": "mess')
            play.server(1).closes()
            play.advance(0)
            play.server(2).sends(answer(200, b'{"type": "message", "content": []}'))
            assert play.answer.status == 200
            assert play.outcomes == ["dropped", None]

    def test_dropped_with_nothing_left_to_try(self):
        with Playbook() as play:
            play.client_asks()
            play.server(1).sends(STREAM_HEAD + chunk(START))
            play.server(1).closes()
            assert play.answer.status == 502
            assert play.ends == ["response"]

    def test_a_reused_connection_that_died_of_age(self):
        with Playbook() as play:
            again(play)
            play.client_asks()
            succeed(play, 1)
            play.client_asks()
            play.server(1).closes()
            assert play.exchange.attempts[0].reused
            play.advance(0)
            succeed(play, 2)


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
            succeed(play, 2)
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
            succeed(play, 2)

    @pytest.mark.parametrize("sent", [b"", START, PING, START + PING])
    def test_an_end_without_content(self, sent):
        with Playbook("one.test", "two.test") as play:
            play.client_asks()
            play.server(1).sends(STREAM_HEAD + (chunk(sent) if sent else b"") + LAST_CHUNK)
            play.advance(0)
            succeed(play, 2)
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
            succeed(play, 1)


class TestSilence:
    def test_hang_before_headers(self):
        """The connection is closed, and what still comes of it concerns nobody."""
        with Playbook("one.test", "two.test", first_byte_timeout=30, hold=NEVER) as play:
            play.ends_promptly = False
            play.client_asks()
            play.advance(29)
            assert not play.server(1).given_up
            play.advance(1)
            assert play.server(1).given_up
            play.server(1).sends(STREAM_HEAD + chunk(error_event()))
            play.server(2).sends(STREAM_HEAD)
            play.server(1).ends()
            play.server(2).sends(chunk(events("the answer")) + LAST_CHUNK)
            assert play.answer.body == events("the answer")
            assert play.outcomes == ["timeout", None]

    def test_headers_alone_are_no_sign_of_life(self):
        with Playbook("one.test", "two.test", first_byte_timeout=30, hold=NEVER) as play:
            play.client_asks()
            play.advance(29)
            play.server(1).sends(STREAM_HEAD)
            play.advance(1)
            assert play.server(1).given_up
            play.advance(0)
            succeed(play, 2)

    def test_an_event_is(self):
        with Playbook(first_byte_timeout=30, answer_timeout=100, hold=NEVER) as play:
            play.client_asks()
            play.advance(29)
            play.server(1).sends(STREAM_HEAD + chunk(START))
            for _ in range(10):
                play.advance(99)
                play.server(1).sends(chunk(PING))
            assert play.outcomes == [None]
            play.advance(101)
            assert play.outcomes == ["timeout"]
            assert play.answer.status == 504

    def test_the_same_host_is_asked_on_a_new_connection(self):
        with Playbook(first_byte_timeout=30, hold=NEVER) as play:
            again(play)
            play.ends_promptly = False
            play.client_asks()
            play.advance(30)
            assert len(play.servers) == 2
            succeed(play, 2)
            play.server(1).ends()

    def test_a_whole_json_answer_has_its_own_limit(self):
        with Playbook(first_byte_timeout=30, answer_timeout=100) as play:
            play.client_asks(stream=False)
            play.advance(99)
            play.server(1).sends(head(200, "content-length: 100") + b"{")
            assert play.outcomes == [None]
            play.advance(1)
            assert play.answer.status == 504
            assert play.server(1).given_up

    def test_no_limit(self):
        with Playbook(first_byte_timeout=NEVER, answer_timeout=NEVER) as play:
            play.client_asks(stream=False)
            play.advance(50_000)
            assert play.outcomes == [None]

    def test_a_stale_timer_does_no_harm(self):
        with Playbook(first_byte_timeout=30, hold=NEVER) as play:
            play.client_asks()
            play.advance(29)
            succeed(play, 1)
            play.client_asks()
            play.advance(29)
            assert play.outcomes == [None]
            play.advance(1)
            assert play.outcomes == ["timeout"]


class TestSilenceWhileConnecting:
    @pytest.mark.parametrize("hosts", [("one.test", "two.test"), ("one.test", "one.test")])
    def test_the_limit_holds_and_a_new_connection_is_opened(self, hosts):
        with Playbook(*hosts, first_byte_timeout=30, hold=NEVER) as play:
            play.answers_connects = play.ends_promptly = False
            play.client_asks()
            play.advance(30)
            assert play.server(1).given_up
            assert play.outcomes == ["timeout", None]
            play.server(2).connects()
            succeed(play, 2)

    @pytest.mark.parametrize("late", ["ends", "connects", "refuses"])
    @pytest.mark.parametrize("when", ["before", "while", "after"])
    def test_what_comes_of_the_old_connection_is_swallowed(self, late, when):
        with Playbook(first_byte_timeout=30, hold=NEVER) as play:
            again(play, 1.0)
            play.answers_connects = play.ends_promptly = False
            play.client_asks()
            play.advance(30)
            if when == "before":
                getattr(play.server(1), late)()
            play.advance(1)
            assert len(play.servers) == 2, "a connection that was given up is never used"
            if when == "while":
                getattr(play.server(1), late)()
            play.server(2).connects()
            play.server(2).sends(STREAM_HEAD)
            if when == "after":
                getattr(play.server(1), late)()
            play.server(2).sends(chunk(events("the answer")) + LAST_CHUNK)
            assert play.answer.body == events("the answer")
            assert not play.server(1).received

    def test_nothing_left_to_try(self):
        with Playbook(first_byte_timeout=30, hold=NEVER) as play:
            play.answers_connects = False
            play.client_asks()
            play.advance(30)
            assert play.answer.status == 504
            play.client_asks()
            play.server(2).connects()
            succeed(play, 2)


class TestSkip:
    def test_leads_to_the_verdict_without_a_connection(self):
        def adapt(trying):
            play.stand_ins.attempt(trying)
            if trying.attempt.number == 1:
                trying.attempt.skip = ProviderError(429, "rate_limit_error", "all tokens rest")

        with Playbook("one.test", "two.test") as play:
            play.on["attempt"] = adapt
            play.client_asks()
            assert not play.servers
            assert play.outcomes == ["skipped"]
            play.advance(0)
            play.advance(0)
            assert play.server(1).host == "one.test"
            succeed(play, 1)

    def test_of_all_targets(self):
        def adapt(trying):
            trying.attempt.skip = ProviderError(429, "rate_limit_error", "all tokens rest")

        with Playbook() as play:
            play.on["attempt"] = adapt
            play.client_asks()
            for _ in range(5):
                play.advance(0)
            assert play.answer.status == 429
            assert play.outcomes == ["skipped"] * 3
            assert not play.servers


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
