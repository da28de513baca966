"""The commands of a running gateway, as a user starts them.

state/account_commands.py is tested here too.
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from addons.state.control import FILE_NAME, HEADER
from tests.credentials import ADMIN, TOKEN
from tests.e2e.forked import ran
from tests.e2e.gateway import Gateway
from tests.fakes.provider import PATIENCE, Provider
from tests.fakes.scripts import error, not_found, oauth_429, say, with_headers

CONTROL = "/gateway/control/"


def command(
    gateway: Gateway, *arguments: str, env: dict[str, str] | None = None, forked: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run `./run.sh NAME …` beside this gateway."""
    name, *others = arguments
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(gateway.directory),
        "GATEWAY_PORT": str(gateway.port),
        "GATEWAY_CONTROL": str(gateway.directory / FILE_NAME),
        "GATEWAY_ROUTING": str(gateway.directory / "routing.yaml"),
        "GATEWAY_ENV": str(gateway.directory / ".env"),
        **(env or {}),
    }
    if forked:
        return ran(f"addons.commands.{name}", others, environment=environment)
    program = [sys.executable, "-m", f"addons.commands.{name}", *others]
    return subprocess.run(program, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.fixture(scope="module")
def env(env: dict[str, str]) -> dict[str, str]:
    return {**env, "LITELLM_MASTER_KEY": ADMIN}


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    failover = {**routing["failover"], "cooldown": 60}
    return {**routing, "failover": failover, "routes": [{"when": {"class": "subagent"}, "to": "glm-fast"}]}


def secret(gateway: Gateway) -> str:
    return (gateway.directory / FILE_NAME).read_text().strip()


def test_the_secret_is_the_owners(gateway: Gateway) -> None:
    file = gateway.directory / FILE_NAME
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(secret(gateway)) > 40


def test_who_may_ask(start_gateway: Callable[..., Gateway], env: dict[str, str]) -> None:
    gateway = start_gateway(env={**env, "PROXY_STATIC_TOKEN": TOKEN})

    def status(path: str = f"{CONTROL}routes/explain", **headers: str) -> int:
        lines = {name.replace("_", "-"): value for name, value in headers.items()}
        return gateway.client.post(path, json={"request": {"model": "glm"}}, headers=lines).status_code

    key = {HEADER.replace("-", "_"): secret(gateway)}
    assert status(**key) == 200
    assert status(x_litellm_api_key=ADMIN) == 200
    assert status(x_litellm_api_key=TOKEN) == 403
    assert status() == 401
    assert status(**{HEADER.replace("-", "_"): "wrong"}) == 401
    assert status(path=f"{CONTROL}nothing", **key) == 404
    assert status(path="/v1/messages", **key) == 401
    gateway.restart()
    assert status(**key) == 200


def test_an_open_gateway_is_not_open_for_commands(gateway: Gateway) -> None:
    assert gateway.client.post(f"{CONTROL}routes/explain", json={}).status_code == 403
    assert gateway.client.get(f"{CONTROL}routes/explain", headers={HEADER: secret(gateway)}).status_code == 404
    bad = gateway.client.post(f"{CONTROL}routes/explain", content=b"[", headers={HEADER: secret(gateway)})
    assert bad.status_code == 400


def test_routes_are_listed(gateway: Gateway) -> None:
    done = command(gateway, "routes", forked=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:2] == ["rule 1 (class subagent) → glm-fast", "glm → zai/glm-5"]
    listed = json.loads(command(gateway, "routes", "--json").stdout)
    assert listed["rules"] == [{"rule": "rule 1 (class subagent)", "to": "glm-fast"}]
    assert listed["models"][0] == {
        "model": "glm",
        "targets": [{"provider": "zai", "model": "glm-5", "skipped": None}],
    }


def test_a_request_is_explained_without_being_sent(gateway: Gateway, providers: Any) -> None:
    asked = {"model": "claude-opus-5-5", "class": "subagent"}
    done = command(gateway, "routes", "--json", "--explain", json.dumps(asked))
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["rule"], found["model"]) == ("rule 1 (class subagent)", "glm-fast")
    assert [(target["provider"], target["model"]) for target in found["targets"]] == [("zai", "glm-5-air")]
    done = command(gateway, "routes", "--explain", '{"model": "claude-opus-5-5", "messages": []}')
    assert done.stdout.startswith("no rule: claude-opus-5-5\n  1. anthropic/claude-opus-5-5")
    assert all(provider.requests == [] for provider in providers)


def test_a_request_in_a_file_is_explained(gateway: Gateway) -> None:
    file = gateway.directory / "asked.json"
    file.write_text('{"model": "claude-via-glm"}')
    done = command(gateway, "routes", "--explain-file", str(file), "--json")
    assert json.loads(done.stdout)["model"] == "glm"


def test_without_a_gateway_the_files_answer(gateway: Gateway) -> None:
    done = command(gateway, "routes", "--json", "--explain", '{"model": "glm"}', env={"GATEWAY_PORT": "9"})
    assert done.returncode == 0
    assert "no gateway answers" in done.stderr
    assert json.loads(done.stdout)["targets"] == [
        {"provider": "zai", "model": "glm-5", "account": None, "skipped": None}
    ]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("routes", "--explain", "{"), 2),
        (("routes", "--explain", '{"models": 1}'), 2),
        (("routes", "--explain-file", "/nowhere"), 2),
        (("routes", "--nothing"), 2),
        (("routes", "--explain", '{"model": "unheard-of"}'), 1),
        (("routes", "--explain", '{"model": "glm", "messages": 5}'), 1),
        (("pool", "resume"), 2),
        (("pool", "sleep", "zai:1"), 2),
        (("routes", "--explain", '{"model": "glm"}', "--url", "http://192.0.2.1:1"), 1),
    ],
)
def test_exit_codes(gateway: Gateway, arguments: tuple[str, ...], status: int) -> None:
    done = command(gateway, *arguments, env={"GATEWAY_ENV": "/nowhere"})
    assert done.returncode == status
    assert done.stdout == "" or status == 1
    assert "Traceback" not in done.stderr


def test_the_administrator_asks_from_elsewhere(gateway: Gateway) -> None:
    asked = ("routes", "--json", "--explain", '{"model": "glm"}', "--url", gateway.url)
    nowhere = {"GATEWAY_PORT": "9", "GATEWAY_CONTROL": "/nowhere"}
    assert command(gateway, *asked, env=nowhere).returncode == 0
    wrong = command(gateway, *asked, env={**nowhere, "LITELLM_MASTER_KEY": "another-key-0123456789"})
    assert wrong.returncode == 1
    assert "administrator" in wrong.stderr


def test_the_doctor_finds_what_is_wrong(gateway: Gateway, zai: Provider, kimi: Provider) -> None:
    zai.always(error(401, "token expired or incorrect"))
    kimi.refuse()
    (gateway.directory / ".claude").mkdir(exist_ok=True)
    block = {"ANTHROPIC_BASE_URL": gateway.url, "ANTHROPIC_MODEL": "gml", "ANTHROPIC_AUTH_TOKEN": "any-value"}
    (gateway.directory / ".claude/settings.json").write_text(json.dumps({"env": block}))
    files = {"GATEWAY_DB": str(gateway.directory / "gateway.db"), "GATEWAY_CONTROL": ""}
    done = command(gateway, "doctor", "--json", env=files)
    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(done.stdout)
    wrong = {check["name"]: check["said"] for check in found["checks"] if not check["ok"]}
    assert {name for name in wrong if not name.startswith("client subagents")} == {
        *("key zai:1", "provider kimi", "client model")
    }
    assert "…6789 is refused (401): token expired or incorrect" in wrong["key zai:1"]
    fine = {check["name"]: check["said"] for check in found["checks"] if check["ok"]}
    assert "a gateway listens" in fine["port"]
    assert {"account zai:1", "key claude:1", "key openrouter:1", "client"} <= set(fine)
    assert not any(secret in done.stdout for secret in ("zai-key-0123456789", "sk-ant-oat01-first", ADMIN))


# The accounts


KEYS = {
    "CLAUDE_OAUTH_TOKENS": "sk-ant-oat01-first-for-commands-aaaa,sk-ant-oat01-second-for-commands-bbbb",
    "ZAI_API_KEY": "zai-one-0123456789,zai-two-0123456789",
    "LITELLM_MASTER_KEY": ADMIN,
}


def accounts(gateway: Gateway) -> dict[str, dict[str, Any]]:
    """What `pool --json` says, by account."""
    done = command(gateway, "pool", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return {row["account"]: row for row in json.loads(done.stdout)}


def test_the_accounts_are_shown(start_gateway: Callable[..., Gateway], anthropic: Provider, zai: Provider) -> None:
    gateway = start_gateway(env=KEYS)
    utilization = {
        "anthropic-ratelimit-unified-5h-utilization": "0.82",
        "anthropic-ratelimit-unified-7d-utilization": "0.4",
    }
    anthropic.script(with_headers(say("hi"), utilization))
    session = {"x-claude-code-session-id": "a-session-of-the-commands"}
    assert gateway.post("claude-opus-5-5", headers=session).status_code == 200
    found = accounts(gateway)
    assert list(found) == ["claude:1", "claude:2", "zai:1", "zai:2"]
    assert found["zai:1"] == {
        "account": "zai:1",
        "provider": "zai",
        "masked": "…6789",
        "state": "usable",
        "until": None,
        "reason": None,
        "utilization": {"5h": None, "7d": None},
        "sessions": 0,
        "requests_1h": 0,
        "failures_1h": 0,
    }
    assert found["claude:1"]["utilization"] == {"5h": 0.82, "7d": 0.4}
    anthropic.script(oauth_429({"5h": time.time() + 900}))
    assert gateway.post("claude-opus-5-5", headers=session).status_code == 200
    found = accounts(gateway)
    first = found["claude:1"]
    assert (first["state"], first["reason"], first["masked"]) == ("cooling", "5h limit", "sk-ant-oat01…aaaa")
    assert first["utilization"] == {"5h": 1.0, "7d": None}
    assert (first["requests_1h"], first["failures_1h"], first["sessions"]) == (2, 1, 0)
    assert datetime.fromisoformat(first["until"]) - datetime.now(UTC) < timedelta(seconds=905)
    assert (found["claude:2"]["sessions"], found["claude:2"]["requests_1h"]) == (1, 1)
    told = command(gateway, "pool", forked=False).stdout
    assert told.splitlines()[0].split() == ["ACCOUNT", "CREDENTIAL", "STATE", "5H", "7D", "SESSIONS", "1H", "FAILED"]
    assert "claude:1  sk-ant-oat01…aaaa  cooling until" in told and "5h limit" in told


def test_what_is_asked_last_is_shown_with_its_reason(gateway: Gateway, zai: Provider) -> None:
    zai.always(error(503, "down for a walk", headers={"x-should-retry": "false"}))
    for number in range(3):
        session = {"x-claude-code-session-id": f"session-{number}-of-an-outage"}
        assert gateway.post("glm-fast", headers=session).status_code == 503
    last = command(gateway, "pool").stdout.splitlines()[-1]
    assert re.fullmatch(r"zai/glm-5-air is asked last until \d\d:\d\d:\d\d: 503 \(down for a walk\)", last)
    assert "glm-5-air" not in str(accounts(gateway)), "the JSON has accounts only"
    zai.always(say("back"))
    assert gateway.post("glm-fast").status_code == 200
    assert command(gateway, "pool").stdout.splitlines()[-1].startswith("openrouter:1 ")


def test_a_cooldown_is_ended_and_survives_until_then(
    start_gateway: Callable[..., Gateway], anthropic: Provider
) -> None:
    gateway = start_gateway(env=KEYS)
    anthropic.script(oauth_429({"5h": time.time() + 900}))
    assert gateway.post("claude-opus-5-5").status_code == 200
    gateway.restart()
    assert accounts(gateway)["claude:1"]["state"] == "cooling"
    done = command(gateway, "pool", "resume", "claude:1")
    assert (done.returncode, done.stdout) == (0, "claude:1 may be used again\n")
    assert accounts(gateway)["claude:1"]["state"] == "usable"
    assert json.loads(command(gateway, "pool", "resume", "all", "--json").stdout) == {
        "resumed": ["claude:1", "claude:2", "zai:1", "zai:2"]
    }
    wrong = command(gateway, "pool", "resume", "claude:9")
    assert wrong.returncode == 1
    assert "claude:9" in wrong.stderr


def test_an_account_is_tested(start_gateway: Callable[..., Gateway], anthropic: Provider, zai: Provider) -> None:
    gateway = start_gateway(env=KEYS)
    done = command(gateway, "pool", "test", "claude:2")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "claude:2 works: 120 tokens counted\n"
    assert [request.path for request in anthropic.requests] == ["/v1/messages/count_tokens"]
    assert anthropic.last.token == KEYS["CLAUDE_OAUTH_TOKENS"].split(",")[1]
    zai.script(error(401, "token expired or incorrect"))
    refused = command(gateway, "pool", "test", "zai:2")
    assert refused.returncode == 1
    assert "token expired or incorrect" in refused.stderr
    assert [request.token for request in zai.requests] == ["zai-two-0123456789"]
    assert accounts(gateway)["zai:2"]["state"] == "usable"
    zai.script(not_found)
    lacking = command(gateway, "pool", "test", "zai:1")
    assert (lacking.returncode, lacking.stderr) == (1, "zai counts no tokens: its accounts can't be tested\n")
    assert command(gateway, "pool", "test", "kimi:1").returncode == 1


def test_an_explanation_names_the_account_of_the_session(
    start_gateway: Callable[..., Gateway], anthropic: Provider
) -> None:
    gateway = start_gateway(env=KEYS)
    session = {"x-claude-code-session-id": "a-session-of-the-commands"}
    for _ in range(2):
        gateway.post("claude-opus-5-5")
    gateway.post("claude-opus-5-5", headers=session)
    used = KEYS["CLAUDE_OAUTH_TOKENS"].split(",").index(anthropic.last.token) + 1
    asked = {"model": "claude-opus-5-5", "session": "a-session-of-the-commands"}
    found = json.loads(command(gateway, "routes", "--json", "--explain", json.dumps(asked)).stdout)
    assert found["targets"][0] == {
        "provider": "anthropic",
        "model": "claude-opus-5-5",
        "account": f"claude:{used}",
        "skipped": None,
    }
