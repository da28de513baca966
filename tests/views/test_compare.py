"""Two requests side by side."""

import json

from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.test import tflow

from addons.state.exchange import forget, remember
from addons.views.compare import Side, compare, question_in, side_of
from addons.views.summary import METADATA, to_metadata
from tests.views.looked_at import Watched
from tests.wire.streams import sse, text, whole


def asked(*said):
    return {"model": "glm", "max_tokens": 9, "messages": [{"role": "user", "content": one} for one in said]}


def ended(words, *, seconds=1.0, question="Why?", provider="zai", fails=False, streamed=1.0):
    """A flow whose answer began after so many seconds and took as many as are given, or that was refused."""
    watched = Watched(provider, body=asked("first", question))
    watched.sends()
    flow = tflow.tflow(req=http.Request.make("POST", "https://zai.test/v1/messages", b""))
    if fails:
        watched.fails(after=0.1, verdict="an answer")
        made, body, code = watched.exchange, b"{}", 429
    else:
        watched.streams(sse(whole(text(0, words))), first=seconds)
        watched.now += streamed
        made = watched.ends()
        assert made.recorded.response
        body, code = bytes(made.recorded.response.body), 200
    flow.response = http.Response.make(code, body, {"content-type": "text/event-stream"})
    remember(flow, made)
    return flow


def side(flow):
    found = side_of(flow)
    assert found
    return found


def rows(a, b):
    return {row.name: row for row in compare(side(a), side(b)).rows}


def test_answers_times_tokens_and_costs_stand_side_by_side():
    found = compare(side(ended("Because.")), side(ended("No idea.", seconds=3.0, provider="anthropic")))
    by_name = {row.name: row for row in found.rows}
    assert found.same_question
    assert found.left.question == "Why?"
    assert (found.left.answer, found.right.answer) == ("Because.", "No idea.")
    assert by_name["answered by"][1:3] == ("zai/glm-5", "anthropic/claude-sonnet-5-5")
    assert by_name["first event"][1:] == ("1.1 s", "3.1 s", "left")
    assert by_name["time"][1:] == ("2.1 s", "4.1 s", "left")
    assert by_name["tokens out"].left
    assert by_name["cost"].left.startswith("$")


def test_an_answer_in_one_piece_has_the_speed_of_all_of_its_time():
    a, b = ended("Because.", seconds=1.4), ended("Because.", seconds=2.9, streamed=0.001)
    assert rows(a, b)["speed"][1:] == ("15 tokens/s", "5 tokens/s", "left")


def test_who_fails_at_once_is_not_the_faster_one():
    by_name = rows(ended("Because."), ended("", fails=True))
    assert by_name["time"].better == ""
    assert by_name["status"].right == "429: slow down"


def test_other_questions_are_told_apart():
    assert not compare(side(ended("a", question="Why?")), side(ended("b", question="How?"))).same_question


def test_a_flow_of_a_file_is_compared_too():
    live, saved = ended("Because."), ended("Because.")
    made = saved.__dict__["gateway_state"]
    saved.metadata[METADATA] = to_metadata(made, saved)
    saved.request.content = json.dumps(asked("first", "Why?")).encode()
    forget(saved)
    assert side(saved).question == "Why?"
    assert side(saved).answer == "Because."
    assert {row.left == row.right for row in compare(side(live), side(saved)).rows} == {True}


def test_another_flow_has_no_side():
    assert side_of(tflow.tflow(resp=True)) is None


def test_the_question_is_the_last_text():
    result = {"type": "tool_result", "tool_use_id": "t", "content": "  42\n files "}
    last = [{"type": "text", "text": "not this"}, result, {"type": "image"}, "odd"]
    assert question_in(json.dumps(asked("first", last)).encode()) == "42 files"
    assert [question_in(body) for body in (b"", b"[]", b"no", b'{"messages": [1]}', b'{"messages": {}}')] == [""] * 5


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["content", "text", "role", "messages"]), inner)
        ),
        max_leaves=12,
    )
)
def test_any_messages_have_a_question_or_none(messages):
    assert isinstance(question_in(json.dumps({"messages": messages}).encode()), str)


def test_the_better_one_is_the_same_in_either_order():
    a, b = side(ended("x", seconds=1.0)), side(ended("y", seconds=2.0))
    turned = {"left": "right", "right": "left", "": ""}
    there, back = compare(a, b).rows, compare(b, a).rows
    assert [turned[row.better] for row in there] == [row.better for row in back]
    assert isinstance(a, Side)
