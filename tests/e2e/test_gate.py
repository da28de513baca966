"""The gate with a token set: who comes in, who does not, and that nothing of it goes any further."""

import json
from typing import Any

import anthropic as sdk
import httpx
import pytest

from tests.credentials import ADMIN, OWN, TOKEN
from tests.e2e.gateway import Gateway, messages_body
from tests.e2e.raw_http import RawClient
from tests.fakes.provider import Provider
from tests.fakes.request import Request

BODY = json.dumps(messages_body()).encode()

KEY, MODE = "x-litellm-api-key", "x-claude-token-mode"

Lines = list[tuple[str, str]]


@pytest.fixture(scope="module")
def env(env: dict[str, str]) -> dict[str, str]:
    return {**env, "PROXY_STATIC_TOKEN": TOKEN, "LITELLM_MASTER_KEY": ADMIN}


def ask(gateway: Gateway, lines: Lines, model: str = "glm", **body: Any) -> httpx.Response:
    return gateway.client.post("/v1/messages", json=messages_body(model, **body), headers=lines)


def assert_nothing_of_ours(request: Request) -> None:
    """No token of the gateway's and none of its headers came as far as this provider."""
    everything = f"{request.target} {request.headers!r} {request.body!r}"
    for secret in (TOKEN, ADMIN, KEY, MODE):
        assert secret not in everything


@pytest.mark.parametrize(
    "lines",
    [
        [(KEY, TOKEN)],
        [("X-LiteLLM-API-Key", TOKEN)],
        [(KEY, f"Bearer {TOKEN}")],
        [(KEY, TOKEN), (MODE, "rotate")],
        [(KEY, f"{TOKEN}, {MODE}: rotate")],
        [(KEY, f"{TOKEN},{MODE}:rotate")],
        [(MODE, f"rotate, {KEY}: {TOKEN}")],
        [(KEY, rf"{TOKEN}\n{MODE}: rotate")],
        [(MODE, rf"rotate\nX-LiteLLM-API-Key: {TOKEN}")],
        [("x-api-key", TOKEN)],
        [("authorization", f"Bearer {TOKEN}")],
        [("authorization", f"bearer {TOKEN}")],
        [("authorization", f"Bearer {OWN}"), ("x-api-key", TOKEN)],
        [("authorization", f"Bearer {OWN}"), (KEY, TOKEN)],
        [("x-mine", f"a, b, {KEY}: {TOKEN}")],
        [("x-api-key", f"{TOKEN}, {MODE}: rotate")],
        [(KEY, ADMIN)],
        [("authorization", f"Bearer {ADMIN}")],
    ],
)
@pytest.mark.parametrize("model", ["glm", "claude-sonnet-5-5"])
def test_the_token_lets_in_and_stays_here(
    gateway: Gateway, zai: Provider, anthropic: Provider, lines: Lines, model: str
) -> None:
    assert ask(gateway, lines, model).status_code == 200
    (request,) = zai.requests if model == "glm" else anthropic.requests
    assert_nothing_of_ours(request)
    assert OWN not in repr(request.headers)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [(KEY, "")],
        [(KEY, "wrong")],
        [(KEY, TOKEN[:-1])],
        [(KEY, f"{TOKEN}0")],
        [(KEY, TOKEN.upper())],
        [(KEY, "gätewäy")],
        [(KEY, f"wrong, {MODE}: passthrough")],
        [(KEY, f", {MODE}: {TOKEN}")],
        [(MODE, TOKEN)],
        [("x-api-key", OWN)],
        [("authorization", f"Bearer {OWN}")],
        [("authorization", f"Basic {TOKEN}")],
        [("cookie", f"{KEY}={TOKEN}")],
    ],
)
def test_everybody_else_stays_out(gateway: Gateway, zai: Provider, lines: Lines) -> None:
    answer = ask(gateway, [(name, value.encode("latin-1")) for name, value in lines])  # type: ignore[misc]
    assert answer.status_code == 401
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == "authentication_error"
    assert KEY in answer.json()["error"]["message"]
    assert answer.json()["request_id"] == answer.headers["request-id"]
    assert zai.requests == []


@pytest.mark.parametrize("target", [f"/v1/messages?{KEY}={TOKEN}", "/v1/models", "/v1/models/glm", "/anything"])
def test_no_other_way_in(gateway: Gateway, anthropic: Provider, target: str) -> None:
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        answer = gateway.client.request(method, target, headers={"authorization": f"Bearer {OWN}"})
        assert answer.status_code == 401, method
    assert anthropic.requests == []


def test_probes_need_no_token(gateway: Gateway) -> None:
    for method, path in [("HEAD", "/"), ("GET", "/"), ("HEAD", "/api/hello"), ("GET", "/health")]:
        assert gateway.client.request(method, path).status_code == 200, path


@pytest.mark.parametrize("path", ["/", "/health", "/api/hello"])
def test_a_probe_is_no_way_to_the_default_upstream(gateway: Gateway, anthropic: Provider, path: str) -> None:
    answer = gateway.client.post(path, json={}, headers={"authorization": f"Bearer {OWN}"})
    assert answer.status_code == 401
    assert anthropic.requests == []


def test_the_sdk_asks_once(gateway: Gateway) -> None:
    asked: list[httpx.Request] = []
    http_client = sdk.DefaultHttpxClient(trust_env=False, event_hooks={"request": [asked.append]})
    client = gateway.anthropic(api_key="wrong", max_retries=5, http_client=http_client)
    with pytest.raises(sdk.AuthenticationError, match="missing or wrong gateway token"):
        client.messages.create(model="glm", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
    assert len(asked) == 1


def test_the_sdk_comes_in(gateway: Gateway, zai: Provider) -> None:
    client = gateway.anthropic(default_headers={KEY: TOKEN})
    answer = client.messages.create(model="glm", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
    assert answer.content[0].type == "text"
    assert "client-key" not in repr(zai.last.headers)


# The client's own credential beside the token.


@pytest.mark.parametrize("form", [", ", r"\n", ",", r"\n "])
@pytest.mark.parametrize("order", [1, -1])
def test_one_line_chooses_passthrough(gateway: Gateway, anthropic: Provider, form: str, order: int) -> None:
    (name, value), (other, inner) = [(KEY, TOKEN), (MODE, "passthrough")][::order]
    lines = [(name, f"{value}{form}{other}: {inner}"), ("authorization", f"Bearer {OWN}")]
    assert ask(gateway, lines, "claude-sonnet-5-5").status_code == 200
    assert anthropic.last.headers["authorization"] == f"Bearer {OWN}"
    assert_nothing_of_ours(anthropic.last)


OURS, ADMINS, THEIRS = (("authorization", f"Bearer {token}") for token in (TOKEN, ADMIN, OWN))


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        ([OURS, ("x-api-key", OWN)], ("x-api-key", OWN)),
        ([("x-api-key", TOKEN), THEIRS], THEIRS),
        # Two lines of one name are two credentials.
        ([OURS, THEIRS], THEIRS),
        ([(KEY, TOKEN), THEIRS, OURS], THEIRS),
    ],
)
def test_the_token_is_never_passed_through_as_the_clients_credential(
    gateway: Gateway, anthropic: Provider, lines: Lines, kept: tuple[str, str]
) -> None:
    assert ask(gateway, [*lines, (MODE, "passthrough")], "claude-sonnet-5-5").status_code == 200
    assert_nothing_of_ours(anthropic.last)
    credentials = [pair for pair in anthropic.last.headers.pairs if pair[0] in ("authorization", "x-api-key")]
    assert credentials == [kept]


@pytest.mark.parametrize("lines", [[OURS], [("x-api-key", TOKEN), ADMINS]])
def test_a_client_with_nothing_but_the_token_has_nothing_to_pass_through(
    gateway: Gateway, anthropic: Provider, lines: Lines
) -> None:
    answer = ask(gateway, [*lines, (MODE, "passthrough")], "claude-sonnet-5-5")
    assert answer.headers["x-gateway-fallback"] == "glm"
    assert anthropic.requests == []


# Before the body.


def test_401_comes_before_the_body_is_asked_for(gateway: Gateway) -> None:
    with RawClient(gateway) as client:
        client.write(
            "POST /v1/messages HTTP/1.1\r\nhost: g\r\ncontent-length: 10000000000\r\nexpect: 100-continue\r\n\r\n"
        )
        answer = client.read()
        assert answer.status == 401
        assert answer.informational == ()


def test_a_refused_client_that_sends_its_body_keeps_its_connection(gateway: Gateway, zai: Provider) -> None:
    with RawClient(gateway) as client:
        client.write("POST /v1/messages HTTP/1.1\r\nhost: g\r\ncontent-length: 100000\r\n\r\n")
        assert client.read().status == 401
        client.write(b"x" * 100_000)
        client.post(BODY, f"{KEY}: {TOKEN}")
        assert client.read().status == 200
    assert len(zai.requests) == 1


def test_a_client_that_comes_in_is_told_to_send_its_body(gateway: Gateway, zai: Provider) -> None:
    with RawClient(gateway) as client:
        client.write(
            f"POST /v1/messages HTTP/1.1\r\nhost: g\r\n{KEY}: {TOKEN}\r\ncontent-length: {len(BODY)}\r\n"
            "expect: 100-continue\r\n\r\n"
        )
        client.write(BODY)
        answer = client.read()
        assert (answer.informational, answer.status) == ((100,), 200)
    assert "expect" not in zai.last.headers


def test_the_log_knows_no_credential_of_anybody(gateway: Gateway) -> None:
    ask(gateway, [(KEY, "a-wrong-token-0123456789"), ("authorization", f"Bearer {OWN}")])
    ask(gateway, [(KEY, TOKEN), ("authorization", f"Bearer {OWN}")], "no-such-model")
    for secret in (TOKEN, ADMIN, OWN, "a-wrong-token-0123456789"):
        assert secret not in gateway.log()
