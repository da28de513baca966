"""Clients that are there before the gateway is."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Providers
from tests.e2e.gateway import Gateway, messages_body
from tests.e2e.mitmweb import WebGateway

LATE = """\
import asyncio

async def running():
    print("it is told", flush=True)
    await asyncio.sleep(1)
    print("it runs", flush=True)
"""
"""A script that takes a second to start, between our addons and those of mitmproxy that come after scripts."""


def ask_early(port: int) -> httpx.Response:
    """The answer to a request that was sent as soon as somebody listened."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as client:
        deadline = time.monotonic() + 20
        while True:
            try:
                return client.post("/v1/messages", json=messages_body("glm"))
            except httpx.ConnectError:
                assert time.monotonic() < deadline, "nobody listened within 20 s"
                time.sleep(0.001)


@pytest.mark.parametrize("kind", [Gateway, WebGateway])
def test_a_client_that_comes_early_is_served_when_everything_runs(
    kind: type[Gateway], providers: Providers, routing: dict[str, Any], env: dict[str, str]
) -> None:
    gateway = kind(routing, env, upstream=providers.anthropic.url, options=("-s", "late.py"))
    (gateway.directory / "late.py").write_text(LATE)
    with ThreadPoolExecutor() as executor:
        answers = [executor.submit(ask_early, gateway.port) for _ in range(8)]
        with gateway:
            assert [answer.result().status_code for answer in answers] == [200] * 8
            told, _, runs = gateway.log().partition("it is told")[2].partition("it runs")
            assert "zai/glm-5" not in told
            assert runs.count("glm → zai/glm-5") == 8


def test_a_gateway_that_can_t_start_ends_though_somebody_is_there(routing: dict[str, Any], env: dict[str, str]) -> None:
    gateway = Gateway("nonsense: [", env)
    ended = threading.Event()

    def hear() -> bytes:
        """What a client is told until it is cut off; it may not have come in at all."""
        while not ended.is_set():
            with suppress(OSError), socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as sock:
                sock.sendall(b"GET /health HTTP/1.1\r\nhost: g\r\n\r\n")
                return sock.recv(1000)
            time.sleep(0.001)
        return b""

    with ThreadPoolExecutor() as executor:
        heard = executor.submit(hear)
        with pytest.raises(AssertionError, match="the gateway ended with status 1"), gateway:
            pass
        ended.set()
        assert heard.result() == b""
