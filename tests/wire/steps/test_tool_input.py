import pytest

from addons.wire.steps.tool_input import tool_input
from tests.client_messages import assistant, text, tool_result, tool_use, user
from tests.wire.bodies import ANTHROPIC, ZAI, request, run, unchanged

LS = {"command": "ls"}


@pytest.mark.parametrize("context", [ANTHROPIC, ZAI])
@pytest.mark.parametrize(("given", "sent"), [([LS], LS), ('{"command":"ls"}', LS), ("", {}), (None, {}), ([], {})])
def test_an_input_that_is_no_object(context, given, sent):
    body = request("hi", assistant(text("so"), tool_use(input=given)), user(tool_result()))
    line, adapted = run(tool_input, body, context)
    assert line == "made the input of 1 tool call an object"
    assert adapted["messages"] == [
        body["messages"][0],
        assistant(text("so"), tool_use(input=sent)),
        *body["messages"][2:],
    ]


def test_one_that_is_missing():
    call = tool_use()
    del call["input"]
    _, sent = run(tool_input, request("hi", assistant(call)))
    assert sent["messages"][1] == assistant(tool_use(input={}))


def test_several_and_those_of_a_provider():
    server = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": [{"query": "x"}]}
    line, sent = run(tool_input, request("hi", assistant(tool_use("1", input=[LS]), server, tool_use("2"))))
    assert line == "made the input of 2 tool calls an object"
    assert sent["messages"][1] == assistant(tool_use("1"), server | {"input": {"query": "x"}}, tool_use("2"))


def test_objects_keep_their_bytes():
    assert unchanged(tool_input, request("hi", assistant(tool_use(input={}), tool_use("2")), user(tool_result())))
