"""A provider whose streams can't be read, but whose whole answers can: the client gets its stream all the same."""

from typing import Any

import pytest

from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import Request, chat, error, invalid_event, message, plain_error, resolve, say, tool_use


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    providers = {**routing["providers"]}
    providers["chat"] = {**providers["kimi"], "format": "openai-chat"}
    return {**routing, "providers": providers, "models": {**routing["models"], "chat": "chat/m"}}


def broken(whole: Any) -> Any:
    """Streams that break, and this where a whole answer is asked for."""

    def reply(request: Request) -> Any:
        return resolve(invalid_event(say("never"), after=0) if request.stream else whole, request)

    return reply


def test_it_is_asked_once_without_streaming(gateway: Gateway, zai: Provider) -> None:
    zai.always(broken(message({"type": "text", "text": "whole"}, tool_use("Bash", {"command": "ls"}))))
    with gateway.anthropic().messages.stream(
        model="glm", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
    ) as stream:
        final = stream.get_final_message()
    said, call = final.model_dump()["content"]
    assert (said["text"], call["input"]) == ("whole", {"command": "ls"})
    assert [request.stream for request in zai.requests] == [True, True, False]


def test_chat_too(gateway: Gateway, kimi: Provider) -> None:
    def reply(request: Request) -> Any:
        if request.stream:
            return resolve(plain_error(200, "data: {broken\n\ndata: {broken\n\n"), request)
        return resolve(chat("whole"), request)

    kimi.always(reply)
    response = gateway.post("chat", stream=True)
    assert "whole" in response.text
    assert [request.stream for request in kimi.requests] == [True, True, False]


def test_if_that_fails_too_the_fallback_is_asked(fresh_gateway: Gateway, anthropic: Provider, zai: Provider) -> None:
    anthropic.always(broken(error(529)))
    assert fresh_gateway.post("claude-opus-5-5", stream=True).status_code == 200
    assert len(zai.requests) == 1
    assert [request.stream for request in anthropic.requests] == [True, True, False]


def test_a_client_that_wants_no_stream_is_not_asked_for_again(fresh_gateway: Gateway, zai: Provider) -> None:
    zai.always(plain_error(200, "nonsense"))
    assert fresh_gateway.post("glm", stream=False).status_code >= 500
    assert len(zai.requests) == 2
