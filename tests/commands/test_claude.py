"""`./run.sh claude`: what belongs to whom, the client's environment, and a gateway that is joined or started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from addons.commands import claude
from addons.commands.claude import divided, environment, main, settings_option
from addons.commands.running_gateway import Failed
from tests.config.routing_texts import KEYS, config
from tests.fakes.ports import port_of, reserve

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (ROOT / "routing.yaml.example").read_text(encoding="utf-8")
ONE_KEY = {"ZAI_API_KEY": "zai-key-0123456789"}

URL = "http://127.0.0.1:4000"
BLOCK = {"ANTHROPIC_BASE_URL": URL, "ANTHROPIC_MODEL": "glm", "ANTHROPIC_AUTH_TOKEN": "any-value"}


@pytest.mark.parametrize(
    ("arguments", "alias", "rest"),
    [
        ([], "glm", []),
        (["kimi"], "kimi", []),
        (["kimi", "-p", "hi"], "kimi", ["-p", "hi"]),
        (["claude-opus-5-5", "glm"], "claude-opus-5-5", ["glm"]),
        (["-p", "kimi"], "glm", ["-p", "kimi"]),
        (["mend the tests"], "glm", ["mend the tests"]),
        (["mcp", "list"], "glm", ["mcp", "list"]),
        (["glmm"], None, ["glmm"]),
        (["--", "glmm"], "glm", ["glmm"]),
    ],
)
def test_what_is_the_alias_and_what_the_clients(arguments: list[str], alias: str | None, rest: list[str]) -> None:
    assert divided(arguments, config(EXAMPLE, KEYS)) == (alias, rest)


def test_the_environment_has_the_block_and_the_key() -> None:
    inherited = {
        "HOME": "/me",
        "ANTHROPIC_API_KEY": "mine",
        "CLAUDE_CODE_USE_BEDROCK": "1",
        "ANTHROPIC_MODEL": "opus",
        "ANTHROPIC_CUSTOM_HEADERS": "X-Mine: 1\nX-LiteLLM-Api-Key: old",
    }
    assert environment(inherited, BLOCK, "key") == {
        "HOME": "/me",
        **BLOCK,
        "ANTHROPIC_CUSTOM_HEADERS": "X-Mine: 1\nx-litellm-api-key: key",
    }
    assert "ANTHROPIC_CUSTOM_HEADERS" not in environment({}, {**BLOCK, "ANTHROPIC_CUSTOM_HEADERS": "k: YOUR_X"}, "")


def test_with_the_clients_own_login_its_key_stays_and_a_placeholder_goes() -> None:
    block = {name: value for name, value in BLOCK.items() if name != "ANTHROPIC_AUTH_TOKEN"}
    assert environment({"ANTHROPIC_API_KEY": "mine", "ANTHROPIC_AUTH_TOKEN": "any-value"}, block, "") == {
        "ANTHROPIC_API_KEY": "mine",
        **block,
    }


def test_no_proxy_stands_between_the_client_and_the_gateway() -> None:
    env = environment({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "intern"}, BLOCK, "")
    assert (env["NO_PROXY"], env["no_proxy"]) == ("intern,127.0.0.1", "127.0.0.1")
    assert "NO_PROXY" not in environment({}, BLOCK, "")


def test_the_block_wins_over_settings_files_and_no_key_is_among_the_arguments() -> None:
    block = {**BLOCK, "ANTHROPIC_CUSTOM_HEADERS": "x-litellm-api-key: YOUR_PROXY_STATIC_TOKEN"}
    option, value = settings_option(block, ["-p", "hi"])
    assert (option, json.loads(value)) == ("--settings", {"env": BLOCK})
    assert settings_option(block, ["--settings", "mine.json"]) == []
    assert settings_option(block, ["--settings=mine.json"]) == []


GATEWAY = f"""\
#!{sys.executable}
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.headers.get("x-litellm-api-key") == os.environ.get("PROXY_STATIC_TOKEN")
        body = b'{{"status": "ok"}}' if self.path == "/health" else b'{{"data": [{{"id": "kimi"}}]}}'
        self.send_response(401 if self.path != "/health" and not known else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
print("it begins", flush=True)
if "BROKEN" in os.environ:
    sys.exit("routing.yaml: broken")
open("pid", "w").write(str(os.getpid()))
http.server.HTTPServer(("127.0.0.1", int(os.environ["GATEWAY_PORT"])), Handler).serve_forever()
"""
CLIENT = """\
#!/bin/sh
echo "$ANTHROPIC_BASE_URL $ANTHROPIC_MODEL $ANTHROPIC_CUSTOM_HEADERS" >client
for argument; do echo "$argument" >>client; done
exit 7
"""


class Started(Exception):
    """The client would have been started in the place of this process."""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder with a scripted gateway and client, in which commands are given."""
    for name, text in (("run.sh", GATEWAY), ("claude", CLIENT)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "routing.yaml").write_text(EXAMPLE)
    for name in (*KEYS, "CLAUDE_OAUTH_TOKENS", "GATEWAY_HOST", "GATEWAY_KEY", "PROXY_STATIC_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    reserved = reserve()  # to the end: else another test may be given the port
    env = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "GATEWAY_ROUTING": str(tmp_path / "routing.yaml"),
        "GATEWAY_ENV": str(tmp_path / ".env"),
        "GATEWAY_DB": str(tmp_path / "x.db"),
        "GATEWAY_PORT": str(port_of(reserved)),
        **ONE_KEY,
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(claude, "RUN", tmp_path / "run.sh")

    def become(program: str, arguments: list[str], env: dict[str, str]) -> None:
        assert subprocess.run([program, *arguments[1:]], env=env, check=False).returncode == 7
        raise Started

    started = []
    start = claude.start

    def kept(log: Path) -> subprocess.Popen[bytes]:
        started.append(start(log))
        return started[-1]

    monkeypatch.setattr("os.execve", become)
    monkeypatch.setattr(claude, "start", kept)
    yield tmp_path
    for process in started:
        process.kill()
        process.wait()
    reserved.close()


def test_a_gateway_is_started_once_and_said_how_to_stop(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROXY_STATIC_TOKEN", "static-token-0123456789")
    with pytest.raises(Started):
        main(["glm", "-p", "two words"])
    pid = (machine / "pid").read_text()
    assert (
        capsys.readouterr().err
        == f"gateway: started (its log is {machine}/.gateway.log); it goes on until: kill {pid}\n"
    )
    lines = (machine / "client").read_text().splitlines()
    port = os.environ["GATEWAY_PORT"]
    assert lines[0] == f"http://127.0.0.1:{port} glm x-litellm-api-key: static-token-0123456789"
    assert lines[1] == "--settings" and lines[3:] == ["-p", "two words"]
    assert "static-token" not in "".join(lines[1:])
    assert os.getsid(int(pid)) == int(pid), "Ctrl-C in the client is not for it"
    with pytest.raises(Started):
        main([])
    assert capsys.readouterr().err == ""
    with pytest.raises(Started):
        main(["kimi"])  # no key for it here, but the gateway that runs has it: the demo
    assert capsys.readouterr().err == ""
    assert (machine / "pid").read_text() == pid
    monkeypatch.setenv("GATEWAY_KEY", "gw-wrong")
    with pytest.raises(Failed, match="refuses GATEWAY_KEY"):
        main([])


def test_a_gateway_that_does_not_start_shows_why(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKEN", "1")
    with pytest.raises(Failed, match=r"(?s)doesn't start.*it begins\nrouting\.yaml: broken"):
        main([])


def test_what_is_missing_is_said_before_anything_is_started(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Failed, match="KIMI_API_KEY is not set"):
        main(["kimi"])
    assert main(["glmm"]) == 2
    assert "did you mean 'glm'" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Failed, match="npm install"):
        main(["glm"])
    assert not (machine / ".gateway.log").exists()
