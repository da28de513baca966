"""Messages requests as Chat Completions requests.

content.py, turns.py, tools.py and options.py are tested here too.
"""

import base64
import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.wire.chat.options import ChatOptions
from addons.wire.chat.request import ChatRequest, reasoning_effort, to_chat
from addons.wire.errors import BadRequest
from addons.wire.messages.body import Draft, RequestBody
from addons.wire.provenance import encode_tool_id, wrap_signature
from addons.wire.thinking_rules import ThinkingRules
from tests.client_messages import assistant, system, text, thinking, tool_result, tool_use, user
from tests.wire.bodies import request
from tests.wire.chat.chat_checker import check

PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}
NO_OPTIONS = ChatOptions()


def sent(body: dict[str, Any], options: ChatOptions = NO_OPTIONS, *, stream: bool = True) -> ChatRequest:
    draft = Draft(RequestBody.parse(json.dumps(body).encode()))
    return to_chat(draft, provider="prov", model="up/model", stream=stream, options=options)


def chat(body: dict[str, Any], options: ChatOptions = NO_OPTIONS, *, stream: bool = True) -> dict[str, Any]:
    """The body that is sent, which no strict server would refuse."""
    return check(json.loads(sent(body, options, stream=stream).body))


def messages(*said: Any, options: ChatOptions = NO_OPTIONS, **fields: Any) -> list[dict[str, Any]]:
    """The messages that are sent for these."""
    found: list[dict[str, Any]] = chat(request(*said, **fields), options)["messages"]
    return found


def notes(body: dict[str, Any], options: ChatOptions = NO_OPTIONS) -> str:
    return "; ".join(sent(body, options).notes)


def call(name: str = "Bash", arguments: Any = None, call_id: str = "toolu_1") -> dict[str, Any]:
    text = json.dumps({"command": "ls"} if arguments is None else arguments)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}


def result(content: str, call_id: str = "toolu_1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def tool(name: str = "Bash", **fields: Any) -> dict[str, Any]:
    return {"name": name, "description": "Runs", "input_schema": {"type": "object", "properties": {}}, **fields}


# Settings


def test_the_whole_of_a_small_request():
    body = request("hi", system="Be brief.", max_tokens=100, temperature=0.5, top_p=0.9, stop_sequences=["END"])
    assert chat(body) == {
        "model": "up/model",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "max_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_what_the_options_say():
    user_id = json.dumps({"session_id": "s"})
    body = request(
        "hi", max_tokens=9, metadata={"user_id": user_id}, thinking={"type": "enabled", "budget_tokens": 8000}
    )
    options = ChatOptions(
        max_tokens_field="max_completion_tokens", include_usage=False, send_user=True, reasoning="reasoning_effort"
    )
    found = chat(body, options)
    assert found["max_completion_tokens"] == 9 and "max_tokens" not in found
    assert "stream_options" not in found
    assert found["user"] == user_id
    assert found["reasoning_effort"] == "medium"
    plain = chat(body)
    assert "user" not in plain and "reasoning_effort" not in plain


def test_no_stream_asks_for_no_stream_options():
    found = chat(request("hi"), stream=False)
    assert found["stream"] is False and "stream_options" not in found


@pytest.mark.parametrize(
    ("mode", "config", "effort"),
    [
        (None, None, None),
        ({"type": "disabled"}, {"effort": "high"}, None),
        ({"type": "adaptive"}, {"effort": "max"}, "high"),
        ({"type": "adaptive"}, None, None),
        (None, {"effort": "low"}, "low"),
        ({"type": "enabled", "budget_tokens": 1024}, None, "low"),
        ({"type": "enabled", "budget_tokens": 31999}, None, "high"),
        ({"type": "enabled", "budget_tokens": 31999}, {"effort": "medium"}, "medium"),
        ("on", 7, None),
    ],
)
def test_effort(mode: Any, config: Any, effort: str | None):
    assert reasoning_effort(mode, config, ThinkingRules()) == effort


def test_a_model_that_cant_be_told_to_think_no_more_is_asked_for_little():
    off = request("hi", thinking={"type": "disabled"})
    effort = ChatOptions(reasoning="reasoning_effort")
    assert chat(off, effort)["reasoning_effort"] == "low"
    assert "reasoning_effort" not in chat(off)
    none = ThinkingRules(off={"reasoning_effort": "none"})
    assert chat(off, msgspec.structs.replace(effort, thinking_rules=none))["reasoning_effort"] == "none"


QWEN = ThinkingRules(on={"enable_thinking": True}, off={"enable_thinking": False}, budget="thinking_budget")


@pytest.mark.parametrize(
    ("rules", "mode", "config", "fields"),
    [
        (QWEN, {"type": "enabled", "budget_tokens": 4000}, None, {"enable_thinking": True, "thinking_budget": 4000}),
        (QWEN, {"type": "adaptive"}, {"effort": "low"}, {"enable_thinking": True, "thinking_budget": 4096}),
        (QWEN, {"type": "adaptive"}, None, {"enable_thinking": True}),
        (QWEN, {"type": "disabled"}, {"effort": "low"}, {"enable_thinking": False}),
        (QWEN, None, {"effort": "low"}, {}),
        (replace(QWEN, on={}, off={}), {"type": "enabled", "budget_tokens": 4000}, None, {}),
        (
            replace(QWEN, on={}, off={}, can_be_off=False),
            {"type": "enabled", "budget_tokens": 4000},
            None,
            {"thinking_budget": 4000},
        ),
        (replace(QWEN, budget=""), {"type": "enabled", "budget_tokens": 4000}, None, {"enable_thinking": True}),
    ],
)
def test_a_budget_of_thinking(rules: ThinkingRules, mode: Any, config: Any, fields: dict[str, Any]):
    given = {name: value for name, value in (("thinking", mode), ("output_config", config)) if value}
    found = json.loads(sent(request("hi", **given), ChatOptions(thinking_rules=rules)).body)
    assert {name: found[name] for name in ("enable_thinking", "thinking_budget") if name in found} == fields


def test_what_has_no_place_is_named():
    body = request(
        "hi", top_k=3, context_management={"edits": []}, metadata={"user_id": "u"}, stop_sequences=list("abcde")
    )
    said = notes(body)
    assert "left out top_k, context_management, metadata" in said
    assert chat(request("hi", stop_sequences=list("abcde")))["stop"] == list("abcd")
    assert chat(body)["stop"] == list("abcd")


# Text, system


def test_system_in_all_its_forms():
    blocks = [
        text("x-anthropic-billing-header: cc_version=1;"),
        text("You are", cache_control={"type": "ephemeral"}),
        text("x"),
    ]
    assert messages("hi", system=blocks)[0] == {"role": "system", "content": "You are\n\nx"}
    assert messages("hi", system=[])[0]["role"] == "user"
    found = messages("hi", system("Be kind."), assistant(text("ok")), user(text("go")))
    assert [message["role"] for message in found] == ["user", "assistant", "user"]
    assert "<system-reminder>\nBe kind.\n</system-reminder>" in found[0]["content"]


def test_neighbours_are_one_turn():
    found = messages(user(text("a"), text("b")), "c", assistant(text("d")), assistant(text("e")), "f")
    assert [message["content"] for message in found] == ["a\n\nb\n\nc", "d\n\ne", "f"]


@pytest.mark.parametrize("nothing", ["", " ", [], [text("")], [text("\n")]])
def test_empty_messages(nothing: Any):
    empty = {"role": "user", "content": nothing}
    assert messages(empty) == [{"role": "user", "content": "(no content)"}]
    found = messages("a", {"role": "assistant", "content": nothing}, "b")
    assert found == [{"role": "user", "content": "a\n\nb"}]
    found = messages(assistant(tool_use()), user(tool_result(content=nothing)))
    assert found[-1] == result("(no content)")


# Tools


def test_a_tool_loop():
    found = messages(
        "go",
        assistant(text("I look"), tool_use(), tool_use("toolu_2", name="Read", input={"n": [1, "ü"]})),
        user(tool_result("toolu_2", "second"), text("and now?"), tool_result("toolu_1", [text("a"), text("b")])),
    )
    assert found[1] == {
        "role": "assistant",
        "content": "I look",
        "tool_calls": [
            call(),
            call("Read", {"n": [1, "ü"]}, "toolu_2") | {"function": found[1]["tool_calls"][1]["function"]},
        ],
    }
    assert json.loads(found[1]["tool_calls"][1]["function"]["arguments"]) == {"n": [1, "ü"]}
    assert found[2:] == [result("a\n\nb"), result("second", "toolu_2"), {"role": "user", "content": "and now?"}]


def test_calls_alone_have_an_empty_content():
    assert messages("go", assistant(tool_use()), user(tool_result()))[1]["content"] == ""


def test_arguments_are_the_clients_own_bytes():
    use = b'{"type":"tool_use","id":"t","name":"A","input":{"b": 1.0, "a":"\\u00fc"}}'
    answer = b'{"type":"tool_result","tool_use_id":"t"}'
    said = b'{"role":"assistant","content":[%b]},{"role":"user","content":[%b]}' % (use, answer)
    body = b'{"model":"m","messages":[{"role":"user","content":"x"},%b]}' % said
    draft = Draft(RequestBody.parse(body))
    found = json.loads(to_chat(draft, provider="prov", model="m", stream=True, options=NO_OPTIONS).body)
    assert found["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"b": 1.0, "a":"\\u00fc"}'


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("no such file", "Error: no such file"),
        ("Error: no", "Error: no"),
        ("<tool_use_error>x", "<tool_use_error>x"),
        ("", "Error: (no content)"),
    ],
)
def test_failed_calls_say_so(content: str, told: str):
    assert messages("go", assistant(tool_use()), user(tool_result(content=content, is_error=True)))[-1] == result(told)


def test_results_in_several_user_messages_stand_behind_their_calls():
    found = messages(
        "go",
        assistant(tool_use(), tool_use("toolu_2")),
        user(text("hm"), tool_result()),
        user(tool_result("toolu_2", "2")),
    )
    assert [message["role"] for message in found[2:]] == ["tool", "tool", "user"]


def test_calls_and_results_that_miss_each_other():
    found = messages("go", assistant(tool_use()), user(tool_result("toolu_9", "lost")))
    assert found[2] == result("(no result: the call was interrupted)")
    assert "lost" in found[3]["content"] and "toolu_9" in found[3]["content"]
    assert messages("go", assistant(tool_use()))[-1]["role"] == "tool"
    assert "lost" in messages("go", user(tool_result("toolu_9", "lost")))[0]["content"]


def test_two_results_for_one_call():
    found = messages("go", assistant(tool_use()), user(tool_result(content="a"), tool_result(content="b")))
    assert found[-1] == result("a\n\nb")


def test_tool_definitions():
    schema = {"type": "object", "properties": {"url": {"type": "string", "format": "uri"}}, "$schema": "x"}
    body = request(
        "hi",
        tools=[tool(input_schema=schema, strict=True, cache_control={}), tool("B", type="custom", description="")],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
    )
    found = chat(body)
    assert found["tools"][0]["function"] == {"name": "Bash", "description": "Runs", "parameters": schema}
    assert "description" not in found["tools"][1]["function"]
    assert (found["tool_choice"], found["parallel_tool_calls"]) == ("required", False)


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "Bash"}, {"type": "function", "function": {"name": "Bash"}}),
        ({"type": "tool", "name": "web_search"}, None),
        (None, None),
    ],
)
def test_tool_choice(choice: Any, told: Any):
    assert chat(request("hi", tools=[tool()], tool_choice=choice)).get("tool_choice") == told


def test_server_tools_are_left_out_and_named():
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}
    body = request("hi", tools=[search], tool_choice={"type": "any"})
    assert "tools" not in chat(body) and "tool_choice" not in chat(body)
    assert "web_search" in notes(body) and "tool_choice" in notes(body)
    used = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    body = request("hi", assistant(used, found, text("It is.")), "why?", tools=[search, tool()])
    assert [t["function"]["name"] for t in chat(body)["tools"]] == ["Bash"]
    assert chat(body)["messages"][1]["content"] == "It is."
    assert "server_tool_use" in notes(body)


def test_keywords_that_the_provider_refuses_are_dropped_and_properties_are_not():
    schema = {
        "$schema": "x",
        "type": "object",
        "properties": {
            "format": {"type": "string", "format": "uri"},
            "list": {"items": [{"anyOf": [{"format": "a"}]}]},
        },
        "additionalProperties": False,
        "default": {"format": "kept"},
        "required": ["format"],
    }
    options = ChatOptions(schema_drop=frozenset({"format", "$schema", "additionalProperties"}))
    (found,) = chat(request("hi", tools=[tool(input_schema=schema)]), options)["tools"]
    assert found["function"]["parameters"] == {
        "type": "object",
        "properties": {"format": {"type": "string"}, "list": {"items": [{"anyOf": [{}]}]}},
        "default": {"format": "kept"},
        "required": ["format"],
    }


def test_names_that_not_everybody_takes():
    names = ["a.b", "a_b", "a b", "x" * 70, "x" * 71, "ü"]
    uses = [tool_use(f"t{n}", name=name) for n, name in enumerate(names)]
    results = [tool_result(f"t{n}") for n in range(len(names))]
    body = request("go", assistant(*uses), user(*results), tools=[tool(name) for name in names])
    body["tool_choice"] = {"type": "tool", "name": "a.b"}
    made = sent(body)
    found = check(json.loads(made.body))
    told = [t["function"]["name"] for t in found["tools"]]
    assert [made.asked.tool_names.get(name, name) for name in told] == names
    assert [c["function"]["name"] for c in found["messages"][1]["tool_calls"]] == told
    assert found["tool_choice"]["function"]["name"] == told[0]
    alone = json.loads(sent(request("go", tools=[tool("a.b")])).body)
    assert alone["tools"][0]["function"]["name"] == told[0], "a name does not depend on the others"


# Ids


def test_ids_go_back_to_the_provider_that_made_them():
    own, other = encode_tool_id("prov", "functions.Bash:0"), encode_tool_id("kimi", "functions.Bash:0")
    salted = encode_tool_id("prov", "functions.Bash:0\0s_1")
    found = messages(
        "go",
        assistant(tool_use(own), tool_use(other), tool_use(salted)),
        user(tool_result(own), tool_result(other), tool_result(salted)),
    )
    ids = [c["id"] for c in found[1]["tool_calls"]]
    assert ids[0] == "functions.Bash:0"
    assert len(ids[1]) <= 40 and len(set(ids)) == 3
    assert [message["tool_call_id"] for message in found[2:]] == ids


def test_ids_that_mistral_takes():
    own = encode_tool_id("prov", "own:1")
    said = assistant(tool_use(own), tool_use("D681PevKs"), tool_use("toolu_1"), tool_use("x" * 50))
    results = user(*[tool_result(block["id"]) for block in said["content"]])
    found = messages("go", said, results, options=ChatOptions(tool_ids="short"))
    ids = [c["id"] for c in found[1]["tool_calls"]]
    assert ids[:2] == ["own:1", "D681PevKs"]
    assert all(len(id_) == 9 and id_.isalnum() for id_ in ids[1:])
    assert [message["tool_call_id"] for message in found[2:]] == ids


def test_the_answer_must_avoid_the_ids_of_the_conversation():
    made = sent(request("go", assistant(tool_use("toolu_1")), user(tool_result("toolu_1"))))
    assert made.asked.tool_ids == {"toolu_1"}


# Images and documents


def test_images_of_the_user():
    by_url = {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}
    (found,) = messages(user(text("see"), PNG, by_url))
    assert found["content"] == [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
    ]


def test_images_in_results_follow_in_a_user_message():
    found = messages("go", assistant(tool_use()), user(tool_result(content=[text("a"), PNG, text("b")]), text("and?")))
    assert found[2]["content"] == "a\n\n[image 1 of this result is in the next message of the user]\n\nb"
    assert [part["type"] for part in found[3]["content"]] == ["text", "image_url", "text"]
    assert "toolu_1" in found[3]["content"][0]["text"]
    assert found[3]["content"][-1] == {"type": "text", "text": "and?"}


def test_images_for_a_model_that_takes_none():
    body = request(user(text("see"), PNG))
    (found,) = chat(body, ChatOptions(images="note"))["messages"]
    assert "image/png" in found["content"] and "left out" in found["content"]
    assert "left out an image" in notes(body, ChatOptions(images="note"))


def test_documents():
    plain = {
        "type": "document",
        "title": "T",
        "context": "C",
        "source": {"type": "text", "media_type": "text/plain", "data": "D"},
    }
    assert messages(user(plain))[0]["content"] == "Document: T\n\nC\n\nD"
    blocks = {"type": "document", "source": {"type": "content", "content": [text("a"), PNG]}}
    assert [part["type"] for part in messages(user(blocks))[0]["content"]] == ["text", "image_url"]
    data = base64.b64encode("ü".encode()).decode()
    encoded = {"type": "document", "source": {"type": "base64", "media_type": "text/plain", "data": data}}
    assert messages(user(encoded))[0]["content"] == "ü"


def test_pdf_files():
    (part,) = messages(user(PDF | {"title": "a.pdf"}), options=ChatOptions(documents="send"))[0]["content"][1:]
    assert part == {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}
    (told,) = messages(user(PDF | {"title": "a.pdf"}))
    assert "a.pdf" in told["content"] and "application/pdf" in told["content"] and "left out" in told["content"]
    assert "left out a document" in notes(request(user(PDF)))
    found = messages(
        "go", assistant(tool_use()), user(tool_result(content=[PDF])), options=ChatOptions(documents="send")
    )
    assert found[3]["content"][1]["type"] == "file"
    by_url = {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}}
    assert "https://x/y.pdf" in messages(user(by_url))[0]["content"]


def test_other_blocks():
    found = {"type": "search_result", "title": "T", "source": "https://x", "content": [text("found")]}
    assert messages(user(found))[0]["content"] == "T – https://x\n\nfound"
    loaded = tool_result(content=[{"type": "tool_reference", "tool_name": "Read"}])
    assert messages("go", assistant(tool_use()), user(loaded))[-1] == result("Tool loaded: Read")
    assert "container_upload" in notes(request(user(text("x"), {"type": "container_upload", "file_id": "f"})))


# Thinking


def own(form: str, words: str = "hm") -> dict[str, Any]:
    return thinking(wrap_signature("prov", form), words)


def test_thinking_goes_back_where_it_came_from():
    for form in ("reasoning_content", "reasoning"):
        found = messages("go", assistant(own(form), tool_use()), user(tool_result()))
        assert found[1] == {"role": "assistant", "content": "", form: "hm", "tool_calls": [call()]}


def test_thinking_inside_content():
    found = messages("go", assistant(own("think"), text("\n\nyes")), "and?")
    assert found[1] == {"role": "assistant", "content": "<think>hm</think>\n\nyes"}
    found = messages("go", assistant(own("parts"), text("yes")), "and?")
    assert found[1]["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "yes"},
    ]


def test_the_configuration_may_name_the_field():
    options = ChatOptions(reasoning_field="reasoning_content")
    found = messages("go", assistant(own("reasoning"), tool_use()), user(tool_result()), options=options)
    assert found[1]["reasoning_content"] == "hm"
    # DeepSeek and Kimi want it on every call, whoever made it.
    found = messages("go", assistant(thinking("Anthropic's"), tool_use()), user(tool_result()), options=options)
    assert found[1]["reasoning_content"] == ""
    assert "reasoning_content" not in messages("go", assistant(text("a")), "b", options=options)[1]
    options = ChatOptions(reasoning_field="reasoning_details")
    found = messages("go", assistant(own("reasoning"), tool_use()), user(tool_result()), options=options)
    assert found[1]["reasoning_details"] == [{"type": "reasoning.text", "text": "hm"}]


@pytest.mark.parametrize("signature", ["EqQBCgIYAhIM", "", None, "gw1.zai.reasoning_content"])
def test_other_thinking_is_dropped(signature: str | None):
    body = request("go", assistant(thinking(signature), text("yes")), "and?")
    assert chat(body)["messages"][1] == {"role": "assistant", "content": "yes"}
    assert "thinking block" in notes(body)
    alone = messages("go", assistant(thinking(signature)), "and?")
    assert alone == [{"role": "user", "content": "go\n\nand?"}]


@pytest.mark.parametrize("record", ["sig", "{", "[]", '{"reasoning_details":7}', '{"calls":[]}', "{}"])
def test_records_that_cant_be_read_are_thinking_all_the_same(record: str):
    assert messages("go", assistant(own(record), text("yes")), "and?")[1]["reasoning_content"] == "hm"


# What can't be said


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (request({"role": "tool", "content": "x"}), "messages.0.role"),
        (request("hi", tools=[{"description": "x"}]), "tools.0.name"),
        (request("hi", tools=["x"]), "tools.0"),
        (request("hi", tool_choice={"type": "some"}), "tool_choice.type"),
        (request("hi", tool_choice="auto"), "tool_choice.type"),
        (request(user({"type": "image", "source": {"type": "svg"}})), "messages.0.content.0.source.type"),
        (request(user({"type": "image", "source": {"type": "url"}})), "messages.0.content.0.source.url"),
        (request(user({"type": "document"})), "messages.0.content.0.source.type"),
        (request(user({"type": "tool_result"})), "messages.0.content.0.tool_use_id"),
        (request(assistant({"type": "tool_use", "name": "A"})), "messages.0.content.0.id"),
        (request(assistant({"type": "tool_use", "id": "A"})), "messages.0.content.0.name"),
        (request(user({"type": "text", "text": 7})), "messages.0.content.0.text"),
        (request(assistant(tool_use()), user(tool_result(content=7))), "messages.1.content.0.content"),
    ],
)
def test_what_cant_be_said_is_told_by_its_place(body: dict[str, Any], field: str):
    with pytest.raises(BadRequest) as caught:
        sent(body)
    assert caught.value.field == field


# Any conversation

WORDS = st.text(max_size=12) | st.sampled_from(["", " ", "x", "<think>", "Error: no"])
TEXT_BLOCKS = st.builds(text, WORDS)
SIGNATURES = st.sampled_from(
    [None, "", "EqQB", "gw1.prov.reasoning", "gw1.prov.think", "gw1.zai.x", 'gw1.prov.{"calls":{}}']
)
IDS = st.sampled_from(
    [
        "toolu_1",
        "call_2",
        encode_tool_id("prov", "functions.Bash:0"),
        encode_tool_id("zai", "functions.Bash:0"),
        "x" * 50,
    ]
)
USES = st.builds(
    tool_use, IDS, name=st.sampled_from(["Bash", "mcp__a.b", "y" * 70]), input=st.dictionaries(WORDS, WORDS, max_size=2)
)
SAID_BLOCKS = st.lists(TEXT_BLOCKS | USES | st.builds(thinking, SIGNATURES, WORDS), max_size=4)
RESULT_CONTENT = WORDS | st.lists(TEXT_BLOCKS | st.just(PNG) | st.just(PDF), max_size=3)
GIVEN_BLOCKS = st.lists(
    TEXT_BLOCKS | st.just(PNG) | st.builds(tool_result, IDS, RESULT_CONTENT, is_error=st.booleans()), max_size=4
)
MESSAGES = st.lists(
    SAID_BLOCKS.map(lambda blocks: assistant(*blocks))
    | GIVEN_BLOCKS.map(lambda blocks: user(*blocks))
    | st.builds(lambda words: {"role": "user", "content": words}, WORDS)
    | st.builds(system, WORDS),
    min_size=1,
    max_size=7,
)
OPTIONS = st.builds(
    ChatOptions,
    images=st.sampled_from(["send", "note"]),
    documents=st.sampled_from(["send", "note"]),
    tool_ids=st.sampled_from(["keep", "short"]),
    reasoning_field=st.sampled_from(["", "reasoning_content", "reasoning_details"]),
)


@given(MESSAGES, OPTIONS)
def test_any_conversation_is_one_that_strict_servers_take(said: list[dict[str, Any]], options: ChatOptions):
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "start"}, *said],
        "tools": [tool(), tool("mcp__a.b")],
    }
    made = chat(body, options)
    told = json.dumps(made, ensure_ascii=False)
    for message in said:
        content = message["content"]
        blocks = [text(content)] if isinstance(content, str) else content
        for block in blocks:
            if block["type"] == "text" and block["text"].strip():
                assert json.dumps(block["text"], ensure_ascii=False)[1:-1] in told


@given(MESSAGES)
def test_a_longer_conversation_begins_with_the_shorter_one(said: list[dict[str, Any]]):
    """Else no prompt cache would ever be hit. (The last turn may still grow.)"""
    shorter = messages("start", *said, user(text("end")))
    longer = messages("start", *said, user(text("end")), assistant(text("a")), user(text("b")))
    assert longer[: len(shorter)] == shorter
