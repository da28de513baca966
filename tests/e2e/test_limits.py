"""What is refused before any provider is asked: bodies that are too large, and bodies that are no request."""

import gzip
import json
import time
import zlib
from collections.abc import Iterator
from typing import Any

import anthropic as sdk
import pytest

from tests.e2e.conftest import big
from tests.e2e.gateway import Gateway, messages_body
from tests.e2e.raw_http import RawClient
from tests.fakes.provider import Provider

LIMIT = 32 * 1024 * 1024
PATHS = ["/v1/messages", "/v1/messages/count_tokens"]


@pytest.fixture(autouse=True)
def _nobody_is_asked(providers: Any, request: pytest.FixtureRequest) -> Iterator[None]:
    """In no test, but for those that look at the provider themselves."""
    yield
    if "zai" not in request.fixturenames:
        assert [one for one in providers if one.requests] == []


def assert_is_413(status: int, body: bytes) -> None:
    assert status == 413
    error = json.loads(body)
    assert error["type"] == "error"
    assert error["error"]["type"] == "request_too_large"
    assert str(LIMIT) in error["error"]["message"]
    assert error["request_id"]


def padded(size: int) -> bytes:
    """A request of exactly this many bytes."""
    body = json.dumps(messages_body(text=""), separators=(",", ":")).encode()
    return body.replace(b'"content":""', b'"content":"%b"' % (b"x" * (size - len(body))))


@big
def test_a_body_of_32_mb_is_taken(gateway: Gateway, zai: Provider) -> None:
    body = padded(LIMIT)
    assert gateway.client.post("/v1/messages", content=body).status_code == 200
    assert len(zai.last.body) == LIMIT + len("-5")


@big
@pytest.mark.parametrize("path", PATHS)
def test_one_byte_more_is_refused(gateway: Gateway, path: str) -> None:
    with RawClient(gateway) as client:
        client.post(padded(LIMIT + 1), target=path)
        answer = client.read()
        assert_is_413(answer.status, answer.body)


def test_it_is_refused_before_it_is_sent(gateway: Gateway) -> None:
    with RawClient(gateway) as client:
        client.write(f"POST /v1/messages HTTP/1.1\r\nhost: g\r\ncontent-length: {LIMIT + 1}\r\n\r\n")
        answer = client.read()
        assert_is_413(answer.status, answer.body)
        assert answer.headers["connection"] == "close"


def test_it_is_refused_before_it_is_asked_for(gateway: Gateway) -> None:
    with RawClient(gateway) as client:
        client.write(
            f"POST /v1/messages HTTP/1.1\r\nhost: g\r\nexpect: 100-continue\r\ncontent-length: {LIMIT + 1}\r\n\r\n"
        )
        answer = client.read()
        assert_is_413(answer.status, answer.body)
        assert answer.informational == ()


@big
def test_a_body_of_unknown_length_is_refused_when_it_is_too_long(gateway: Gateway) -> None:
    piece = b"%x\r\n%b\r\n" % (1 << 20, b"x" * (1 << 20))
    with RawClient(gateway) as client:
        client.write("POST /v1/messages HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(33):
            client.write(piece)
        answer = client.read()
        assert_is_413(answer.status, answer.body)


@big
@pytest.mark.parametrize(("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_small_body_that_grows_is_refused(gateway: Gateway, coding: str, compress: Any) -> None:
    """Four gigabytes in four megabytes: the gateway must not even make them."""
    bomb = compress(b" " * (1 << 24)) * 256
    assert len(bomb) < 5_000_000
    started = time.monotonic()
    answer = gateway.client.post("/v1/messages", content=bomb, headers={"content-encoding": coding})
    assert_is_413(answer.status_code, answer.content)
    assert time.monotonic() - started < 30


def test_other_paths_have_the_same_limit(gateway: Gateway) -> None:
    with RawClient(gateway) as client:
        client.write(f"POST /v1/files HTTP/1.1\r\nhost: g\r\nx-api-key: k\r\ncontent-length: {LIMIT + 1}\r\n\r\n")
        answer = client.read()
        assert_is_413(answer.status, answer.body)


@big
def test_the_sdk_is_told(gateway: Gateway) -> None:
    client = gateway.anthropic(max_retries=2)
    with pytest.raises(sdk.RequestTooLargeError):
        client.messages.create(model="glm", max_tokens=9, messages=[{"role": "user", "content": "x" * LIMIT}])


# Bodies that are no request

USER = {"role": "user", "content": "hi"}

BAD = [
    (b"", "not valid JSON"),
    (b"{", "not valid JSON"),
    (b"model=glm", "not valid JSON"),
    (b'{"model":"glm","messages":[]} x', "not valid JSON"),
    (b'{"model":"glm","messages":NaN}', "not valid JSON"),
    (b'{"model":"glm","messages":["\xff"]}', "not valid JSON"),
    (b'{"model":"glm","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not valid JSON"),
    (b"[]", "must be a JSON object"),
    (b'"glm"', "must be a JSON object"),
    (b"null", "must be a JSON object"),
    (b"{}", "model: "),
    ({"messages": [USER]}, "model: "),
    ({"model": None, "messages": [USER]}, "model: "),
    ({"model": 5, "messages": [USER]}, "model: "),
    ({"model": "", "messages": [USER]}, "model: "),
    ({"model": ["glm"], "messages": [USER]}, "model: "),
    ({"model": "glm"}, "messages: "),
    ({"model": "glm", "messages": None}, "messages: "),
    ({"model": "glm", "messages": "hi"}, "messages: "),
    ({"model": "glm", "messages": USER}, "messages: "),
    ({"model": "glm", "messages": ["hi"]}, "messages.0: "),
    ({"model": "glm", "messages": [USER, None]}, "messages.1: "),
    ({"model": "glm", "messages": [{"content": "hi"}]}, "messages.0.role: "),
    ({"model": "glm", "messages": [{"role": 1, "content": "hi"}]}, "messages.0.role: "),
    ({"model": "glm", "messages": [{"role": "user"}]}, "messages.0.content: "),
    ({"model": "glm", "messages": [USER, {"role": "user", "content": 5}]}, "messages.1.content: "),
    ({"model": "glm", "messages": [{"role": "user", "content": ["hi"]}]}, "messages.0.content.0: "),
    ({"model": "glm", "messages": [{"role": "user", "content": [{"type": 3}]}]}, "messages.0.content.0.type: "),
    ({"model": "glm", "messages": [USER], "stream": "yes"}, "stream: "),
    ({"model": "glm", "messages": [USER], "tools": {}}, "tools: "),
    ({"model": "glm", "messages": [USER], "system": 5}, "system: "),
]


@pytest.mark.parametrize(("body", "words"), BAD, ids=[str(number) for number in range(len(BAD))])
@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_is_no_request(gateway: Gateway, path: str, body: Any, words: str) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = gateway.client.post(path, content=content, headers={"authorization": "Bearer own-0123456789"})
    assert answer.status_code == 400
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert words in answer.json()["error"]["message"]
    assert answer.json()["request_id"] == answer.headers["request-id"]
    assert len(answer.content) < 1000


def test_what_the_gateway_does_not_need_is_for_the_provider_to_judge(gateway: Gateway, zai: Provider) -> None:
    fields = {"max_tokens": "many", "temperature": [], "tool_choice": 3, "messages": []}
    assert gateway.client.post("/v1/messages", json={"model": "glm", **fields}).status_code == 200
    assert zai.last.json == {"model": "glm-5", **fields}


def test_white_space_around_the_body(gateway: Gateway, zai: Provider) -> None:
    body = b" \r\n\t" + json.dumps(messages_body()).encode() + b"\n"
    assert gateway.client.post("/v1/messages", content=body).status_code == 200


def test_a_broken_compressed_body(gateway: Gateway) -> None:
    broken = gzip.compress(json.dumps(messages_body()).encode())[:-20]
    answer = gateway.client.post("/v1/messages", content=broken, headers={"content-encoding": "gzip"})
    assert answer.status_code == 400
