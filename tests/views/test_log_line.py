"""A finished request in the log: the line that a person reads, and the fields of a line for machines."""

from __future__ import annotations

import pytest
from mitmproxy import flow, http
from mitmproxy.test import tflow

from addons.state.exchange import Exchange, Own
from addons.views.log_line import LoggedRequest, log_line
from tests.exchanges import DROPPED, Clock, answered, exchange, failed, status, target, targets

KEYS = (
    *("request_id", "user", "session", "class", "model", "provider", "target_model", "account", "attempts", "status"),
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"),
    *("cost_usd", "first_event_s", "duration_s", "error"),
)


def over(code: int = 200, error: str = "", body: bytes = b"") -> http.HTTPFlow:
    ended = tflow.tflow(resp=http.Response.make(code, body))
    ended.error = flow.Error(error) if error else None
    return ended


def success(clock: Clock) -> Exchange:
    made = exchange(target("zai", model="glm-5"), clock=clock)
    made.begin().first_event = clock.now + 0.4
    made.note("metadata", "removed metadata")
    answered(made, usage='{"input_tokens": 600, "output_tokens": 812, "cache_read_input_tokens": 11800}')
    clock.now += 1.9
    return made


def test_a_success() -> None:
    line = log_line(success(Clock()), over())
    assert line == "asked → zai/glm-5 · 200 · 12.4k in (11.8k cached) / 812 out · 1.9 s"


def test_what_it_cost() -> None:
    made, ended = success(Clock()), over()
    log_line(made, ended)
    assert made.result
    made.result = made.result._replace(cost=0.0123)
    assert log_line(made, ended).endswith(" / 812 out · $0.0123 · 1.9 s")


def test_who_asked() -> None:
    made = exchange(target("zai"))
    made.client.session = "a1b2c3d4-0000-4000-8000-000000000000"
    made.begin()
    assert log_line(made, over()) == "a1b2c3d4… · asked → zai/m · 200 · 0.0 s"
    made.client.caller, made.result = "alice", None
    assert log_line(made, over()) == "alice · asked → zai/m · 200 · 0.0 s"


@pytest.mark.parametrize("session", ["a\nb", "a\x1b[31mb"])
def test_a_session_that_a_client_made_up_makes_no_line_of_its_own(session: str) -> None:
    made = exchange()
    made.client.session = session
    assert log_line(made, over()).isprintable()


def test_a_failure_has_its_reason() -> None:
    made = exchange(*targets("anthropic", "zai"))
    failed(made.begin(), status(429))
    made.plan.cursor = 1
    failed(made.begin(), status(401))
    said = made.attempts[-1].outcome
    assert said
    assert log_line(made, over(401)) == f"asked → anthropic 429 → zai 401 · 401: {said.error.message} · 0.0 s"


def test_a_stream_that_was_cut() -> None:
    made = exchange(target("zai"))
    failed(made.begin(), DROPPED)
    assert f" · 200, then: {DROPPED.error.message} · " in log_line(made, over())


def test_a_client_that_went() -> None:
    made = exchange(target("zai"))
    made.begin()
    assert log_line(made, over(error="Client disconnected.")) == "asked → zai/m · Client disconnected. · 0.0 s"


def test_what_the_gateway_itself_refuses() -> None:
    body = b'{"type": "error", "error": {"type": "not_found_error", "message": "there is no model \\"x\\""}}'
    assert log_line(exchange(), over(404, body=body)) == 'asked · 404: there is no model "x" · 0.0 s'


def test_requests_of_other_kinds() -> None:
    made = exchange()
    made.kind = "count_tokens"
    assert log_line(made, over()) == "asked (count_tokens) · 200 · 0.0 s"
    made = exchange()
    made.kind, made.body, made.path = "relay", None, "/v1/files?secret=1"
    assert log_line(made, over()) == "POST /v1/files · 200 · 0.0 s"
    made = exchange(target("zai"))
    made.own = Own("search", "req_gw_1")
    made.begin()
    assert log_line(made, over()) == "search of req_gw_1 · asked → zai/m · 200 · 0.0 s"


def test_how_it_ended() -> None:
    assert LoggedRequest(success(Clock()), over()).ended == "well"
    assert LoggedRequest(exchange(), over(404)).ended == "failed"
    made = exchange(*targets("anthropic", "zai"))
    failed(made.begin(), status(429))
    made.plan.cursor = 1
    made.begin()
    assert LoggedRequest(made, over()).ended == "elsewhere"


def test_fields() -> None:
    made = success(Clock())
    made.client.session = "s1"
    fields = LoggedRequest(made, over()).fields()
    assert tuple(fields) == KEYS
    assert fields == {
        "request_id": "req_1",
        "user": "anyone",
        "session": "s1",
        "class": None,
        "model": "asked",
        "provider": "zai",
        "target_model": "glm-5",
        "account": None,
        "attempts": 1,
        "status": 200,
        "input_tokens": 600,
        "output_tokens": 812,
        "cache_read_tokens": 11800,
        "cache_write_tokens": 0,
        "cost_usd": fields["cost_usd"],
        "first_event_s": 0.4,
        "duration_s": 1.9,
        "error": None,
    }


def test_fields_of_a_request_that_asked_nobody() -> None:
    fields = LoggedRequest(exchange(), over(404)).fields()
    assert tuple(fields) == KEYS
    assert (fields["provider"], fields["target_model"], fields["first_event_s"]) == (None, None, None)
    assert (fields["attempts"], fields["status"], fields["error"]) == (0, 404, "HTTP 404 with an empty body")
