"""The image runs: as nobody in particular, with a root that is read only, and it ends as properly as it starts."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.containers.conftest import ROOT, Podman, run, wait_for_health
from tests.fakes.ports import port_of, reserve
from tests.fakes.provider import Provider
from tests.fakes.scripts import Gate, insert, say

ROUTING = """\
providers:
  mine: {{base_url: "http://127.0.0.1:{port}", auth: x-api-key, api_key: "${{MY_KEY}}"}}
models:
  glm: {{provider: mine, model: glm-5}}
"""
BODY = {"model": "glm", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "stream": True}


def free_port() -> int:
    with reserve() as reserved:
        return port_of(reserved)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider("mine") as provider:
        yield provider


Start = Callable[..., tuple[str, int]]


@pytest.fixture
def start(image: str, podman: Podman) -> Iterator[Start]:
    """Starts a container with these options: its name and port."""
    names: list[str] = []

    def started(*options: str) -> tuple[str, int]:
        name, port = f"gateway-{uuid4().hex[:12]}", free_port()
        names.append(name)
        podman(
            *("run", "-d", "--name", name, "--network", "host", "--read-only", "--tmpfs", "/tmp"),
            *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", *options),
            *("-e", "GATEWAY_HOST=127.0.0.1", "-e", f"GATEWAY_PORT={port}", image),
        )
        wait_for_health(port, lambda: podman("logs", name))
        return name, port

    yield started
    for name in names:
        podman("rm", "-f", "-v", "-t", "1", name)


def test_it_serves_without_any_configuration_as_a_user_without_rights(start: Start, podman: Podman) -> None:
    name, _ = start()
    assert podman("exec", name, "id", "-u").strip() == "10001"
    podman("healthcheck", "run", name)
    assert json.loads(podman("exec", name, "./run.sh", "pool", "--json")) == []
    assert podman("exec", name, "./run.sh", "user", "add", "alice").startswith("gw-")
    assert set(podman("exec", name, "ls", "-A", "/data").split()) >= {".gateway.control", ".mitmproxy", "gateway.db"}
    with pytest.raises(AssertionError, match="Read-only file system"):
        podman("exec", name, "touch", "/opt/claude-gateway/x")
    podman("stop", "-t", "30", name)
    assert podman("inspect", name, "--format", "{{.State.ExitCode}}").strip() == "0"


def test_it_takes_a_configuration_and_a_stop_lets_an_answer_finish(
    start: Start, podman: Podman, provider: Provider, tmp_path: Path
) -> None:
    (tmp_path / "routing.yaml").write_text(ROUTING.format(port=provider.port))
    (tmp_path / ".env").write_text("MY_KEY=of-the-file\n")
    for file in tmp_path.iterdir():
        file.chmod(0o600)
        os.chown(file, 4711, 4711)
    tmp_path.chmod(0o755)
    name, port = start("-v", f"{tmp_path}:/config:ro", "--user", "4711:4711")
    gate = Gate()
    provider.script(insert(say("to the very end", delta_size=3), gate, after=4))
    url = f"http://127.0.0.1:{port}/v1/messages"
    with (
        httpx.Client(trust_env=False, timeout=60) as client,
        client.stream("POST", url, json=BODY, headers={"x-api-key": "any"}) as answer,
    ):
        lines = answer.iter_lines()
        assert any("content_block_delta" in line for line in lines)
        podman("kill", "--signal", "TERM", name)
        gate.open()
        assert "message_stop" in list(lines)[-2]
    assert podman("wait", name).strip() == "0"
    assert provider.requests[0].headers["x-api-key"] == "of-the-file"


@pytest.mark.parametrize("files", [[], ["--web"]], ids=["mitmdump", "mitmweb"])
def test_compose(files: list[str], image: str, environment: dict[str, str], podman: Podman, tmp_path: Path) -> None:
    """`./run.sh compose up` and `down`, from a folder in which nothing has been made yet."""
    project = tmp_path / "project"
    shutil.copytree(ROOT / "addons/deploy", project / "addons/deploy")
    for name in ("run.sh", ".env.example", "routing.yaml.example"):
        shutil.copy(ROOT / name, project)
    for folder in (tmp_path, project):
        folder.chmod(0o755)
    port, web_port = free_port(), free_port()
    env = environment | {
        "GATEWAY_PORT": str(port),
        "GATEWAY_WEB_PORT": str(web_port),
        "GATEWAY_SUBNET": "172.28.84.0/24",
    }

    def compose(*arguments: str) -> str:
        return run(project / "run.sh", "compose", *files, "-p", project_name, *arguments, env=env, cwd=project)

    project_name = f"gateway-{uuid4().hex[:8]}"
    try:
        compose("up", "-d", "--no-build")
        wait_for_health(port, lambda: compose("logs"))
        assert (project / ".env").stat().st_uid == 10001
        assert compose("exec", "-T", "gateway", "id", "-u").strip().endswith("10001")
        assert "no accounts" in compose("exec", "-T", "gateway", "./run.sh", "pool")
        if files:  # mitmweb's own password is in the way
            assert httpx.get(f"http://127.0.0.1:{web_port}/", trust_env=False).status_code == 403
    finally:
        compose("down", "-v")
    assert project_name not in podman("ps", "-a", "--format", "{{.Names}}")
