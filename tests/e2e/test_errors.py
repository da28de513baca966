"""Errors on their way to the client: one shape and one vocabulary, whoever made them and however they look."""

import json
from typing import Any

import anthropic as sdk
import pytest

from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import (
    NO_RETRY,
    Answer,
    Reply,
    deliver,
    empty_error,
    error,
    error_first,
    html_error,
    insert,
    openai_error,
    plain_error,
    redirect,
    say,
    with_headers,
)
from tests.received import either_way

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    """Without fallbacks: what a provider says is what the client hears."""
    return {**routing, "fallbacks": {}, "failover": {**routing["failover"], "retries": 0}}


def told(gateway: Gateway, provider: Provider, reply: Reply, model: str, **body: Any) -> Any:
    """The client's answer when the provider answers so, checked for what all errors have in common."""
    provider.always(reply)
    answer = gateway.post(model, **body)
    assert answer.headers["content-type"].startswith("application/json")
    assert set(answer.json()) >= {"type", "error", "request_id"}
    assert answer.json()["type"] == "error"
    assert set(answer.json()["error"]) == {"type", "message"}
    assert answer.json()["error"]["message"].strip()
    return answer


# Other providers


@pytest.mark.parametrize("status", TYPES)
@either_way
def test_statuses(gateway: Gateway, zai: Provider, status: int, stream: bool) -> None:
    answer = told(gateway, zai, openai_error(status, "Words of the provider", headers=NO_RETRY), "glm", stream=stream)
    told_as = 403 if status == 401 else status  # the gateway's key was refused: no use in logging in
    assert answer.status_code == told_as
    assert answer.json()["error"]["type"] == TYPES[told_as]
    assert "zai" in answer.json()["error"]["message"]
    assert "Words of the provider" in answer.json()["error"]["message"]
    assert answer.headers["x-gateway-provider"] == "zai"
    assert answer.headers["x-gateway-model"] == "glm-5"
    assert answer.headers["request-id"] == answer.json()["request_id"]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (error(400, "Anthropic's own shape"), "Anthropic's own shape"),
        (openai_error(400, "OpenAI's shape", code=1211), "OpenAI's shape (1211)"),
        (plain_error(400, '{"detail":"FastAPI says so"}'), "FastAPI says so"),
        (plain_error(400, '{"error":"just a string"}'), "just a string"),
        (plain_error(400, '{"error":{"message":"Provider returned error","metadata":'
                          '{"raw":"{\\"error\\":{\\"message\\":\\"the real reason\\"}}","provider_name":"X"}}}'),
         "the real reason"),
        (plain_error(400, "plain words"), "plain words"),
        (plain_error(400, "ünïcode wörds"), "ünïcode wörds"),
        (plain_error(400, b"\xff\xfe broken"), "broken"),
        (plain_error(400, '{"error": broken json'), "broken json"),
        (html_error(400), "Bad Gateway"),
        (empty_error(400), "400"),
        (deliver(openai_error(400, "compressed"), gzip=True), "compressed"),
        (deliver(openai_error(400, "chunked"), framing="chunked"), "chunked"),
        (deliver(openai_error(400, "closed"), framing="close"), "closed"),
        (with_headers(plain_error(400, "not gzip at all"), {"content-encoding": "gzip"}), "not gzip at all"),
        (with_headers(plain_error(400, "in no coding"), {"content-encoding": "rot13"}), "in no coding"),
        (plain_error(400, "long " * 10_000), "long long"),
    ],
)  # fmt: skip
def test_shapes(gateway: Gateway, zai: Provider, reply: Reply, words: str) -> None:
    answer = told(gateway, zai, reply, "glm")
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert words in answer.json()["error"]["message"]
    assert "<" not in answer.json()["error"]["message"]
    assert len(answer.content) < 5000
    assert "content-encoding" not in answer.headers


def test_headers_of_an_error(gateway: Gateway, zai: Provider) -> None:
    headers = {"retry-after": "17", **NO_RETRY, "set-cookie": "a=b", "server": "nginx", "x-request-id": "theirs"}
    answer = told(gateway, zai, openai_error(429, "slow down", headers=headers), "glm")
    assert answer.headers["retry-after"] == "17"
    assert answer.headers["x-should-retry"] == "false"
    assert {"set-cookie", "server", "x-request-id"}.isdisjoint(answer.headers)


def test_the_gateways_own_key_is_refused(gateway: Gateway, kimi: Provider) -> None:
    """Claude Code would ask again ten times, and end with "please run /login"."""
    answer = told(gateway, kimi, error(401, "Invalid API key"), "kimi")
    assert answer.status_code == 403
    assert answer.headers["x-should-retry"] == "false"
    assert "KIMI_API_KEY" in answer.json()["error"]["message"]
    assert "Invalid API key" in answer.json()["error"]["message"]


def test_a_redirect_is_no_answer(gateway: Gateway, zai: Provider, kimi: Provider) -> None:
    answer = told(gateway, zai, redirect(f"{kimi.url}/elsewhere"), "glm")
    assert answer.status_code == 500
    assert "location" not in answer.headers
    assert kimi.requests == []


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (plain_error(200, '{"error":{"message":"quota","code":429}}'), 429),
        (plain_error(200, '{"code":500,"msg":"404 NOT_FOUND","success":false}'), 502),
        (html_error(200), 502),
        (empty_error(200), 502),
        (plain_error(200, "what?"), 502),
        (plain_error(200, "{}"), 502),
    ],
)
@either_way
def test_errors_under_a_200(gateway: Gateway, zai: Provider, reply: Reply, status: int, stream: bool) -> None:
    answer = told(gateway, zai, reply, "glm", stream=stream)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["type"] == TYPES[status]


@either_way
def test_an_error_as_the_first_event_has_its_status(gateway: Gateway, zai: Provider, stream: bool) -> None:
    def streaming(request: Any) -> Reply:
        flipped = type(request)(**{**vars(request), "body": json.dumps({**request.json, "stream": True}).encode()})
        reply = error_first("Too busy")
        assert callable(reply)
        return reply(flipped)

    answer = told(gateway, zai, streaming, "glm", stream=stream)
    assert answer.status_code == 529
    assert answer.json()["error"] == {"type": "overloaded_error", "message": "zai: Too busy"}


def test_a_provider_that_is_not_there(gateway: Gateway, zai: Provider) -> None:
    zai.refuse()
    answer = told(gateway, zai, empty_error(500), "glm")
    assert answer.status_code == 502
    assert answer.json()["error"]["type"] == "api_error"
    assert "zai: could not connect" in answer.json()["error"]["message"]
    assert "Connect call failed" not in answer.text
    assert "Errno" not in answer.json()["error"]["message"], "numbers of the system are nothing to a user"


# Context overflow


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "This model's maximum context length is 131072 tokens. However, you requested 140000 tokens"),
        (400, "Your request exceeded model token limit: 131072 (requested: 140000)"),
        (413, "input token count (140000) exceeds the maximum number of tokens allowed (131072)"),
        (500, "the request exceeds the available context size: 140000 tokens > 131072"),
    ],
)
@either_way
def test_an_overflow_makes_claude_code_compact(
    gateway: Gateway, zai: Provider, status: int, words: str, stream: bool
) -> None:
    answer = told(gateway, zai, openai_error(status, words), "glm", stream=stream)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.json()["error"]["message"].startswith("prompt is too long: 140000 tokens > 131072 maximum")
    assert words[:40] in answer.json()["error"]["message"]


def test_an_overflow_without_numbers(gateway: Gateway, zai: Provider) -> None:
    answer = told(gateway, zai, openai_error(400, "Prompt exceeds max length", code=1261), "glm")
    assert answer.json()["error"]["message"].startswith("prompt is too long")


def test_too_many_tokens_in_a_minute_are_no_overflow(gateway: Gateway, zai: Provider) -> None:
    words = "Rate limit reached: maximum context length per minute"
    answer = told(gateway, zai, openai_error(429, words), "glm")
    assert answer.status_code == 429
    assert "prompt is too long" not in answer.text


# Anthropic


@pytest.mark.parametrize(
    "reply",
    [
        error(400, "messages.1.content.0: Invalid `signature` in `thinking` block"),
        error(400, "prompt is too long: 210000 tokens > 200000 maximum"),
        error(400, "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000, decrease …"),
        error(403, "no", headers={"x-of": "Anthropic"}),
        error(404, "model: claude-nope"),
        error(413, "Request exceeds the maximum size"),
        error(422, "unprocessable"),
        plain_error(400, '{ "type" :"error","error":{"type":"invalid_request_error","message":"spaces" ,"x":1}}'),
        deliver(error(400, "compressed"), gzip=True),
        error(500, "Internal server error"),
        error(529, "Overloaded", headers={"retry-after": "3"}),
    ],
)
@either_way
def test_anthropics_own_errors_pass_unmodified(
    gateway: Gateway, anthropic: Provider, reply: Answer, stream: bool
) -> None:
    anthropic.always(reply)
    answer = gateway.post("claude-sonnet-5-5", stream=stream)
    assert answer.status_code == reply.status
    assert answer.content == b"".join(piece for piece in reply.pieces if isinstance(piece, bytes))
    own = dict(reply.headers)
    assert answer.headers["content-type"] == own["content-type"]
    for name in ("request-id", "x-of", "retry-after"):
        if name in own:
            assert answer.headers[name] == own[name]
    assert answer.headers["x-gateway-provider"] == "anthropic"


def test_rate_limit_headers_of_an_account_stay_here(gateway: Gateway, anthropic: Provider) -> None:
    headers = {
        "anthropic-ratelimit-unified-status": "rejected",
        "anthropic-ratelimit-unified-5h-utilization": "1.0",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-organization-id": "org",
        "set-cookie": "a=b",
    }
    for reply in (say("hi"), error(400, "no")):
        for stream in (True, False):
            anthropic.always(deliver(reply, headers=headers))
            answer = gateway.post("claude-sonnet-5-5", stream=stream)
            assert set(headers).isdisjoint(answer.headers)


@either_way
def test_no_provider_sets_a_cookie(gateway: Gateway, zai: Provider, stream: bool) -> None:
    zai.always(deliver(say("hi"), headers={"set-cookie": "a=b", "x-ratelimit-left": "5"}))
    answer = gateway.post("glm", stream=stream)
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert "x-ratelimit-left" not in answer.headers, (
        "a key is an account, and its limits are none of a client's business"
    )


# What the client library makes of it


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, sdk.BadRequestError),
        (403, sdk.PermissionDeniedError),
        (404, sdk.NotFoundError),
        (429, sdk.RateLimitError),
        (529, sdk.InternalServerError),
    ],
)
def test_the_sdk_raises_the_right_error(
    gateway: Gateway, zai: Provider, status: int, kind: type[sdk.APIStatusError]
) -> None:
    zai.always(plain_error(status, "words"))
    with pytest.raises(kind, match=r"zai.*words") as raised:
        gateway.anthropic().messages.create(model="glm", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
    assert raised.value.request_id
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["request_id"] == raised.value.request_id


def test_an_error_in_the_middle_of_a_stream(gateway: Gateway, zai: Provider) -> None:
    zai.always(insert(say("Hello"), b'event: error\ndata: {"error": {"message": "gone"}}\n\n', after=4, rest=False))
    with gateway.stream("glm") as stream:
        stream.read()
    assert stream.answer[-1] == "error"
    data = stream.events[-1].json
    assert data["type"] == "error"
    assert data["error"]["type"] == "api_error"
    assert "gone" in data["error"]["message"]
    assert data["request_id"]
    assert stream.cut is None
