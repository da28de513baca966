"""What a strict Chat Completions server would refuse of a request: OpenAI's documented rules, and what the strictest of
the others adds. Written without the code under test.

`check` raises Refused with the place.
"""

import json
import re
from typing import Any

from tests.wire.request_checker import need

Json = dict[str, Any]

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
FIELDS = {
    "model", "messages", "tools", "tool_choice", "parallel_tool_calls", "stop", "max_tokens", "max_completion_tokens",
    "temperature", "top_p", "stream", "stream_options", "user", "reasoning_effort", "response_format",
}  # fmt: skip
MESSAGE_FIELDS = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "tool": {"role", "content", "tool_call_id"},
    "assistant": {"role", "content", "tool_calls", "reasoning_content", "reasoning", "reasoning_details"},
}
PARTS = {"text": "text", "image_url": "image_url", "file": "file"}


def check(body: Json, *, user_after_tool: bool = True, fields: frozenset[str] = frozenset()) -> Json:
    """The body, if nothing is wrong with it. `user_after_tool=False`: as Mistral. `fields`: what it knows besides."""
    need(set(body) <= FIELDS | fields, "body", f"unknown fields {set(body) - FIELDS}")
    need(1 <= len(body.get("stop", [""])) <= 4, "stop", "1 to 4 sequences")
    check_answer_format(body.get("response_format"))
    need(isinstance(body["model"], str) and body["model"], "model", "is missing")
    need("stream_options" not in body or body["stream"], "stream_options", "only with stream")
    check_tools(body)
    messages = body["messages"]
    need(messages, "messages", "none")
    need(messages[-1]["role"] in ("user", "tool") or not messages[-1].get("tool_calls"), "messages", "open calls")
    waiting: list[str] = []
    before = ""
    for index, message in enumerate(messages):
        place, role = f"messages.{index}", message["role"]
        need(role in MESSAGE_FIELDS, place, f"unknown role {role}")
        need(set(message) <= MESSAGE_FIELDS[role], place, f"unknown fields {set(message)}")
        need(role != "system" or index == 0, place, "System message must be at the beginning")
        need(role not in ("user", "assistant") or role != before, place, "roles must take turns")
        need(user_after_tool or (before, role) != ("tool", "user"), place, "Unexpected role 'user' after role 'tool'")
        if role == "tool":
            need(message["tool_call_id"] in waiting, place, "a result without its call")
            waiting.remove(message["tool_call_id"])
            need(isinstance(message["content"], str) and message["content"], place, "content must be text")
        else:
            need(not waiting, place, f"tool_call_ids did not have response messages: {waiting}")
        if role in ("system", "user"):
            check_content(message["content"], place)
        if role == "assistant":
            waiting = check_assistant(message, place)
        before = role
    need(not waiting, "messages", f"tool_call_ids did not have response messages: {waiting}")
    return body


def check_content(content: Any, place: str) -> None:
    if isinstance(content, str):
        need(content.strip(), place, "empty content")
        return
    need(isinstance(content, list) and content, place, "content must be a string or parts")
    for part in content:
        need(part["type"] in PARTS and set(part) == {"type", PARTS[part["type"]]}, place, f"unknown part {part}")


def check_assistant(message: Json, place: str) -> list[str]:
    content, calls = message["content"], message.get("tool_calls", [])
    # llama-cpp-python takes no null beside calls, Bedrock no empty text where there is nothing else.
    need(isinstance(content, str | list), place, "content is missing")
    need("tool_calls" not in message or calls, place, "tool_calls is empty")
    ids = []
    for call in calls:
        need(set(call) <= {"id", "type", "function", "extra_content"}, place, f"unknown fields in {call}")
        need(call["type"] == "function" and isinstance(call["id"], str), place, f"no function: {call}")
        need(0 < len(call["id"]) <= 40, place, f"id too long: {call['id']}")
        need(NAME.fullmatch(call["function"]["name"]), place, f"name: {call['function']['name']}")
        need(isinstance(json.loads(call["function"]["arguments"]), dict), place, "arguments must be an object")
        ids.append(call["id"])
    need(len(set(ids)) == len(ids), place, "ids must differ")
    return ids


def check_tools(body: Json) -> None:
    need(body.get("tools") != [], "tools", "must not be empty")
    names = []
    for index, tool in enumerate(body.get("tools", [])):
        place, function = f"tools.{index}", tool["function"]
        need(set(tool) == {"type", "function"} and tool["type"] == "function", place, f"no function: {tool}")
        need(set(function) <= {"name", "description", "parameters"}, place, f"unknown fields in {function}")
        need(NAME.fullmatch(function["name"]), place, f"name: {function['name']}")
        need(isinstance(function["parameters"], dict), place, "parameters must be a schema")
        need(function["parameters"].get("type") == "object", place, 'schema must be of type "object"')
        need(isinstance(function["parameters"].get("properties"), dict), place, "object schema missing properties")
        check_schema(function["parameters"], place)
        names.append(function["name"])
    need(len(set(names)) == len(names), "tools", "names must differ")
    choice = body.get("tool_choice")
    need(choice is None or names, "tool_choice", "without tools")
    if isinstance(choice, dict):
        need(set(choice) == {"type", "function"} and choice["type"] == "function", "tool_choice", f"no form: {choice}")
        need(set(choice["function"]) == {"name"}, "tool_choice", f"no form: {choice}")
        need(choice["function"]["name"] in names, "tool_choice", "no such tool")
    else:
        need(choice in (None, "auto", "required", "none"), "tool_choice", f"unknown: {choice}")
    need("parallel_tool_calls" not in body or names, "parallel_tool_calls", "without tools")


def check_schema(schema: Any, place: str) -> None:
    """The rules that hold at any depth."""
    if isinstance(schema, list):
        for item in schema:
            check_schema(item, place)
    elif isinstance(schema, dict):
        need(schema.get("type") != "array" or "items" in schema, place, "array schema missing items")
        for keyword, value in schema.items():
            if keyword == "properties":
                check_schema(list(value.values()), place)
            elif keyword not in ("default", "enum", "const", "examples"):
                check_schema(value, place)


def check_answer_format(wanted: Any) -> None:
    if wanted is None or wanted == {"type": "json_object"}:
        return
    need(set(wanted) == {"type", "json_schema"} and wanted["type"] == "json_schema", "response_format", f"{wanted}")
    described = wanted["json_schema"]
    need(set(described) <= {"name", "schema", "strict"}, "response_format", f"unknown fields in {described}")
    need(NAME.fullmatch(described["name"]), "response_format", "name is missing")
    if described.get("strict"):
        schema = described["schema"]
        need(schema.get("additionalProperties") is False, "response_format", "additionalProperties must be false")
        need(set(schema["properties"]) == set(schema["required"]), "response_format", "all must be required")
