"""The one line that sums up a request, in the flow list and in the log.

views/one_line.py is tested here too.
"""

from __future__ import annotations

import json
import logging

import pytest
from mitmproxy import flow, http
from mitmproxy.test import tflow

from addons.state.exchange import Exchange, remember
from addons.trail import Trail
from addons.views.one_line import summary
from addons.wire.messages.body import RequestBody
from tests.exchanges import DROPPED, Clock, answered, exchange, failed, failure, status, target, targets


def over(made: Exchange, code: int = 200, error: str = "") -> http.HTTPFlow:
    ended = tflow.tflow(resp=http.Response.make(code))
    ended.error = flow.Error(error) if error else None
    remember(ended, made)
    return ended


def line(made: Exchange, code: int = 200, error: str = "") -> str:
    return summary(made, over(made, code, error))


def test_a_success() -> None:
    clock = Clock()
    made = exchange(target("zai", model="glm-5"), clock=clock)
    made.begin().first_event = clock.now + 0.4
    made.note("router", "asked → zai/glm-5")
    made.note("metadata", "removed metadata")
    made.note("thinking", "dropped 1 thinking block")
    answered(made, usage='{"input_tokens": 600, "output_tokens": 812, "cache_read_input_tokens": 11800}')
    clock.now += 1.9
    assert line(made) == (
        "asked → zai/glm-5 · 2 steps · 12.4k in (11.8k cached) / 812 out · 0.4 s to first event · 1.9 s"
    )


def test_failures_on_the_way() -> None:
    made = exchange(*targets("anthropic", "zai", "kimi", "openrouter"))
    for cursor, outcome in enumerate([status(429), failure("timeout", 504), failure("error event", 529)]):
        made.plan.cursor = cursor
        failed(made.begin(), outcome)
    made.plan.cursor = 3
    made.begin()
    assert line(made) == "asked → anthropic 429 → zai timeout → kimi error event → openrouter/m · 0.0 s"


def test_how_it_ended() -> None:
    made = exchange(target("zai"))
    failed(made.begin(), status(500))
    assert line(made, 500) == "asked → zai 500 · answered 500 · 0.0 s"
    made = exchange(target("zai"))
    failed(made.begin(), DROPPED)
    assert line(made) == "asked → zai dropped · ended with an error event · 0.0 s"
    made = exchange(target("zai"))
    made.begin()
    assert line(made, error="Client disconnected.") == "asked → zai/m · Client disconnected. · 0.0 s"


def test_who_asked() -> None:
    made = exchange(target("zai"))
    for caller, first in (
        ("anyone", "asked"),
        ("token", "asked"),
        ("alice", "alice · asked"),
        ("admin", "admin · asked"),
    ):
        made.client.caller, made.result = caller, None
        assert line(made).startswith(first)


def test_what_was_asked() -> None:
    made = exchange(target("zai"))
    made.kind = "count_tokens"
    assert line(made) == "asked (count_tokens) · 0.0 s"
    made = exchange()
    made.kind, made.body, made.path = "relay", None, "/v1/files?secret=1"
    assert line(made) == "POST /v1/files · 0.0 s"


@pytest.mark.parametrize("name", ["m\\n[12:00] a line of its own", "m\\u001b[31mred", "m\\u2028x", "m" * 10_000])
def test_a_name_that_a_client_made_up_makes_no_lines_of_its_own(name: str) -> None:
    made = exchange()
    made.body = RequestBody.parse(b'{"model": "m", "messages": []}')
    made.body.model = json.loads(f'"{name}"')  # the parser refuses such a name
    said = line(made, 404)
    assert said.isprintable()
    assert len(said) < 200
    assert said.endswith(" · answered 404 · 0.0 s")


class TestTheAddon:
    def test_writes_the_comment_and_the_log(self, caplog: pytest.LogCaptureFixture) -> None:
        made = exchange(target("zai"))
        made.begin()
        ended = over(made)
        with caplog.at_level(logging.INFO):
            Trail().response(ended)
        assert ended.comment == "asked → zai/m · 0.0 s"
        assert caplog.messages == ["asked → zai/m · 200 · 0.0 s"]
        assert caplog.records[0].__dict__["request"].flow is ended

    def test_says_nothing_of_a_probe_that_went_well(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO):
            Trail().response(over(exchange()))
            assert caplog.messages == []
            Trail().error(over(exchange(), error="Client disconnected."))
            Trail().response(over(exchange(), 401))
        assert len(caplog.messages) == 2

    def test_leaves_other_flows_alone(self) -> None:
        other = tflow.tflow(resp=True)
        Trail().response(other)
        assert other.comment == ""
