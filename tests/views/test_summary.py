"""What of a trail is saved with a flow, and what is read back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import flow
from mitmproxy.io import tnetstring
from mitmproxy.test import tflow, tutils

from addons.config.config import Config
from addons.views import trail
from addons.views.summary import ending, from_metadata, to_metadata
from tests.views.looked_at import Watched
from tests.views.test_trail import failed_over


def test_the_trail_from_a_file_is_the_trail():
    made = failed_over()
    saved = to_metadata(made)
    summary = from_metadata(saved)
    assert summary
    assert trail.render_summary(summary) == trail.render(made)


def test_it_is_plain():
    saved = to_metadata(failed_over())
    assert json.loads(json.dumps(saved)) == saved
    assert tnetstring.loads(tnetstring.dumps(saved)) == saved


def test_it_is_made_of_a_flow_that_has_ended():
    watched = Watched("zai")
    watched.sends()
    watched.now += 2
    summary = from_metadata(to_metadata(watched.exchange))
    assert summary
    assert summary.ending.over
    assert summary.ending.seconds == pytest.approx(2.1)


def test_nothing_of_what_was_said_is_in_it():
    body = {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": "UNHEARD"}], "system": "UNHEARD"}
    watched = Watched("zai", body=body)
    watched.sends()
    assert "UNHEARD" not in json.dumps(to_metadata(watched.exchange))


def test_secrets_are_masked_as_nobody_knows_them_later():
    watched = Watched("zai", config=Config(providers={}, models=(), static_token="hunter2-hunter2"))
    watched.exchange.client.session = "hunter2-hunter2"
    watched.exchange.note("router", "said hunter2-hunter2 and sk-ant-oat01-abcdefghijklmnop")
    watched.sends()
    watched.fails(words="bad token hunter2-hunter2", verdict="an answer")
    saved = json.dumps(to_metadata(watched.exchange))
    assert "hunter2" not in saved
    assert "abcdefgh" not in saved


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["steps", "ending", "x"]), inner),
        max_leaves=8,
    )
)
def test_what_is_no_summary_is_none(saved):
    assert from_metadata(saved) is None


class TestEnding:
    """How far an exchange has come, as its flow tells."""

    def running(self):
        watched = Watched("zai")
        watched.sends()
        made = tflow.tflow()
        made.request.timestamp_start = 1000.0
        return watched.exchange, made

    def test_a_live_flow_is_running(self):
        assert not ending(*self.running()).over

    def test_a_flow_whose_response_was_sent_is_over_although_its_connection_lives(self):
        exchange, made = self.running()
        made.response = tutils.tresp(status_code=404)
        made.response.timestamp_end = 1002.0
        found = ending(exchange, made)
        assert (found.over, found.status, found.seconds, found.told) == (True, 404, 2.0, "message")

    def test_a_flow_with_an_error_is_over(self):
        exchange, made = self.running()
        made.error = flow.Error("Client disconnected.", 1003.5)
        found = ending(exchange, made)
        assert (found.over, found.status, found.seconds, found.error) == (True, None, 3.5, "Client disconnected.")

    def test_a_flow_that_is_not_live_is_over(self):
        exchange, made = self.running()
        made.live = False
        assert ending(exchange, made).over

    def test_a_verdict_that_goes_on_is_no_end(self):
        watched = Watched("anthropic", "zai")
        watched.sends()
        watched.fails()
        assert not ending(watched.exchange).over
