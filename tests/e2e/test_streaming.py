"""Streams: each event reaches the client when it is there, whatever the provider's bytes look like."""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anthropic as anthropic_sdk
import httpx
import pytest

from tests.e2e.conftest import Providers
from tests.e2e.gateway import SAVING, Gateway, messages_body
from tests.e2e.sse import Event, EventStream
from tests.fakes.answers import Answer, Reply, resolve
from tests.fakes.front import Authority, Front
from tests.fakes.launch import SHORT_WAY
from tests.fakes.provider import PATIENCE, Provider
from tests.fakes.request import Request
from tests.fakes.scripts import (
    Gate,
    chat,
    deliver,
    event,
    hang,
    insert,
    message,
    say,
    text,
    thinking,
    tool_use,
    trickle,
    with_headers,
    wrong_content_type,
)

PING_INTERVAL = 0.2
LONG = "Grüße aus Köln 🦊 — 你好, and then some more text so that there are many events"
BLOCKS = (text(LONG), tool_use("Bash", {"command": "echo 'ü 🦊'"}, tool_id="toolu_1"))


@pytest.fixture(scope="module")
def routing(
    routing: dict[str, Any], providers: Providers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """With zai behind TLS as well, and as a server of Chat Completions."""
    company, bundle = Authority(), tmp_path_factory.mktemp("company") / "company.pem"
    bundle.write_text(company.pem)
    with Front(providers.zai.port, tls=company.issue("127.0.0.1")) as front:
        others = {
            "tls": {"base_url": front.url, "ca_bundle": str(bundle), "auth": "none"},
            "chat": {"base_url": f"{providers.zai.url}/v1", "format": "openai-chat", "auth": "none"},
        }
        yield {
            **routing,
            "providers": {**routing["providers"], **others},
            "models": {**routing["models"], "tls": "tls/m", "chat": "chat/m"},
            "failover": {**routing["failover"], "ping_interval": PING_INTERVAL},
        }


@pytest.fixture(scope="module")
def gateway(providers: Providers, routing: dict[str, Any], env: dict[str, str]) -> Iterator[Gateway]:
    script = str(Path(__file__).with_name("long_way.py"))
    with Gateway(routing, env, upstream=providers.anthropic.url, options=("-s", script)) as gateway:
        yield gateway


def content_of(events: list[Event]) -> list[dict[str, Any]]:
    """The blocks that these events make, put together the way a client does."""
    blocks: dict[int, dict[str, Any]] = {}
    for one in events:
        if one.event == "content_block_start":
            blocks[one.json["index"]] = {**one.json["content_block"], "json": ""}
        elif one.event == "content_block_delta":
            block = blocks[one.json["index"]]
            for kind, value in one.json["delta"].items():
                if kind != "type":
                    key = "json" if kind == "partial_json" else kind
                    block[key] = block.get(key, "") + value
    for block in blocks.values():
        arguments = block.pop("json")
        if arguments:
            block["input"] = json.loads(arguments)
    return [blocks[index] for index in range(len(blocks))]


def read(gateway: Gateway, model: str = "glm", **options: Any) -> EventStream:
    with gateway.stream(model, **options) as stream:
        stream.read()
    assert stream.cut is None
    return stream


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("model", ["glm", "openrouter", "claude-opus-5-5"])
def test_each_event_is_there_before_the_next_one_is_sent(
    gateway: Gateway, zai: Provider, openrouter: Provider, anthropic: Provider, model: str, zipped: bool
) -> None:
    gates = [Gate() for _ in range(4)]
    reply: Reply = say("Hello, world and all")
    for number in (5, 4, 3, 2):  # from the last one, so that the counts stay right
        reply = insert(reply, gates[number - 2], after=number)
    for provider in (zai, openrouter, anthropic):
        provider.always(deliver(reply, gzip=zipped))
    with gateway.stream(model) as stream:
        stream.until("content_block_start")
        gates[0].open()
        assert stream.until("content_block_delta").json["delta"]["text"] == "Hello, world"
        gates[1].open()
        assert stream.until("content_block_delta").json["delta"]["text"] == " and all"
        gates[2].open()
        stream.until("content_block_stop")
        gates[3].open()
        stream.read()
    assert [kind for kind in stream.answer if "delta" not in kind] == [
        "message_start",
        "content_block_start",
        "content_block_stop",
        "message_stop",
    ]


class TestTheWayOfARunningAnswer:
    TEXT = "abcdefghijklmnopqrstuvwxyz"
    GATES = 20

    @pytest.mark.skipif(SAVING, reason="with proxy_debug all answers go mitmproxy's way")
    @pytest.mark.parametrize("model", ["glm", "tls", "chat"])
    def test_is_the_short_one_where_it_may(self, gateway: Gateway, zai: Provider, model: str) -> None:
        """Each event is a read, of which mitmproxy sees all, or hardly any: when it is not yet done with the last."""
        assert self.reads(gateway, zai, model, short_way=False) >= self.GATES
        assert self.reads(gateway, zai, model, short_way=True) <= self.GATES / 2

    def reads(self, gateway: Gateway, zai: Provider, model: str, *, short_way: bool) -> int:
        """How many of a provider's connection mitmproxy has seen while an answer ran."""
        gates, told = [Gate() for _ in range(self.GATES)], gateway.directory / "reads"
        beginning, saying = (1, chat) if model == "chat" else (2, say)
        reply: Reply = saying(self.TEXT, delta_size=1)
        for number in reversed(range(self.GATES)):
            reply = insert(reply, gates[number], after=beginning + number + 1)
        zai.always(reply)
        before = told.read_text() if told.exists() else ""
        (gateway.directory / "short_way").write_text(str(short_way).lower())
        body, started = messages_body(model, stream=True), time.monotonic()
        with (
            httpx.Client(base_url=gateway.url, trust_env=False, timeout=PATIENCE) as client,
            client.stream("POST", "/v1/messages", json=body) as response,
        ):
            stream = EventStream(response, started)
            for gate in gates:
                stream.until("content_block_delta")  # the one event that has come since the last
                gate.open()
            stream.read()
        (gateway.directory / "short_way").write_text(str(SHORT_WAY).lower())
        assert stream.text == self.TEXT
        gateway.wait_until(lambda: told.read_text() != before)
        return int(told.read_text().split()[-1])


class TestPings:
    def test_come_in_silence(self, gateway: Gateway, zai: Provider) -> None:
        gate = Gate()
        zai.always(insert(say("Hello, world"), gate, after=3))
        with gateway.stream("glm") as stream:
            stream.until("content_block_delta")
            pings = [stream.next() for _ in range(3)]
            gate.open()
            stream.read()
        assert [ping.data for ping in pings] == ['{"type": "ping"}'] * 3
        # Of what a busy machine reads late, only the earliest time that was possible can be told.
        assert all(ping.time >= PING_INTERVAL * number for number, ping in enumerate(pings, 1))
        assert stream.answer[-1] == "message_stop"
        assert stream.types[-1] == "message_stop"

    def test_do_not_come_while_events_come(
        self, start_gateway: Callable[..., Gateway], routing: dict[str, Any], zai: Provider
    ) -> None:
        """The whole takes longer than the interval, and each pause a tenth of it: a busy machine needs the rest."""
        gateway = start_gateway({"failover": {**routing["failover"], "ping_interval": 1.5}})
        zai.always(deliver(say("x" * 12 * 10), pace=0.15))
        stream = read(gateway)
        assert stream.events[-1].time > 1.5
        assert "ping" not in stream.types

    def test_never_stand_inside_an_event(self, gateway: Gateway, zai: Provider) -> None:
        """Half of one has come when they are due."""
        gate = Gate()
        slow = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "slow, "})
        zai.always(insert(say("Hello, world"), slow[:30], gate, slow[30:], after=2))
        with gateway.stream("glm") as stream:
            for _ in range(2):
                stream.until("ping")
            gate.open()
            stream.read()
        assert stream.text == "slow, Hello, world"
        assert all(event.json["type"] == event.event for event in stream.events)

    def test_while_thinking_is_stripped(self, gateway: Gateway, openrouter: Provider) -> None:
        """The provider sends without a pause, but nothing of it is for the client."""
        thoughts = thinking("hm " * 60)
        openrouter.always(deliver(message(thoughts, text("done")), pace=PING_INTERVAL / 6))
        stream = read(gateway, "openrouter")
        assert stream.types.count("ping") >= 2
        assert stream.answer[:2] == ["message_start", "content_block_start"]
        assert content_of(stream.events) == [text("done")]

    def test_of_the_provider_pass(self, gateway: Gateway, anthropic: Provider) -> None:
        anthropic.always(say("Hello, world", pings=True))
        assert read(gateway, "claude-opus-5-5").types[:3] == ["message_start", "content_block_start", "ping"]


QUIRKS: dict[str, Reply] = {
    "plain": message(*BLOCKS),
    "CRLF": message(*BLOCKS, crlf=True),
    "no event lines": message(*BLOCKS, event_lines=False),
    "no event lines, CRLF, comments, [DONE]": message(
        *BLOCKS, event_lines=False, crlf=True, comments=("OPENROUTER PROCESSING",) * 3, done=True
    ),
    "[DONE]": message(*BLOCKS, done=True),
    "comments": message(*BLOCKS, comments=("OPENROUTER PROCESSING", "")),
    "pings": message(*BLOCKS, pings=True),
    "padding": message(*BLOCKS, padding=3),
    "one character a delta": message(*BLOCKS, delta_size=1),
    "usage at the end only": message(*BLOCKS, usage_at_start=False),
    "gzip": deliver(message(*BLOCKS), gzip=True),
    "content-length": deliver(message(*BLOCKS), framing="content-length"),
    "ended by closing": deliver(message(*BLOCKS), framing="close"),
    "called plain text": wrong_content_type(message(*BLOCKS)),
    "called JSON": wrong_content_type(message(*BLOCKS), "application/json"),
    "one byte at a time": deliver(message(*BLOCKS), write_size=1),
    "7 bytes at a time": deliver(message(*BLOCKS), write_size=7),
    "CRLF, 3 bytes at a time": deliver(message(*BLOCKS, crlf=True), write_size=3),
    "gzip, 5 bytes at a time": deliver(message(*BLOCKS), gzip=True, write_size=5),
    "JSON": lambda request: as_if(request, stream=False, reply=message(*BLOCKS)),
}


def as_if(request: Request, *, stream: bool, reply: Reply) -> Reply:
    """What the reply would be, had the other kind of answer been asked for."""
    return resolve(reply, replace(request, body=json.dumps({**request.json, "stream": stream}).encode()))


class TestWhateverTheBytesLookLike:
    @pytest.mark.parametrize("model", ["glm", "openrouter", "claude-opus-5-5"])
    @pytest.mark.parametrize("quirk", QUIRKS)
    def test_the_message_is_the_same(
        self, gateway: Gateway, zai: Provider, openrouter: Provider, anthropic: Provider, quirk: str, model: str
    ) -> None:
        for provider in (zai, openrouter, anthropic):
            provider.script(QUIRKS[quirk])
        stream = read(gateway, model)
        assert content_of(stream.events) == [*BLOCKS]
        assert stream.answer[0] == "message_start"
        assert stream.answer[-2:] == ["message_delta", "message_stop"]
        assert stream.events[-1].event == "message_stop", "and nothing after it"
        assert all(event.json["type"] == event.event for event in stream.events if event.event != "comment")
        (delta,) = [event.json for event in stream.events if event.event == "message_delta"]
        assert delta["delta"]["stop_reason"] == "tool_use"
        assert delta["usage"]["output_tokens"] == 34
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in stream.headers

    @pytest.mark.parametrize("quirk", QUIRKS)
    def test_without_streaming_it_is_one_json(self, gateway: Gateway, zai: Provider, quirk: str) -> None:
        """Also where the provider streams although nobody asked: the client's repair path takes JSON only."""
        reply = QUIRKS[quirk]
        zai.script(lambda request: as_if(request, stream=True, reply=reply))
        response = gateway.post("glm")
        assert response.headers["content-type"] == "application/json"
        answer = response.json()
        assert answer["content"] == [*BLOCKS]
        assert answer["stop_reason"] == "tool_use"
        assert answer["usage"]["output_tokens"] == 34
        assert answer["role"] == "assistant"

    @pytest.mark.parametrize("encoding", ["gzip", "identity"])
    def test_json_is_passed_on(self, gateway: Gateway, zai: Provider, encoding: str) -> None:
        body = json.dumps(
            {"id": "m", "type": "message", "role": "assistant", "model": "glm-5", "content": [text(LONG)]}
        ).encode()
        sent = gzip.compress(body) if encoding == "gzip" else body
        headers = (("content-type", "application/json"), ("content-encoding", encoding))
        zai.script(Answer(headers=headers, pieces=(sent,)))
        response = gateway.post("glm")
        assert response.content == body
        assert "content-encoding" not in response.headers


class TestUntouched:
    UNKNOWN = (
        event("content_block_start", index=1, content_block={"type": "crystal_ball", "glow": 0.5}),
        event("content_block_delta", index=1, delta={"type": "glow_delta", "glow": 1e-7}),
        event("content_block_stop", index=1),
        event("message_aura", colour="green", n=12345678901234567890),
    )

    def test_anthropic_s_bytes(self, gateway: Gateway, anthropic: Provider) -> None:
        """Padding, pings, thinking and what nobody knows: what it sent is what the client gets."""
        reply = message(thinking("hm"), text(LONG), *BLOCKS, padding=4, pings=True)
        anthropic.script(insert(reply, *self.UNKNOWN, after=9))
        stream = read(gateway, "claude-opus-5-5")
        sent = resolve(insert(reply, *self.UNKNOWN, after=9), anthropic.last)
        assert stream.raw == b"".join(piece for piece in sent.pieces if isinstance(piece, bytes))

    def test_unknown_events_and_blocks_of_others(self, gateway: Gateway, zai: Provider) -> None:
        zai.script(insert(say("Hello, world"), *self.UNKNOWN, after=4))
        stream = read(gateway)
        assert b"".join(self.UNKNOWN) in stream.raw
        assert stream.answer[-1] == "message_stop"

    def test_a_whole_stream_of_another_provider_without_thinking(self, gateway: Gateway, zai: Provider) -> None:
        zai.script(message(*BLOCKS))
        stream = read(gateway)
        sent = resolve(message(*BLOCKS), zai.last)
        assert stream.raw == b"".join(piece for piece in sent.pieces if isinstance(piece, bytes))


class TestConnections:
    def test_one_connection_serves_many_streams(self, gateway: Gateway, zai: Provider) -> None:
        gateway.post("glm")
        accepted = zai.accepted
        for number in range(10):
            assert read(gateway, stream=True).text == "Hello from zai"
            assert gateway.post("glm", text=f"{number}").status_code == 200
        assert zai.accepted == accepted, "on the provider's side too"

    def test_a_slow_stream_does_not_hold_up_another_one(self, gateway: Gateway, zai: Provider) -> None:
        zai.script(hang(say("Hello, world"), events=3))
        with gateway.stream("glm") as slow:
            slow.until("content_block_delta")
            assert read(gateway).text == "Hello from zai"


class TestTheSdk:
    """The client library that most programs use, as another judge of our streams."""

    ASK: dict[str, Any] = {"max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}  # noqa: RUF012

    @pytest.mark.parametrize("model", ["glm", "kimi", "openrouter", "claude-opus-5-5"])
    def test_create(self, gateway: Gateway, model: str) -> None:
        with gateway.anthropic() as client:
            answer = client.messages.create(model=model, **self.ASK)
        (block,) = answer.content
        assert block.type == "text" and block.text.startswith("Hello from")
        assert answer.stop_reason == "end_turn"
        assert answer.usage.output_tokens == 34

    @pytest.mark.parametrize("model", ["glm", "openrouter", "claude-opus-5-5"])
    def test_stream(
        self, gateway: Gateway, zai: Provider, openrouter: Provider, anthropic: Provider, model: str
    ) -> None:
        for provider in (zai, openrouter, anthropic):
            provider.script(trickle(message(thinking("hm"), *BLOCKS, event_lines=False), size=40, every=0.001))
        with gateway.anthropic() as client, client.messages.stream(model=model, **self.ASK) as stream:
            assert "".join(stream.text_stream) == LONG
            answer = stream.get_final_message()
        assert answer.stop_reason == "tool_use"
        assert answer.usage.input_tokens == 120
        assert [block.type for block in answer.content] == (
            ["text", "tool_use"] if model == "openrouter" else ["thinking", "text", "tool_use"]
        )
        call = answer.content[-1]
        assert call.type == "tool_use" and call.input == BLOCKS[1]["input"]

    def test_count_tokens(self, gateway: Gateway) -> None:
        with gateway.anthropic() as client:
            assert client.messages.count_tokens(model="glm", messages=self.ASK["messages"]).input_tokens == 120

    def test_errors(self, gateway: Gateway, zai: Provider) -> None:
        with gateway.anthropic() as client:
            with pytest.raises(anthropic_sdk.NotFoundError, match="no-such-model"):
                client.messages.create(model="no-such-model", **self.ASK)
            zai.always(Answer(status=403, pieces=(b"forbidden",)))
            with pytest.raises(anthropic_sdk.PermissionDeniedError, match="zai: forbidden"):
                client.messages.create(model="glm", **self.ASK)
            zai.always(insert(say("Hello, world"), event("error", error={"type": "x", "message": "oops"}), after=3))
            with (
                pytest.raises(anthropic_sdk.APIStatusError, match="oops"),
                client.messages.stream(model="glm", **self.ASK) as stream,
            ):
                stream.get_final_message()

    def test_a_header_of_the_provider_s(self, gateway: Gateway, anthropic: Provider) -> None:
        anthropic.script(with_headers(say("hi"), {"request-id": "req_of_anthropic"}))
        with gateway.anthropic() as client:
            answer = client.messages.with_raw_response.create(model="claude-opus-5-5", **self.ASK)
        assert answer.headers["request-id"] == "req_of_anthropic"
