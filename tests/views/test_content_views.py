"""The content views as mitmproxy uses them: registered once, chosen for our flows, in both panes."""

import copy
import time

import pytest
from mitmproxy import contentviews, http
from mitmproxy.contentviews import prettify_message
from mitmproxy.io import FlowReader, FlowWriter
from mitmproxy.test import taddons, tflow

from addons.state.exchange import remember
from addons.views.content_views import NO_TRAIL, NOT_OURS, VIEWS, Views
from addons.views.summary import to_metadata
from tests.client_messages import assistant, thinking, tool_result, tool_use, user
from tests.client_messages import text as text_block
from tests.exchanges import exchange, target
from tests.views.looked_at import Watched, kept
from tests.wire.bodies import request
from tests.wire.streams import sse, text, whole

NAMES = ["Trail", "Changes", "Conversation", "Answer", "Attempts"]


@pytest.fixture
def registry(monkeypatch):
    """mitmproxy's own views and ours, in a registry of this test."""
    made = copy.copy(contentviews.registry)
    made._by_name = {k: v for k, v in contentviews.registry._by_name.items() if v.name not in NAMES}
    monkeypatch.setattr(contentviews, "registry", made)
    with taddons.context(Views()):
        yield made


def flow_of(made, *, response=None):
    flow = tflow.tflow(req=http.Request.make("POST", "https://zai.test/api/v1/messages", b"sent"))
    flow.response = response
    remember(flow, made)
    return flow


def streamed(*, cut=False):
    """A flow whose answer has begun, or is whole."""
    watched = Watched("zai")
    watched.sends()
    watched.streams(sse(whole(text(0, "Hello"))[: 3 if cut else None]))
    made = watched.breaks_off() if cut else watched.ends()
    assert made.recorded.response
    response = http.Response.make(200, bytes(made.recorded.response.body), {"content-type": "text/event-stream"})
    return flow_of(made, response=response)


def opened(registry, flow, message):
    return registry.get_view(message.content or b"", contentviews.Metadata(flow=flow, http_message=message)).name


def test_they_are_registered(registry):
    assert [registry[name].name for name in NAMES] == NAMES
    assert {name.lower() for name in NAMES} <= set(registry.available_views())


def test_a_reload_of_the_chain_changes_nothing(registry, caplog):
    before = {name: registry[name] for name in NAMES}
    caplog.set_level("DEBUG")
    with taddons.context(Views()):
        assert {name: registry[name] for name in NAMES} == before
    assert not [record for record in caplog.records if record.name.startswith("mitmproxy")]


def test_a_routed_request_opens_as_a_conversation_and_its_answer_as_one(registry):
    flow = streamed()
    assert opened(registry, flow, flow.request) == "Conversation"
    assert opened(registry, flow, flow.response) == "Answer"


def test_a_cut_answer_is_an_answer(registry):
    flow = streamed(cut=True)
    assert opened(registry, flow, flow.response) == "Answer"


def test_an_error_opens_as_the_trail(registry):
    watched = Watched("zai")
    watched.sends()
    watched.fails(verdict="an answer")
    flow = flow_of(watched.exchange, response=http.Response.make(429, b"{}", {"content-type": "application/json"}))
    assert opened(registry, flow, flow.response) == "Trail"
    assert opened(registry, flow, flow.request) == "Conversation"


def test_an_error_in_place_of_a_promised_answer_opens_as_the_trail(registry):
    watched = Watched("zai")
    watched.sends()
    watched.fails(verdict="nothing is left")
    flow = flow_of(watched.exchange, response=http.Response.make(200, b"event: error\ndata: {}\n\n"))
    assert opened(registry, flow, flow.response) == "Trail"


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/models"), ("POST", "/v1/files"), ("GET", "/v1/messages")])
def test_any_other_request_opens_as_the_trail(registry, method, path):
    made = exchange()
    made.method, made.path = method, path
    flow = flow_of(made)
    assert opened(registry, flow, flow.request) == "Trail"


def test_a_request_whose_body_was_not_read_opens_as_the_trail(registry):
    flow = flow_of(exchange())
    flow.request.content = b""
    assert opened(registry, flow, flow.request) == "Trail"


def test_flows_of_others_are_left_alone(registry):
    flow = tflow.tflow(resp=True)
    for view in VIEWS:
        metadata = contentviews.Metadata(flow=flow, http_message=flow.request)
        assert view().render_priority(b"", metadata) < 0
        assert view().prettify(b"", metadata) == NOT_OURS
        assert view().render_priority(b"", contentviews.Metadata()) < 0
        assert view().prettify(b"", contentviews.Metadata(flow=tflow.ttcpflow())) == NOT_OURS
    assert opened(registry, flow, flow.request) not in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_view_can_be_had_in_both_panes(registry, name):
    flow = streamed()
    with taddons.context():
        shown = [prettify_message(m, flow, name.lower(), registry) for m in (flow.request, flow.response)]
    assert shown[0].text == shown[1].text
    assert {part.view_name for part in shown} == {name}
    expected = {"Trail": "claude-sonnet-5-5 → zai/glm-5", "Changes": '"glm-5"', "Conversation": "hi", "Answer": "Hello"}
    expected["Attempts"] = '"model": "glm-5"'
    assert expected[name] in shown[0].text


@pytest.mark.parametrize("name", NAMES)
def test_a_flow_that_has_only_begun(registry, name):
    made = exchange(target("zai"))
    made.body = None
    flow = flow_of(made)
    with taddons.context():
        shown = prettify_message(flow.request, flow, name.lower(), registry)
    assert shown.syntax_highlight == "none"
    assert shown.text


@pytest.mark.parametrize("name", NAMES)
def test_a_flow_that_nobody_watched(registry, name):
    flow = streamed()
    made = Watched("zai").exchange
    made.recorded.request = None
    remember(flow, made)
    flow.response.timestamp_end = 1.0
    with taddons.context():
        shown = prettify_message(flow.response, flow, name.lower(), registry)
    assert shown.view_name == name
    assert {"Answer": "Hello", "Conversation": "hi"}.get(name, "") in shown.text


def saved(flow, tmp_path):
    """The flow as it comes back from a file."""
    path = tmp_path / "flows"
    with path.open("wb") as file:
        FlowWriter(file).add(flow)
    with path.open("rb") as file:
        (again,) = FlowReader(file).stream()
    return again


def test_a_flow_from_a_file(registry, tmp_path):
    flow = streamed()
    watched = Watched("zai")
    watched.sends()
    watched.streams(sse(whole(text(0, "Hello"))))
    flow.metadata["gateway"] = to_metadata(watched.ends(), flow)
    assert watched.exchange.recorded.request
    flow.request.content = bytes(watched.exchange.recorded.request.body)
    again = saved(flow, tmp_path)
    assert opened(registry, again, again.request) == "Conversation"
    assert opened(registry, again, again.response) == "Answer"
    with taddons.context():
        texts = {name: prettify_message(again.request, again, name.lower(), registry).text for name in NAMES}
    assert texts["Trail"].startswith("alice · claude-sonnet-5-5 → zai/glm-5 · 200")
    assert texts["Answer"].startswith("zai/glm-5 · 200 · stop reason end_turn · complete")
    assert texts["Conversation"].startswith("claude-sonnet-5-5 · 1 message")
    assert "is not saved" in texts["Changes"]


@pytest.mark.parametrize("name", NAMES)
def test_a_flow_from_a_file_of_another_version(registry, tmp_path, name):
    flow = tflow.tflow(resp=name != "Answer")
    flow.metadata["gateway"] = {"version": 7}
    again = saved(flow, tmp_path)
    with taddons.context():
        shown = prettify_message(again.request, again, name.lower(), registry)
    assert shown.view_name == name
    if name == "Trail":
        assert shown.text == NO_TRAIL


def test_control_characters_do_not_reach_a_terminal():
    made = exchange(target("zai"))
    made.note("router", "\x1b[2Jgone\r")
    made.recorded.response = kept("400 Bad", b"\x1b[31m")
    flow = flow_of(made)
    for view in VIEWS:
        shown = view().prettify(b"", contentviews.Metadata(flow=flow, http_message=flow.request))
        assert not {"\x1b", "\r"} & set(shown)


def test_the_trail_as_a_command():
    made = [streamed(), tflow.tflow(), tflow.ttcpflow()]
    shown = Views().trail(made)
    assert shown.startswith("alice · claude-sonnet-5-5 → zai/glm-5 · 200")
    assert shown.endswith(NOT_OURS)


@pytest.fixture(scope="module")
def megabyte():
    """A session of 400 messages that failed over: in each of its answers something is dropped on the way."""
    code = "    value = compute(“naïve”, api_key: none)\n" * 55
    turns = [
        message
        for number in range(200)
        for message in (
            user(tool_result(f"toolu_{number}", code)),
            assistant(thinking("gw1.kimi.abc"), text_block(code), tool_use(f"toolu_{number + 1}")),
        )
    ]
    watched = Watched("anthropic", "zai", body=request(*turns, user(text_block("And now?"))))
    watched.sends()
    watched.fails()
    watched.sends()
    watched.streams(sse(whole(text(0, *[code] * 20))))
    made = watched.ends()
    assert made.recorded.request
    assert len(made.recorded.request.body) > 1_000_000
    return flow_of(made)


@pytest.mark.parametrize("name", NAMES)
def test_a_megabyte_opens_at_once(registry, megabyte, name):
    def took():
        started = time.process_time()
        with taddons.context():
            assert prettify_message(megabyte.request, megabyte, name.lower(), registry).view_name == name
        return time.process_time() - started

    assert any(took() < 0.3 for _ in range(3))
