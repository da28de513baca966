import json
from typing import Any

import pytest

from addons.wire.messages.body import Draft, RequestBody
from addons.wire.provenance import wrap_signature
from addons.wire.steps.context import Context
from addons.wire.steps.thinking import keep_own_thinking
from addons.wire.steps.thinking_mode import turn_off
from tests.client_messages import assistant, system, text, thinking, tool_result, tool_use, user
from tests.wire.bodies import ANTHROPIC, KIMI, ZAI, request, run, unchanged

NATIVE = thinking("EqQBCkgIBh==")
OF_ZAI = thinking(wrap_signature("zai", "f00d.1"))
UNSIGNED_ZAI = thinking(wrap_signature("zai", ""))
OF_KIMI = thinking(wrap_signature("kimi", "k"))
REDACTED = {"type": "redacted_thinking", "data": "EmwKAhgB"}
REDACTED_ZAI = {"type": "redacted_thinking", "data": wrap_signature("zai", "secret")}
ENABLED = {"type": "enabled", "budget_tokens": 31999}
ADAPTIVE = {"type": "adaptive", "display": "omitted"}
CLEAR = {"type": "clear_thinking_20251015", "keep": "all"}
CLEAR_TOOLS = {"type": "clear_tool_uses_20250919"}


def after(*blocks):
    """A conversation whose first answer has these blocks, and that goes on."""
    return request("hi", assistant(*blocks, text("ok")), "more")


def loop(*answers, **fields):
    """A tool loop that waits for an answer: each of `answers` is the thinking that one tool use began with."""
    messages: list[Any] = ["hi"]
    for number, blocks in enumerate(answers):
        messages += [assistant(*blocks, tool_use(f"t{number}")), user(tool_result(f"t{number}"))]
    return request(*messages, **fields)


def test_a_block_goes_back_to_its_owner_as_it_was():
    line, sent = run(keep_own_thinking, after(OF_ZAI, REDACTED_ZAI, UNSIGNED_ZAI), ZAI)
    assert sent == after(thinking("f00d.1"), {"type": "redacted_thinking", "data": "secret"}, thinking(""))
    assert line == "gave 3 thinking blocks back to zai"


@pytest.mark.parametrize("context", [KIMI, ANTHROPIC])
def test_it_goes_to_nobody_else(context):
    line, sent = run(keep_own_thinking, after(OF_ZAI, REDACTED_ZAI, UNSIGNED_ZAI), context)
    assert sent == after()
    assert line == "dropped 3 thinking blocks (3 of zai)"


def test_anthropics_own_goes_to_anthropic_only():
    assert unchanged(keep_own_thinking, after(NATIVE, REDACTED), ANTHROPIC)
    line, sent = run(keep_own_thinking, after(NATIVE, REDACTED), ZAI)
    assert sent == after()
    assert line == "dropped 2 thinking blocks (2 of Anthropic)"


@pytest.mark.parametrize("context", [ANTHROPIC, ZAI])
@pytest.mark.parametrize(
    "block",
    [
        thinking(""),
        thinking(None),
        {"type": "thinking"},
        {"type": "redacted_thinking"},
        {"type": "redacted_thinking", "data": ""},
        {"type": "thinking", "thinking": "hm", "signature": None},
        {"type": "thinking", "thinking": "hm", "signature": {"a": 1}},
        {"type": "thinking", "thinking": "hm", "data": "gw1.zai.x"},
    ],
)
def test_what_nobody_signed_goes_nowhere(context, block):
    line, sent = run(keep_own_thinking, after(block), context)
    assert sent == after()
    assert line == "dropped 1 thinking block (1 without a signature)"


def test_each_origin_is_counted():
    line, sent = run(keep_own_thinking, after(OF_ZAI, NATIVE, OF_KIMI, OF_ZAI, thinking("")), KIMI)
    assert sent == after(thinking("k"))
    assert line == (
        "gave 1 thinking block back to kimi; "
        "dropped 4 thinking blocks (1 of Anthropic, 2 of zai, 1 without a signature)"
    )


@pytest.mark.parametrize("provider", ["zai", "anthropic"])
def test_all_thinking_is_dropped_on_the_second_try(provider):
    context = Context(provider=provider, is_anthropic=provider == "anthropic", drop_all_thinking=True)
    line, sent = run(keep_own_thinking, after(OF_ZAI, NATIVE, REDACTED), context)
    assert sent == after()
    assert line == "dropped 3 thinking blocks (2 of Anthropic, 1 of zai)"


def test_on_the_second_try_an_open_turn_is_not_asked_to_think():
    context = Context(provider="anthropic", is_anthropic=True, drop_all_thinking=True)
    for mode in (ENABLED, ADAPTIVE):
        line, sent = run(keep_own_thinking, loop([NATIVE], [], thinking=mode), context)
        assert sent == loop([], [])
        assert line == "dropped 1 thinking block (1 of Anthropic)" + OFF
    assert run(keep_own_thinking, after(NATIVE) | {"thinking": ADAPTIVE}, context)[1] == after() | {
        "thinking": ADAPTIVE
    }


def test_nested_wraps_lose_one_layer():
    inner = wrap_signature("zai", "s")
    assert run(keep_own_thinking, after(thinking(wrap_signature("zai", inner))), ZAI)[1] == after(thinking(inner))


def test_what_looks_like_thinking_stays():
    body = request(
        {"role": "user", "content": '{"type":"thinking","signature":"gw1.zai.x"}'},
        assistant(text("x", signature="gw1.zai.x"), tool_use() | {"input": {"type": "thinking", "signature": "s"}}),
        user(tool_result(content=[text("thinking", data="gw1.zai.x")])),
    )
    assert unchanged(keep_own_thinking, body, ZAI)
    assert unchanged(keep_own_thinking, body, ANTHROPIC)


def test_no_spelling_lets_a_block_through():
    data = (
        b'{"model":"m","messages":[{"role":"user","content":"a"},{"content":[{"signature":"s","thinking":"t",'
        b' "ty\\u0070e" : "thin\\u006bing"},{"type":"text","text":"b"}],"role":"assistant"}]}'
    )
    draft = Draft(RequestBody.parse(data))
    assert keep_own_thinking(draft, ZAI) == "dropped 1 thinking block (1 of Anthropic)"
    assert json.loads(draft.encode())["messages"][1]["content"] == [text("b")]


def test_a_message_of_thinking_only_is_left_out():
    body = request("a", assistant(OF_ZAI), user(text("b", cache_control={})), assistant(text("c")), "d")
    _, sent = run(keep_own_thinking, body, ANTHROPIC)
    assert sent == request(user(text("a"), text("b", cache_control={})), assistant(text("c")), "d")


def test_thinking_at_the_end_is_left_out_too():
    assert run(keep_own_thinking, request("a", assistant(NATIVE)), ZAI)[1] == request("a")
    assert run(keep_own_thinking, request(assistant(NATIVE)), ZAI)[1] == {"model": "glm", "messages": []}


# The open tool turn, at Anthropic.

OFF = "; turned thinking off: the open tool turn has none of its own"


@pytest.mark.parametrize("mode", [ENABLED, ADAPTIVE])
def test_a_turn_that_lost_its_thinking_goes_on_without(mode):
    body = loop([OF_ZAI], thinking=mode, context_management={"edits": [CLEAR]}, max_tokens=32000)
    line, sent = run(keep_own_thinking, body, ANTHROPIC)
    assert sent == loop([], max_tokens=32000)
    assert line == "dropped 1 thinking block (1 of zai)" + OFF


def test_only_clearing_of_thinking_goes():
    body = loop([OF_ZAI], thinking=ENABLED, context_management={"edits": [CLEAR_TOOLS, CLEAR], "x": 1})
    _, sent = run(keep_own_thinking, body, ANTHROPIC)
    assert sent == loop([], context_management={"edits": [CLEAR_TOOLS], "x": 1})


@pytest.mark.parametrize("management", [None, 3, {}, {"edits": None}, {"edits": ["clear_thinking", 3]}])
def test_odd_context_management_stays(management):
    body = loop([OF_ZAI], thinking=ENABLED, context_management=management)
    assert run(keep_own_thinking, body, ANTHROPIC)[1] == loop([], context_management=management)


def test_what_is_left_of_thinking_in_that_turn_goes_too():
    line, sent = run(keep_own_thinking, loop([NATIVE], [OF_ZAI], thinking=ENABLED), ANTHROPIC)
    assert sent == loop([], [])
    assert line == "dropped 1 thinking block (1 of zai)" + OFF


def test_thinking_of_earlier_turns_stays():
    body = request("a", assistant(NATIVE, text("b")), *loop([OF_ZAI])["messages"], thinking=ADAPTIVE)
    _, sent = run(keep_own_thinking, body, ANTHROPIC)
    assert sent == request("a", assistant(NATIVE, text("b")), *loop([])["messages"])


def test_with_enabled_the_whole_turn_counts():
    assert run(keep_own_thinking, loop([OF_ZAI], [NATIVE], thinking=ENABLED), ANTHROPIC)[1] == loop([], [])
    assert unchanged(keep_own_thinking, loop([NATIVE], [], thinking=ENABLED), ANTHROPIC), "not interleaved"
    line, sent = run(keep_own_thinking, loop([], [], thinking=ENABLED), ANTHROPIC)
    assert sent == loop([], [])
    assert line == OFF[2:]


def test_with_adaptive_only_a_loss_at_the_end_counts():
    _, sent = run(keep_own_thinking, loop([OF_ZAI], [NATIVE], thinking=ADAPTIVE), ANTHROPIC)
    assert sent == loop([], [NATIVE], thinking=ADAPTIVE)
    assert unchanged(keep_own_thinking, loop([], [], thinking=ADAPTIVE), ANTHROPIC)


def test_a_turn_that_still_begins_with_thinking_goes_on():
    body = loop([OF_ZAI, NATIVE], thinking=ENABLED)
    assert run(keep_own_thinking, body, ANTHROPIC)[1] == loop([NATIVE], thinking=ENABLED)


def test_system_messages_do_not_end_a_turn():
    body = loop([OF_ZAI], thinking=ENABLED)
    body["messages"].append(system("note"))
    assert "thinking" not in run(keep_own_thinking, body, ANTHROPIC)[1]


def test_words_with_the_results_do_not_end_a_turn():
    body = request("a", assistant(OF_ZAI, tool_use()), user(tool_result(), text("b")), thinking=ENABLED)
    assert "thinking" not in run(keep_own_thinking, body, ANTHROPIC)[1]


def test_a_turn_that_is_over_leaves_thinking_on():
    body = after(OF_ZAI) | {"thinking": ENABLED, "context_management": {"edits": [CLEAR]}}
    _, sent = run(keep_own_thinking, body, ANTHROPIC)
    assert sent == after() | {"thinking": ENABLED, "context_management": {"edits": [CLEAR]}}


def test_an_answer_that_is_to_be_continued():
    body = request("a", assistant(OF_ZAI, text("I")), thinking=ENABLED)
    assert run(keep_own_thinking, body, ANTHROPIC)[1] == request("a", assistant(text("I")))
    assert unchanged(keep_own_thinking, request("a", assistant(text("I")), thinking=ENABLED), ANTHROPIC)


@pytest.mark.parametrize("mode", [{"type": "disabled"}, None, {}, "on"])
def test_where_thinking_is_not_asked_for_nothing_is_turned_off(mode):
    body = loop([OF_ZAI], thinking=mode, context_management={"edits": [CLEAR]})
    _, sent = run(keep_own_thinking, body, ANTHROPIC)
    assert sent == loop([], thinking=mode, context_management={"edits": [CLEAR]})


def test_other_providers_are_asked_to_think_on():
    body = loop([NATIVE], thinking=ENABLED)
    assert run(keep_own_thinking, body, ZAI)[1] == loop([], thinking=ENABLED)


def test_turning_off_what_is_off():
    draft = Draft(RequestBody.parse(json.dumps(request()).encode()))
    turn_off(draft)
    assert draft.encode() is draft.body.raw
