"""The end of an answer waits until its tool calls are judged: a state of the stream, in every order of events."""

from __future__ import annotations

import json

import pytest
from mitmproxy import http

from addons.state.exchange import Trying, exchange_of
from addons.wire import limits
from addons.wire.messages.answer import MessagesAnswer, Rewrite, rewrite_message
from addons.wire.messages.assembler import message_events
from addons.wire.messages.body import RequestBody
from addons.wire.safeguards.held_answer import HeldAnswer
from addons.wire.safeguards.judging import Check
from tests.proxy.playbook import Playbook
from tests.proxy.provider_bytes import LAST_CHUNK, PING, STREAM_HEAD, answer, chunk, error_event, message, stream

CALL = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}}],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 7, "output_tokens": 9},
}
EVENTS = message_events(CALL)
BEGINNING, ENDING = b"".join(EVENTS[:-2]), b"".join(EVENTS[-2:])
VERDICT = message(json.dumps({"verdicts": [{"call": 1, "verdict": "safe", "reason": "lists"}]}))
REWRITE = Rewrite(provider="one", is_anthropic=False, strip_thinking=False)


def in_auto_mode(play: Playbook, timeout: float = 30) -> None:
    """The client asks for verdicts."""
    attempt, headers = play.on["attempt"], play.on["responseheaders"]

    def tries(trying: Trying) -> None:
        attempt(trying)
        if trying.exchange.own is None:
            body = trying.exchange.body or RequestBody.parse(b"{}")
            trying.attempt.check = Check("same", timeout, {}, body)

    def reads(flow: http.HTTPFlow) -> None:
        headers(flow)
        exchange = exchange_of(flow)
        if exchange and exchange.attempt and exchange.attempt.answer and exchange.attempt.check:
            exchange.attempt.answer = HeldAnswer(
                stream=exchange.stream,
                events=MessagesAnswer(REWRITE),
                complete=lambda body: rewrite_message(body, REWRITE),
            )

    play.on.update(attempt=tries, responseheaders=reads)


def test_everything_but_the_end_goes_on_at_once_and_the_connection_serves_the_judge() -> None:
    with Playbook() as play:
        in_auto_mode(play)
        play.client_asks()
        play.server(1).sends(stream(b"".join(EVENTS)))
        assert play.answer.body == BEGINNING
        assert not play.ended
        assert len(play.servers) == 1
        assert play.server(1).received.count(b"POST /v1/messages") == 2
        play.server(1).sends(answer(200, VERDICT))
        assert b'"outcome":"not_flagged"' in play.answer.body
        assert play.answer.body.endswith(EVENTS[-1])
        assert play.ends == ["response"]
        assert [line.what for line in play.exchange.trail][-1] == "tool calls judged: not_flagged Bash"


def test_whole_answers_wait_too() -> None:
    with Playbook() as play:
        in_auto_mode(play)
        play.client_asks(stream=False)
        play.server(1).sends(answer(200, json.dumps(CALL).encode()))
        assert not play.answers
        play.server(1).sends(answer(200, VERDICT))
        body = json.loads(play.answer.body)
        assert body["safeguard_results"][0]["status"]["tool_uses"]["toolu_1"]["outcome"] == "not_flagged"
        assert body["content"] == CALL["content"]


def test_pings_go_on_while_the_judge_thinks() -> None:
    with Playbook(ping_interval=10) as play:
        in_auto_mode(play)
        play.client_asks()
        play.server(1).sends(stream(b"".join(EVENTS)))
        play.advance(25)
        assert play.answer.body == BEGINNING + PING * 2
        play.server(1).sends(answer(200, VERDICT))


@pytest.mark.parametrize("asked_for_stream", [True, False])
def test_a_judge_that_takes_too_long(asked_for_stream: bool) -> None:
    with Playbook() as play:
        in_auto_mode(play, timeout=5)
        play.client_asks(stream=asked_for_stream)
        whole = json.dumps(CALL).encode()
        play.server(1).sends(stream(b"".join(EVENTS)) if asked_for_stream else answer(200, whole))
        play.advance(6)
        assert b'"reason":"timeout"' in play.answer.body
        assert play.answer.complete
        assert play.server(1).given_up


def test_a_judge_that_is_dropped_is_an_error() -> None:
    with Playbook() as play:
        in_auto_mode(play)
        play.client_asks()
        play.server(1).sends(stream(b"".join(EVENTS)))
        play.server(1).ends()
        assert b'"reason":"error"' in play.answer.body


def test_a_client_that_hangs_up_ends_the_judge() -> None:
    with Playbook() as play:
        in_auto_mode(play)
        play.client_asks()
        play.server(1).sends(stream(b"".join(EVENTS)))
        play.client_closes()
        assert play.server(1).given_up
        assert play.ends == ["error"]


def test_a_provider_that_does_not_end_its_response_is_not_waited_for_long() -> None:
    with Playbook() as play:
        in_auto_mode(play)
        play.client_asks()
        play.server(1).sends(STREAM_HEAD + chunk(b"".join(EVENTS)))
        play.advance(limits.ANSWER_END + 0.1)
        assert play.server(1).given_up
        play.server(2).sends(answer(200, VERDICT))
        assert b'"outcome":"not_flagged"' in play.answer.body


@pytest.mark.parametrize("end", [error_event(), b""])
def test_after_a_cut_nobody_judges(end: bytes) -> None:
    with Playbook() as play:
        in_auto_mode(play)
        play.client_asks()
        play.server(1).sends(STREAM_HEAD + chunk(BEGINNING) + (chunk(end) if end else LAST_CHUNK))
        assert b"event: error" in play.answer.body
        assert b"safeguard_results" not in play.answer.body
        assert not play.own


def test_an_answer_without_calls_costs_no_request() -> None:
    with Playbook() as play:
        in_auto_mode(play)
        play.client_asks()
        play.server(1).sends(stream(b"".join(message_events(json.loads(message("hello"))))))
        assert b'"tool_uses":{}' in play.answer.body
        assert not play.own


def test_a_judge_is_judged_by_nobody() -> None:
    with Playbook() as play:
        in_auto_mode(play)
        play.client_asks()
        play.server(1).sends(stream(b"".join(EVENTS)))
        play.server(1).sends(answer(200, json.dumps(CALL).encode()))
        assert b'"reason":"error"' in play.answer.body
        assert len(play.own) == 2
