"""Steps that take fields of Anthropic's out of a request, or change them.

billing_header.py, hidden_credentials.py, max_tokens.py and thinking_mode.py are tested here too.
"""

import json

import pytest

from addons.wire.messages.body import Draft, RequestBody
from addons.wire.steps.anthropic_fields import dropping
from addons.wire.steps.billing_header import billing_header
from addons.wire.steps.context import Context
from addons.wire.steps.hidden_credentials import hidden_credentials
from addons.wire.steps.max_tokens import max_tokens
from addons.wire.steps.thinking_mode import thinking_adaptive, thinking_display
from tests.client_messages import text
from tests.wire.bodies import ANTHROPIC, ZAI, request, run, unchanged

BILLING = "x-anthropic-billing-header: cc_version=2.1.330.abc; cc_entrypoint=cli;"
CLEAR = {"type": "clear_thinking_20251015", "keep": "all"}
CLEAR_TOOLS = {"type": "clear_tool_uses_20250919"}


def limited(limit: int, *, is_anthropic: bool = False) -> Context:
    return Context(provider="zai", is_anthropic=is_anthropic, max_output_tokens=limit)


def test_the_leading_billing_header_goes():
    line, sent = run(billing_header, request(system=[text(BILLING), text("You are", cache_control={})]))
    assert line == "dropped the billing header block of system"
    assert sent["system"] == [text("You are", cache_control={})]


def test_a_system_that_was_nothing_but_the_billing_header_goes():
    assert "system" not in run(billing_header, request(system=[text(BILLING)]))[1]
    assert "system" not in run(billing_header, request(system=BILLING))[1]
    assert "system" not in run(billing_header, request(system=BILLING + "\n\n"))[1]


def test_words_behind_the_billing_header_in_the_same_block_stay():
    line, sent = run(billing_header, request(system=[text(f"{BILLING}\n\nYou are\n"), text("more")]))
    assert line and sent["system"] == [text("You are\n"), text("more")]
    assert run(billing_header, request(system=[text(f"{BILLING}\n \n"), text("more")]))[1]["system"] == [text("more")]


def test_the_billing_header_line_of_a_string_goes():
    assert run(billing_header, request(system=f"{BILLING}\n\nYou are\n"))[1]["system"] == "You are\n"


@pytest.mark.parametrize(
    "system",
    [
        "You are",
        f"You are\n{BILLING}",
        [text("You are"), text(BILLING)],
        [],
        [{"type": "text", "text": 3}],
        [{}],
        None,
    ],
)
def test_other_systems_stay(system):
    assert unchanged(billing_header, request(system=system))
    assert unchanged(billing_header, request())


def test_fields_are_dropped_by_name():
    step = dropping("container", "speed", "thread")
    line, sent = run(step, request(speed="fast", container=None, temperature=1))
    assert line == "dropped container, speed"
    assert sent == request(temperature=1)
    assert unchanged(step, request(temperature=1))


def test_hidden_credentials_go_at_any_depth():
    body = request(
        api_key="k",
        Authorization="Bearer k",
        extra_headers={"x": "k"},
        metadata={"user_id": "u", "headers": {"a": "k"}, "deep": [{"x": [{"proxy-server-request": {}, "y": 1}]}]},
        nothing={"x-api-key": "k"},
    )
    line, sent = run(hidden_credentials, body, ANTHROPIC)
    assert sent == request(metadata={"user_id": "u", "deep": [{"x": [{"y": 1}]}]}, nothing={})
    assert line == (
        "removed api_key, Authorization, extra_headers, metadata … headers, "
        "metadata … proxy-server-request, nothing … x-api-key"
    )
    assert "Bearer" not in line


def test_words_of_the_conversation_are_no_credentials():
    schema = {"type": "json_schema", "schema": {"properties": {"headers": {"type": "string"}}}}
    body = request(
        {"role": "user", "content": [{"type": "text", "text": "api_key", "headers": {}}]},
        system=[text("x", headers={})],
        tools=[{"name": "Fetch", "input_schema": {"properties": {"headers": {}, "authorization": {}}}}],
        output_config={"format": schema},
        mcp_servers=[{"url": "https://x", "authorization_token": "t"}],
    )
    assert unchanged(hidden_credentials, body, ANTHROPIC)


def test_hidden_credentials_under_deep_nesting_and_odd_numbers():
    deep = b"[" * 960 + b'{"headers":1}' + b"]" * 960
    data = b'{"model":"m","messages":[],"a":' + deep + b',"b":{"n":1e999,"headers":1}}'
    draft = Draft(RequestBody.parse(data))
    assert hidden_credentials(draft, ANTHROPIC) == "removed a … headers"
    assert b"".join((b"[" * 960, b"{}", b"]" * 960)) in draft.encode()


def test_max_tokens_is_clamped():
    line, sent = run(max_tokens, request(max_tokens=32000), limited(8192))
    assert (line, sent["max_tokens"]) == ("max_tokens 32000 → 8192", 8192)


def test_the_thinking_budget_stays_below_max_tokens():
    body = request(max_tokens=32000, thinking={"type": "enabled", "budget_tokens": 31999, "display": "omitted"})
    line, sent = run(max_tokens, body, limited(8192))
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": 8191, "display": "omitted"}
    assert line == "max_tokens 32000 → 8192, budget_tokens 31999 → 8191"


def test_a_limit_without_room_for_thinking_turns_it_off():
    body = request(
        max_tokens=32000,
        thinking={"type": "enabled", "budget_tokens": 31999},
        context_management={"edits": [CLEAR, CLEAR_TOOLS]},
    )
    _, sent = run(max_tokens, body, limited(1024, is_anthropic=True))
    assert sent == request(max_tokens=1024, context_management={"edits": [CLEAR_TOOLS]})


@pytest.mark.parametrize(
    ("body", "context"),
    [
        (request(max_tokens=32000), ZAI),
        (request(max_tokens=8192), limited(8192)),
        (request(), limited(8192)),
        (request(max_tokens="32000", thinking=[]), limited(8192)),
        (request(max_tokens=True), limited(8192)),
        (request(thinking={"type": "enabled", "budget_tokens": 4000}), limited(8192)),
        # With interleaved thinking a budget may be larger than max_tokens.
        (request(max_tokens=2000, thinking={"type": "enabled", "budget_tokens": 4000}), limited(8192)),
    ],
)
def test_what_the_model_can_give_is_left(body, context):
    assert unchanged(max_tokens, body, context)


def test_display_and_block_binding_go():
    body = request(thinking={"type": "enabled", "budget_tokens": 1, "display": "omitted", "block_binding": {}})
    line, sent = run(thinking_display, body)
    assert line == "dropped thinking.display, thinking.block_binding"
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": 1}


@pytest.mark.parametrize("value", [{"type": "adaptive"}, None, "on", []])
def test_thinking_without_display_stays(value):
    assert unchanged(thinking_display, request(thinking=value))
    assert unchanged(thinking_display, request())


@pytest.mark.parametrize(
    ("most", "budget"), [(32000, 31999), (128_000, 31999), (5000, 4999), (1025, 1024), (None, 31999)]
)
def test_adaptive_thinking_gets_a_budget(most, budget):
    body = request(thinking={"type": "adaptive"}) | ({} if most is None else {"max_tokens": most})
    line, sent = run(thinking_adaptive, body)
    assert line == f"adaptive thinking became a budget of {budget} tokens"
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": budget}


@pytest.mark.parametrize("most", [1024, 1, 0])
def test_adaptive_thinking_goes_where_there_is_no_room(most):
    line, sent = run(thinking_adaptive, request(thinking={"type": "adaptive"}, max_tokens=most))
    assert line == f"dropped thinking: max_tokens {most} leaves no room for it"
    assert sent == request(max_tokens=most)


@pytest.mark.parametrize(
    "value", [{"type": "enabled", "budget_tokens": 5000}, {"type": "disabled"}, {}, None, "adaptive"]
)
def test_other_thinking_stays(value):
    assert unchanged(thinking_adaptive, request(thinking=value))


def test_numbers_keep_their_spelling_next_to_an_edit():
    data = b'{"model":"m","messages":[],"temperature":1.10,"thinking":{"type":"adaptive"},"max_tokens":2e3}'
    draft = Draft(RequestBody.parse(data))
    assert thinking_adaptive(draft, ZAI)
    assert b'"temperature":1.10' in draft.encode()
    assert json.loads(draft.encode())["max_tokens"] == 2000
