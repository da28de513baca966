"""Web pages of somebody else, and a gateway on the user's own machine that is open to everybody, as it is shipped."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.credentials import OWN_LOGIN
from tests.e2e.gateway import Gateway, messages_body
from tests.e2e.raw_http import RawClient
from tests.fakes.provider import Provider
from tests.fakes.scripts import deliver, error, say
from tests.received import Received

FORM = {
    "Origin": "https://evil.example",
    "Sec-Fetch-Site": "cross-site",
    "Sec-Fetch-Mode": "navigate",
    "Content-Type": "text/plain",
}
FETCH = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
CORS = {"access-control-allow-origin": "*", "Access-Control-Allow-Credentials": "true", "x-of": "the provider"}


@pytest.fixture
def nobody_is_asked(providers: Any) -> Iterator[None]:
    yield
    assert [one.name for one in providers if one.requests] == []


def asked(gateway: Gateway, method: str, path: str, body: bytes = b"", **lines: str) -> Received:
    """The answer to exactly this head; `Host` is one of the lines."""
    with RawClient(gateway) as client:
        head = [f"{method} {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in lines.items())]
        client.write("\r\n".join([*head, f"content-length: {len(body)}", "", ""]).encode() + body)
        return client.read(method)


def assert_refused(answer: Received, header: str) -> None:
    assert answer.status == 403
    assert answer.json["error"]["type"] == "permission_error"
    assert answer.json["error"]["message"].startswith(f"{header}: ")
    assert answer.headers["x-should-retry"] == "false"
    assert not [name for name in answer.headers if name.startswith("access-control-")]


BODY = json.dumps(messages_body()).encode()


@pytest.mark.usefixtures("nobody_is_asked")
@pytest.mark.parametrize("page", [FORM, FETCH, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens", "/v1/files", "/v1/models"])
def test_a_page_of_another_site(gateway: Gateway, page: dict[str, str], path: str) -> None:
    lines = {"Host": f"localhost:{gateway.port}", **page}
    assert_refused(asked(gateway, "POST", path, BODY, **lines), "Origin" if "Origin" in page else "Sec-Fetch-Site")


@pytest.mark.usefixtures("nobody_is_asked")
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/models", "/health"])
def test_a_page_whose_name_has_been_rebound(gateway: Gateway, path: str) -> None:
    host = f"evil.example:{gateway.port}"
    assert_refused(asked(gateway, "POST", path, BODY, Host=host, Origin=f"http://{host}"), "Host")
    assert_refused(asked(gateway, "GET", "/v1/models", Host=host), "Host")
    assert_refused(asked(gateway, "GET", "/v1/models/glm", Host=host), "Host")
    assert_refused(asked(gateway, "GET", path, Host=host, Sec_Fetch_Site="same-origin"), "Host")


@pytest.mark.usefixtures("nobody_is_asked")
def test_a_preflight(gateway: Gateway) -> None:
    for origin in ("https://evil.example", "null", f"http://evil.example:{gateway.port}"):
        answer = asked(
            gateway,
            "OPTIONS",
            "/v1/messages",
            Host=f"127.0.0.1:{gateway.port}",
            Origin=origin,
            Access_Control_Request_Method="POST",
            Access_Control_Request_Headers="content-type,authorization",
            authorization=OWN_LOGIN["authorization"],
        )
        assert_refused(answer, "Origin")


@pytest.mark.usefixtures("nobody_is_asked")
def test_the_body_of_a_page_is_not_read(gateway: Gateway) -> None:
    with RawClient(gateway) as client:
        client.write(f"POST /v1/messages HTTP/1.1\r\nhost: localhost:{gateway.port}\r\norigin: null\r\n")
        client.write("content-length: 10000000\r\nexpect: 100-continue\r\n\r\n")
        answer = client.read()
    assert (answer.status, answer.informational) == (403, ())


def test_clients_that_are_no_browsers_are_served_under_any_host(gateway: Gateway, zai: Provider) -> None:
    hosts = ["localhost", "127.0.0.1", "[::1]", socket.gethostname(), "your-server", "127.0.0.1.nip.io"]
    for host in hosts:
        answer = asked(gateway, "POST", "/v1/messages", BODY, Host=f"{host}:{gateway.port}", Sec_Fetch_Mode="cors")
        assert answer.status == 200, host
    assert len(zai.requests) == len(hosts)
    for host in hosts[:4]:
        assert asked(gateway, "GET", "/v1/models", Host=f"{host}:{gateway.port}").status == 200, host


def test_a_page_of_this_machine_is_served(gateway: Gateway, zai: Provider) -> None:
    host = f"localhost:{gateway.port}"
    lines = {"Host": host, "Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"}
    assert asked(gateway, "POST", "/v1/messages", BODY, **lines).status == 200
    assert zai.requests


def test_what_a_provider_says_of_origins_goes_nowhere(gateway: Gateway, zai: Provider, anthropic: Provider) -> None:
    zai.script(deliver(say("hi"), headers=CORS), deliver(say("hi"), headers=CORS))
    zai.script(error(400, "no", headers=CORS))
    anthropic.script(deliver(error(404, "none"), headers=CORS), error(400, "no", headers=CORS))
    answers: list[httpx.Response] = [gateway.post(), gateway.post(stream=True), gateway.post()]
    answers += [gateway.client.post("/v1/files", headers=OWN_LOGIN), gateway.post("claude-sonnet-5-5")]
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert answers[0].headers["x-of"] == "the provider"


def test_what_the_operator_lists_is_served(start_gateway: Callable[..., Gateway], zai: Provider) -> None:
    gateway = start_gateway(options=["--set", "gateway_origins=chat.example.com,vscode-webview://"])
    for origin in ("https://chat.example.com", "vscode-webview://1a2b"):
        lines = {"Host": f"localhost:{gateway.port}", "Origin": origin, "Sec-Fetch-Site": "cross-site"}
        assert asked(gateway, "POST", "/v1/messages", BODY, **lines).status == 200
    assert asked(gateway, "GET", "/v1/models", Host="chat.example.com").status == 200
    zai.reset()
    assert_refused(
        asked(gateway, "POST", "/v1/messages", BODY, **{**lines, "Origin": "https://evil.example"}), "Origin"
    )
    assert zai.requests == []


def test_a_closed_gateway_asks_for_its_token_and_nothing_else(
    start_gateway: Callable[..., Gateway], env: dict[str, str], zai: Provider
) -> None:
    token = "gateway-token-0123456789"
    gateway = start_gateway(env={**env, "PROXY_STATIC_TOKEN": token})
    lines = {"Host": "gateway.example", "Origin": "https://chat.example.com"}
    assert asked(gateway, "POST", "/v1/messages", BODY, **lines, x_api_key=token).status == 200
    assert asked(gateway, "POST", "/v1/messages", BODY, **lines).status == 401
    assert len(zai.requests) == 1


def test_a_page_that_asks_again_and_again_harms_nobody(
    gateway: Gateway, zai: Provider, unharmed: Callable[..., Any]
) -> None:
    with unharmed(gateway):
        for _ in range(300):
            answer = gateway.client.post("/v1/messages", content=BODY, headers=FORM)
            assert answer.status_code == 403
    assert all("origin" not in request.headers for request in zai.requests)
