"""A step misses nothing by looking only where it is told to."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addons.wire.errors import BadRequest
from addons.wire.messages.body import Draft, RequestBody
from addons.wire.messages.traits import (
    BETA_TOOLS,
    CACHE_CONTROL,
    COMPACTION,
    EMPTY_TEXT,
    GUEST_THINKING,
    SERVER_TOOLS,
    SYSTEM_MESSAGES,
    THINKING,
    TOOL_IDS,
    TOOL_INPUT,
)
from addons.wire.steps.context import Context
from addons.wire.steps.table import apply
from tests.client_messages import assistant, text, thinking, tool_result, tool_use, user
from tests.wire.any_body import messages, spelled, top_level
from tests.wire.bodies import ANTHROPIC, KIMI, ZAI, request

EVERYTHING = frozenset(
    {
        BETA_TOOLS,
        CACHE_CONTROL,
        COMPACTION,
        EMPTY_TEXT,
        GUEST_THINKING,
        SERVER_TOOLS,
        SYSTEM_MESSAGES,
        THINKING,
        TOOL_IDS,
        TOOL_INPUT,
    }
)
SECOND_TRY = Context(provider="anthropic", is_anthropic=True, drop_all_thinking=True)


def sent(body: RequestBody, context: Context):
    draft = Draft(body)
    return apply(draft, context, {}), json.loads(draft.encode())


def told_of_everything(body: RequestBody) -> RequestBody:
    """The same body, with steps that are told that all of it may concern them, but for what they don't ask again:
    whether it is a system message, and whether one without any content says nothing."""
    body.system_traits |= EVERYTHING
    body.tools_traits |= EVERYTHING
    messages = body.messages
    messages.traits = tuple(
        found | EVERYTHING - {SYSTEM_MESSAGES, *(() if message.blocks or message.text else (EMPTY_TEXT,))}
        for message, found in zip(messages, messages.traits, strict=True)
    )
    messages.all_traits = EVERYTHING
    return body


@settings(deadline=None, max_examples=100)
@given(top_level, messages, st.sampled_from([ANTHROPIC, ZAI, KIMI, SECOND_TRY]), st.data())
def test_no_step_misses_anything(fields, said, context, data):
    body = data.draw(spelled({**fields, "messages": said}))
    assert sent(RequestBody.parse(body), context) == sent(told_of_everything(RequestBody.parse(body)), context)


def of(*said, **fields):
    body = RequestBody.parse(json.dumps(request(*said, **fields)).encode())
    return [set(found) for found in body.messages.traits], set(body.system_traits), set(body.tools_traits)


def test_an_ordinary_conversation_has_no_traits():
    cache = {"type": "ephemeral"}
    said = ["hi", assistant(text("a"), tool_use()), user(tool_result(), text("b", cache_control=cache))]
    system = [text("s", cache_control=cache)]
    tools = [{"name": "Bash", "description": "", "input_schema": {"strict": True}}, {"name": "B", "type": "custom"}]
    assert of(*said, system=system, tools=tools) == ([set(), set(), set()], set(), set())


def test_whose_thinking_it_is():
    kinds = [thinking("EqQB"), thinking("gw1.zai.s"), thinking("gfoo"), thinking(""), thinking(None)]
    found, _, _ = of(*(assistant(kind, text("a")) for kind in kinds))
    assert found == [{THINKING}] + 4 * [{THINKING, GUEST_THINKING}]
    hidden = rb'{"model":"m","messages":[{"role":"a","content":[{"type":"thinking","signature":"g\u00771.zai.s"}]}]}'
    assert GUEST_THINKING in RequestBody.parse(hidden).messages.traits[0]


def test_what_is_inside_a_tool_result_counts_too():
    long = {"type": "ephemeral", "ttl": "1h"}
    inner = [text(" "), text("a", cache_control=long), {"type": "tool_reference", "tool_name": "x"}]
    assert of(user(tool_result(content=inner)))[0] == [{EMPTY_TEXT, CACHE_CONTROL, BETA_TOOLS}]
    assert of(user(tool_result(content=[tool_result(content=inner)])))[0] == [{EMPTY_TEXT, CACHE_CONTROL, BETA_TOOLS}]
    assert of(user(tool_result(content=["x"])))[0] == [set()]


def test_tool_results_in_tool_results_without_end_are_refused():
    result = tool_result()
    for _ in range(50):
        result = tool_result(content=[result])
    with pytest.raises(BadRequest, match=r"^messages: tool results are nested too deeply"):
        of(user(result))


@pytest.mark.parametrize("tools", [None, [], [3], ["x"]])
def test_odd_tools(tools):
    assert of(tools=tools)[2] == ({BETA_TOOLS, CACHE_CONTROL} if tools else set())


@pytest.mark.parametrize(
    "tool", [{"type": "bash_2025"}, {"strict": False}, {"defer_loading": None}, {"allowed_callers": []}]
)
def test_beta_tools(tool):
    assert of(tools=[{"name": "a"}, {"name": "b"} | tool])[2] == {BETA_TOOLS}
    assert of(tools=[{"name": "a", "type": None}, {"name": "b", "type": 3}])[2] == set()
