"""A client that hangs up: nothing more is sent to anybody, and the provider stops generating, which costs money.

`glm` falls back to kimi.
"""

import json
import socket
from typing import Any

import pytest

from tests.e2e.gateway import Gateway, messages_body
from tests.fakes.answers import Reply
from tests.fakes.provider import PATIENCE, Provider
from tests.fakes.resets import reset_at_close
from tests.fakes.scripts import deliver, drop, endless_pings, error, hang, message, say, text, thinking
from tests.received import either_way

HOLD = 0.3


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    failover = {**routing["failover"], "cooldown": 0, "hold": HOLD, "ping_interval": 0.2}
    return {**routing, "fallbacks": {"glm": ["kimi"]}, "failover": failover}


class Caller:
    """A client down at its socket, that can hang up at any time."""

    def __init__(
        self, gateway: Gateway, model: str = "glm", *, stream: bool = True, path: str = "/v1/messages"
    ) -> None:
        body = json.dumps(messages_body(model, stream=stream)).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: gateway\r\nx-api-key: own\r\ncontent-length: {len(body)}\r\n\r\n"
        self.socket = socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE)
        self.socket.sendall(head.encode() + body)

    def read_until(self, end: bytes) -> None:
        received = b""
        while end not in received:
            data = self.socket.recv(65536)
            assert data, f"the gateway has closed the connection after {received!r}"
            received += data

    def hang_up(self, *, reset: bool = False) -> None:
        if reset:
            reset_at_close(self.socket)
        self.socket.close()


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@either_way
@pytest.mark.parametrize(
    "reply",
    [hang(), hang(say("never read")), drop(say("never read"), byte=200, then="hang")],
    ids=["before the head", "after the head", "before any content"],
)
def test_while_nobody_has_answered(gateway: Gateway, zai: Provider, reply: Reply, stream: bool, reset: bool) -> None:
    zai.always(reply)
    caller = Caller(gateway, stream=stream)
    zai.wait_for(lambda: zai.requests)
    assert zai.closed_by_peer == []
    caller.hang_up(reset=reset)
    zai.wait_for(lambda: zai.closed_by_peer == zai.requests)


@pytest.mark.parametrize("path", ["/v1/messages/count_tokens", "/v1/another/path"])
def test_on_every_path(gateway: Gateway, anthropic: Provider, path: str) -> None:
    anthropic.always(drop(say("Hello, world"), byte=200, then="hang"))
    caller = Caller(gateway, "claude-opus-5-5", path=path)
    anthropic.wait_for(lambda: anthropic.requests)
    caller.hang_up()
    anthropic.wait_for(lambda: anthropic.closed_by_peer == anthropic.requests)


def test_while_it_gets_pings_only(gateway: Gateway, zai: Provider, kimi: Provider) -> None:
    zai.always(hang())
    caller = Caller(gateway)
    caller.read_until(b"event: ping")
    caller.hang_up()
    zai.wait_for(lambda: zai.closed_by_peer == zai.requests)
    assert kimi.requests == []


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(
    "reply",
    [
        hang(say("Hello, world"), events=3),
        endless_pings(say("Hello, world"), after=3),
        deliver(say("Hello, world" + " and more" * 10_000), pace=0.01),
    ],
    ids=["silent", "only pings", "talking"],
)
@pytest.mark.parametrize("model", ["glm", "claude-opus-5-5"])
def test_in_the_middle_of_a_stream(
    gateway: Gateway, zai: Provider, anthropic: Provider, model: str, reply: Reply, reset: bool
) -> None:
    for provider in (zai, anthropic):
        provider.always(reply)
    caller = Caller(gateway, model)
    caller.read_until(b"Hello, world")
    caller.hang_up(reset=reset)
    asked = zai if model == "glm" else anthropic
    asked.wait_for(lambda: len(asked.closed_by_peer) == 1)


def test_while_thinking_is_stripped(gateway: Gateway, openrouter: Provider) -> None:
    openrouter.always(deliver(message(thinking("hm " * 10_000), text("never read")), pace=0.01))
    caller = Caller(gateway, "openrouter")
    caller.read_until(b"message_start")
    caller.hang_up()
    openrouter.wait_for(lambda: openrouter.closed_by_peer == openrouter.requests)


def test_between_two_attempts(gateway: Gateway, zai: Provider, kimi: Provider) -> None:
    """Three seconds lie between them, in which the clients go."""
    later = error(529, headers={"retry-after": "3"})
    zai.always(drop(later))
    kimi.script(later)
    begin = len(gateway.log())

    def count(words: str) -> int:
        return gateway.log()[begin:].count(words)

    callers = [Caller(gateway), Caller(gateway)]
    gateway.wait_until(lambda: count(f"server disconnect 127.0.0.1:{zai.port}") == 2)
    for caller, reset in zip(callers, (False, True), strict=True):
        caller.hang_up(reset=reset)
    gateway.wait_until(lambda: count("glm → zai 529 · Client disconnected") == 2)
    assert gateway.post("kimi").headers["x-gateway-attempts"] == "2", "has waited as long as the others would have"
    assert len(zai.requests) == 2
    assert len(kimi.requests) == 2


def test_nobody_else_minds(gateway: Gateway, zai: Provider) -> None:
    zai.script(hang(say("Hello, world"), events=3), deliver(say("Hello, you " * 20), pace=0.01))
    caller = Caller(gateway)
    caller.read_until(b"Hello, world")
    with gateway.stream("glm") as stream:
        stream.until("content_block_delta")
        caller.hang_up()
        stream.read()
    assert stream.text == "Hello, you " * 20
    assert stream.answer[-1] == "message_stop"
