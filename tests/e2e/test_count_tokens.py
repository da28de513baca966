"""POST /v1/messages/count_tokens: asked where the provider counts, estimated where it doesn't, and then it says so."""

from typing import Any

import pytest

from tests.e2e.conftest import TOKENS
from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.request import Request
from tests.fakes.scripts import Reply, count_tokens, empty_error, error, html_error, openai_error, plain_error

PATH = "/v1/messages/count_tokens"
ESTIMATED = "x-gateway-estimate"

DOES_NOT_COUNT: list[Reply] = [
    error(404, "Not found"),
    plain_error(404, "404 page not found"),
    html_error(404),
    empty_error(404),
    empty_error(405),
    openai_error(404, "Invalid URL (POST /v1/messages/count_tokens)"),
    plain_error(200, '{"code":500,"msg":"404 NOT_FOUND","success":false}'),  # Z.AI
]
LACKING = [f"lacking-{number}" for number in range(len(DOES_NOT_COUNT))]


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any], providers: Any) -> dict[str, Any]:
    """With a provider for each way of not counting: what the gateway has learnt of one it keeps."""
    more = {name: {"base_url": f"{providers.kimi.url}/{name}", "auth": "none"} for name in LACKING}
    models: dict[str, Any] = {name: f"{name}/some" for name in LACKING}
    return {
        **routing,
        "providers": {**routing["providers"], **more},
        "models": {**routing["models"], **models},
    }


def test_a_provider_that_counts_is_asked(gateway: Gateway, anthropic: Provider) -> None:
    anthropic.script(count_tokens(4321))
    answer = gateway.post(
        "anthropic/claude-sonnet-5-5",
        path=f"{PATH}?beta=true",
        headers={"anthropic-beta": "token-counting-2024-11-01"},
    )
    assert answer.json() == {"input_tokens": 4321}
    assert ESTIMATED not in answer.headers
    assert answer.headers["x-gateway-provider"] == "anthropic"
    assert anthropic.last.target == f"{PATH}?beta=true"
    assert anthropic.last.model == "claude-sonnet-5-5"
    assert anthropic.last.token in TOKENS
    assert anthropic.last.headers["anthropic-beta"] == "token-counting-2024-11-01,oauth-2025-04-20"


def test_another_provider_that_counts_is_asked_with_its_own_key(gateway: Gateway, zai: Provider) -> None:
    zai.script(count_tokens(99))
    assert gateway.post("glm", path=PATH).json() == {"input_tokens": 99}
    assert zai.last.target == f"/api/anthropic{PATH}"
    assert zai.last.token == "zai-key-0123456789"


def test_the_sdk_counts(gateway: Gateway, anthropic: Provider) -> None:
    anthropic.script(count_tokens(7))
    counted = gateway.anthropic().messages.count_tokens(
        model="claude-sonnet-5-5", messages=[{"role": "user", "content": "hi"}]
    )
    assert counted.input_tokens == 7


def test_stream_is_not_asked_for(gateway: Gateway, zai: Provider) -> None:
    zai.script(count_tokens(5))
    answer = gateway.post("glm", path=PATH, stream=True)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"input_tokens": 5}


@pytest.mark.parametrize(("model", "reply"), zip(LACKING, DOES_NOT_COUNT, strict=True))
def test_a_provider_that_does_not_count_is_asked_once(
    gateway: Gateway, kimi: Provider, model: str, reply: Reply
) -> None:
    kimi.always(reply)
    for _ in range(2):
        answer = gateway.post(model, path=PATH, text="four words are here " * 100)
        assert answer.status_code == 200
        assert 300 < answer.json()["input_tokens"] < 700
        assert answer.headers[ESTIMATED] == "true"
    assert len(kimi.requests) == 1


def test_a_larger_request_is_estimated_larger(gateway: Gateway, openrouter: Provider) -> None:
    openrouter.always(empty_error(404))
    tools = [{"name": "t", "description": "what it does " * 50, "input_schema": {"type": "object"}}]
    bodies: list[dict[str, Any]] = [{}, {"text": "hi " * 1000}, {"text": "hi " * 1000, "tools": tools}]
    small, large, larger = (gateway.post("openrouter", path=PATH, **body).json()["input_tokens"] for body in bodies)
    assert small < large < larger


def test_an_unknown_model_is_no_missing_endpoint(gateway: Gateway, anthropic: Provider) -> None:
    anthropic.always(error(404, "model: claude-nope"))
    answer = gateway.post("claude-nope", path=PATH)
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "model: claude-nope"
    anthropic.always(count_tokens(3))
    assert gateway.post("claude-sonnet-5-5", path=PATH).json() == {"input_tokens": 3}


def test_the_next_token_counts_where_one_is_refused(gateway: Gateway, anthropic: Provider) -> None:
    def reply(request: Request) -> Reply:
        return error(429, headers={"retry-after": "1"}) if request.token == TOKENS[0] else count_tokens(8)

    anthropic.always(reply)
    for _ in range(2):
        assert gateway.post("claude-sonnet-5-5", path=PATH).json() == {"input_tokens": 8}
    assert anthropic.last.token == TOKENS[1]


def test_what_is_no_count_is_not_passed_on(gateway: Gateway, zai: Provider) -> None:
    zai.always(plain_error(200, '{"tokens": 5}'))
    answer = gateway.post("glm-fast", path=PATH)
    assert answer.status_code >= 500
    assert answer.json()["type"] == "error"


@pytest.mark.parametrize("body", [b"", b"{}", b'{"model": "glm"}'])
def test_a_bad_body_is_refused_here_too(gateway: Gateway, zai: Provider, body: bytes) -> None:
    assert gateway.client.post(PATH, content=body).status_code == 400
    assert zai.requests == []
