"""The attempt loop when a provider says nothing: in connecting, before its headers, before its first event."""

import pytest

from tests.proxy.playbook import Playbook
from tests.proxy.provider_bytes import (
    LAST_CHUNK,
    PING,
    START,
    STREAM_HEAD,
    chunk,
    error_event,
    events,
    head,
)
from tests.proxy.stand_ins import again

NEVER = float("inf")


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
            play.succeeds(2)

    @pytest.mark.parametrize("split", [1, 7, 1000])
    @pytest.mark.parametrize("sign_of_life", [b"", PING, b'data: {"type": "ping"}\n\n', b": still here\n\n"])
    def test_an_event_is_but_a_ping_or_a_comment_is_not(self, sign_of_life, split):
        with Playbook(first_byte_timeout=30, answer_timeout=100, hold=NEVER) as play:
            play.client_asks()
            play.advance(29)
            play.server(1).sends(STREAM_HEAD + chunk(START))
            play.advance(99)
            if sign_of_life:
                play.server(1).sends(*(chunk(part) for part in (sign_of_life[:split], sign_of_life[split:]) if part))
            assert play.outcomes == [None]
            play.advance(1)
            assert play.outcomes == ["timeout"]
            assert play.answer.status == 504

    def test_the_same_host_is_asked_on_a_new_connection(self):
        with Playbook(first_byte_timeout=30, hold=NEVER) as play:
            play.on["verdict"] = again()
            play.ends_promptly = False
            play.client_asks()
            play.advance(30)
            assert len(play.servers) == 2
            play.succeeds(2)
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
            play.succeeds(1)
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
            play.succeeds(2)

    @pytest.mark.parametrize("late", ["ends", "connects", "refuses"])
    @pytest.mark.parametrize("when", ["before", "while", "after"])
    def test_what_comes_of_the_old_connection_is_swallowed(self, late, when):
        with Playbook(first_byte_timeout=30, hold=NEVER) as play:
            play.on["verdict"] = again(1.0)
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
            play.succeeds(2)
