"""What is served, what is passed on, and what is not; over every kind of HTTP that a client may speak."""

import gzip
import json
import zlib
from typing import Any

import pytest

from tests.credentials import OWN_LOGIN
from tests.e2e.gateway import Gateway, messages_body
from tests.e2e.raw_http import RawClient
from tests.fakes.provider import Provider
from tests.fakes.scripts import Answer, Gate, deliver, error, insert, plain_error, redirect, say

BODY = json.dumps(messages_body()).encode()
STREAM = json.dumps(messages_body(stream=True)).encode()

# The table of models


@pytest.mark.parametrize(
    ("asked", "provider", "path", "model", "credential"),
    [
        ("glm", "zai", "/api/anthropic", "glm-5", ("authorization", "Bearer zai-key-0123456789")),
        ("glm-fast", "zai", "/api/anthropic", "glm-5-air", ("authorization", "Bearer zai-key-0123456789")),
        ("kimi", "kimi", "/coding", "kimi-for-coding", ("x-api-key", "kimi-key-0123456789")),
        (
            "openrouter",
            "openrouter",
            "/api",
            "qwen/qwen3.6-plus:free",
            ("authorization", "Bearer openrouter-key-0123456789"),
        ),
        ("anthropic/claude-opus-5-5", "anthropic", "", "claude-opus-5-5", ("authorization", "Bearer sk-ant-oat01-")),
        ("claude-haiku-4-5-20251001", "anthropic", "", "claude-haiku-4-5-20251001", ("anthropic-beta", "oauth-")),
    ],
)
def test_the_table_of_models(
    gateway: Gateway, providers: Any, asked: str, provider: str, path: str, model: str, credential: tuple[str, str]
) -> None:
    answer = gateway.post(asked, path="/v1/messages?beta=true")
    assert answer.json()["content"] == [{"type": "text", "text": f"Hello from {provider}"}]
    assert [one.name for one in providers if one.requests] == [provider]
    (request,) = getattr(providers, provider).requests
    assert request.target == f"{path}/v1/messages?beta=true"
    assert request.model == model
    assert request.headers[credential[0]].startswith(credential[1])
    assert (answer.headers["x-gateway-provider"], answer.headers["x-gateway-model"]) == (provider, model)
    assert answer.headers["x-gateway-attempts"] == "1"
    assert "x-gateway-fallback" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "alias", "model"),
    [
        ("claude-opus-5-5", "glm", "glm-5"),
        ("anthropic/claude-opus-5-5", "glm", "glm-5"),
        ("anthropic/anything", "glm", "glm-5"),
        ("claude-haiku-5-5", "glm-fast", "glm-5-air"),
        ("anthropic/claude-haiku-5-5", "glm-fast", "glm-5-air"),
    ],
)
def test_the_table_of_fallbacks(
    gateway: Gateway, anthropic: Provider, zai: Provider, asked: str, alias: str, model: str
) -> None:
    anthropic.always(error(402))  # which says nothing of Anthropic's health to the requests that follow
    answer = gateway.post(asked)
    assert answer.status_code == 200
    assert zai.last.model == model
    assert answer.headers["x-gateway-fallback"] == alias
    assert answer.headers["x-gateway-model"] == model


def test_a_model_that_no_route_serves(gateway: Gateway, providers: Any) -> None:
    answer = gateway.post("gpt-6")
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "not_found_error"
    assert "gpt-6" in answer.json()["error"]["message"]
    assert "glm-fast" in answer.json()["error"]["message"], "what there is should be said"
    assert answer.headers["x-should-retry"] == "false"
    assert [one for one in providers if one.requests] == []


# The gateway's own paths


def test_probes(gateway: Gateway, providers: Any) -> None:
    with RawClient(gateway) as client:
        for method, path in [
            ("HEAD", "/"),
            ("HEAD", "/api/hello"),
            ("GET", "/"),
            ("HEAD", "/health"),
            ("GET", "/health"),
        ]:
            client.write(f"{method} {path} HTTP/1.1\r\nhost: g\r\nuser-agent: Bun/1.4.4\r\n\r\n")
            answer = client.read(method)
            assert answer.status == 200, (method, path)
            assert answer.headers["content-type"] == "application/json"
            assert bool(answer.body) == (method == "GET")
        assert answer.json["status"] == "ok" and answer.json["shared"] == "local" and answer.json["version"]
    assert [one for one in providers if one.requests] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/messages"),
        ("PUT", "/v1/messages"),
        ("POST", "/v1/models"),
        ("DELETE", "/health"),
        ("POST", "/v1/messages/batches"),
        ("POST", "/v1/messages/"),
        ("POST", "/v1/complete"),
        ("GET", "/v1/organizations/x?y=z"),
        ("OPTIONS", "/v1/messages"),
    ],
)
def test_other_paths_without_a_credential(gateway: Gateway, providers: Any, method: str, path: str) -> None:
    answer = gateway.client.request(method, path, content=b"{}" if method == "POST" else b"")
    assert answer.status_code == 404
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == "not_found_error"
    assert path.partition("?")[0] in answer.json()["error"]["message"]
    assert answer.json()["request_id"] == answer.headers["request-id"]
    assert [one for one in providers if one.requests] == []


def test_a_path_with_an_empty_first_part_is_no_other_path(gateway: Gateway, providers: Any) -> None:
    with RawClient(gateway) as client:
        for target in ("//g/v1/messages", "//v1/messages"):
            client.post(BODY, target=target)
            answer = client.read()
            assert answer.status == 404
            assert target in answer.json["error"]["message"]
        client.write("GET //g/v1/models HTTP/1.1\r\nhost: g\r\n\r\n")
        assert client.read("GET").status == 404
    assert [one for one in providers if one.requests] == []


def test_a_head_request_for_nothing(gateway: Gateway) -> None:
    with RawClient(gateway) as client:
        client.write("HEAD /nothing HTTP/1.1\r\nhost: g\r\n\r\n")
        assert client.read("HEAD").status == 404
        client.write("GET /health HTTP/1.1\r\nhost: g\r\n\r\n")
        assert client.read("GET").status == 200


# Other paths with the client's own credential


def test_other_paths_go_to_the_default_upstream(gateway: Gateway, anthropic: Provider) -> None:
    anthropic.script(deliver(plain_error(418, "short and stout"), headers={"x-of": "the upstream"}))
    answer = gateway.client.post(
        "/v1/files?a=1&b=%2F",
        content=b"\x00\xff",
        headers={
            **OWN_LOGIN,
            "content-type": "application/octet-stream",
            "anthropic-beta": "files-api-2025-04-14",
            "x-litellm-api-key": "whatever",
            "x-claude-token-mode": "rotate",
            "cookie": "a=b",
        },
    )
    assert (answer.status_code, answer.text) == (418, "short and stout")
    assert answer.headers["x-of"] == "the upstream"
    request = anthropic.last
    assert (request.method, request.target, request.body) == ("POST", "/v1/files?a=1&b=%2F", b"\x00\xff")
    assert request.headers["authorization"] == OWN_LOGIN["authorization"]
    assert request.headers["host"] == f"127.0.0.1:{anthropic.port}"
    assert request.headers["content-type"] == "application/octet-stream"
    assert request.headers["anthropic-beta"] == "files-api-2025-04-14"
    assert {"x-litellm-api-key", "x-claude-token-mode", "cookie", "x-api-key"}.isdisjoint(request.headers)


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PATCH"])
def test_other_methods_are_passed_on(gateway: Gateway, anthropic: Provider, method: str) -> None:
    anthropic.script(Answer(pieces=(b"{}",)))
    answer = gateway.client.request(method, "/v1/files/1", headers={"x-api-key": "sk-ant-api03-own-0123456789"})
    assert answer.status_code == 200
    assert (anthropic.last.method, anthropic.last.target) == (method, "/v1/files/1")
    assert anthropic.last.headers["x-api-key"] == "sk-ant-api03-own-0123456789"
    assert "authorization" not in anthropic.last.headers


def test_what_is_passed_on_is_streamed(gateway: Gateway, anthropic: Provider) -> None:
    gate = Gate()
    anthropic.script(Answer(pieces=(b"first", gate, b"second"), framing="chunked"))
    with gateway.client.stream("GET", "/v1/files/1/content", headers=OWN_LOGIN) as answer:
        chunks = answer.iter_raw()
        assert next(chunks) == b"first"
        gate.open()
        assert b"".join(chunks) == b"second"


def test_what_is_passed_on_fails_in_the_envelope(gateway: Gateway, anthropic: Provider) -> None:
    anthropic.refuse()
    answer = gateway.client.get("/v1/files", headers=OWN_LOGIN)
    assert answer.status_code == 502
    assert answer.json()["error"]["type"] == "api_error"
    assert answer.json()["request_id"]


def test_a_redirect_that_is_passed_on_is_not_followed(gateway: Gateway, anthropic: Provider) -> None:
    anthropic.script(redirect("/elsewhere"))
    assert gateway.client.get("/v1/files", headers=OWN_LOGIN).status_code == 307
    assert len(anthropic.requests) == 1


# Kinds of HTTP


def test_the_absolute_form_is_refused(gateway: Gateway, providers: Any) -> None:
    with RawClient(gateway) as client:
        for target in ("http://api.anthropic.com/v1/messages", f"{gateway.url}/health"):
            client.post(BODY, target=target)
            answer = client.read()
            assert answer.status == 400
            assert answer.json["error"]["type"] == "invalid_request_error"
            assert answer.json["request_id"]
    assert [one for one in providers if one.requests] == []


def test_a_client_of_http_1_0(gateway: Gateway, zai: Provider) -> None:
    with RawClient(gateway) as client:
        client.write(b"POST /v1/messages HTTP/1.0\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY)
        assert client.read().json["content"] == [{"type": "text", "text": "Hello from zai"}]
        assert client.is_closed()
    assert zai.last.headers["host"] == f"127.0.0.1:{zai.port}"


def test_a_stream_to_a_client_of_http_1_0_ends_with_the_connection(gateway: Gateway, zai: Provider) -> None:
    with RawClient(gateway) as client:
        client.write(b"POST /v1/messages HTTP/1.0\r\ncontent-length: %d\r\n\r\n" % len(STREAM) + STREAM)
        answer = client.read()
        assert "transfer-encoding" not in answer.headers
        assert answer.body.startswith(b"event: message_start\n")
        assert answer.body.rstrip().endswith(b'data: {"type": "message_stop"}')


def test_a_probe_and_a_relayed_request_of_http_1_0(gateway: Gateway, anthropic: Provider) -> None:
    anthropic.script(Answer(pieces=(b"{}",)))
    for lines, path in [("", "/health"), ("x-api-key: sk-ant-api03-0123456789\r\n", "/v1/files")]:
        with RawClient(gateway) as client:
            client.write(f"GET {path} HTTP/1.0\r\n{lines}\r\n")
            assert client.read("GET").status == 200
    assert anthropic.last.headers["host"] == f"127.0.0.1:{anthropic.port}"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_chunked_body(gateway: Gateway, zai: Provider, size: int) -> None:
    answer = gateway.client.post("/v1/messages", content=(BODY[i : i + size] for i in range(0, len(BODY), size)))
    assert answer.status_code == 200
    assert zai.last.json == {**json.loads(BODY), "model": "glm-5"}
    assert "transfer-encoding" not in zai.last.headers
    assert zai.last.headers["content-length"] == str(len(zai.last.body))


@pytest.mark.parametrize(("coding", "encode"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_body(gateway: Gateway, zai: Provider, coding: str, encode: Any) -> None:
    answer = gateway.client.post("/v1/messages", content=encode(BODY), headers={"content-encoding": coding})
    assert answer.status_code == 200
    assert zai.last.json == {**json.loads(BODY), "model": "glm-5"}
    assert "content-encoding" not in zai.last.headers


def test_a_body_in_a_content_coding_that_it_is_not_in(gateway: Gateway, zai: Provider) -> None:
    for coding in ("gzip", "rot13"):
        answer = gateway.client.post("/v1/messages", content=BODY, headers={"content-encoding": coding})
        assert answer.status_code == 400
        assert coding in answer.json()["error"]["message"]
    assert zai.requests == []


def test_a_provider_that_closes_its_connection_does_not_close_the_clients(gateway: Gateway, zai: Provider) -> None:
    zai.always(deliver(say("hi"), framing="close", headers={"keep-alive": "timeout=1", "connection": "close"}))
    with RawClient(gateway) as client:
        for body in (BODY, STREAM, BODY):
            client.post(body)
            answer = client.read()
            assert answer.status == 200
            assert {"connection", "keep-alive"}.isdisjoint(answer.headers)


def test_many_requests_on_one_connection(gateway: Gateway, zai: Provider, anthropic: Provider) -> None:
    with RawClient(gateway) as client:
        for _ in range(3):
            client.post(BODY)
            assert client.read().json["type"] == "message"
            client.post(STREAM)
            assert client.read().body.rstrip().endswith(b'"message_stop"}')
            client.post(b"{}")
            assert client.read().status == 400
        client.post(BODY, "connection: close")
        assert client.read().status == 200
        assert client.is_closed()
    assert {request.connection for request in zai.requests} == {zai.requests[0].connection}


# `stream: true` and `stream: false`, whatever the provider answers


def events_of(body: str) -> list[str]:
    return [line.removeprefix("event: ") for line in body.splitlines() if line.startswith("event: ")]


@pytest.mark.parametrize("model", ["glm", "kimi", "openrouter", "claude-sonnet-5-5"])
@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("content_type", ["text/event-stream", "application/json", "text/plain"])
def test_each_client_gets_what_it_asked_for(
    gateway: Gateway, providers: Any, model: str, asked: bool, answered: bool, content_type: str
) -> None:
    def as_the_other(request: Any) -> Any:
        flipped = type(request)(**{**vars(request), "body": json.dumps({**request.json, "stream": answered}).encode()})
        return say("ünïcode", content_type=content_type)(flipped)

    for provider in providers:
        provider.script(deliver(as_the_other, headers={"content-type": content_type}))
    answer = gateway.post(model, stream=asked)
    assert answer.status_code == 200
    if asked:
        assert answer.headers["content-type"].startswith("text/event-stream")
        kinds = events_of(answer.text)
        assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
    else:
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.json()["content"] == [{"type": "text", "text": "ünïcode"}]
        assert answer.json()["stop_reason"] == "end_turn"
        assert answer.json()["usage"]["output_tokens"] == 34


def test_the_sdk_reads_both(gateway: Gateway, zai: Provider) -> None:
    client = gateway.anthropic()
    zai.script(say("one"), insert(say("two"), b": comment\n\n", after=0))
    asked: Any = {"model": "glm", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    message = client.messages.create(**asked)
    assert message.content[0].type == "text"
    assert message.content[0].text == "one"
    with client.messages.stream(**asked) as stream:
        assert "".join(stream.text_stream) == "two"
    assert zai.last.stream
