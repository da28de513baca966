"""The attempt loop when nothing goes wrong: what reaches the provider, and what reaches the client."""

import gzip
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http

from addons.proxy.replies import error_response
from tests.proxy.playbook import Playbook
from tests.proxy.provider_bytes import (
    LAST_CHUNK,
    START,
    STREAM_HEAD,
    answer,
    chunk,
    delta,
    error,
    events,
    head,
    message,
    stream,
)
from tests.proxy.stand_ins import MASKED, SECRET

SUCCESS = ["requestheaders", "request", "attempt", "responseheaders", "response"]


def test_json_answer_passes_with_its_own_bytes():
    with Playbook() as play:
        play.client_asks(stream=False)
        play.server(1).sends(answer(200, message(), "x-provider: yes"))
        assert play.answer.status == 200
        assert play.answer.body == message()
        assert play.answer.headers["x-provider"] == "yes"
        assert play.hooks == SUCCESS


def test_streamed_answer_passes_untouched():
    with Playbook() as play:
        play.client_asks()
        play.server(1).sends(stream(events()))
        assert play.answer.body == events()
        assert play.answer.headers["content-type"].startswith("text/event-stream")
        assert play.hooks == SUCCESS


def test_each_event_is_sent_on_as_it_comes():
    with Playbook() as play:
        play.client_asks()
        play.server(1).sends(STREAM_HEAD, chunk(START))
        assert not play.sent_to_client
        play.server(1).sends(chunk(delta("a")))
        assert play.answer.body == START + delta("a")
        play.server(1).sends(chunk(delta("b")))
        assert play.answer.body == START + delta("a") + delta("b")


@given(st.lists(st.integers(0, len(stream(events())))))
def test_the_split_of_a_streamed_answer_does_not_matter(cuts):
    wire = stream(events())
    edges = sorted({0, len(wire), *cuts})
    with Playbook() as play:
        play.client_asks()
        play.server(1).sends(*(wire[a:b] for a, b in pairwise(edges)))
        assert play.answer.body == events()


def test_the_provider_gets_the_real_credential_and_the_flow_keeps_the_masked_one():
    with Playbook() as play:
        play.client_asks()
        (asked,) = play.server(1).asked
        assert asked.headers["authorization"] == f"Bearer {SECRET}"
        assert play.flows[0].request.headers["authorization"] == f"Bearer {MASKED}"


def test_what_addons_change_in_the_draft_is_what_is_sent():
    def adapt(trying):
        play.stand_ins.attempt(trying)
        trying.attempt.draft.set("model", "another")

    with Playbook() as play:
        play.on["attempt"] = adapt
        play.client_asks("h\u00e9")
        (asked,) = play.server(1).asked
        assert b'"model":"another"' in asked.body
        assert b'"content": "h\\u00e9"' in asked.body
        assert int(asked.headers["content-length"]) == len(asked.body)


def test_a_chunked_request_is_sent_with_its_length():
    body = b'{"model": "m", "messages": []}'
    with Playbook() as play:
        play.client_sends(
            b"POST /v1/messages HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n",
            chunk(body[:9]) + chunk(body[9:]),
        )
        assert not play.servers
        play.client_sends(LAST_CHUNK)
        assert play.server(1).asked[0].body == body


def test_a_second_request_uses_the_providers_connection_again():
    with Playbook() as play:
        for number in range(3):
            play.client_asks()
            play.server(1).sends(stream(events(f"answer {number}")))
            assert play.exchange.attempts[0].reused == (number > 0)
        assert [answer.body for answer in play.answers] == [events(f"answer {n}") for n in range(3)]
        assert len(play.servers) == 1


def test_a_connection_that_the_provider_closed_in_between_is_not_used_again():
    with Playbook() as play:
        play.client_asks()
        play.server(1).sends(stream(events()))
        play.server(1).closes()
        play.client_asks()
        play.server(2).sends(stream(events()))
        assert play.exchange.attempts[0].reused is False
        assert play.ends == ["response", "response"]
        assert play.server(1).connection not in play.gateway.connections
        assert play.gateway.used == {play.server(2).connection}


def test_a_hundred_requests_leave_few_timers():
    with Playbook("one.test", "two.test") as play:
        for number in range(100):
            play.client_asks()
            play.advance(0.3)
            play.server(1).sends(error(500) if number % 10 == 0 else stream(events()))
            if number % 10 == 0:
                play.advance(0)
                play.server(2).sends(stream(events()))
            play.advance(0.7)
            assert len(play.wakeups) <= 3
        assert play.ends == ["response"] * 100
        assert len(play.servers) == 2
        assert len(play.gateway.connections) == 3


@pytest.mark.parametrize("stream_it", [True, False])
def test_a_stream_for_a_client_of_http_1_0_ends_with_its_connection(stream_it):
    with Playbook() as play:
        play.client_asks(version="1.0", stream=stream_it)
        play.server(1).sends(stream(events()) if stream_it else answer(200, message()))
        assert "transfer-encoding" not in play.answer.headers
        assert play.answer.body == (events() if stream_it else message())
        assert play.client_is_gone
        assert not play.hung_up
        assert play.server(1).asked


def test_a_client_of_http_1_0_never_gets_an_early_head():
    with Playbook() as play:
        play.client_asks(version="1.0")
        play.advance(30)
        assert not play.sent_to_client
        play.server(1).sends(stream(events()))
        assert play.answer.body == events()


def test_json_for_a_client_that_wants_a_stream_becomes_one():
    with Playbook() as play:
        play.client_asks()
        play.server(1).sends(answer(200, message()))
        assert play.ends == ["response"]
        assert play.answer.body.startswith(b"event: message_start\n")
        assert b'"hello"' in play.answer.body
        assert play.answer.headers["content-type"].startswith("text/event-stream")
        assert "content-length" not in play.answer.headers


def test_a_stream_for_a_client_that_wants_json_becomes_that():
    with Playbook() as play:
        play.client_asks(stream=False)
        play.server(1).sends(stream(events()))
        assert b'"text":"hello"' in play.answer.body
        assert play.answer.headers["content-type"] == "application/json"
        assert play.answer.headers["content-length"] == str(len(play.answer.body))
        assert "transfer-encoding" not in play.answer.headers


def test_a_compressed_answer_is_unpacked():
    body = gzip.compress(message())
    with Playbook() as play:
        play.client_asks(stream=False)
        play.server(1).sends(answer(200, body, "content-encoding: gzip"))
        assert play.answer.body == message()
        assert "content-encoding" not in play.answer.headers


def test_an_answer_that_ends_with_its_connection():
    with Playbook() as play:
        play.client_asks()
        play.server(1).sends(head(200, "content-type: text/event-stream") + events())
        assert not play.ends
        play.server(1).closes()
        assert play.answer.body == events()
        play.client_asks()
        assert len(play.servers) == 2


def test_an_addon_that_knows_the_answer_saves_the_question():
    def adapt(trying):
        trying.flow.response = http.Response.make(200, b'{"input_tokens": 5}')

    with Playbook() as play:
        play.on["attempt"] = adapt
        play.client_asks(stream=False)
        assert play.answer.body == b'{"input_tokens": 5}'
        assert play.hooks == ["requestheaders", "request", "attempt", "response"]
        assert not play.servers


@pytest.mark.parametrize("wait", [0, 5])
@pytest.mark.parametrize("stream_it", [True, False])
def test_a_connection_that_the_client_wants_closed_is_closed(stream_it, wait):
    with Playbook(hold=5) as play:
        play.client_asks("hi", "Connection: close", stream=stream_it)
        play.advance(wait)
        play.server(1).sends(stream(events()) if stream_it else answer(200, message()))
        assert play.answer.headers["connection"] == "close"
        assert "connection" not in play.server(1).asked[0].headers
        assert play.client_is_gone
        assert not play.hung_up
        assert not play.server(1).given_up, "what the client wants is not what the provider gets"


def test_what_a_provider_says_of_its_connection_is_not_said_of_the_clients():
    lines = ("Connection: close", "Keep-Alive: timeout=5")
    with Playbook() as play:
        play.client_asks(stream=False)
        play.server(1).sends(answer(200, message(), *lines))
        assert play.server(1).given_up
        play.client_asks()
        play.server(2).sends(head(200, "transfer-encoding: chunked", *lines) + chunk(events()) + LAST_CHUNK)
        for got in play.answers:
            assert not {"connection", "keep-alive"} & set(got.headers)
        assert not play.client_is_gone


@pytest.mark.parametrize("stream_it", [True, False])
def test_a_provider_of_http_1_0_is_of_no_concern_to_the_client(stream_it):
    with Playbook() as play:
        play.client_asks(stream=stream_it)
        wire = head(200) + (events() if stream_it else message())
        play.server(1).sends(wire.replace(b"HTTP/1.1", b"HTTP/1.0"))
        play.server(1).closes()
        assert play.sent_to_client.startswith(b"HTTP/1.1 200 ")
        assert play.answer.body == (events() if stream_it else message())
        assert not play.client_is_gone


def test_an_answer_to_head_has_no_body():
    with Playbook() as play:
        play.on["request"] = lambda flow: setattr(flow, "response", http.Response.make(200, b"the body"))
        play.client_sends(b"HEAD / HTTP/1.1\r\nHost: g\r\n\r\n")
        assert play.sent_to_client.endswith(b"\r\n\r\n")
        assert play.answer.status == 200


def test_the_body_is_kept_once():
    with Playbook() as play:
        play.client_asks()
        assert not play.under_way.body_parts


def test_the_flow_knows_its_times():
    with Playbook() as play:
        play.client_asks()
        assert play.flows[0].request.timestamp_end
        play.advance(1)
        play.server(1).sends(STREAM_HEAD)
        play.advance(1)
        play.server(1).sends(chunk(START))
        play.advance(1)
        play.server(1).sends(chunk(events()[len(START) :]) + LAST_CHUNK)
        response, attempt = play.flows[0].response, play.exchange.attempts[0]
        assert response
        assert response.timestamp_start
        assert response.timestamp_end
        assert attempt.first_event == attempt.started + 2
        assert attempt.ended == attempt.started + 3
        assert attempt.status == 200
        play.client_asks(stream=False)
        play.advance(1)
        play.server(1).sends(answer(200, message()))
        assert play.exchange.attempts[0].ended == play.exchange.started + 1


def test_an_addon_that_answers_the_request_saves_the_attempt():
    def request(flow):
        flow.response = error_response(404, "no route")

    with Playbook() as play:
        play.on["request"] = request
        play.client_asks()
        assert play.answer.status == 404
        assert play.hooks == ["requestheaders", "request", "responseheaders", "response"]
        assert not play.servers


def test_a_request_that_lost_its_state_gets_an_answer():
    with Playbook() as play:
        play.on["requestheaders"] = play.on["request"] = play.on["responseheaders"] = lambda flow: None
        play.client_asks()
        assert play.answer.status == 500
        assert not play.servers


@pytest.mark.parametrize(("kept", "content"), [(False, None), (True, events())])
def test_streamed_bodies_are_kept_when_mitmproxy_is_asked_to(kept, content):
    with Playbook() as play:
        play.context.options.update(store_streamed_bodies=kept)
        play.client_asks()
        play.server(1).sends(stream(events()))
        response = play.flows[0].response
        assert response
        assert response.stream
        assert response.raw_content == content


@given(
    interim=st.lists(
        st.sampled_from([head(100), head(102, "x: y"), head(103, "link: </a>", "link: </b>")]), max_size=3
    ),
    cuts=st.sets(st.integers(1, 300)),
)
def test_interim_responses_are_passed_over(interim: list[bytes], cuts: set[int]):
    with Playbook() as play:
        play.client_asks(stream=False)
        data = b"".join(interim) + answer(200, message())
        ends = sorted(cut for cut in cuts if cut < len(data))
        play.server(1).sends(*(data[start:end] for start, end in pairwise([0, *ends, len(data)])))
        assert (play.answer.status, play.answer.body) == (200, message())
        play.client_asks(stream=False)
        play.server(1).sends(answer(200, message("second")))
        assert play.answers[-1].body == message("second")


def test_an_upgrade_that_nobody_asked_for_is_no_answer():
    with Playbook("one", "two") as play:
        play.client_asks(stream=False)
        play.server(1).sends(head(101, "upgrade: websocket", "connection: upgrade"))
        assert play.outcomes[0] == "invalid"


def test_a_head_that_never_ends_is_a_broken_connection():
    with Playbook("one", "two") as play:
        play.client_asks(stream=False)
        play.server(1).sends(b"HTTP/1.1 200 OK\r\n", *[b"x: " + b"y" * 10_000 + b"\r\n"] * 7)
        assert play.outcomes[0] == "dropped"
        assert play.server(1).given_up
