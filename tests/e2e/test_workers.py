"""Two workers that share a port: `./run.sh --workers 2`.

process/workers/supervisor.py, process/workers/worker.py and process/workers/line.py are tested here.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Providers
from tests.e2e.gateway import SAVING, Gateway, messages_body
from tests.e2e.raw_http import RawClient
from tests.fakes.provider import PATIENCE, Provider
from tests.fakes.scripts import Gate, insert, say

pytestmark = [
    pytest.mark.skipif(SAVING, reason="who serves, not what is said"),
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="Linux says which processes are whose"),
]


def processes(gateway: Gateway) -> set[int]:
    """The workers of a gateway."""
    return {int(pid) for pid in Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text().split()}


def lines(gateway: Gateway) -> list[dict[str, Any]]:
    """The lines of its log so far."""
    return [json.loads(line) for line in gateway.log().splitlines() if line.endswith("}")]


def ask(gateway: Gateway, model: str = "glm") -> int:
    """The status of the answer to a request over a connection of its own."""
    with RawClient(gateway) as client:
        client.post(json.dumps(messages_body(model)).encode())
        return client.read().status


def both_serve(gateway: Gateway) -> None:
    """Asks until both workers have answered."""
    before = len(lines(gateway))

    def asked() -> bool:
        assert ask(gateway) == 200
        return {line["worker"] for line in lines(gateway)[before:] if line["event"] == "request"} == {1, 2}

    gateway.wait_until(asked)


@pytest.fixture(scope="module")
def gateway(providers: Providers, routing: dict[str, Any], env: dict[str, str]) -> Iterator[Gateway]:
    options = ("--set", "gateway_log=json")
    with Gateway(routing, env, upstream=providers.anthropic.url, options=options, workers=2) as gateway:
        yield gateway


def test_both_serve_and_one_says_how_it_begins(gateway: Gateway) -> None:
    both_serve(gateway)
    assert len(processes(gateway)) == 2
    said = [line["message"] for line in lines(gateway) if line["event"] == "log"]
    assert [line for line in said if "listening on" in line] == [f"gateway: listening on {gateway.url}, with 2 workers"]


def test_a_change_of_the_configuration_reaches_both(gateway: Gateway, routing: dict[str, Any]) -> None:
    gateway.rewrite_routing({**routing, "models": {**routing["models"], "newcomer": "zai/glm-5"}})

    def asked() -> bool:
        status = ask(gateway, "newcomer")
        assert status in (200, 404)
        known = [line for line in lines(gateway) if line.get("model") == "newcomer" and line["status"] == 200]
        return {line["worker"] for line in known} == {1, 2}

    gateway.wait_until(asked)
    assert gateway.log().count("configuration reloaded") == 1


def test_one_that_dies_is_replaced_and_nobody_is_turned_away(gateway: Gateway) -> None:
    both_serve(gateway)
    before = processes(gateway)
    dead = max(before)
    os.kill(dead, signal.SIGKILL)
    seen = len(lines(gateway))
    gateway.wait_until(lambda: ask(gateway) == 200 and "was ended by SIGKILL" in gateway.log())
    gateway.wait_until(lambda: ask(gateway) == 200 and len(processes(gateway) - {dead}) == 2)
    both_serve(gateway)
    assert before - {dead} < processes(gateway)
    assert not any("error" in line["level"] for line in lines(gateway)[seen:])


def test_all_are_replaced_while_streams_go_on(gateway: Gateway, zai: Provider) -> None:
    old, gate = processes(gateway), Gate()
    zai.script(say("before"), *(insert(say("to the very end", delta_size=3), gate, after=4) for _ in range(6)))
    body = json.dumps(messages_body()).encode()
    with ExitStack() as stack:
        kept = stack.enter_context(RawClient(gateway))
        kept.post(body)
        assert kept.read().status == 200
        streams = [stack.enter_context(gateway.stream("glm", headers={"connection": "close"})) for _ in range(6)]
        for stream in streams:
            stream.until("content_block_delta")
        os.kill(gateway.pid, signal.SIGHUP)
        gateway.wait_until(lambda: ask(gateway) == 200 and "all workers have been replaced" in gateway.log())
        assert len(processes(gateway) - old) == 2
        assert processes(gateway) & old, "they have not finished"
        kept.post(body)
        answer = kept.read()
        assert (answer.status, answer.headers["connection"]) == (200, "close"), "it is sent to another"
        assert kept.is_closed()
        gate.open()
        for stream in streams:
            stream.read()
            assert (stream.text, stream.answer[-1], stream.cut) == ("to the very end", "message_stop", None)
    gateway.wait_until(lambda: len(processes(gateway)) == 2 and not processes(gateway) & old)
    both_serve(gateway)


def test_a_signal_ends_both_when_streams_have_ended(gateway: Gateway, zai: Provider) -> None:
    both_serve(gateway)
    gate = Gate()
    zai.script(*(insert(say("to the very end", delta_size=3), gate, after=4) for _ in range(4)))
    with ExitStack() as stack:
        streams = [stack.enter_context(gateway.stream("glm")) for _ in range(4)]
        for stream in streams:
            stream.until("content_block_delta")
        os.kill(gateway.pid, signal.SIGTERM)
        gateway.wait_until(lambda: "have 30 s to finish" in gateway.log())
        gate.open()
        for stream in streams:
            stream.read()
            assert (stream.text, stream.cut) == ("to the very end", None)
    assert gateway._process
    assert gateway._process.wait(PATIENCE) == 0
