"""The harness itself: starts, stops and watches a gateway, and reads streams. With an addon of its own."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.e2e.gateway import SAVING, Gateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import Gate, drop, error, error_event, event, hang, insert, say

pytestmark = pytest.mark.skipif(SAVING, reason="its gateways save nothing")

ADDON = """
import logging
from mitmproxy import http

class Small:
    def request(self, flow):
        if flow.request.path == "/health":
            flow.response = http.Response.make(200, b"{}")
        elif flow.request.path == "/fail":
            raise RuntimeError("on purpose")
        elif flow.request.path == "/leak":
            logging.warning("the key is k-0123456789")
    def responseheaders(self, flow):
        flow.response.stream = True

addons = [Small()]
"""


@pytest.fixture
def start(tmp_path: Path, start_gateway: Callable[..., Gateway]) -> Callable[..., Gateway]:
    script = tmp_path / "small.py"
    script.write_text(ADDON)
    return lambda **options: start_gateway(**{"script": script, "saving": False} | options)


def test_a_gateway_starts_serves_restarts_and_stops(start: Callable[..., Gateway], anthropic: Provider) -> None:
    gateway = start(forked=False)
    url = gateway.url
    assert gateway.post("m", text="hello").json()["model"] == "m"
    assert anthropic.last.json["messages"] == [{"role": "user", "content": "hello"}]
    with gateway.anthropic() as sdk:
        answer = sdk.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "hi"}])
    assert answer.id == "msg_anthropic_2"
    gateway.restart()
    assert gateway.url == url
    assert gateway.post("m").status_code == 200
    gateway.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)
    assert "listening at" in gateway.log()


def test_what_a_gateway_must_not_log_fails_its_stop(start: Callable[..., Gateway]) -> None:
    gateway = start(env={"SOME_KEY": "k-0123456789", "CLAUDE_TOKEN_MODE": "passthrough"})
    gateway.client.get("/leak")
    with pytest.raises(AssertionError, match=r"log: SOME_KEY"):
        gateway.stop()
    gateway = start()
    gateway.client.get("/fail")
    with pytest.raises(AssertionError, match="on purpose"):
        gateway.stop()
    gateway = start()
    gateway.client.get("/fail")
    gateway.check_log = False
    gateway.stop()


def test_a_secret_is_found_wherever_it_is_seen(start: Callable[..., Gateway], anthropic: Provider) -> None:
    """With an addon that has nothing against it, mitmproxy saves what it has seen."""
    own = "sk-ant-oat01-sent-by-a-client-0123456789"
    gateway = start(saving=True)
    anthropic.script(error(400, f"invalid: {own[:30]}"))
    gateway.client.post("/v1/messages", json={}, headers={"authorization": f"Bearer {own}"})
    with pytest.raises(AssertionError) as seen:
        gateway.stop()
    lines = str(seen.value).splitlines()[1:]
    places = {line.split(": sent by a client (…6789): ")[0] for line in lines}
    assert places == {"what clients were told", "log", "flows", "flows.har"}


def test_a_gateway_that_does_not_start_says_why(tmp_path: Path, start_gateway: Callable[..., Gateway]) -> None:
    script = tmp_path / "broken.py"
    script.write_text("raise RuntimeError('broken on purpose')")
    with pytest.raises(AssertionError, match="broken on purpose"):
        start_gateway(script=script)


def test_its_files_can_be_rewritten(start: Callable[..., Gateway]) -> None:
    gateway = start()
    gateway.rewrite_routing("models: {}\n")
    gateway.rewrite_env({"A": "b"})
    assert (gateway.directory / "routing.yaml").read_text() == "models: {}\n"
    assert (gateway.directory / ".env").read_text() == "A=b\n"
    gateway.wait_until(lambda: gateway.client.get("/health").status_code == 200)
    with pytest.raises(AssertionError, match=r"not within 0\.05 s"):
        gateway.wait_until(lambda: False, timeout=0.05)


def test_streams_are_read_event_by_event(start: Callable[..., Gateway], anthropic: Provider) -> None:
    gateway, gate = start(), Gate()
    anthropic.script(insert(say("Hello", comments=("c",), crlf=True), event("ping"), gate, after=2))
    with gateway.stream("m") as stream:
        assert stream.until("ping").json == {"type": "ping"}
        assert stream.types == ["comment", "message_start", "ping"]
        gate.open()
        stream.read()
    assert stream.answer[0] == "message_start"
    assert stream.answer[-1] == "message_stop"
    assert stream.text == "Hello"
    assert stream.cut is None
    times = [event.time for event in stream.events]
    assert times == sorted(times)

    anthropic.script(insert(say("Hello"), error_event(), after=1, rest=False))
    with gateway.stream("m") as stream, pytest.raises(AssertionError, match="message_stop"):
        stream.until("message_stop")
    assert stream.types == ["message_start", "error"]

    anthropic.script(drop(say("Hello"), events=2))
    with gateway.stream("m") as stream:
        stream.read()
    assert stream.cut is not None
    assert stream.types == ["message_start", "content_block_start"]


def test_a_client_that_hangs_up(start: Callable[..., Gateway], anthropic: Provider) -> None:
    gateway = start()
    anthropic.script(hang(say("Hello"), events=1))
    with gateway.stream("m") as stream:
        assert stream.next().event == "message_start"
        assert anthropic.closed_by_peer == []
    anthropic.wait_for(lambda: anthropic.closed_by_peer == [anthropic.last])
