"""The control channel on flows: who is let in, what is answered, and what goes on to a provider."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import wait
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.test import taddons, tflow

from addons.config.settings import Settings
from addons.process.control_channel import ControlChannel
from addons.state.control import CALLER, FILE_NAME, PATH, Control, ControlError
from addons.state.exchange import Exchange, Trying, remember
from addons.wire import limits
from tests.exchanges import exchange, trying


def settings() -> Settings:
    return Settings(Path("routing.yaml"), Path(".env"), {})


def answer(_exchange: Exchange, arguments: Mapping[str, Any]) -> object:
    """What the command `echo` is answered."""
    if "wrong" in arguments:
        raise ControlError("it can't be done")
    return None if arguments.get("go on") else {"got": arguments}


def asked(
    name: str, body: bytes = b"{}", *, method: str = "POST", caller: str = CALLER, path: str = PATH
) -> tuple[http.Response | None, Exchange]:
    """The response to a command, and its exchange."""
    control = Control()
    control.serve("echo", answer)
    made = exchange()
    made.method, made.path, made.client.caller = method, f"{path}{name}", caller
    flow = tflow.tflow(req=http.Request.make(method, "http://gateway/", body))
    remember(flow, made)
    ControlChannel(settings(), control).request(flow)
    return flow.response, made


def said(response: http.Response | None) -> tuple[int, str]:
    assert response
    return response.status_code, json.loads(response.content or b"")["error"]["message"]


@pytest.mark.parametrize("caller", [CALLER, "admin"])
def test_an_answer(caller: str) -> None:
    response, made = asked("echo", b'{"a": 1}', caller=caller)
    assert response
    assert (response.status_code, response.json()) == (200, {"got": {"a": 1}})
    assert made.kind == "local"
    assert asked("echo", b"")[0].json() == {"got": {}}  # type: ignore[union-attr]


def test_users_may_ask_little() -> None:
    """Who has the administrator's key may send a whole request; for everybody else the event loop doesn't wait."""
    control = Control()
    control.serve("echo", answer, for_users=True)
    for caller, status in ((CALLER, 200), ("alice", 400)):
        made = exchange()
        made.method, made.path, made.client.caller = "POST", f"{PATH}echo", caller
        flow = tflow.tflow(req=http.Request.make("POST", "http://gateway/", b'{"a": "%b"}' % (b"x" * limits.SIGN_IN)))
        remember(flow, made)
        ControlChannel(settings(), control).request(flow)
        assert flow.response and flow.response.status_code == status


def test_what_is_read_from_the_disk_keeps_nobody_waiting() -> None:
    ready, control = Event(), Control()

    def read() -> object:
        ready.wait()
        return {"read": 1}

    def fail() -> object:
        raise ControlError("it can't be read")

    control.serve("read", lambda _exchange, _arguments: read)
    control.serve("fail", lambda _exchange, _arguments: fail)
    channel = ControlChannel(settings(), control)

    def begin(name: str) -> Trying:
        made = exchange()
        made.method, made.path, made.client.caller = "POST", f"{PATH}{name}", CALLER
        tried = trying(made)
        channel.request(tried.flow)
        assert tried.flow.response is None
        return tried

    def end(tried: Trying) -> http.Response | None:
        wait([channel.works[tried.flow]])
        channel.attempt(tried)
        return tried.flow.response

    reading = begin("read")
    channel.attempt(reading)
    assert reading.attempt.postponed and reading.flow.response is None
    ready.set()
    response = end(reading)
    assert response and response.json() == {"read": 1}
    assert said(end(begin("fail"))) == (400, "it can't be read")
    channel.done()


def test_a_command_with_a_plan_goes_on() -> None:
    assert asked("echo", b'{"go on": true}')[0] is None


@pytest.mark.parametrize("caller", ["anyone", "alice", "token", ""])
def test_nobody_else_is_let_in(caller: str) -> None:
    assert said(asked("echo", caller=caller)[0]) == (403, "only for commands of this machine and the administrator")


@pytest.mark.parametrize(
    ("name", "body", "method", "status", "message"),
    [
        ("unheard-of", b"{}", "POST", 404, "no command 'unheard-of'"),
        ("echo", b"{}", "GET", 404, "no command 'echo'"),
        ("echo", b"[]", "POST", 400, "the arguments must be a JSON object"),
        ("echo", b"{", "POST", 400, "the arguments must be a JSON object"),
        ("echo", b"[" * 100_000, "POST", 400, "the arguments must be a JSON object"),
        ("echo", b'{"a": "%b"}' % (b"x" * limits.COMMAND), "POST", 400, "the arguments must be a JSON object"),
        ("echo", b'{"wrong": 1}', "POST", 400, "it can't be done"),
    ],
)
def test_mistakes(name: str, body: bytes, method: str, status: int, message: str) -> None:
    assert said(asked(name, body, method=method)[0]) == (status, message)


def test_other_paths_are_left_alone() -> None:
    response, made = asked("", path="/v1/messages", caller="anyone")
    assert (response, made.kind) == (None, "messages")


def test_the_secret_is_made_beside_the_database_and_is_known_as_a_secret(tmp_path: Path) -> None:
    control, files = Control(), settings()
    channel = ControlChannel(files, control)
    with taddons.context() as context:
        context.options.add_option("gateway_db", str, str(tmp_path / "gateway.db"), "")
        channel.running()
    secret = (tmp_path / FILE_NAME).read_text().strip()
    assert control.secret == secret and control.admits(secret)
    assert list(files.learned) == [secret]


def test_without_a_secret_nobody_is_let_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    control = Control()
    with taddons.context() as context:
        context.options.add_option("gateway_db", str, str(tmp_path / "nowhere" / "gateway.db"), "")
        ControlChannel(settings(), control).running()
    assert "commands need the administrator's key" in caplog.text
    assert not control.admits("")
