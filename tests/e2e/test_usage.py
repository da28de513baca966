"""`./run.sh usage` and `./run.sh statusline` beside a running gateway, and after one that was killed under load."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from addons.state import usage
from addons.state.control import FILE_NAME, HEADER, PATH
from tests.credentials import ADMIN, TOKEN
from tests.e2e.gateway import Gateway
from tests.e2e.test_commands import command
from tests.e2e.users import key_of
from tests.fakes.provider import Provider
from tests.fakes.scripts import say

PRICE = {"input": 1000, "output": 1000}


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    glm = {"provider": "zai", "model": "glm-5", "price": PRICE}
    return {**routing, "models": {**routing["models"], "glm": glm}, "users": {"timezone": "UTC"}}


@pytest.fixture(scope="module")
def env(env: dict[str, str]) -> dict[str, str]:
    return {**env, "LITELLM_MASTER_KEY": ADMIN, "PROXY_STATIC_TOKEN": TOKEN}


def asked(gateway: Gateway, name: str, key: str, **arguments: str) -> Any:
    """What the gateway answers a command of who has this key."""
    headers = {"x-litellm-api-key": key} if key else {HEADER: (gateway.directory / FILE_NAME).read_text().strip()}
    answer = gateway.client.post(f"{PATH}{name}", json=arguments, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_administrator_and_user(gateway: Gateway, zai: Provider, session: dict[str, str]) -> None:
    """34 tokens out, 120 in: $0.154 each."""
    zai.always(say("hi"))
    carol, boss = key_of(gateway, "carol", "--budget", "day=1,month=100"), key_of(gateway, "boss", "--admin")
    for key in (TOKEN, ADMIN, carol):
        assert gateway.post("glm", headers={**session, "x-litellm-api-key": key}).status_code == 200
    path = gateway.directory / "gateway.sqlite"
    gateway.wait_until(lambda: sum(group.sums.requests for group in usage.grouped(path, [])) == 3)

    for key in (ADMIN, "", boss):
        everybody = asked(gateway, "usage", key, view="user")
        assert {row["user"]: row["requests"] for row in everybody["rows"]} == {"shared": 1, "admin": 1, "carol": 1}
        assert [row["cost_usd"] for row in everybody["rows"]] == [pytest.approx(0.154)] * 3
    for key, user in ((TOKEN, "shared"), (carol, "carol")):
        own = asked(gateway, "usage", key, view="user", user="admin")
        assert [row["user"] for row in own["rows"]] == [user]
    name = session["x-claude-code-session-id"]
    assert {row["session"] for row in asked(gateway, "usage", "", view="session")["rows"]} == {name}
    status = asked(gateway, "statusline", TOKEN, session=name)
    assert (status["user"], status["requests"], status["provider"]) == ("shared", 1, "zai")
    assert status["budget"] is None
    budget = asked(gateway, "statusline", carol)["budget"]
    assert budget == {"window": "day", "budget_usd": 1, "spent_usd": pytest.approx(0.154)}


def test_the_commands(gateway: Gateway, zai: Provider, session: dict[str, str]) -> None:
    zai.always(say("hi"))
    gateway.post("glm", headers={**session, "x-litellm-api-key": TOKEN})
    path = gateway.directory / "gateway.sqlite"
    gateway.wait_until(lambda: usage.sessions(path, session=session["x-claude-code-session-id"]))
    cost = sum(group.sums.cost_usd or 0 for group in usage.grouped(path, [], user="shared"))
    shown = command(gateway, "usage", env={"COLUMNS": "120", "GATEWAY_KEY": TOKEN})
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"${cost:,.2f}" in shown.stdout
    assert "glm-5" in shown.stdout
    status = command(gateway, "statusline", env={"GATEWAY_KEY": TOKEN})
    assert status.stdout == f"${cost:,.2f} today\n"
    wrong = command(gateway, "usage", "--since", "never")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "is no day" in wrong.stderr


LOAD = """
import sys, urllib.request
from concurrent.futures import ThreadPoolExecutor
def ask(_):
    try:
        request = urllib.request.Request(sys.argv[1] + "/v1/messages", sys.argv[2].encode(), {"x-api-key": sys.argv[3]})
        return urllib.request.urlopen(request, timeout=20).status
    except OSError:
        return 0
with ThreadPoolExecutor(8) as pool:
    for status in pool.map(ask, range(4000)):
        print(status, flush=True)
"""


def test_a_gateway_that_is_killed_under_load_has_lost_a_second_and_no_more(
    start_gateway: Callable[..., Gateway], zai: Provider
) -> None:
    """The file is whole; sums and rows agree; what was answered more than a moment before is there."""
    zai.always(say("hi"))
    gateway = start_gateway()
    gateway.check_log = False
    path = gateway.directory / "gateway.sqlite"
    body = json.dumps({"model": "glm", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]})
    load = subprocess.Popen([sys.executable, "-c", LOAD, gateway.url, body, TOKEN], stdout=subprocess.PIPE)
    assert load.stdout
    try:
        lines = iter(load.stdout.readline, b"")
        while b"200" not in next(lines):
            pass

        def rows() -> int:
            return sum(group.sums.requests for group in usage.grouped(path, []))

        gateway.wait_until(rows)
        before = rows()  # in the file: none of these may be lost
        gateway.wait_until(lambda: rows() > before)
        kept = rows()
        gateway.kill()
    finally:
        load.kill()
        load.wait()
        load.stdout.close()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        counts = [
            file.execute(f"SELECT {what}").fetchone()[0]
            for what in (
                "count(*) FROM requests",
                "count(*) FROM attempts",
                "sum(requests) FROM usage_daily",
                "sum(requests) FROM spend",
            )
        ]
    assert len(set(counts)) == 1
    assert counts[0] >= kept
