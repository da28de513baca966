"""Which failures of a provider a client never hears of, and which it must.

`glm` falls back to kimi and then to openrouter; `glm-fast` and `kimi` have nothing to fall back to.
"""

import time
from typing import Any

import pytest

from tests.e2e.gateway import Gateway
from tests.fakes.answers import Answer, Reply
from tests.fakes.provider import Provider
from tests.fakes.scripts import (
    broken_chunk,
    close_at_accept,
    drop,
    empty_error,
    end,
    error,
    error_event,
    error_first,
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
    sse,
    with_headers,
)

ONCE = {"x-should-retry": "false"}
"""Says that asking the same provider again is no use: spares a test the half second."""

RETRY_DELAY = 0.5
AT_ONCE = 0.4
"""Seconds in which an attempt follows another one that nothing is waited for after."""

TIMEOUT = 0.8


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    return {
        **routing,
        "fallbacks": {**routing["fallbacks"], "glm": ["kimi", "openrouter"]},
        "failover": {
            "first_byte_timeout": TIMEOUT,
            "answer_timeout": TIMEOUT,
            "cooldown": 0,  # nobody rests: what one test does must not matter to the next
            "max_attempts": 4,
            "hold": 30,
        },
    }


def ask(gateway: Gateway, model: str = "glm", *, stream: bool = True, headers: dict[str, str] | None = None) -> Any:
    """The whole answer: status, headers and (in `text`) what was said; for an error its message is in `error`."""
    if not stream:
        return gateway.post(model, headers=headers)
    with gateway.stream(model, headers=headers) as answer:
        answer.read()
    assert answer.cut is None
    return answer


def said(answer: Any) -> str:
    """The text of an answer of either kind."""
    return str(answer.text if hasattr(answer, "events") else answer.json()["content"][0]["text"])


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


class TestWhatStartsIt:
    @pytest.mark.parametrize("status", [408, 409, 425, 429])
    def test_a_status_that_says_not_now_moves_on_at_once(
        self, gateway: Gateway, zai: Provider, kimi: Provider, status: int
    ) -> None:
        zai.always(error(status))
        assert said(ask(gateway)) == "Hello from kimi"
        assert (len(zai.requests), len(kimi.requests)) == (1, 1)
        assert gap(zai, kimi) < AT_ONCE

    @pytest.mark.parametrize("status", [500, 502, 503, 504, 529])
    def test_a_server_error_is_given_a_second_chance_first(
        self, gateway: Gateway, zai: Provider, kimi: Provider, status: int
    ) -> None:
        zai.always(error(status))
        answer = ask(gateway)
        assert said(answer) == "Hello from kimi"
        assert (len(zai.requests), len(kimi.requests)) == (2, 1)
        assert answer.headers["x-gateway-attempts"] == "3"

    @pytest.mark.parametrize("failure", [error(503, headers=ONCE), error(429), error_first()])
    def test_without_streaming_too(self, gateway: Gateway, zai: Provider, kimi: Provider, failure: Reply) -> None:
        zai.always(failure)
        answer = ask(gateway, stream=False)
        assert said(answer) == "Hello from kimi"
        assert answer.headers["x-gateway-provider"] == "kimi"

    @pytest.mark.parametrize(
        "failure",
        [
            html_error(),
            plain_error(503, "upstream connect error", headers=ONCE),
            openai_error(429, "slow down"),
            empty_error(529),
        ],
        ids=["html", "plain text", "openai", "empty"],
    )
    def test_the_shape_of_an_error_does_not_matter(
        self, gateway: Gateway, zai: Provider, kimi: Provider, failure: Reply
    ) -> None:
        zai.always(failure)
        assert said(ask(gateway)) == "Hello from kimi"

    def test_a_redirect_is_no_answer(self, gateway: Gateway, zai: Provider, kimi: Provider) -> None:
        zai.always(redirect(kimi.url))
        assert said(ask(gateway)) == "Hello from kimi"
        assert kimi.last.path == "/coding/v1/messages"

    def test_a_key_of_the_gateway_that_is_refused(self, gateway: Gateway, zai: Provider) -> None:
        zai.always(error(401, "invalid api key"))
        assert said(ask(gateway)) == "Hello from kimi"
        response = gateway.post("glm-fast")
        assert response.status_code == 401
        assert "zai: invalid api key" in response.text
        assert response.headers["x-should-retry"] == "false", "Claude Code would ask ten times"

    def test_a_refused_connection_moves_on_at_once(self, gateway: Gateway, zai: Provider, kimi: Provider) -> None:
        zai.refuse()
        started = time.monotonic()
        answer = ask(gateway)
        assert said(answer) == "Hello from kimi"
        assert kimi.last.time - started < AT_ONCE
        assert answer.headers["x-gateway-attempts"] == "2"

    def test_a_refused_connection_is_not_remembered(self, gateway: Gateway, zai: Provider) -> None:
        zai.refuse()
        assert told(gateway, "glm-fast")[:2] == (502, "api_error")
        zai.accept()
        assert said(ask(gateway, "glm-fast")) == "Hello from zai"

    @pytest.mark.parametrize(
        "failure",
        [
            close_at_accept(),
            close_at_accept(then="rst"),
            silent_close(),
            reset(),
            drop(say("never seen"), byte=40),
            drop(say("never seen"), events=0),
            drop(say("never seen"), events=1),
            drop(say("never seen"), events=1, then="rst"),
            broken_chunk(say("never seen"), after=1),
        ],
        ids=[
            "closed at accept",
            "reset at accept",
            "closed",
            "reset",
            "closed inside the head",
            "closed after the head",
            "closed after message_start",
            "reset after message_start",
            "broken chunk",
        ],
    )
    def test_a_dropped_connection_is_given_a_second_chance_first(
        self, gateway: Gateway, zai: Provider, kimi: Provider, failure: Reply
    ) -> None:
        zai.hang_up()  # a kept connection that was closed by age says nothing about a provider
        zai.script(failure, failure)
        answer = ask(gateway)
        assert said(answer) == "Hello from kimi"
        assert answer.answer.count("message_start") == 1
        assert zai.unused == 0, "asked once more"
        assert answer.headers["x-gateway-attempts"] == "3"
        assert answer.headers["x-gateway-fallback"] == "kimi"

    @pytest.mark.parametrize(
        "failure",
        [
            end(say("never seen"), events=0),
            end(say("never seen"), events=1),
            invalid_event(say("never seen"), after=1),
            Answer(headers=(("content-type", "text/html"),), pieces=(b"<html>captive portal</html>",)),
        ],
        ids=["nothing", "message_start only", "no JSON", "a web page"],
    )
    def test_an_answer_that_is_none(self, gateway: Gateway, zai: Provider, kimi: Provider, failure: Reply) -> None:
        zai.always(failure)
        assert said(ask(gateway)) == "Hello from kimi"
        assert len(zai.requests) == 2

    @pytest.mark.parametrize("events", [1, 2], ids=["after message_start", "after a ping"])
    def test_an_error_before_any_content(self, gateway: Gateway, zai: Provider, kimi: Provider, events: int) -> None:
        answer = insert(say("never seen"), sse("ping", {}), after=1)
        zai.always(insert(answer, error_event(), after=events, rest=False))
        seen = ask(gateway)
        assert said(seen) == "Hello from kimi"
        assert seen.answer.count("message_start") == 1
        assert len(zai.requests) == 2

    def test_an_error_as_the_first_event_of_a_stream_that_stays_open(
        self, gateway: Gateway, zai: Provider, kimi: Provider
    ) -> None:
        zai.always(error_first(then="hang"))
        assert said(ask(gateway)) == "Hello from kimi"
        zai.wait_for(lambda: len(zai.closed_by_peer) == len(zai.requests) == 2)

    @pytest.mark.parametrize(
        "failure",
        [hang(), hang(say("never seen")), hang(say("never seen"), events=1)],
        ids=["before the head", "after the head", "after message_start"],
    )
    @pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
    def test_silence(self, gateway: Gateway, zai: Provider, kimi: Provider, failure: Reply, stream: bool) -> None:
        zai.always(failure)
        answer = ask(gateway, stream=stream)
        assert said(answer) == "Hello from kimi"
        assert TIMEOUT - 0.1 < gap(zai, kimi) < TIMEOUT + AT_ONCE
        assert len(zai.requests) == 1, "not again after a timeout"
        zai.wait_for(lambda: zai.closed_by_peer == zai.requests)


class TestTheSecondChance:
    def test_comes_after_half_a_second(self, gateway: Gateway, zai: Provider, kimi: Provider) -> None:
        zai.script(error(529))
        answer = ask(gateway)
        assert said(answer) == "Hello from zai"
        first, second = zai.requests
        assert RETRY_DELAY <= second.time - first.time < RETRY_DELAY + AT_ONCE
        assert first.body == second.body
        assert kimi.requests == []
        assert answer.headers["x-gateway-attempts"] == "2"
        assert "x-gateway-fallback" not in answer.headers

    def test_comes_when_the_provider_says(self, gateway: Gateway, zai: Provider) -> None:
        zai.script(error(503, headers={"retry-after": "1"}))
        assert said(ask(gateway)) == "Hello from zai"
        first, second = zai.requests
        assert 1 <= second.time - first.time < 1 + AT_ONCE

    def test_is_not_waited_for_longer_than_5_seconds(self, gateway: Gateway, zai: Provider, kimi: Provider) -> None:
        zai.always(error(503, headers={"retry-after": "6"}))
        assert said(ask(gateway)) == "Hello from kimi"
        assert len(zai.requests) == 1
        assert gap(zai, kimi) < AT_ONCE

    @pytest.mark.parametrize(
        "failure", [error(500, headers=ONCE), with_headers(error_first(), ONCE)], ids=["status", "error event"]
    )
    def test_is_not_given_to_one_who_does_not_want_it(
        self, gateway: Gateway, zai: Provider, kimi: Provider, failure: Reply
    ) -> None:
        zai.always(failure)
        assert said(ask(gateway)) == "Hello from kimi"
        assert len(zai.requests) == 1
        assert gap(zai, kimi) < AT_ONCE

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

    def test_a_fallback_that_finds_the_request_wrong_is_right(
        self, gateway: Gateway, zai: Provider, kimi: Provider, openrouter: Provider
    ) -> None:
        zai.always(error(529, headers=ONCE))
        kimi.always(error(400, "messages.0.content: Input should be a valid list"))
        assert told(gateway)[:2] == (400, "invalid_request_error")
        assert openrouter.requests == []


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
        self, gateway: Gateway, zai: Provider, kimi: Provider, failure: Reply
    ) -> None:
        zai.always(failure)
        answer = ask(gateway)
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

    @pytest.mark.parametrize("then", ["fin", "rst", "hang"])
    def test_what_follows_a_complete_message_is_nobody_s_business(
        self, gateway: Gateway, zai: Provider, then: Any
    ) -> None:
        whole = ["message_start", "content_block_start", "content_block_delta", "content_block_stop"]
        zai.always(drop(say("Hello, world"), events=6, then=then))
        assert ask(gateway).answer == [*whole, "message_delta", "message_stop"]

    def test_a_message_that_only_lacks_its_last_event(self, gateway: Gateway, zai: Provider) -> None:
        zai.always(drop(say("Hello, world"), events=5))
        assert ask(gateway).answer[-2:] == ["message_delta", "message_stop"]


class TestWhatTheClientIsTold:
    def test_who_answered(self, gateway: Gateway) -> None:
        answer = ask(gateway)
        assert answer.headers["x-gateway-provider"] == "zai"
        assert answer.headers["x-gateway-model"] == "glm-5"
        assert answer.headers["x-gateway-attempts"] == "1"
        assert "x-gateway-fallback" not in answer.headers

    @pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
    def test_that_it_was_a_fallback(self, gateway: Gateway, zai: Provider, stream: bool) -> None:
        zai.always(error(529, headers=ONCE))
        answer = ask(gateway, stream=stream)
        assert answer.headers["x-gateway-provider"] == "kimi"
        assert answer.headers["x-gateway-model"] == "kimi-for-coding"
        assert answer.headers["x-gateway-attempts"] == "2"
        assert answer.headers["x-gateway-fallback"] == "kimi"

    @pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
    def test_the_last_error_when_everything_fails(
        self, gateway: Gateway, zai: Provider, kimi: Provider, openrouter: Provider, stream: bool
    ) -> None:
        zai.always(error(529, headers=ONCE))
        kimi.refuse()
        openrouter.always(openai_error(503, "no capacity", headers={"retry-after": "17", **ONCE}))
        response = gateway.post("glm", stream=stream)
        assert response.status_code == 503
        assert response.json()["error"] == {"type": "api_error", "message": "openrouter: no capacity"}
        assert response.headers["retry-after"] == "17"
        assert response.headers["x-gateway-provider"] == "openrouter"
        assert response.headers["x-gateway-attempts"] == "3"

    def test_anthropic_s_own_error_unmodified(self, gateway: Gateway, anthropic: Provider) -> None:
        refusal = error(400, "messages.1.content.0: `cache_control` cannot be set for empty text blocks")
        anthropic.always(refusal)
        response = gateway.post("claude-opus-5-5")
        assert response.status_code == 400
        assert response.content == refusal.pieces[0]
        assert response.headers["request-id"] == "req_error"

    def test_a_timeout_of_the_only_provider(self, gateway: Gateway, zai: Provider) -> None:
        zai.always(hang())
        assert told(gateway, "glm-fast", stream=True)[:2] == (504, "timeout_error")

    def test_no_more_than_max_attempts(
        self, gateway: Gateway, zai: Provider, kimi: Provider, openrouter: Provider
    ) -> None:
        """Four here: one retry, and still a turn for every target."""
        for provider in (zai, kimi, openrouter):
            provider.always(error(500))
        assert told(gateway)[0] == 500
        assert (len(zai.requests), len(kimi.requests), len(openrouter.requests)) == (2, 1, 1)
