"""A handler of the gateway's raises: its request ends with a 500, and no provider or default upstream hears of it.

Every handler of every addon raises, one after the other, before and after it has done its work.

proxy/fail_closed.py is tested here too.
"""

from __future__ import annotations

import contextlib
import ssl
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Providers
from tests.e2e.gateway import Gateway, messages_body
from tests.fakes.connect_proxy import ConnectProxy
from tests.fakes.front import Authority, Front
from tests.fakes.provider import PATIENCE
from tests.fakes.scripts import error
from tests.received import either_way

SOON = ("--set", "gateway_drain=2")
"""A handler of `Drain` that has failed leaves its request among those that run."""

SCRIPT = Path(__file__).with_name("raising.py")
BEFORE_SENDING = ("requestheaders", "request", "attempt")
OF_AN_ANSWER = ("responseheaders", "verdict", "response")


@pytest.fixture(scope="module")
def gateway(providers: Providers, routing: dict[str, Any], env: dict[str, str]) -> Iterator[Gateway]:
    with Gateway(routing, env, upstream=providers.anthropic.url, script=SCRIPT, options=SOON) as gateway:
        yield gateway


@contextlib.contextmanager
def raising(gateway: Gateway, what: str) -> Iterator[None]:
    """While this runs, that handler raises."""
    file = gateway.directory / "raise"
    file.write_text(what)
    try:
        yield
    finally:
        file.unlink()


def handlers(gateway: Gateway, *hooks: str) -> list[str]:
    """Each handler of these hooks, to raise before and after its work."""
    names = (gateway.directory / "handlers").read_text().split()
    found = [name for name in names if name.partition(".")[2] in hooks]
    assert found
    return [f"{when}{name}" for name in found for when in ("", "before ")]


def asked(providers: Providers) -> int:
    return sum(len(provider.requests) for provider in providers)


@pytest.mark.parametrize("model", ["glm", "claude-sonnet-5-5"])
@either_way
def test_before_a_request_is_sent(gateway: Gateway, providers: Providers, model: str, stream: bool) -> None:
    for what in handlers(gateway, *BEFORE_SENDING):
        before = asked(providers)
        with raising(gateway, what):
            answer = gateway.post(model, stream=stream, headers={"x-api-key": "client-key-0123456789"})
        if answer.status_code == 200:  # nothing of this request calls it
            assert what.endswith("Replay.requestheaders"), what
            continue
        assert (answer.status_code, answer.json()["error"]["type"]) == (500, "api_error"), what
        assert asked(providers) == before, what
    assert gateway.post(model, stream=stream).status_code == 200


def test_a_path_that_is_relayed(gateway: Gateway, providers: Providers) -> None:
    for what in handlers(gateway, *BEFORE_SENDING):
        before = asked(providers)
        with raising(gateway, what):
            answer = gateway.client.get("/v1/files", headers={"authorization": "Bearer sk-ant-oat01-clients-own-0123"})
        if answer.status_code == 500:
            assert asked(providers) == before, what


@either_way
def test_when_an_answer_has_come(gateway: Gateway, providers: Providers, stream: bool) -> None:
    """It is not handed on, and nobody else is asked."""
    for what in handlers(gateway, *OF_AN_ANSWER):
        refused = what.endswith(".verdict")
        providers.anthropic.reset()
        if refused:
            providers.anthropic.always(error(500))
        before = asked(providers)
        with raising(gateway, what):
            answer = gateway.post("claude-sonnet-5-5", stream=stream)
        assert asked(providers) - before <= 1, what
        if stream and what.endswith(".response"):
            assert answer.status_code == 200, "it was streamed before"
            continue
        assert (answer.status_code, answer.json()["error"]["type"]) == (500, "api_error"), what


OF_A_CLIENT = ("client_connected", "next_layer", "server_connect")
AFTERWARDS = ("client_disconnected",)


@pytest.mark.parametrize("hook", OF_A_CLIENT)
def test_of_a_connection(gateway: Gateway, providers: Providers, hook: str) -> None:
    for what in handlers(gateway, hook):
        before = asked(providers)
        with (
            raising(gateway, what),
            httpx.Client(base_url=gateway.url, trust_env=False, timeout=PATIENCE) as client,
            contextlib.suppress(httpx.RemoteProtocolError, httpx.ReadError),
        ):
            assert client.post("/v1/messages", json={"model": "glm", "messages": []}).status_code >= 500
        assert asked(providers) == before, what


@pytest.mark.parametrize("hook", AFTERWARDS)
def test_of_a_connection_that_is_over(gateway: Gateway, hook: str) -> None:
    """A line of the log; the next client is served."""
    for what in handlers(gateway, hook):
        said = f"gateway: Unexpected in {what.removeprefix('before ')} ("
        count = gateway.log().count(said)
        with raising(gateway, what):
            assert httpx.get(f"{gateway.url}/health", trust_env=False, timeout=PATIENCE).status_code == 200
            gateway.wait_until(lambda: gateway.log().count(said) > count)  # noqa: B023  # it ends in this round
        assert gateway.post("glm").status_code == 200, what


def test_every_hook_of_a_chain_is_one_that_is_tried(gateway: Gateway) -> None:
    names = (gateway.directory / "handlers").read_text().split()
    tried = {
        *BEFORE_SENDING,
        *OF_AN_ANSWER,
        *OF_A_CLIENT,
        *AFTERWARDS,
        *OF_TLS,
        *OF_A_TUNNEL,
        *OF_A_PROVIDERS_TLS,
        *AT_A_START,
        "running",
        "done",
        "error",
    }
    assert {name.partition(".")[2] for name in names} == tried


def asks_nobody_before(what: str, gateway: Gateway, providers: Providers) -> None:
    """On a connection of its own; what is raised behind a handler's work may come too late."""
    before = asked(providers)
    with raising(gateway, what), httpx.Client(base_url=gateway.url, trust_env=False) as client:
        answer = client.post("/v1/messages", json=messages_body("glm"), timeout=PATIENCE)
    if what.startswith("before "):
        assert answer.status_code >= 500
        assert asked(providers) == before


OF_A_TUNNEL = ("http_connect_upstream",)


def test_of_a_tunnel_through_a_proxy(providers: Providers, routing: dict[str, Any], env: dict[str, str]) -> None:
    """Without its credential the proxy opens none, and no provider is asked."""
    with ConnectProxy(authorization=f"Basic {b64encode(b'alice:proxy-password-0123').decode()}") as proxy:
        env = {**env, "PROXY": f"http://alice:proxy-password-0123@127.0.0.1:{proxy.port}"}
        entries = {name: {**entry, "proxy": "${PROXY}"} for name, entry in routing["providers"].items()}
        with Gateway({**routing, "providers": entries}, env, script=SCRIPT, options=SOON) as gateway:
            for what in handlers(gateway, *OF_A_TUNNEL):
                asks_nobody_before(what, gateway, providers)
            assert gateway.post("glm").status_code == 200


OF_A_PROVIDERS_TLS = ("tls_start_server",)


def test_of_the_tls_of_a_provider(
    providers: Providers, routing: dict[str, Any], env: dict[str, str], tmp_path: Path
) -> None:
    """Whom only the provider's own bundle vouches for isn't trusted without it, and not asked."""
    company, bundle = Authority(), tmp_path / "company.pem"
    bundle.write_text(company.pem)
    with Front(providers.zai.port, tls=company.issue("127.0.0.1")) as front:
        entry = {**routing["providers"]["zai"], "base_url": front.url, "ca_bundle": str(bundle)}
        entries = {**routing["providers"], "zai": entry}
        with Gateway({**routing, "providers": entries}, env, script=SCRIPT, options=SOON) as gateway:
            for what in handlers(gateway, *OF_A_PROVIDERS_TLS):
                asks_nobody_before(what, gateway, providers)
                assert f"gateway: Unexpected in {what.removeprefix('before ')} (" in gateway.log()
            assert gateway.post("glm").status_code == 200


OF_TLS = ("tls_clienthello", "tls_established_client", "tls_failed_client")


def test_of_a_tls_handshake(gateway: Gateway, providers: Providers) -> None:
    """A line of the log: what is limited there is limited elsewhere too, and no request has come."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for what in handlers(gateway, "tls_clienthello", "tls_established_client"):
        with raising(gateway, what), contextlib.suppress(httpx.TransportError):
            asked_before = asked(providers)
            url = f"https://127.0.0.1:{gateway.port}/health"
            httpx.get(url, verify=context, trust_env=False, timeout=PATIENCE)
            assert asked(providers) == asked_before
        said = f"gateway: Unexpected in {what.removeprefix('before ')} ("
        gateway.wait_until(lambda: said in gateway.log())  # noqa: B023  # it is waited for here


AT_A_START = ("load", "configure")


@pytest.mark.parametrize("hook", AT_A_START)
def test_a_start_ends_with_one_line(routing: dict[str, Any], env: dict[str, str], hook: str) -> None:
    gateway = Gateway(routing, env, script=SCRIPT)
    (gateway.directory / "raise").write_text(f".{hook}")
    with pytest.raises(AssertionError, match="ended with status 1") as ended, gateway:
        pass
    assert f"gateway: Unexpected in Listening.{hook} (" in str(ended.value)
    assert "the client said" not in str(ended.value)
    assert "Traceback" not in str(ended.value)


def test_a_gateway_that_has_started_and_one_that_ends(
    providers: Providers, routing: dict[str, Any], env: dict[str, str]
) -> None:
    """A line of the log for each handler; requests are served, and the process ends as it should."""
    gateway = Gateway(routing, env, upstream=providers.anthropic.url, script=SCRIPT, options=SOON)
    (gateway.directory / "raise").write_text(".running")
    with gateway:
        assert gateway.post("glm").status_code == 200
        (gateway.directory / "raise").write_text(".done")
        names = (gateway.directory / "handlers").read_text().split()
        gateway.stop()
        for name in names:
            if name.endswith((".running", ".done")):
                assert f"gateway: Unexpected in {name} (" in gateway.log()


def test_the_log_says_where_and_not_what(gateway: Gateway) -> None:
    with raising(gateway, "ModelRouter.request"):
        gateway.post()
    gateway.wait_until(lambda: "gateway: Unexpected in ModelRouter.request (" in gateway.log())
    assert "the client said" not in gateway.log()
