"""Tools of Anthropic's servers, and the ids of calls, towards other providers.

tool_ids.py is tested here too.
"""

import pytest

from addons.wire.provenance import encode_tool_id
from addons.wire.steps.server_tools import server_tools
from addons.wire.steps.tool_ids import tool_ids
from tests.client_messages import assistant, text, tool_result, tool_use, user
from tests.wire.bodies import ANTHROPIC, KIMI, ZAI, request, run, unchanged

BASH = encode_tool_id("kimi", "functions.Bash:0")


def conversation(first: str, second: str = "toolu_2"):
    return request(
        "a",
        assistant(tool_use(first), tool_use(second)),
        user(tool_result(first), tool_result(second)),
    )


def searched(tool_id: str, kind: str = "web_search"):
    use = {"type": "server_tool_use", "id": tool_id, "name": kind, "input": {}}
    return use, {"type": f"{kind}_tool_result", "tool_use_id": tool_id, "content": [{"url": "x"}]}


def test_an_id_goes_back_to_the_provider_that_made_it():
    line, sent = run(tool_ids, conversation(BASH), KIMI)
    assert sent == conversation("functions.Bash:0")
    assert line == "gave 1 tool id back to kimi"


@pytest.mark.parametrize("context", [ZAI, ANTHROPIC])
def test_the_ids_of_others_stay_encoded(context):
    assert unchanged(tool_ids, conversation(BASH), context)


def test_anthropic_gets_no_id_that_it_refuses():
    line, sent = run(tool_ids, conversation("functions.Bash:0", "é"), ANTHROPIC)
    first, second = encode_tool_id("unknown", "functions.Bash:0"), encode_tool_id("unknown", "é")
    assert sent == conversation(first, second)
    assert line == "encoded 2 tool ids that Anthropic doesn't take"
    assert unchanged(tool_ids, conversation("functions.Bash:0"), ZAI)
    # Even one that Anthropic is said to have made.
    assert unchanged(tool_ids, conversation(encode_tool_id("anthropic", "a b")), ANTHROPIC)


@pytest.mark.parametrize("odd", [None, 3, ["x"]])
def test_odd_ids_stay(odd):
    assert unchanged(tool_ids, conversation(odd), ANTHROPIC)
    assert unchanged(server_tools, request(assistant(*searched(odd))), ANTHROPIC)


def test_blocks_without_an_id_stay():
    body = request(user({"type": "tool_result"}), assistant({"type": "tool_use"}, text("gw1-kimi--YQ", id=BASH)))
    assert unchanged(tool_ids, body, KIMI)


def test_an_id_that_spells_half_a_character():
    made = encode_tool_id("kimi", "x\ud83d")
    _, sent = run(tool_ids, conversation(made), KIMI)
    assert sent == conversation("x\ufffd")


def test_server_tools_of_anthropic_stay_with_anthropic():
    mcp = {"type": "mcp_tool_use", "id": "m", "name": "x"}, {"type": "mcp_tool_result", "tool_use_id": "m"}
    listing, fallback = {"type": "mcp_tool_listing"}, {"type": "fallback"}
    body = request("a", assistant(text("t"), *searched("srvtoolu_1"), *mcp, listing, fallback, text("u")), "b")
    assert unchanged(server_tools, body, ANTHROPIC)
    line, sent = run(server_tools, body, ZAI)
    assert sent == request("a", assistant(text("t"), text("u")), "b")
    assert line == "dropped 6 server-tool blocks (6 of Anthropic)"


def test_server_tools_of_another_provider_go_to_that_one_only():
    body = request("a", assistant(text("t"), *searched(encode_tool_id("zai", "call 1"), "web_fetch")), "b")
    line, sent = run(server_tools, body, ZAI)
    assert sent == request("a", assistant(text("t"), *searched("call 1", "web_fetch")), "b")
    assert line == "gave 2 server-tool blocks back to zai"
    for context in (KIMI, ANTHROPIC):
        line, sent = run(server_tools, body, context)
        assert sent == request("a", assistant(text("t")), "b")
        assert line == "dropped 2 server-tool blocks (2 of zai)"


def test_a_message_of_server_tools_only_is_left_out():
    body = request("a", assistant(*searched("srvtoolu_1")), user(text("b")))
    assert run(server_tools, body, ZAI)[1] == request(user(text("a"), text("b")))


def test_the_clients_own_tools_are_no_server_tools():
    assert unchanged(server_tools, conversation(BASH), ZAI)
    assert unchanged(server_tools, request(user({"type": "search_result", "content": []}, {"type": ""}, {})), ZAI)
