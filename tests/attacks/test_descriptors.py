"""A port without room: clients wait, the process stays."""

from __future__ import annotations

import resource
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.attacks.bystander import held as held_by
from tests.e2e.gateway import Gateway
from tests.fakes.provider import PATIENCE


def test_a_full_table_of_descriptors_costs_the_newcomers(fresh_gateway: Gateway) -> None:
    gateway = fresh_gateway
    process, held = gateway.pid, held_by(gateway)[1]
    _, hard = resource.prlimit(process, resource.RLIMIT_NOFILE)
    resource.prlimit(process, resource.RLIMIT_NOFILE, (held + 20, hard))
    with ExitStack() as stack:
        for _ in range(60):  # the kernel takes those in for which accept() has no room
            stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE))
        gateway.wait_until(lambda: "no room for more connections" in gateway.log())
        said = gateway.log().count("no room for more connections")
        gateway.wait_until(lambda: gateway.log().count("no room for more connections") > said)
        assert gateway.client.get("/health").status_code == 200  # who was here before is served
    resource.prlimit(process, resource.RLIMIT_NOFILE, (hard, hard))
    gateway.wait_until(lambda: held_by(gateway)[1] <= held + 2)
    assert gateway.post().status_code == 200
    assert len(gateway.log().splitlines()) < 300


def test_nothing_listens_on_udp(fresh_gateway: Gateway, routing: dict[str, Any], env: dict[str, str]) -> None:
    with Gateway(routing, env, upstream="https://127.0.0.1:9") as over_tls:
        for process in (fresh_gateway.pid, over_tls.pid):
            inodes = {
                Path(f"/proc/{process}/fd/{fd.name}").readlink().name for fd in Path(f"/proc/{process}/fd").iterdir()
            }
            lines = Path(f"/proc/{process}/net/udp").read_text().splitlines()[1:]
            ours = [line for line in lines if f"socket:[{line.split()[9]}]" in inodes]
            assert ours == []
