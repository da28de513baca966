"""The Answer view: what the client got, put together as a message."""

import json

from hypothesis import given
from hypothesis import strategies as st

from addons.state.attempt import Outcome
from addons.views import answer
from addons.views.summary import Ending
from addons.wire.errors import ProviderError, envelope, error_event
from tests.exchanges import exchange, target
from tests.views.looked_at import Watched, kept
from tests.wire.streams import PING, START, bytes_of, messages, pieces_of, sse, text, thinking, tool, whole

EVENTS = whole(thinking(0, "hm", signed=["s"]), text(1, "Hello"), tool(2, "functions.Bash:0", '{"command":', '"ls"}'))


def streaming(events, **fields):
    watched = Watched("zai")
    watched.sends()
    watched.streams(*(sse([event]) for event in events), **fields)
    return watched


def test_a_streamed_answer():
    made = streaming(EVENTS).ends()
    events = len(EVENTS)
    assert answer.render(made).split("\n") == [
        "zai/glm-5 · 200 · stop reason end_turn · complete",
        "32 in (3 cached, 4 written to the cache) / 15 out",
        f"first event after 1.1 s · ended after {events + 0.1:.1f} s · {events} events, 1/s",
        "glm-5 · msg_1",
        "",
        "[thinking · 2 characters · signed, of zai (gw1)]",
        "  hm",
        "",
        "Hello",
        "",
        "[tool call · Bash · functions.Bash:0 of zai (gw1)]",
        "  command: ls",
    ]


def test_an_answer_that_is_still_running():
    lines = answer.render(streaming(EVENTS[:8]).exchange).split("\n")
    assert lines[0] == "zai/glm-5 · 200 · still running"
    assert lines[-1] == "Hello"


def test_an_answer_that_was_cut():
    watched = streaming(EVENTS[:10])
    watched.exchange.recorded.response.body += error_event(
        ProviderError(502, "api_error", "the provider broke off"), "req_1"
    )
    lines = answer.render(watched.breaks_off()).split("\n")
    assert lines[0] == "zai/glm-5 · 200 · CUT: the provider broke off"
    assert lines[lines.index("Hello") :] == [
        "Hello",
        "",
        "[tool call · Bash · functions.Bash:0 of zai (gw1)]",
        "  arguments, cut off:",
        '    {"command":',
        "",
        "── then an error event ".ljust(72, "─"),
        "api_error:",
        "  the provider broke off",
        "request_id: req_1",
    ]


def test_an_answer_that_the_client_left():
    end = Ending(over=True, status=200, error="Client disconnected.", told="", seconds=1)
    first = answer.render(streaming(EVENTS[:5]).exchange, end).split("\n")[0]
    assert first == "zai/glm-5 · 200 · CUT: Client disconnected."


def test_a_stream_without_an_end_says_so_also_when_nobody_knows_why():
    assert answer.render_body(sse(EVENTS[:9])).split("\n")[0] == "CUT: no message_stop"


def test_before_the_client_has_anything_the_providers_own_bytes_are_shown():
    watched = streaming(EVENTS[:5])
    watched.exchange.recorded.response = None
    lines = answer.render(watched.exchange).split("\n")
    assert "The client has nothing of it yet; this is what the provider sent." in lines
    assert lines[-2:] == ["[thinking · 2 characters · signed by zai]", "  hm"]


def test_before_anything_has_come():
    watched = Watched("zai")
    watched.sends()
    assert answer.render(watched.exchange) == "zai/glm-5 · still running\n\nNothing has come yet."


def test_before_anything_but_pings_has_come():
    watched = Watched("zai")
    watched.sends()
    watched.exchange.recorded.response = kept("200 OK", sse([PING, PING]))
    lines = answer.render(watched.exchange).split("\n")
    assert lines == ["zai/glm-5 · 200 · still running", "2 events", "", "Nothing has come but pings."]


def told(body, status=200, content_type="application/json"):
    made = exchange(target("zai"))
    made.recorded.response = kept(f"{status} So", body, [("content-type", content_type)])
    return answer.render(made).split("\n")


def test_a_json_answer():
    message = START | {"content": [{"type": "text", "text": "Hello"}], "stop_reason": "end_turn"}
    assert told(message) == [
        "200 · stop reason end_turn · complete",
        "32 in (3 cached, 4 written to the cache) / 1 out",
        "glm-5 · msg_1",
        "",
        "Hello",
    ]


def test_an_error_in_words():
    assert told(envelope(429, "slow down,\nplease", request_id="req_1"), 429) == [
        "429",
        "",
        "rate_limit_error:",
        "  slow down,",
        "  please",
        "request_id: req_1",
    ]


def test_an_error_of_another_shape():
    assert told({"error": {"code": 7, "why": "x"}}, 500)[2:] == [
        "error:",
        "  {",
        '    "code": 7,',
        '    "why": "x"',
        "  }",
        "code: 7",
        "why: x",
    ]


def test_other_json():
    assert told({"input_tokens": 12}) == ["200", "", "{", '  "input_tokens": 12', "}"]


def test_what_is_no_json():
    assert told(b"<html>Bad gateway</html>", 502) == [
        "502 · 24 bytes",
        "",
        "The body is not valid JSON: invalid character (byte 0).",
        "",
        "<html>Bad gateway</html>",
    ]
    assert told(b"\x89PNG\0", content_type="image/png")[-1] == "The body is image/png."


def test_events_that_are_no_message():
    chunks = b'data: {"choices":[{"delta":{"content":"Hel"}}]}\n\n'
    assert told(chunks, content_type="text/event-stream")[-3] == 'data: {"choices":[{"delta":{"content":"Hel"}}]}'


def test_a_failure_after_the_client_got_its_200():
    watched = Watched("zai")
    watched.sends().outcome = Outcome("timeout", ProviderError(504, "timeout_error", "too slow"))
    watched.exchange.attempts[0].ended = 100.0
    watched.exchange.recorded.response = kept("200 OK", error_event(ProviderError(504, "timeout_error", "too slow")))
    end = Ending(over=True, status=200, error="", told="", seconds=1)
    lines = answer.render(watched.exchange, end).split("\n")
    assert lines[0] == "zai/glm-5 · 200 · FAILED: too slow"
    assert lines[-2:] == ["timeout_error:", "  too slow"]


def test_what_else_a_message_has_is_shown():
    message = START | {
        "content": [],
        "container": {"id": "c1"},
        "usage": {"output_tokens": 1, "service_tier": "standard"},
    }
    assert told(message)[1:] == [
        "0 in / 1 out",
        'usage: {"service_tier": "standard"}',
        "glm-5 · msg_1",
        'container: {"id": "c1"}',
        "",
        "(no content)",
    ]


@given(messages().flatmap(bytes_of).flatmap(pieces_of), st.data())
def test_a_stream_that_was_cut_anywhere(pieces, data):
    answer.render_body(b"".join(pieces[: data.draw(st.integers(0, len(pieces)))]))


@given(st.binary())
def test_any_bytes_at_all(data):
    answer.render_body(data)
    answer.render_body(b"event: x\ndata: " + data)


KEYS = st.sampled_from(
    ["type", "error", "content", "message", "usage", "output_tokens", "stop_reason", "text", "delta"]
)
ANYTHING = st.recursive(
    st.none()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["error", "text", "message_start", "message_delta"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(ANYTHING)
def test_any_json_at_all(value):
    answer.render_body(json.dumps(value).encode())
    answer.render_body(b"data: %b\n\n" % json.dumps(value).encode())
