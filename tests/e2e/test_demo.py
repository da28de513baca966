"""The demo: starts as documented, shows what it promises, and ends with Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.canaries import Secret, files, leaks
from tests.e2e.gateway import SAVING, messages_body
from tests.fakes.demo import ALIASES, GOOD_TOKEN, TIRED_TOKEN, guide
from tests.fakes.demo_traffic import morning
from tests.fakes.history import TEAM, key
from tests.fakes.launch import ROOT, saving
from tests.fakes.ports import port_of, reserve
from tests.fakes.provider import PATIENCE


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a running demo, which must end well when it is interrupted."""
    tmp_path = tmp_path_factory.mktemp("demo")
    log, reserved = tmp_path / "log", reserve()
    port = port_of(reserved)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "ZAI_API_KEY": "a real key"}
    with log.open("wb") as output:
        command = [sys.executable, "-m", "tests.fakes.demo", "-p", str(port)]
        command += saving("mitmdump", tmp_path) if SAVING else []
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE) as client:
            deadline = time.monotonic() + PATIENCE
            while not answers(client):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.02)
            yield client
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
        reserved.close()
    assert guide(f"http://127.0.0.1:{port}") in log.read_text()
    assert "Traceback" not in log.read_text()
    assert leaks([Secret("the pool", token) for token in (GOOD_TOKEN, TIRED_TOKEN)], files(tmp_path)) == []


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def test_every_alias_shows_what_the_guide_says(demo: httpx.Client) -> None:
    def ask(alias: str) -> httpx.Response:
        response = demo.post("/v1/messages", json=messages_body(alias, tools=[{"name": "Bash", "input_schema": {}}]))
        assert response.status_code == 200, response.text
        return response

    def kinds(alias: str) -> list[str]:
        return [block["type"] for block in ask(alias).json()["content"]]

    assert kinds("glm") == ["thinking", "text", "tool_use"]
    assert kinds("openrouter") == ["text", "tool_use"]
    assert ask("kimi").json()["content"][-1]["id"] != "functions.Bash:0"
    claude = next(alias for alias in ALIASES if alias.startswith("claude-"))
    assert [ask(claude).headers["x-gateway-attempts"] for _ in range(2)] == ["2", "1"]  # one token is benched then
    for alias in ("limited", "dying"):
        assert ask(alias).headers["x-gateway-fallback"] == "glm"


def test_the_page_shows_a_team(demo: httpx.Client) -> None:
    page = demo.get("/gateway/")
    assert page.status_code == 200
    for person in TEAM:
        assert f"<b>{person.name}</b>" in page.text
    assert page.text.count("over budget") == 1
    own = demo.get("/gateway/", headers={"x-api-key": key("bob")})
    assert 'id="budget"' in own.text
    assert "alice" not in own.text


def test_what_there_is_to_look_at_in_mitmweb(demo: httpx.Client) -> None:
    """What demo_traffic.py asks: all is answered, but what isn't meant to be."""
    refused = {"gpt-9": 404, "claude-opus-5-5": 429}
    answers = list(morning(str(demo.base_url), streams=False))
    assert [status for _, status in answers] == [refused.get(asked.model, 200) for asked, _ in answers]
    assert len({asked.model for asked, _ in answers}) > 8


def test_the_slow_alias_is_bridged_with_pings(demo: httpx.Client) -> None:
    started = time.monotonic()
    with demo.stream("POST", "/v1/messages", json=messages_body("slow", stream=True)) as response:
        assert next(response.iter_lines()) == "event: ping"
    assert time.monotonic() - started < 30
