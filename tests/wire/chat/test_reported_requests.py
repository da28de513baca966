"""Requests that were reported to be refused, each with its siblings."""

import json
from typing import Any

import pytest

from addons.wire.chat.options import ChatOptions
from addons.wire.chat.request import to_chat
from addons.wire.messages.body import Draft, RequestBody
from addons.wire.thinking_rules import ThinkingRules
from tests.client_messages import assistant, text, thinking, tool_result, tool_use, user
from tests.wire.bodies import request
from tests.wire.chat.chat_checker import check
from tests.wire.chat.test_request import PNG, chat, notes, sent, tool
from tests.wire.request_checker import Refused

FIVE = [tool("A"), tool("B"), tool("DeferredToolPlaceholder", defer_loading=True)]
MISTRAL = ChatOptions(user_after_tool=False, tool_ids="short")


def parameters(schema: Any, options: ChatOptions | None = None) -> Any:
    """The parameters that are sent for a tool with this schema."""
    body = request("hi", tools=[tool(input_schema=schema)])
    return chat(body, options or ChatOptions())["tools"][0]["function"]["parameters"]


# Schemas


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"},
        {},
        {"type": "object", "properties": None},
        {"properties": {}},
        {"type": "object", "properties": []},
        {"type": ["object", "null"]},
        {"type": "object", "additionalProperties": False},
    ],
)
def test_a_tool_without_arguments_has_properties(schema: dict[str, Any]):
    found = parameters(schema)
    assert found["properties"] == {} and found["type"] == "object"
    assert schema.keys() <= found.keys()


def test_arrays_have_items_and_good_schemas_their_own_bytes():
    found = parameters({"type": "object", "properties": {"a": {"type": "array"}, "items": {"type": "string"}}})
    assert found["properties"] == {"a": {"type": "array", "items": {}}, "items": {"type": "string"}}
    found = parameters({"type": "object", "properties": {"a": {"type": ["array", "null"]}}, "required": None})
    assert found == {"type": "object", "properties": {"a": {"type": ["array", "null"], "items": {}}}}
    schema = '{ "properties": {"b":{"type":"array","items":{}}},  "type":"object"}'
    body = json.dumps(request("hi", tools=[tool()])).replace('{"type": "object", "properties": {}}', schema)
    made = to_chat(Draft(RequestBody.parse(body.encode())), provider="p", model="m", stream=True, options=ChatOptions())
    assert schema.encode() in made.body


def test_moonshot_wants_the_type_in_the_branches():
    schema = {
        "type": "object",
        "properties": {"at": {"type": "object", "anyOf": [{"required": ["a"]}, {"type": "string"}]}},
    }
    found = parameters(schema, ChatOptions(type_beside_any_of=False))
    assert found["properties"]["at"] == {"anyOf": [{"type": "object", "required": ["a"]}, {"type": "string"}]}
    assert parameters(schema) == schema


# The order of roles


@pytest.mark.parametrize(
    "behind",
    [
        [text("<system-reminder>x</system-reminder>")],
        [PNG],
        [text("a"), PNG],
    ],
)
def test_mistral_gets_no_user_right_behind_a_tool(behind: list[Any]):
    said = ["go", assistant(tool_use()), user(tool_result(), *behind), assistant(text("ok")), user(text("more"))]
    body = json.loads(sent(request(*said), MISTRAL).body)
    check(body, user_after_tool=False)
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user", "assistant", "user"]
    with pytest.raises(Refused):
        check(json.loads(sent(request(*said)).body), user_after_tool=False)


def test_mistral_gets_images_of_a_result_and_system_messages_the_same_way():
    said = ["go", assistant(tool_use()), user(tool_result(content=[PNG])), {"role": "system", "content": "now"}]
    check(json.loads(sent(request(*said), MISTRAL).body), user_after_tool=False)


# tool_choice


def test_one_tool_is_forced_in_the_form_that_the_provider_takes():
    body = request("hi", tools=FIVE, tool_choice={"type": "tool", "name": "B"})
    assert chat(body)["tool_choice"] == {"type": "function", "function": {"name": "B"}}
    required = chat(body, ChatOptions(tool_choice="required"))
    assert required["tool_choice"] == "required"
    assert [entry["function"]["name"] for entry in required["tools"]] == ["B"]
    assert "tool_choice" not in chat(body, ChatOptions(tool_choice="auto"))
    any_tool = request("hi", tools=FIVE, tool_choice={"type": "any"})
    assert "tool_choice" not in chat(any_tool, ChatOptions(tool_choice="auto"))


def test_a_forced_tool_turns_thinking_off_or_is_left_out():
    body = request("hi", tools=FIVE, tool_choice={"type": "any"}, thinking={"type": "enabled", "budget_tokens": 2000})
    off = {"thinking": {"type": "disabled"}}
    rules = ThinkingRules(forced_tool_excludes=True, off=off)
    found = json.loads(sent(body, ChatOptions(thinking_rules=rules, reasoning="reasoning_effort")).body)
    assert found["thinking"] == {"type": "disabled"} and found["tool_choice"] == "required"
    assert "reasoning_effort" not in found
    always = ThinkingRules(forced_tool_excludes=True, can_be_off=False, off=off)
    found = json.loads(sent(body, ChatOptions(thinking_rules=always)).body)
    assert "tool_choice" not in found and "thinking" not in found
    free = request("hi", tools=FIVE, tool_choice={"type": "auto"})
    assert "thinking" not in json.loads(sent(free, ChatOptions(thinking_rules=rules)).body)


def test_the_placeholder_for_deferred_tools_is_nobodys():
    assert [entry["function"]["name"] for entry in chat(request("hi", tools=FIVE))["tools"]] == ["A", "B"]


# Thinking


def test_thinking_on_and_off_in_the_providers_words():
    rules = ThinkingRules(on={"enable_thinking": True}, off={"enable_thinking": False}, efforts={"max": "xhigh"})
    options = ChatOptions(thinking_rules=rules, reasoning="reasoning_effort")

    def asked(**fields: Any) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(sent(request("hi", **fields), options).body)
        return {key: found[key] for key in ("enable_thinking", "reasoning_effort") if key in found}

    adaptive = {"type": "adaptive"}
    assert asked(thinking={"type": "disabled"}) == {"enable_thinking": False}
    assert asked(thinking=adaptive) == {"enable_thinking": True}
    assert asked(thinking=adaptive, output_config={"effort": "max"}) == {
        "enable_thinking": True,
        "reasoning_effort": "xhigh",
    }
    assert asked() == {}
    assert "can't be told" in notes(request("hi", thinking={"type": "disabled"}))


def test_calls_of_another_model_carry_thinking_where_they_must():
    rules = ThinkingRules(calls_need_it=True)
    options = ChatOptions(reasoning_field="reasoning_content", thinking_rules=rules)
    found = chat(request("go", assistant(thinking("anthropic"), tool_use()), user(tool_result())), options)["messages"]
    assert found[1]["reasoning_content"] == rules.placeholder


# Answers of a given form


SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}},
    "required": ["title"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("field", ["output_config", "output_format"])
def test_structured_output(field: str):
    wanted = {"type": "json_schema", "schema": SCHEMA}
    body = request("hi", **{field: {"format": wanted} if field == "output_config" else wanted})
    assert chat(body)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
    }
    loose = json.loads(json.dumps(body).replace('"required": ["title"]', '"required": []'))
    assert "strict" not in chat(loose)["response_format"]["json_schema"]
    words = chat(body, ChatOptions(structured_output="json_object"))
    assert words["response_format"] == {"type": "json_object"} and '"title"' in words["messages"][0]["content"]
    words = chat(body, ChatOptions(structured_output="prompt"))
    assert "response_format" not in words and "JSON" in words["messages"][0]["content"]


def test_fields_that_a_provider_refuses_are_left_out():
    body = request("hi", temperature=1, top_p=0.5, stop_sequences=["</block>"])
    options = ChatOptions(omit=frozenset({"temperature", "top_p", "stop"}))
    assert chat(body, options).keys() == {"model", "messages", "stream", "stream_options"}
    assert sent(body, options).asked.stops == ("</block>",)
    assert "left out stop" in notes(body, options)


# Cache markers


def test_cache_markers():
    said = ["one", assistant(tool_use()), user(tool_result()), assistant(text("ok")), user(text("two"))]
    body = request(*said, system="Be brief.", tools=FIVE)
    found = json.loads(sent(body, ChatOptions(cache_markers=True)).body)
    marked = [index for index, message in enumerate(found["messages"]) if "cache_control" in json.dumps(message)]
    roles = [message["role"] for message in found["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "user"] and marked == [0, 3, 5]
    assert [("cache_control" in entry) for entry in found["tools"]] == [False, True]
    assert json.dumps(found).count("cache_control") == 4
    assert "cache_control" not in json.dumps(chat(body))
