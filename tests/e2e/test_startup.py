"""Clients that are there before the gateway is.

addons/gateway.py and process/launch.py are tested here too.
"""

import json
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from tests.e2e.conftest import Providers
from tests.e2e.gateway import SAVING, Gateway, messages_body
from tests.e2e.mitmweb import WebGateway
from tests.fakes.front import needs_ipv6
from tests.fakes.provider import PATIENCE
from tests.fakes.resets import reset_at_close

pytestmark = pytest.mark.skipif(SAVING, reason="when somebody comes, not what is said")

LATE = """\
import asyncio

async def running():
    print("it is told", flush=True)
    await asyncio.sleep(1)
    print("it runs", flush=True)
"""
"""A script that takes a second to start, between our addons and those of mitmproxy that come after scripts."""


def connected(gateway: Gateway) -> socket.socket:
    """As soon as somebody listens."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "nobody listens"
            time.sleep(0.005)


UNNEEDED = (
    *(
        "addons.wire.chat.answer",
        "addons.wire.chat.request",
        "addons.wire.search.answer",
        "addons.wire.search.services",
    ),
    *("addons.process.hub", "addons.process.redis_link", "addons.team.hub_state", "redis"),
    *("addons.team.page", "addons.team.page_tables", "addons.process.web_handlers", "addons.commands"),
    *("addons.views.answer", "addons.views.changes", "addons.views.compare", "addons.views.conversation"),
    *("fractions", "mitmproxy.addons.view", "mitmproxy.tools.web", "statistics", "zoneinfo"),
)
"""Modules that only some gateways need, or a request that is rare."""

BAD = b"GET /v1/nothing HTTP/1.1\r\nhost: g\r\n\r\n"
BODY = json.dumps(messages_body("glm")).encode()
HEAD = b"POST /v1/messages HTTP/1.1\r\nhost: g\r\ncontent-length: %d\r\n" % len(BODY)


def ask(gateway: Gateway, headers: bytes = b"") -> bytes:
    """The first bytes of the answer."""
    with connected(gateway) as sock:
        sock.sendall(HEAD + headers + b"\r\n" + BODY)
        return sock.recv(65536)


def leave(gateway: Gateway, request: bytes = b"", *, reset: bool = False) -> None:
    """Without having waited for an answer."""
    with connected(gateway) as sock:
        sock.sendall(request)
        if reset:
            reset_at_close(sock)


@pytest.mark.parametrize("kind", [Gateway, WebGateway])
def test_a_client_that_comes_early_is_served_when_everything_runs(
    kind: type[Gateway], providers: Providers, routing: dict[str, Any], env: dict[str, str]
) -> None:
    gateway = kind(routing, env, upstream=providers.anthropic.url, options=("-s", "late.py"), forked=kind is WebGateway)
    (gateway.directory / "late.py").write_text(LATE)
    with ThreadPoolExecutor(20) as executor:
        answers = [
            *(executor.submit(ask, gateway) for _ in range(8)),
            *(executor.submit(ask, gateway, b"connection: close\r\n") for _ in range(2)),
        ]
        left = [
            *(
                executor.submit(leave, gateway, request)
                for request in (b"", b"GET ", BAD, BAD * 40, HEAD + b"\r\n" + BODY)
            ),
            *(executor.submit(leave, gateway, request, reset=True) for request in (b"", BAD)),
        ]
        with gateway:
            assert [answer.result()[:15] for answer in answers] == [b"HTTP/1.1 200 OK"] * 10
            assert [one.result() for one in left] == [None] * 7
            gateway.wait_until(lambda: gateway.log().count("glm → zai/glm-5") >= 10)
            told = gateway.log().partition("it is told")[2].partition("it runs")[0]
            assert "GET /health" not in told
            assert "zai/glm-5" not in told


def test_a_gateway_that_can_t_start_ends_though_somebody_is_there(routing: dict[str, Any], env: dict[str, str]) -> None:
    gateway = Gateway("nonsense: [", env, forked=False)
    ended = threading.Event()

    def hear() -> bytes:
        """What a client is told until it is cut off; it may not have come in at all."""
        while not ended.is_set():
            with suppress(OSError), socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE) as sock:
                sock.sendall(b"GET /health HTTP/1.1\r\nhost: g\r\n\r\n")
                return sock.recv(1000)
            time.sleep(0.005)
        return b""

    with ThreadPoolExecutor() as executor:
        heard = executor.submit(hear)
        with pytest.raises(AssertionError, match="the gateway ended with status 1"), gateway:
            pass
        ended.set()
        assert heard.result() == b""


def test_an_option_that_is_given_twice_ends_the_start(routing: dict[str, Any], env: dict[str, str]) -> None:
    """mitmproxy drops a script that refuses its options without a word, and would go on as a proxy without a gate."""
    twice = ("--set", "gateway_origins=a.example", "--set", "gateway_origins=b.example")
    gateway = Gateway(routing, env, options=twice, forked=False)
    with pytest.raises(AssertionError, match=r"(?s)the gateway ended with status 1.*gateway_origins"), gateway:
        pass


def test_an_option_that_can_t_be_what_it_is_ends_the_start_with_one_line(
    routing: dict[str, Any], env: dict[str, str]
) -> None:
    """mitmproxy would tell it with a traceback."""
    gateway = Gateway(routing, env, options=("--set", "gateway_log_keep=-1"))
    with pytest.raises(AssertionError, match="the gateway ended with status 1") as ended, gateway:
        pass
    assert "gateway: gateway_log_keep: must be 0 or more days" in str(ended.value)
    assert "Traceback" not in str(ended.value)


def test_a_name_can_be_listened_on(providers: Providers, routing: dict[str, Any], env: dict[str, str]) -> None:
    """GATEWAY_HOST=localhost"""
    with Gateway(routing, env, options=("--listen-host", "localhost")) as gateway:
        assert gateway.client.get(f"http://localhost:{gateway.port}/health").status_code == 200


@needs_ipv6
def test_every_address_is_one_of_ipv6_too(providers: Providers, routing: dict[str, Any], env: dict[str, str]) -> None:
    """GATEWAY_HOST=::, for which run.sh gives no host"""
    with Gateway(routing, env, options=("--listen-host", "")) as gateway:
        for host in ("127.0.0.1", "[::1]"):
            here = f"http://{host}:{gateway.port}"
            assert gateway.client.get(f"{here}/v1/models", headers={"origin": here}).status_code == 200
        assert "of every address" in gateway.log()


def test_a_start_imports_nothing_that_most_gateways_don_t_need() -> None:
    program = "import sys, mitmproxy.tools.dump, addons.gateway; print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert "addons.translator" in imported.split()
    assert {*UNNEEDED} & {*imported.split()} == set()
