import pytest

from addons.wire.steps.beta_tools import beta_tools
from tests.client_messages import assistant, text, tool_result, tool_use, user
from tests.wire.bodies import ZAI, request, run, unchanged

BASH = {"name": "Bash", "description": "runs", "input_schema": {"type": "object", "strict": True}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
TOOLSET = {"type": "mcp_toolset", "mcp_server_name": "x"}


def test_beta_fields_go():
    beta = {
        "defer_loading": True,
        "input_examples": [{}],
        "eager_input_streaming": True,
        "strict": True,
        "allowed_callers": ["direct"],
    }
    line, sent = run(beta_tools, request(tools=[BASH | beta, BASH | {"strict": False, "type": "custom"}]))
    assert sent["tools"] == [BASH, BASH | {"type": "custom"}]
    assert line == (
        "removed allowed_callers (1), defer_loading (1), eager_input_streaming (1), input_examples (1), strict (2)"
    )


def test_tools_of_anthropic_go():
    tools = [SEARCH, BASH, TOOLSET, {"type": "bash_20250124", "name": "bash"}]
    line, sent = run(beta_tools, request(tools=tools, tool_choice={"type": "auto"}))
    assert sent == request(tools=[BASH], tool_choice={"type": "auto"})
    assert line == "dropped 3 tools that only Anthropic has (web_search, mcp_toolset, bash)"


def test_a_web_search_stays_where_the_provider_has_one():
    tools = [SEARCH, BASH, TOOLSET]
    line, sent = run(beta_tools, request(tools=tools), ZAI._replace(web_search=True))
    assert sent["tools"] == [SEARCH, BASH]
    assert line == "dropped 1 tool that only Anthropic has (mcp_toolset)"


def test_a_choice_goes_with_its_tool():
    choice = {"type": "tool", "name": "web_search"}
    line, sent = run(beta_tools, request(tools=[SEARCH, BASH], tool_choice=choice))
    assert sent == request(tools=[BASH])
    assert line == "dropped 1 tool that only Anthropic has (web_search); dropped tool_choice"
    stays = {"type": "tool", "name": "Bash"}
    assert run(beta_tools, request(tools=[SEARCH, BASH], tool_choice=stays))[1]["tool_choice"] == stays


def test_a_choice_of_an_unknown_tool_is_the_providers_to_refuse():
    choice = {"type": "tool", "name": "nobody"}
    assert run(beta_tools, request(tools=[BASH | {"defer_loading": True}], tool_choice=choice))[1] == request(
        tools=[BASH], tool_choice=choice
    )


def test_without_tools_there_is_nothing_to_choose():
    assert run(beta_tools, request(tools=[SEARCH], tool_choice={"type": "any"}))[1] == request()


def test_what_tools_leave_in_messages():
    loaded = {"type": "tool_reference", "tool_name": "WebFetch"}
    body = request(
        "a",
        assistant(tool_use(caller={"type": "direct"})),
        user(tool_result(content=[text("x"), loaded | {"cache_control": {"type": "ephemeral"}}, loaded])),
    )
    line, sent = run(beta_tools, body)
    words = text("Tool loaded: WebFetch")
    assert sent == request(
        "a",
        assistant(tool_use()),
        user(tool_result(content=[text("x"), words | {"cache_control": {"type": "ephemeral"}}, words])),
    )
    assert line == "removed caller from 1 tool use; wrote 2 tool references as text"


@pytest.mark.parametrize(
    "body",
    [
        request(
            "a", assistant(tool_use()), user(tool_result()), tools=[BASH], tool_choice={"type": "tool", "name": "x"}
        ),
        request(tools=[], tool_choice={"type": "auto"}),
        request(tools=None),
        request(tools=[BASH | {"type": "custom"}, BASH | {"type": None}, "odd", 3, {}]),
        request("a", assistant(tool_use()), user(tool_result(content="tool_reference"), tool_result(content=[3]))),
        request(user(text("caller", caller={}))),
    ],
)
def test_what_every_provider_knows_stays(body):
    assert unchanged(beta_tools, body)


def test_a_reference_without_a_name():
    body = request("a", assistant(tool_use()), user(tool_result(content=[{"type": "tool_reference"}])))
    assert run(beta_tools, body)[1]["messages"][2] == user(tool_result(content=[text("Tool loaded: ?")]))
