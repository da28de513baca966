import pytest

from addons.wire.steps.tool_changes import tool_changes
from tests.client_messages import assistant, system, text
from tests.wire.bodies import ZAI, request, run, unchanged
from tests.wire.steps.test_table import adapted

BASH = {"name": "Bash", "input_schema": {"type": "object"}}
READ = {"name": "Read", "input_schema": {"type": "object"}}
REFERENCE = {"type": "tool_reference", "name": "Bash"}


def added(tool):
    return {"type": "tool_addition", "tool": tool}


def removed(tool):
    return {"type": "tool_removal", "tool": tool}


@pytest.mark.parametrize(
    "tool",
    [{"type": "tool_definition", "definition": READ}, READ, {"type": "custom", **READ}],
    ids=["docs", "bare", "custom"],
)
def test_a_tool_by_value(tool):
    line, body = run(tool_changes, request("hi", system([added(tool), text("use it")]), tools=[BASH]))
    assert line == "added Read"
    assert [tool["name"] for tool in body["tools"]] == ["Bash", "Read"]
    assert body["messages"][1] == system([text("use it")])


def test_another_version_takes_the_place_of_the_first():
    newer = BASH | {"description": "newer"}
    _, body = run(
        tool_changes,
        request("hi", system([added({"type": "tool_definition", "definition": newer})]), tools=[BASH, READ]),
    )
    assert body["tools"] == [newer, READ]
    assert len(body["messages"]) == 1


@pytest.mark.parametrize("tool", [REFERENCE, BASH, {"type": "tool_definition", "definition": BASH}, "Bash"])
def test_a_removal(tool):
    line, body = run(tool_changes, request("hi", system([removed(tool)]), tools=[BASH, READ]))
    assert (line, body["tools"]) == ("removed Bash", [READ])


def test_the_order_counts():
    changes = [system([removed(REFERENCE)]), assistant(text("ok")), system([added(REFERENCE)])]
    assert run(tool_changes, request("hi", *changes, tools=[BASH]))[1]["tools"] == [BASH]
    changes = [
        system([added(READ)]),
        assistant(text("ok")),
        system([removed({"type": "tool_reference", "name": "Read"})]),
    ]
    assert run(tool_changes, request("hi", *changes, tools=[BASH]))[1]["tools"] == [BASH]


def test_the_last_tool_goes_with_the_choice():
    body = request("hi", system([removed(REFERENCE)]), tools=[BASH], tool_choice={"type": "tool", "name": "Bash"})
    sent = run(tool_changes, body)[1]
    assert "tools" not in sent
    assert "tool_choice" not in sent


def test_a_conversation_without_tools_gets_some():
    assert run(tool_changes, request("hi", system([added(READ)])))[1]["tools"] == [READ]


def test_an_added_tool_is_cleaned_as_the_others_are():
    tool = {"type": "tool_definition", "definition": READ | {"defer_loading": True, "strict": True}}
    web = {"type": "tool_definition", "definition": {"type": "web_search_20250305", "name": "web_search"}}
    lines, sent = adapted(request("hi", system([added(tool), added(web)]), tools=[BASH]), ZAI)
    assert sent["tools"] == [BASH, READ]
    assert ("tool-changes", "added Read, added web_search") in lines


def test_other_system_messages_stay_as_they_are():
    assert unchanged(tool_changes, request("hi", system("env"), system([text("a")]), tools=[BASH]))
