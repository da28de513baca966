"""Which failures of a provider a client never hears of, and which it must.

`glm` falls back to kimi and then to openrouter; `glm-fast` and `kimi` have nothing to fall back to. `gateway` waits for
providers as long as it takes, `impatient` for TIMEOUT seconds: for tests of silence.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import httpx
import pytest

from tests.e2e.conftest import Providers
from tests.e2e.gateway import SAVING, Gateway
from tests.e2e.sse import EventStream
from tests.fakes.answers import Answer, Reply
from tests.fakes.provider import Provider
from tests.fakes.request import Request
from tests.fakes.scripts import (
    broken_chunk,
    close_at_accept,
    drop,
    empty_error,
    end,
    error,
    error_event,
    error_first,
    event,
    hang,
    html_error,
    insert,
    invalid_event,
    openai_error,
    plain_error,
    redirect,
    reset,
    say,
    silent_close,
    with_headers,
)
from tests.received import either_way

ONCE = {"x-should-retry": "false"}
"""Says that asking the same provider again is no use: spares a test the half second."""

RETRY_DELAY = 0.5
SLACK = 10.0
"""Seconds that a busy machine may take to do what is due."""

TIMEOUT = 2.0


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    return {
        **routing,
        "fallbacks": {**routing["fallbacks"], "glm": ["kimi", "openrouter"]},
        # Nobody rests: what one test does must not matter to the next.
        "failover": {**routing["failover"], "cooldown": 0, "max_attempts": 4},
    }


@pytest.fixture(scope="module")
def impatient(providers: Providers, routing: dict[str, Any], env: dict[str, str]) -> Iterator[Gateway]:
    failover = {**routing["failover"], "first_byte_timeout": TIMEOUT, "answer_timeout": TIMEOUT}
    with Gateway({**routing, "failover": failover}, env, upstream=providers.anthropic.url) as gateway:
        yield gateway


def ask(gateway: Gateway, model: str = "glm", *, stream: bool = True, **options: Any) -> Any:
    """The whole answer, which must have a proper end: an EventStream, or a Response."""
    if not stream:
        return gateway.post(model, **options)
    with gateway.stream(model, **options) as answer:
        answer.read()
    assert answer.cut is None
    return answer


def said(answer: EventStream | httpx.Response) -> str:
    """The text of an answer of either kind."""
    return answer.text if isinstance(answer, EventStream) else str(answer.json()["content"][0]["text"])


def told(gateway: Gateway, model: str = "glm", **options: Any) -> tuple[int, str, str]:
    """Status, type and message of the error that a request ends in."""
    response = gateway.post(model, **options)
    body = response.json()
    assert body["type"] == "error"
    assert body["request_id"]
    return response.status_code, body["error"]["type"], body["error"]["message"]


def gap(first: Provider, second: Provider) -> float:
    """Seconds between the last request of one provider and the last of the other."""
    return second.last.time - first.last.time


NOT_NOW: dict[str, Reply] = {str(status): error(status) for status in (408, 409, 425, 429)}
SECOND_CHANCES: dict[str, Reply] = {
    **{str(status): error(status) for status in (500, 502, 503, 504, 529)},
    "html": html_error(),
    "plain text": plain_error(503, "upstream connect error"),
    "empty": empty_error(529),
    "closed": silent_close(),
    "reset": reset(),
    "closed inside the head": drop(say("never seen"), byte=40),
    "closed after the head": drop(say("never seen"), events=0),
    "closed after message_start": drop(say("never seen"), events=1),
    "reset after message_start": drop(say("never seen"), events=1, then="rst"),
    "broken chunk": broken_chunk(say("never seen"), after=1),
    "nothing": end(say("never seen"), events=0),
    "message_start only": end(say("never seen"), events=1),
    "no JSON": invalid_event(say("never seen"), after=1),
    "a web page": Answer(headers=(("content-type", "text/html"),), pieces=(b"<html>captive portal</html>",)),
    "error first": error_first(),
    "error first, never ended": error_first(then="hang"),
    "error after message_start": insert(say("never seen"), error_event(), after=1, rest=False),
    "error after a ping": insert(say("never seen"), event("ping"), error_event(), after=1, rest=False),
}
SILENCES: dict[str, Reply] = {
    "before the head": hang(),
    "after the head": hang(say("never seen")),
    "after 200 bytes": drop(say("never seen"), byte=200, then="hang"),
}
CASES: dict[str, Reply] = {**NOT_NOW, **SECOND_CHANCES, **SILENCES}
JSON = ["429", "503", "closed", "closed inside the head", "nothing", "a web page", *SILENCES]
"""The cases that are also asked with `stream: false`."""


class Seen(NamedTuple):
    """What came of one case."""

    started: float
    answer: Any
    zai: list[Request]
    kimi: list[Request]


@pytest.fixture(scope="module")
def seen(gateway: Gateway, impatient: Gateway, providers: Providers) -> dict[tuple[str, bool], Seen]:
    """Every case of CASES by name and whether it is streamed, all at the same time: most of them wait for something.
    (A gateway that logs all of it is too slow for that.)

    Which case a request belongs to stands in its text. Each has a connection of its own: a kept one that dies says
    nothing about a provider.
    """
    zai, kimi = providers.zai, providers.kimi
    for provider in providers:
        provider.reset()

    def case_of(request: Request) -> tuple[str, bool]:
        return request.messages[0]["content"], request.stream

    def run(case: tuple[str, bool]) -> tuple[float, Any]:
        name, stream = case
        asked = impatient if name in SILENCES else gateway
        return time.monotonic(), ask(asked, stream=stream, text=name, headers={"connection": "close"})

    zai.always(lambda request: CASES[case_of(request)[0]])
    cases = [*((name, True) for name in CASES), *((name, False) for name in JSON)]
    with ThreadPoolExecutor(8 if SAVING else len(cases)) as executor:
        answers = dict(zip(cases, executor.map(run, cases), strict=True))
    # Nobody is left generating: each connection that would have hung was closed.
    hung = [
        *((name, stream) for name in SILENCES for stream in (True, False)),
        *[("error first, never ended", True)] * 2,
    ]
    zai.wait_for(lambda: sorted(map(case_of, zai.closed_by_peer)) == sorted(hung))
    return {
        case: Seen(
            started,
            answer,
            [request for request in zai.requests if case_of(request) == case],
            [request for request in kimi.requests if case_of(request) == case],
        )
        for case, (started, answer) in answers.items()
    }


def both_ways(cases: dict[str, Reply]) -> list[tuple[str, bool]]:
    return [(name, stream) for name in cases for stream in (True, False) if stream or name in JSON]


class TestWhatStartsIt:
    @pytest.mark.parametrize(("case", "stream"), both_ways(NOT_NOW))
    def test_a_status_that_says_not_now_moves_on_at_once(
        self, seen: dict[tuple[str, bool], Seen], case: str, stream: bool
    ) -> None:
        _, answer, zai, kimi = seen[case, stream]
        assert said(answer) == "Hello from kimi"
        assert (len(zai), len(kimi)) == (1, 1)
        assert kimi[0].time - zai[0].time < SLACK

    @pytest.mark.parametrize(("case", "stream"), both_ways(SECOND_CHANCES))
    def test_what_is_given_a_second_chance_first(
        self, seen: dict[tuple[str, bool], Seen], case: str, stream: bool
    ) -> None:
        _, answer, zai, kimi = seen[case, stream]
        assert said(answer) == "Hello from kimi"
        assert (len(zai), len(kimi)) == (2, 1)
        assert zai[1].time - zai[0].time >= RETRY_DELAY
        assert answer.headers["x-gateway-attempts"] == "3"
        assert answer.headers["x-gateway-fallback"] == "kimi"

    @pytest.mark.parametrize(("case", "stream"), both_ways(SILENCES))
    def test_silence_is_not_waited_for_twice(self, seen: dict[tuple[str, bool], Seen], case: str, stream: bool) -> None:
        started, answer, zai, kimi = seen[case, stream]
        assert said(answer) == "Hello from kimi"
        assert (len(zai), len(kimi)) == (1, 1)
        assert kimi[0].time - started >= TIMEOUT
        assert kimi[0].time - zai[0].time < TIMEOUT + SLACK

    @pytest.mark.parametrize("case", CASES)
    def test_a_stream_begins_once(self, seen: dict[tuple[str, bool], Seen], case: str) -> None:
        assert seen[case, True].answer.answer.count("message_start") == 1

    def test_a_connection_that_is_closed_as_soon_as_it_is_there(self, gateway: Gateway, zai: Provider) -> None:
        zai.hang_up()
        zai.script(close_at_accept(), close_at_accept(then="rst"))
        answer = ask(gateway)
        assert said(answer) == "Hello from kimi"
        assert zai.unused == 0, "asked once more"

    def test_a_redirect_is_no_answer(self, gateway: Gateway, zai: Provider, kimi: Provider) -> None:
        zai.always(redirect(kimi.url))
        assert said(ask(gateway)) == "Hello from kimi"
        assert kimi.last.path == "/coding/v1/messages"

    def test_a_key_of_the_gateway_that_is_refused(self, fresh_gateway: Gateway, zai: Provider) -> None:
        zai.always(error(401, "invalid api key"))
        assert said(ask(fresh_gateway)) == "Hello from kimi"
        response = fresh_gateway.post("glm-fast")
        assert response.status_code == 403, "a 401 would be shown as a call to log in"
        assert "zai refuses the gateway's key (ZAI_API_KEY): invalid api key" in response.text
        assert response.headers["x-should-retry"] == "false", "Claude Code would ask ten times"

    def test_a_refused_connection_moves_on_at_once(self, gateway: Gateway, zai: Provider, kimi: Provider) -> None:
        zai.refuse()
        started = time.monotonic()
        answer = ask(gateway)
        assert said(answer) == "Hello from kimi"
        assert kimi.last.time - started < SLACK
        assert answer.headers["x-gateway-attempts"] == "2"

    def test_a_refused_connection_is_not_remembered(self, gateway: Gateway, zai: Provider) -> None:
        zai.refuse()
        assert told(gateway, "glm-fast")[:2] == (502, "api_error")
        zai.accept()
        assert said(ask(gateway, "glm-fast")) == "Hello from zai"


class TestTheSecondChance:
    def test_comes_after_half_a_second(self, gateway: Gateway, zai: Provider, kimi: Provider) -> None:
        zai.script(error(529))
        answer = ask(gateway)
        assert said(answer) == "Hello from zai"
        first, second = zai.requests
        assert RETRY_DELAY <= second.time - first.time < RETRY_DELAY + SLACK
        assert first.body == second.body
        assert kimi.requests == []
        assert answer.headers["x-gateway-attempts"] == "2"
        assert "x-gateway-fallback" not in answer.headers

    def test_comes_when_the_provider_says(self, gateway: Gateway, zai: Provider) -> None:
        zai.script(error(503, headers={"retry-after": "1"}))
        assert said(ask(gateway)) == "Hello from zai"
        first, second = zai.requests
        assert 1 <= second.time - first.time < 1 + SLACK

    def test_is_not_waited_for_longer_than_5_seconds(self, gateway: Gateway, zai: Provider, kimi: Provider) -> None:
        zai.always(error(503, headers={"retry-after": "6"}))
        assert said(ask(gateway)) == "Hello from kimi"
        assert len(zai.requests) == 1
        assert gap(zai, kimi) < SLACK

    @pytest.mark.parametrize(
        "failure", [error(500, headers=ONCE), with_headers(error_first(), ONCE)], ids=["status", "error event"]
    )
    def test_is_not_given_to_one_who_does_not_want_it(
        self, gateway: Gateway, zai: Provider, kimi: Provider, failure: Reply
    ) -> None:
        zai.always(failure)
        assert said(ask(gateway)) == "Hello from kimi"
        assert len(zai.requests) == 1
        assert gap(zai, kimi) < SLACK

    def test_a_claude_token_gets_it_too(
        self, gateway: Gateway, anthropic: Provider, zai: Provider, session: dict[str, str]
    ) -> None:
        """A server error says nothing about the token: its prompt cache is worth the second try."""
        anthropic.script(error(529))
        answer = ask(gateway, "claude-opus-5-5", headers=session)
        assert said(answer) == "Hello from anthropic"
        first, second = anthropic.requests
        assert first.token == second.token
        assert second.time - first.time >= RETRY_DELAY
        assert answer.headers["x-gateway-attempts"] == "2"
        assert zai.requests == []

    def test_and_only_once_however_many_tokens_there_are(
        self, gateway: Gateway, anthropic: Provider, zai: Provider
    ) -> None:
        anthropic.always(error(529))
        assert said(ask(gateway, "claude-opus-5-5")) == "Hello from zai"
        assert len(anthropic.requests) == 2


class TestAnswers:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, "invalid_request_error"),
            (403, "permission_error"),
            (404, "not_found_error"),
            (413, "request_too_large"),
            (422, "invalid_request_error"),
        ],
    )
    def test_are_passed_on(self, gateway: Gateway, zai: Provider, kimi: Provider, status: int, kind: str) -> None:
        zai.always(error(status, "as it is", kind=kind))
        assert told(gateway) == (status, kind, "zai: as it is")
        assert told(gateway, stream=True) == (status, kind, "zai: as it is")
        assert len(zai.requests) == 2
        assert kimi.requests == []

    def test_an_error_event_of_that_kind(self, gateway: Gateway, zai: Provider, kimi: Provider) -> None:
        zai.always(error_first("max_tokens: too large", kind="invalid_request_error"))
        assert told(gateway, stream=True) == (400, "invalid_request_error", "zai: max_tokens: too large")
        assert kimi.requests == []

    def test_the_clients_own_token_that_is_refused(self, gateway: Gateway, anthropic: Provider, zai: Provider) -> None:
        anthropic.always(error(401, "OAuth token has expired"))
        headers = {"authorization": "Bearer own-token", "x-claude-token-mode": "passthrough"}
        response = gateway.post("claude-opus-5-5", headers=headers)
        assert response.status_code == 401
        assert response.json()["error"]["message"] == "OAuth token has expired"
        assert [request.token for request in anthropic.requests] == ["own-token"]
        assert zai.requests == []

    def test_a_model_that_the_route_does_not_have(self, gateway: Gateway, zai: Provider, kimi: Provider) -> None:
        zai.always(error(404, "model: glm-5"))
        assert told(gateway) == (404, "not_found_error", "zai: model: glm-5")
        assert kimi.requests == []

    @pytest.mark.parametrize(
        "failure",
        [
            error(404, "model: kimi-for-coding"),
            openai_error(400, "The model `kimi-for-coding` does not exist", code="model_not_found"),
            error(400, "context_management: Extra inputs are not permitted"),
            openai_error(400, "Unknown parameter: 'thinking'"),
        ],
        ids=["404 model", "400 model", "400 field", "400 parameter"],
    )
    def test_a_fallback_that_does_not_know_the_model_or_a_field_moves_on(
        self, gateway: Gateway, zai: Provider, kimi: Provider, failure: Reply
    ) -> None:
        zai.always(error(529, headers=ONCE))
        kimi.always(failure)
        answer = ask(gateway)
        assert said(answer) == "Hello from openrouter"
        assert answer.headers["x-gateway-fallback"] == "openrouter"
        assert len(kimi.requests) == 1

    @pytest.mark.parametrize(
        "useless",
        [
            error(401, "token expired"),
            error(402, "Insufficient balance"),
            error(403, "no access"),
            error(400, "API parameter error (1210)"),
            error(400, "Invalid schema for function 'x'"),
            error(400, "prompt is too long: 210000 tokens > 200000 maximum"),
            error(404, "no such thing"),
            error(413, "too large"),
        ],
        ids=lambda reply: str(reply)[:40],
    )
    def test_a_useless_fallback_does_not_hide_the_useful_error(
        self, fresh_gateway: Gateway, zai: Provider, kimi: Provider, openrouter: Provider, useless: Reply
    ) -> None:
        """Claude Code repairs a 529 by waiting, a 401 by asking its user to log in."""
        zai.always(error(529, "zai is busy", headers={"retry-after": "9"}))
        kimi.always(useless)
        openrouter.always(useless)
        response = fresh_gateway.post("glm")
        assert response.status_code == 529
        assert response.json()["error"] == {"type": "overloaded_error", "message": "zai: zai is busy"}
        assert "x-should-retry" not in response.headers
        assert response.headers["retry-after"] == "9"
        assert response.headers["x-gateway-attempts"] == "3"
        assert openrouter.requests, "nor is it the last to be asked"


class TestAfterContent:
    @pytest.mark.parametrize(
        "failure",
        [
            drop(say("Hello, world"), events=3),
            drop(say("Hello, world"), events=3, then="rst"),
            broken_chunk(say("Hello, world"), after=3),
            invalid_event(say("Hello, world"), after=3),
            end(say("Hello, world"), events=3),
            hang(say("Hello, world"), events=3),
        ],
        ids=["closed", "reset", "broken chunk", "no JSON", "ended", "silence"],
    )
    def test_no_second_provider_but_an_error_event(
        self, impatient: Gateway, zai: Provider, kimi: Provider, failure: Reply
    ) -> None:
        zai.always(failure)
        answer = ask(impatient)
        assert answer.answer == ["message_start", "content_block_start", "content_block_delta", "error"]
        assert answer.text == "Hello, world"
        told = answer.events[-1].json
        assert told["type"] == "error"
        assert told["error"]["type"] == "api_error"
        assert "provider" in told["error"]["message"] or "zai" in told["error"]["message"]
        assert (len(zai.requests), len(kimi.requests)) == (1, 0)

    def test_the_provider_s_own_error_is_told(self, gateway: Gateway, zai: Provider, kimi: Provider) -> None:
        zai.always(insert(say("Hello, world"), error_event("We are full"), after=3, rest=False))
        answer = ask(gateway)
        assert answer.answer[-2:] == ["content_block_delta", "error"]
        assert answer.events[-1].json["error"]["type"] == "overloaded_error"
        assert "We are full" in answer.events[-1].json["error"]["message"]
        assert kimi.requests == []

    @pytest.mark.parametrize("then", ["fin", "rst"])
    def test_what_follows_a_complete_message_is_nobody_s_business(
        self, gateway: Gateway, zai: Provider, then: Any
    ) -> None:
        whole = ["message_start", "content_block_start", "content_block_delta", "content_block_stop"]
        zai.always(drop(say("Hello, world"), events=6, then=then))
        assert ask(gateway).answer == [*whole, "message_delta", "message_stop"]


class TestWhatTheClientIsTold:
    def test_who_answered(self, gateway: Gateway) -> None:
        answer = ask(gateway)
        assert answer.headers["x-gateway-provider"] == "zai"
        assert answer.headers["x-gateway-model"] == "glm-5"
        assert answer.headers["x-gateway-attempts"] == "1"
        assert "x-gateway-fallback" not in answer.headers

    @either_way
    def test_that_it_was_a_fallback(self, gateway: Gateway, zai: Provider, stream: bool) -> None:
        zai.always(error(529, headers=ONCE))
        answer = ask(gateway, stream=stream)
        assert answer.headers["x-gateway-provider"] == "kimi"
        assert answer.headers["x-gateway-model"] == "kimi-for-coding"
        assert answer.headers["x-gateway-attempts"] == "2"
        assert answer.headers["x-gateway-fallback"] == "kimi"

    @either_way
    def test_what_the_asked_provider_said_when_everything_fails(
        self, gateway: Gateway, zai: Provider, kimi: Provider, openrouter: Provider, stream: bool
    ) -> None:
        zai.always(openai_error(503, "no capacity", headers={"retry-after": "17", **ONCE}))
        kimi.refuse()
        openrouter.always(error(529, headers=ONCE))
        response = gateway.post("glm", stream=stream)
        assert response.status_code == 503
        assert response.json()["error"] == {"type": "overloaded_error", "message": "zai: no capacity"}
        assert response.headers["retry-after"] == "17"
        assert response.headers["x-gateway-provider"] == "zai"
        assert "x-gateway-fallback" not in response.headers
        assert response.headers["x-gateway-attempts"] == "3"

    def test_anthropic_s_own_error_unmodified(self, gateway: Gateway, anthropic: Provider) -> None:
        refusal = error(400, "messages.1.content.0: `cache_control` cannot be set for empty text blocks")
        anthropic.always(refusal)
        response = gateway.post("claude-opus-5-5")
        assert response.status_code == 400
        assert response.content == refusal.pieces[0]
        assert response.headers["request-id"] == "req_error"

    def test_a_timeout_of_the_only_provider(self, impatient: Gateway, zai: Provider) -> None:
        zai.always(hang())
        assert told(impatient, "glm-fast", stream=True)[:2] == (504, "timeout_error")

    def test_no_more_than_max_attempts(
        self, gateway: Gateway, zai: Provider, kimi: Provider, openrouter: Provider
    ) -> None:
        """Four here: one retry, and still a turn for every target."""
        for provider in (zai, kimi, openrouter):
            provider.always(error(500))
        assert told(gateway)[0] == 500
        assert (len(zai.requests), len(kimi.requests), len(openrouter.requests)) == (2, 1, 1)
