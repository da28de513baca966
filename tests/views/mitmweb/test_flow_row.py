"""What the flow list shows of a request."""

import json

from mitmproxy import http
from mitmproxy.test import tflow

from addons.state.exchange import Own, remember
from addons.state.pool import Account
from addons.views.mitmweb.flow_row import row_of
from addons.views.summary import METADATA, to_metadata
from tests.views.looked_at import Watched
from tests.wire.streams import sse, text, whole


def watched(*names, **fields):
    made = Watched(*names, **fields)
    made.exchange.client.session = "a1b2c3d4-5e6f"
    return made


def flow_of(made, *, ended=True, code=200):
    flow = tflow.tflow(req=http.Request.make("POST", "https://zai.test/v1/messages", b""))
    remember(flow, made)
    if ended:
        flow.response = http.Response.make(code, b"")
        flow.metadata[METADATA] = to_metadata(made, flow)
    return flow


def test_a_request_that_went_elsewhere():
    made = watched("anthropic", "zai")
    made.sends()
    made.fails()
    attempt = made.sends()
    attempt.choice.account = Account("key-0123456789", 2, 2, 2, "zai")
    made.streams(sse(whole(text(0, "Because."))))
    row = row_of(flow_of(made.ends()))
    assert row
    assert (row["state"], row["who"], row["asked"]) == ("elsewhere", "alice", "claude-sonnet-5-5")
    assert row["attempts"] == [
        {"number": 1, "to": "anthropic/claude-sonnet-5-5", "failed": "429"},
        {"number": 2, "to": "zai/glm-5", "failed": ""},
    ]
    assert row["error"] == ""
    assert row["tokens_in"] > 0 < row["tokens_out"]
    assert row["seconds"] >= row["first"] > 0
    assert row["account"] == "zai:2"


def test_a_row_of_a_file_is_the_same():
    made = watched("zai")
    made.sends()
    made.streams(sse(whole(text(0, "a"))))
    live = flow_of(made.ends())
    saved = tflow.tflow()
    saved.metadata[METADATA] = live.metadata[METADATA]
    assert row_of(saved) == {**(row_of(live) or {}), "kept": False}, "what went to providers is not in the file"


def test_a_request_that_runs():
    made = watched("zai")
    made.sends()
    row = row_of(flow_of(made.exchange, ended=False))
    assert row
    assert (row["state"], row["asked"], row["note"]) == ("running", "claude-sonnet-5-5", "")
    assert [one["to"] for one in row["attempts"]] == ["zai/glm-5"]
    assert "seconds" not in row


def test_a_failure_says_why_once():
    made = watched("zai")
    made.sends()
    made.fails(words="slow down", verdict="nothing is left to try")
    row = row_of(flow_of(made.exchange, code=429))
    assert row
    assert (row["state"], row["error"]) == ("failed", "slow down")
    made = watched("zai")
    made.sends()
    made.streams(sse(whole(text(0, "a"))[:3]))
    row = row_of(flow_of(made.breaks_off()))
    assert row
    assert (row["state"], row["error"], row["attempts"][0]["failed"]) == ("failed", "the provider broke off", "dropped")


def test_who_has_no_name_is_told_by_the_session():
    made = watched("zai")
    made.exchange.client.caller = "token"
    row = row_of(flow_of(made.exchange))
    assert row
    assert row["who"] == "a1b2c3d4…"
    made.exchange.client.session = None
    assert (row_of(flow_of(made.exchange)) or {})["who"] == ""


def test_a_request_of_the_gateways_own_says_what_for():
    made = watched("zai")
    made.exchange.own = Own("search", "req_1")
    assert (row_of(flow_of(made.exchange)) or {})["note"] == "search"


def test_a_secret_in_a_models_name_is_masked():
    secret = "key-of-zai-0123456789abcdef"
    made = watched("zai", body={"model": f"sk-{secret}", "messages": []})
    made.exchange.client.key = f"sk-{secret}"
    made.sends()
    for ended in (False, True):
        assert secret not in str(row_of(flow_of(made.exchange, ended=ended)))


def test_a_file_may_say_what_json_cannot():
    made = watched("zai")
    made.sends()
    flow = flow_of(made.exchange)
    flow.metadata[METADATA]["ending"]["seconds"] = float("nan")
    flow.metadata[METADATA]["cost"] = float("inf")
    json.dumps(row_of(flow), allow_nan=False)


def test_another_flow_has_no_row():
    assert row_of(tflow.tflow(resp=True)) is None
    assert row_of(tflow.ttcpflow()) is None
    strange = tflow.tflow()
    strange.metadata[METADATA] = {"of": "another version"}
    assert row_of(strange) is None
