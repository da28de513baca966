"""What is kept of a request where somebody can look, and what a kept flow is in the end.

proxy/recorder.py is tested here too.
"""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.addons.save import Save
from mitmproxy.addons.savehar import SaveHar
from mitmproxy.addons.view import View
from mitmproxy.proxy import layer
from mitmproxy.test import taddons, tflow

from addons.config.config import Config
from addons.proxy.attempt_loop import AttemptLoop
from addons.proxy.layer import GatewayLayer
from addons.proxy.recorder import NO_RECORDER
from addons.state.attempt import Kept
from addons.state.exchange import ClientCredential, Trying, remember
from addons.views.recording import VIEW_RECORDER, Recording, as_asked, recorder, share, take_secrets
from addons.views.summary import METADATA, from_metadata
from addons.wire.messages.body import RequestBody
from tests.exchanges import exchange, failed, status, target, targets
from tests.proxy.playbook import Playbook
from tests.proxy.provider_bytes import START, STREAM_HEAD, answer, chunk, delta, events, message, stream
from tests.proxy.stand_ins import MASKED, known

OWN = "client-key-0123456789"


class Watched(Playbook):
    """A playbook whose streams are recorded."""

    def __init__(self, *hosts: str) -> None:
        super().__init__(*hosts)
        watch, ask = Recording(), self.on["request"]

        def request(flow: http.HTTPFlow) -> None:
            ask(flow)
            watch.request(flow)

        self.on |= {"request": request, "response": watch.response, "error": watch.error}

    def _next_layer(self, nextlayer: layer.NextLayer) -> None:
        AttemptLoop(lambda: VIEW_RECORDER).next_layer(nextlayer)
        assert isinstance(nextlayer.layer, GatewayLayer)
        self.gateway = nextlayer.layer
        self.gateway.clock = self.clock

    @property
    def flow(self) -> http.HTTPFlow:
        return self.flows[-1]


@pytest.fixture(autouse=True)
def _address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("addons.views.recording.own_address", lambda: ("127.0.0.1", 4000))


# Who watches


def test_streams_are_watched_only_where_somebody_can_look() -> None:
    with taddons.context(Save(), SaveHar()) as context:
        assert recorder() is NO_RECORDER
        context.options.hardump = "flows.har"
        assert recorder() is VIEW_RECORDER
    with taddons.context(View()):
        assert recorder() is VIEW_RECORDER


def test_nothing_is_kept_of_a_stream_that_is_not_watched() -> None:
    with Playbook() as play:
        play.client_asks()
        play.succeeds(1)
        made = play.exchange
        assert (made.recorded.request, made.recorded.response) == (None, None)
        assert (made.attempts[0].recorded.request, made.attempts[0].recorded.response) == (None, None)
    Recording().response(play.flows[0])
    assert METADATA not in play.flows[0].metadata


# What is kept


def test_what_went_by() -> None:
    with Watched("one.test", "two.test") as play:
        play.client_asks("hi", "x-mine: 1")
        play.server(1).sends(answer(500, b'{"error": "no"}', "x-from: one"))
        play.advance(0)
        play.server(2).sends(stream(events("yes")))
        made = play.exchange
    assert made.recorded.request
    assert made.recorded.request.first_line == "POST /v1/messages"
    assert ("x-mine", "1") in made.recorded.request.headers
    assert "host" not in {name.lower() for name, _ in made.recorded.request.headers}
    first, second = made.attempts
    assert (
        first.recorded.request
        and first.recorded.response
        and second.recorded.request
        and second.recorded.response
        and made.recorded.response
    )
    assert first.recorded.request.first_line == "POST http://one.test:80/v1/messages"
    assert ("authorization", f"Bearer {MASKED}") in first.recorded.request.headers
    assert first.recorded.request.body == made.recorded.request.body
    assert (first.recorded.response.first_line, first.recorded.response.body) == ("500 Status", b'{"error": "no"}')
    assert ("x-from", "one") in first.recorded.response.headers
    assert second.recorded.request.first_line == "POST http://two.test:80/v1/messages"
    assert second.recorded.response.first_line == "200 Status"
    assert second.recorded.response.body == made.recorded.response.body == events("yes")
    assert made.recorded.response.first_line == "200 Status"


def test_a_json_answer() -> None:
    with Watched() as play:
        play.client_asks(stream=False)
        play.server(1).sends(answer(200, message()))
        made = play.exchange
    assert made.recorded.response
    assert made.recorded.response.body == message() == play.flow.response.raw_content  # type: ignore[union-attr]


def test_a_running_stream_is_kept_as_far_as_it_has_come() -> None:
    with Watched() as play:
        play.client_asks()
        play.server(1).sends(STREAM_HEAD, chunk(START), chunk(delta("a")))
        assert play.exchange.recorded.response
        assert play.exchange.recorded.response.body == START + delta("a")
        response = play.flow.response
        assert response
        assert response.raw_content == b""  # else mitmweb would say that it is missing
        play.server(1).sends(chunk(delta("b")))
        assert play.exchange.recorded.response.body == START + delta("a") + delta("b")
        play.server(1).ends()
        assert response.raw_content == play.answer.body


def test_a_request_that_is_answered_at_once() -> None:
    with Watched() as play:

        def refuse(flow: http.HTTPFlow) -> None:
            play.stand_ins.requestheaders(flow)
            flow.response = http.Response.make(401, b"no")

        play.on["requestheaders"] = refuse
        play.client_asks()
        assert play.answer.status == 401
    made = known(play.flow)
    assert made.recorded.request
    assert made.recorded.response
    assert (made.recorded.request.body, made.recorded.response.body) == (b"", b"no")


def test_a_relayed_request() -> None:
    with Watched() as play:
        play.client_asks(path="/v1/files")
        play.server(1).sends(answer(200, b"file"))
        made = play.exchange
    (attempt,) = made.attempts
    assert attempt.recorded.request and attempt.recorded.response
    assert attempt.recorded.request.first_line == "POST http://default.test:80/v1/files"
    assert attempt.recorded.response.body == b"file"


def test_a_client_that_hangs_up() -> None:
    with Watched() as play:
        play.client_asks()
        play.server(1).sends(STREAM_HEAD, chunk(START), chunk(delta("a")))
        play.client_closes()
    assert play.ends == ["error"]
    assert play.flow.marked == ":heavy_multiplication_x:"
    summary = from_metadata(play.flow.metadata[METADATA])
    assert summary
    assert summary.ending.over
    assert play.flow.request.url == "http://127.0.0.1:4000/v1/messages"


# What a kept flow is in the end


def test_in_the_end_it_is_the_clients_request_again() -> None:
    with Watched() as play:

        def adapt(trying: Trying) -> None:
            play.stand_ins.attempt(trying)
            assert trying.attempt.draft
            trying.attempt.draft.set("model", "another")

        play.on["attempt"] = adapt
        play.client_asks("hi", "x-mine: 1")
        assert play.flow.request.host == "one.test"
        play.succeeds(1)
        request = play.flow.request
    assert request.url == "http://127.0.0.1:4000/v1/messages"
    assert request.headers["host"] == "127.0.0.1:4000"
    assert request.headers["x-mine"] == "1"
    assert request.json()["model"] == "m"
    assert request.headers["content-length"] == str(len(request.raw_content or b""))
    assert request.timestamp_start
    assert play.flow.response
    assert play.flow.response.raw_content == events("the answer")


@pytest.mark.parametrize("path", ["/v1/messages", "*", "/a b", "//x", "/\udcff", "http:/"])
def test_whatever_path_was_asked_for(path: str) -> None:
    flow, made = tflow.tflow(), exchange(target("zai"))
    made.path = path
    again = as_asked(flow.request, made, Kept(f"POST {path}", (), b""))
    assert (again.host, again.port, again.path) == ("127.0.0.1", 4000, path)


@pytest.mark.parametrize("coding", ["rot13", "bz2", "UTF-8"])
def test_a_coding_that_python_knows_and_http_does_not(coding: str) -> None:
    """mitmproxy would take its text for the body, or trip over it: one such request, and no HAR is saved."""
    asked = Kept("POST /", (("content-encoding", coding),), b"{}")
    again = as_asked(tflow.tflow().request, exchange(target("zai")), asked)
    assert again.headers["content-encoding"] == f"{coding}, identity"
    assert again.get_content(strict=False) == b"{}"


@pytest.mark.parametrize("coding", ["gzip", "br", "identity", "gzip, br"])
def test_any_other_coding_stays_as_it_is(coding: str) -> None:
    asked = Kept("POST /", (("content-encoding", coding),), b"{}")
    again = as_asked(tflow.tflow().request, exchange(target("zai")), asked)
    assert again.headers["content-encoding"] == coding


def test_an_ipv6_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("addons.views.recording.own_address", lambda: ("::1", 4000))
    again = as_asked(tflow.tflow().request, exchange(target("zai")), Kept("POST /", (), b""))
    assert (again.headers["host"], again.host) == ("[::1]:4000", "::1")


def test_the_mark_and_the_summary() -> None:
    made = exchange(*targets("anthropic", "zai"))
    made.recorded.request = Kept("POST /v1/messages", (), b"")
    failed(made.begin(), status(429))
    made.plan.cursor = 1
    made.begin()
    flow = tflow.tflow(resp=True)
    remember(flow, made)
    Recording().response(flow)
    assert flow.marked == ":arrow_right_hook:"
    summary = from_metadata(json.loads(json.dumps(flow.metadata[METADATA])))
    assert summary
    assert [attempt.target for attempt in summary.attempts] == ["anthropic/m", "zai/m"]


def test_what_went_through_unchanged_is_kept_once_and_workpieces_not_at_all() -> None:
    made = exchange(*targets("anthropic", "zai"))
    body, other = b"x" * 1000, b"y" * 1000
    made.recorded.request, made.recorded.response = Kept("", (), body), Kept("", (), other)
    for copy, back in ((bytes(bytearray(body)), bytearray(b"no")), (other, bytearray(other))):
        attempt = made.begin()
        attempt.recorded.request, attempt.recorded.response = Kept("", (), copy), Kept("", (), back)
    share(made, made.recorded.request)
    first, second = made.attempts
    assert first.recorded.request and first.recorded.response and second.recorded.request and second.recorded.response
    assert first.recorded.request.body is body
    assert first.recorded.response.body == b"no"
    assert second.recorded.request.body is other
    assert second.recorded.response.body is other
    assert (first.draft, second.draft) == (None, None)


# Secrets in what is kept


def kept_of(body: Any, *, coding: str = "") -> tuple[Kept, bytes]:
    """What is kept of a request with this body (JSON, or bytes that are none), and the body."""
    made = exchange(target("zai"), config=Config(providers={}, models=(), static_token="static-0123456789"))
    made.client.credential = ClientCredential(x_api_key=OWN)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    made.body = None if isinstance(body, bytes) else RequestBody.parse(raw)
    sent = gzip.compress(raw) if coding else raw
    asked = Kept("POST /", (("content-encoding", coding),) if coding else (), sent)
    take_secrets(made, asked)
    return asked, sent


CONVERSATION = {"model": "m", "messages": [{"role": "user", "content": "api_key: abcdefghijklmnop"}]}


def test_a_body_without_secrets_is_kept_as_it_is() -> None:
    asked, sent = kept_of(CONVERSATION)
    assert asked.body == sent
    asked, sent = kept_of(CONVERSATION, coding="gzip")
    assert asked.body == sent
    assert asked.headers == (("content-encoding", "gzip"),)


def test_hidden_credentials_and_secrets_of_ours_are_not_kept() -> None:
    said = {"role": "user", "content": f"my key is {OWN}, yours static-0123456789"}
    asked, _ = kept_of({**CONVERSATION, "messages": [said], "api_key": "hidden-0123456789", "stream": True})
    assert json.loads(asked.body) == {
        "model": "m",
        "messages": [{"role": "user", "content": "my key is …6789, yours …6789"}],
        "stream": True,
    }


def test_a_body_that_was_compressed_is_kept_plain_when_something_is_taken_out() -> None:
    asked, _ = kept_of({**CONVERSATION, "api_key": "hidden-0123456789"}, coding="gzip")
    assert json.loads(asked.body) == CONVERSATION
    assert asked.headers == ()


def test_what_is_no_request_for_a_model_is_masked_as_text() -> None:
    asked, _ = kept_of(b'{"api_key": "hidden-0123456789", \xff' + OWN.encode())
    assert asked.body == '{"api_key": "…6789", '.encode() + b"\xff" + "…6789".encode()


def test_secrets_in_a_stream_are_not_kept_in_its_flow() -> None:
    with Watched() as play:

        def enter(flow: http.HTTPFlow) -> None:
            play.stand_ins.requestheaders(flow)
            known(flow).client.credential = ClientCredential(x_api_key=OWN)

        play.on["requestheaders"] = enter
        play.client_asks()
        play.server(1).sends(stream(events(f"your key is {OWN}")))
        assert OWN.encode() in play.answer.body
    assert play.flow.response
    assert OWN.encode() not in (play.flow.response.raw_content or b"")
    assert OWN not in repr(play.flow.get_state())


def test_a_secret_in_the_path_is_not_kept() -> None:
    made = exchange(target("zai"))
    made.client.credential = ClientCredential(x_api_key=OWN)
    made.path = f"/v1/messages?beta=true&k={OWN}&api_key=somebody-elses-0123456789"
    again = as_asked(tflow.tflow().request, made, Kept("POST /", (), b""))
    assert again.data.path == "/v1/messages?beta=true&k=…6789&api_key=…6789".encode()
