"""SIGTERM: what runs may finish, what is new is told to come again, and then the process ends."""

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.e2e.conftest import big
from tests.e2e.gateway import Gateway
from tests.e2e.raw_http import RawClient
from tests.fakes.provider import PATIENCE, Provider
from tests.fakes.scripts import Gate, hang, insert, say

BODY = b'{"model":"glm","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'

StartGateway = Callable[..., Gateway]


def terminate(gateway: Gateway) -> None:
    assert gateway._process
    os.kill(gateway._process.pid, signal.SIGTERM)


def ended(gateway: Gateway, within: float) -> int:
    """The status of the process, which must end by itself."""
    assert gateway._process
    return gateway._process.wait(within)


def refuses(gateway: Gateway) -> bool:
    return gateway.client.get("/health").status_code == 503


def test_a_stream_finishes_while_a_new_request_is_refused(fresh_gateway: Gateway, zai: Provider) -> None:
    gate = Gate()
    zai.script(insert(say("to the very end", delta_size=3), gate, after=4))
    with fresh_gateway.stream("glm") as stream:
        stream.until("content_block_delta")
        terminate(fresh_gateway)
        fresh_gateway.wait_until(lambda: refuses(fresh_gateway))
        refused = fresh_gateway.post("glm")
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "5"
        assert refused.headers["connection"] == "close"
        assert refused.json()["type"] == "error"
        assert refused.json()["error"]["type"] == "overloaded_error"
        assert refused.json()["request_id"] == refused.headers["request-id"]
        gate.open()
        stream.read()
        assert stream.text == "to the very end"
        assert stream.answer[-1] == "message_stop"
        assert stream.cut is None
    assert ended(fresh_gateway, within=PATIENCE) == 0
    assert len(zai.requests) == 1
    assert "1 running requests have 30 s to finish" in fresh_gateway.log()


def test_with_nothing_to_finish_it_ends_at_once(fresh_gateway: Gateway) -> None:
    with RawClient(fresh_gateway) as idle:
        idle.write("GET /health HTTP/1.1\r\nhost: g\r\n\r\n")
        assert idle.read("GET").status == 200
        started = time.monotonic()
        terminate(fresh_gateway)
        assert ended(fresh_gateway, within=PATIENCE) == 0
        assert time.monotonic() - started < 25, "the limit is 30 s"
        assert idle.is_closed()


def test_a_second_signal_ends_it_at_once(fresh_gateway: Gateway, zai: Provider) -> None:
    zai.script(hang(say("hello"), events=3))
    with fresh_gateway.stream("glm") as stream:
        stream.until("content_block_delta")
        terminate(fresh_gateway)
        fresh_gateway.wait_until(lambda: refuses(fresh_gateway))
        terminate(fresh_gateway)
        assert ended(fresh_gateway, within=PATIENCE) == 0
        stream.read()
        assert stream.cut or stream.types[-1] == "error", "whichever connection is closed first"
    assert "is recorded" not in fresh_gateway.log()
    with closing(sqlite3.connect(fresh_gateway.directory / "gateway.sqlite")) as file:
        (kept,) = file.execute("SELECT error, input_tokens, output_tokens > 0, estimated FROM requests").fetchall()
    assert kept == ("the gateway was stopped", 120, True, True), "what was used is paid for"


@pytest.mark.parametrize("seconds", [0, 1])
def test_the_limit(start_gateway: StartGateway, zai: Provider, seconds: int) -> None:
    gateway = start_gateway({"failover": {}}, options=("--set", f"gateway_drain={seconds}"))
    zai.script(hang())
    with RawClient(gateway) as client:
        client.post(BODY)
        zai.wait_for(lambda: zai.requests)
        started = time.monotonic()
        terminate(gateway)
        assert ended(gateway, within=PATIENCE) == 0
        assert 0.9 * seconds <= time.monotonic() - started < 25
        assert client.is_closed()


@big
def test_an_answer_that_is_still_on_its_way_is_sent_in_whole(fresh_gateway: Gateway, zai: Provider) -> None:
    """The request is over for the gateway, but the client reads slowly."""
    text = "x" * 20_000_000
    zai.script(say(text))
    with RawClient(fresh_gateway) as client:
        client.post(BODY)
        fresh_gateway.wait_until(lambda: "glm → zai/glm-5" in fresh_gateway.log())
        terminate(fresh_gateway)
        fresh_gateway.wait_until(lambda: refuses(fresh_gateway))
        assert client.read().json["content"][0]["text"] == text
    assert ended(fresh_gateway, within=PATIENCE) == 0
