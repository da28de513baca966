"""The attempt loop when a connection can't be had, or ends too early: another one is opened, there or elsewhere.

provider_connection.py and stream_layer.py are tested here too.
"""

import pytest

from tests.proxy.playbook import Playbook
from tests.proxy.provider_bytes import (
    PING,
    START,
    STREAM_HEAD,
    answer,
    chunk,
    head,
)
from tests.proxy.stand_ins import again


class TestConnections:
    def test_refused_then_again_later(self):
        """mitmproxy remembers `connection.error` and would answer with it for ever."""
        with Playbook() as play:
            play.on["verdict"] = again(0.5)
            play.answers_connects = False
            play.client_asks()
            play.server(1).refuses()
            assert play.outcomes == ["connect"]
            play.advance(0.5)
            play.server(2).refuses()
            play.advance(0.5)
            play.server(3).connects()
            play.succeeds(3)
            assert len(play.gateway.connections) == 2, "connections that never were are not kept"

    def test_refused_then_the_next_request(self):
        with Playbook() as play:
            play.answers_connects = False
            play.client_asks()
            play.server(1).refuses()
            assert play.answers[0].status == 502
            play.client_asks()
            play.server(2).connects()
            play.succeeds(2)

    def test_dropped_before_headers(self):
        with Playbook("one.test", "two.test") as play:
            play.client_asks()
            play.server(1).closes()
            play.advance(0)
            play.succeeds(2)
            assert play.outcomes == ["dropped", None]
            assert "server closed connection" in play.failure(1).error.message

    def test_dropped_inside_the_headers(self):
        with Playbook() as play:
            play.on["verdict"] = again()
            play.client_asks()
            play.server(1).sends(STREAM_HEAD[:30])
            play.server(1).closes()
            play.advance(0)
            play.succeeds(2)
            assert "HTTP/1.1" not in play.failure(1).error.message

    @pytest.mark.parametrize("sent", [b"", chunk(START), chunk(START + PING), chunk(START + PING)[:-4]])
    def test_dropped_after_headers_before_content(self, sent):
        with Playbook("one.test", "two.test") as play:
            play.client_asks()
            play.server(1).sends(STREAM_HEAD + sent)
            play.server(1).closes()
            play.advance(0)
            play.succeeds(2)

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
            play.on["verdict"] = again()
            play.client_asks()
            play.succeeds(1)
            play.client_asks()
            play.server(1).closes()
            assert play.exchange.attempts[0].reused
            play.advance(0)
            play.succeeds(2)
