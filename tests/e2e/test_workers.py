"""Two workers that share a port: `./run.sh --workers 2`.

process/workers/supervisor.py, process/workers/worker.py and process/workers/line.py are tested here.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Event
from typing import Any
from unittest.mock import patch

import h11
import httpx
import pytest

from addons.state.control import FILE_NAME, HEADER, PATH
from tests.e2e.conftest import Providers
from tests.e2e.gateway import SAVING, Gateway, messages_body
from tests.e2e.raw_http import RawClient
from tests.e2e.sharing import stays_on_its_account
from tests.e2e.workers import processes
from tests.fakes.provider import PATIENCE, Provider
from tests.fakes.scripts import Gate, insert, say

pytestmark = [
    pytest.mark.skipif(SAVING, reason="who serves, not what is said"),
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="Linux says which processes are whose"),
]


def lines(gateway: Gateway) -> list[dict[str, Any]]:
    """The lines of its log so far."""
    return [json.loads(line) for line in gateway.log().splitlines() if line.endswith("}")]


def ask(gateway: Gateway, model: str = "glm", times: int = 1) -> list[int]:
    """The statuses of the answers to as many requests at once, over connections of their own."""
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(gateway)) for _ in range(times)]
        for client in clients:
            client.post(json.dumps(messages_body(model)).encode())
        return [client.read().status for client in clients]


def is_sent_away(client: RawClient) -> bool:
    """Whether a client who asks over the connection that it keeps is answered, and told to keep it no longer."""
    client.post(json.dumps(messages_body()).encode())
    answer = client.read()
    assert answer.status == 200
    return answer.headers.get("connection") == "close"


def fetch(gateway: Gateway, method: str, target: str, *lines: str) -> str:
    """The text of an answer, over a connection of its own."""
    with RawClient(gateway) as client:
        head = [f"{method} {target} HTTP/1.1", f"host: 127.0.0.1:{gateway.port}", "content-length: 0", *lines, "", ""]
        client.write("\r\n".join(head))
        answer = client.read(method)
        assert answer.status == 200, answer.body
        return answer.body.decode()


def workers(gateway: Gateway) -> list[dict[str, Any]]:
    """What both say of themselves, once both answer in time."""
    secret, told = (gateway.directory / FILE_NAME).read_text().strip(), list[dict[str, Any]]()

    def both() -> bool:
        told[:] = json.loads(fetch(gateway, "POST", f"{PATH}workers", f"{HEADER}: {secret}"))
        return [one["number"] for one in told] == [1, 2]

    gateway.wait_until(both)
    return told


def measured(gateway: Gateway, metric: str) -> set[int]:
    """What /metrics says of a metric in all, asked four times: whoever is asked."""
    told = [fetch(gateway, "GET", "/metrics") for _ in range(4)]
    return {round(sum(map(float, re.findall(f"^{metric}$", text, re.MULTILINE)))) for text in told}


def rows(gateway: Gateway) -> list[str]:
    """The ids of the requests in the ledger."""
    with closing(sqlite3.connect(gateway.directory / "gateway.sqlite")) as database:
        return [row[0] for row in database.execute("SELECT id FROM requests")]


def both_serve(gateway: Gateway) -> None:
    """Asks until both workers have answered."""
    before = len(lines(gateway))

    def asked() -> bool:
        assert set(ask(gateway, times=8)) == {200}
        return {line["worker"] for line in lines(gateway)[before:] if line["event"] == "request"} == {1, 2}

    gateway.wait_until(asked)


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    """A stream may wait for as long as two workers take to be replaced, on a busy machine."""
    return {**routing, "failover": {**routing["failover"], "first_byte_timeout": 300, "answer_timeout": 300}}


@pytest.fixture(scope="module")
def gateway(providers: Providers, routing: dict[str, Any], env: dict[str, str]) -> Iterator[Gateway]:
    options, parent = ("--set", "gateway_log=json"), Path(__file__).with_name("impatient.py")
    with (
        patch("tests.e2e.gateway.SUPERVISOR", parent),
        Gateway(routing, env, upstream=providers.anthropic.url, options=options, workers=2) as gateway,
    ):
        yield gateway


def test_both_serve_and_one_says_how_it_begins(gateway: Gateway) -> None:
    both_serve(gateway)
    assert len(processes(gateway)) == 2
    said = [line["message"] for line in lines(gateway) if line["event"] == "log"]
    assert [line for line in said if "listening on" in line] == [f"gateway: listening on {gateway.url}, with 2 workers"]


def test_a_change_of_the_configuration_reaches_both(gateway: Gateway, routing: dict[str, Any]) -> None:
    gateway.rewrite_routing({**routing, "models": {**routing["models"], "newcomer": "zai/glm-5"}})

    def asked() -> bool:
        assert set(ask(gateway, "newcomer", times=8)) <= {200, 404}
        known = [line for line in lines(gateway) if line.get("model") == "newcomer" and line["status"] == 200]
        return {line["worker"] for line in known} == {1, 2}

    gateway.wait_until(asked)
    assert gateway.log().count("configuration reloaded") == 1


def test_whoever_is_asked_answers_for_all(gateway: Gateway, zai: Provider) -> None:
    gate = Gate()
    zai.script(*(insert(say("hello"), gate, after=4) for _ in range(6)))
    with ExitStack() as stack:
        streams = [stack.enter_context(gateway.stream("glm", headers={"connection": "close"})) for _ in range(6)]
        for stream in streams:
            stream.until("content_block_delta")
        # Who doesn't answer another worker within a second is left out: on a busy machine it is asked again.
        gateway.wait_until(lambda: measured(gateway, r"gateway_streams (.*)") == {6})
        gateway.wait_until(lambda: [fetch(gateway, "GET", "/gateway/").count("answering") for _ in range(4)] == [6] * 4)
        gate.open()
        for stream in streams:
            stream.read()
    count = len([line for line in lines(gateway) if line["event"] == "request" and line["provider"] == "zai"])
    gateway.wait_until(lambda: measured(gateway, r"gateway_attempts_total.* (.*)") == {count})
    secret = (gateway.directory / FILE_NAME).read_text().strip()

    def requests() -> set[int]:
        pools = [json.loads(fetch(gateway, "POST", f"{PATH}pool", f"{HEADER}: {secret}")) for _ in range(4)]
        return {row["requests_1h"] for pool in pools for row in pool["accounts"] if row["account"] == "zai:1"}

    gateway.wait_until(lambda: requests() == {count})


def test_connections_that_are_kept_are_shared_out(gateway: Gateway) -> None:
    """One that isn't given the processor in time lets the other have more for a while, and is given more later."""
    with ExitStack() as stack:

        def come(count: int) -> bool:
            for _ in range(count):
                client = stack.enter_context(RawClient(gateway))
                client.write("GET /health HTTP/1.1\r\nhost: g\r\n\r\n")
                assert client.read("GET").status == 200
            told = workers(gateway)
            assert {one["pid"] for one in told} == processes(gateway)
            clients: list[int] = [one["clients"] for one in told]
            assert count <= sum(clients) < 200, clients
            return min(clients) >= sum(clients) // 2 - 5

        assert come(24) or any(come(4) for _ in range(30)), "they came one after the other, while nobody was busy"


def test_a_session_stays_on_its_account_whoever_serves_it(gateway: Gateway, anthropic: Provider) -> None:
    def newcomers() -> Iterator[httpx.Client]:
        for _ in range(6):
            with httpx.Client(base_url=gateway.url, trust_env=False, timeout=PATIENCE) as client:  # whoever accepts it
                yield client

    for _ in range(3):
        gateway.wait_until(lambda: stays_on_its_account(newcomers(), anthropic, "workers"))


def test_one_that_hangs_is_killed_and_replaced_and_nobody_is_turned_away(gateway: Gateway) -> None:
    """And what the others have written is whole."""
    both_serve(gateway)
    survivor, dead = (one["pid"] for one in workers(gateway))
    answered, stop = Counter[str](), Event()

    def load() -> None:
        while not stop.is_set():
            try:
                answered[str(*ask(gateway))] += 1
            except (ConnectionResetError, h11.RemoteProtocolError):
                answered["cut"] += 1  # it was being served by the one that was killed

    with ThreadPoolExecutor(3) as executor:
        loads = [executor.submit(load) for _ in range(3)]
        gateway.wait_until(lambda: answered["200"] > 20)
        os.kill(dead, signal.SIGSTOP)
        (gateway.directory / "impatient").touch()
        said = "worker 2 said nothing for 60 s and was killed"
        gateway.wait_until(lambda: said in gateway.log() and dead not in processes(gateway))
        (gateway.directory / "impatient").unlink()
        enough = answered["200"] + 10
        gateway.wait_until(lambda: answered["200"] > enough)
        stop.set()
        for one in loads:
            one.result()
    assert set(answered) <= {"200", "cut"}
    assert answered["cut"] <= 3
    both_serve(gateway)
    assert survivor in processes(gateway)
    ids = {line["request_id"]: line["worker"] for line in lines(gateway) if line.get("attempts")}
    gateway.wait_until(lambda: {one for one, worker in ids.items() if worker == 1} <= set(rows(gateway)))
    with closing(sqlite3.connect(gateway.directory / "gateway.sqlite")) as database:
        database.execute("BEGIN")  # what is written meanwhile isn't seen
        ((requests,),) = database.execute("SELECT count(*) FROM requests")
        ((summed,),) = database.execute("SELECT sum(requests) FROM usage_daily")
        ((attempts,),) = database.execute("SELECT count(*) FROM attempts WHERE request IN (SELECT id FROM requests)")
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert requests == summed == attempts
    assert set(rows(gateway)) <= set(ids)


def test_all_are_replaced_while_streams_go_on(gateway: Gateway, zai: Provider) -> None:
    old, gate = processes(gateway), Gate()
    zai.script(say("before"), *(insert(say("to the very end", delta_size=3), gate, after=4) for _ in range(7)))
    with ExitStack() as stack:
        kept, streaming = (stack.enter_context(RawClient(gateway)) for _ in range(2))
        assert not is_sent_away(kept)
        streaming.post(json.dumps(messages_body(stream=True)).encode())
        streams = [stack.enter_context(gateway.stream("glm", headers={"connection": "close"})) for _ in range(6)]
        for stream in streams:
            stream.until("content_block_delta")
        gateway.wait_until(streaming.has_come)
        os.kill(gateway.pid, signal.SIGHUP)
        gateway.wait_until(lambda: is_sent_away(kept))
        assert kept.is_closed(), "its next request goes to another"
        gateway.wait_until(lambda: ask(gateway) == [200] and "all workers have been replaced" in gateway.log())
        assert len(processes(gateway) - old) == 2
        assert processes(gateway) & old, "they have not finished"
        assert b"GATEWAY_SUCCESSION=" in Path(f"/proc/{gateway.pid}/environ").read_bytes(), "their parent is new too"
        gate.open()
        assert b"message_stop" in streaming.read().body
        assert is_sent_away(streaming), "when its answer began, nobody knew"
        for stream in streams:
            stream.read()
            assert (stream.text, stream.answer[-1], stream.cut) == ("to the very end", "message_stop", None)
    gateway.wait_until(lambda: len(processes(gateway)) == 2 and not processes(gateway) & old)
    both_serve(gateway)


def test_a_signal_ends_both_when_streams_have_ended_also_while_their_parent_begins_anew(
    gateway: Gateway, zai: Provider
) -> None:
    both_serve(gateway)
    gate = Gate()
    zai.script(*(insert(say("to the very end", delta_size=3), gate, after=4) for _ in range(4)))
    with ExitStack() as stack:
        streams = [stack.enter_context(gateway.stream("glm")) for _ in range(4)]
        for stream in streams:
            stream.until("content_block_delta")
        environment = Path(f"/proc/{gateway.pid}/environ")
        before = environment.read_bytes()
        os.kill(gateway.pid, signal.SIGHUP)
        gateway.wait_until(lambda: environment.read_bytes() != before)
        os.kill(gateway.pid, signal.SIGTERM)
        gateway.wait_until(lambda: "have 30 s to finish" in gateway.log())
        gate.open()
        for stream in streams:
            stream.read()
            assert (stream.text, stream.cut) == ("to the very end", None)
    assert gateway._process
    assert gateway._process.wait(PATIENCE) == 0
