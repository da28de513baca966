"""A provider that speaks Chat Completions is a full citizen: clients of the Messages API can't tell.

Its server answers in every dialect that was recorded, and refuses what a strict server would refuse.
"""

import base64
import json
from typing import Any

import anthropic as sdk
import pytest

from tests.e2e.chat.server import CHAT_KEY, MODEL, answers
from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.received import either_way
from tests.wire.chat.dialects import DIALECTS, Called, Dialect, Said
from tests.wire.checker import check, content_of

COMMAND = 'echo "hi" \\ → 🙂'
CALLING = Said(
    text="Let me see. Ünïcode → 🙂",
    thinking="A command would tell me.",
    calls=(Called("Bash", {"command": COMMAND}), Called("Read", {"file_path": "/a"})),
)
DONE = Said(text="All is done.", thinking="That went well.")
TOOLS: list[Any] = [{"name": name, "input_schema": {"type": "object"}} for name in ("Bash", "Read")]

each_dialect = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> sdk.Anthropic:
    return gateway.anthropic()


def text_of(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text").lstrip("\n")


def thinking_of(message: Any) -> str:
    return "".join(block.thinking for block in message.content if block.type == "thinking").strip("\n")


def calls_of(message: Any) -> list[tuple[str, Any]]:
    return [(block.name, block.input) for block in message.content if block.type == "tool_use"]


def called(said: Said) -> list[tuple[str, Any]]:
    return [(call.name, call.arguments) for call in said.calls]


def asked(client: sdk.Anthropic, stream: bool, messages: list[Any] | None = None, **fields: Any) -> Any:
    """The final message of the SDK; of a stream, what it shows on the way is the same."""
    body: dict[str, Any] = {"model": MODEL, "max_tokens": 40, "tools": TOOLS, **fields}
    body["messages"] = messages or [{"role": "user", "content": "hi"}]
    if not stream:
        return client.messages.create(**body)
    with client.messages.stream(**body) as events:
        shown = list(events)
        message = events.get_final_message()
    texts = [event.text for event in shown if event.type == "text"]
    thoughts = [event.thinking for event in shown if event.type == "thinking"]
    assert ("".join(texts).lstrip("\n"), "".join(thoughts).strip("\n")) == (text_of(message), thinking_of(message))
    return message


@each_dialect
@either_way
def test_the_sdk_gets_all_that_was_said(
    client: sdk.Anthropic, server: Provider, dialect: Dialect, stream: bool
) -> None:
    said = dialect.can_say(CALLING)
    server.always(answers(said, dialect))
    message = asked(client, stream)
    assert text_of(message) == said.text
    assert thinking_of(message) == said.thinking
    assert calls_of(message) == called(said)
    assert message.stop_reason == ("tool_use" if said.calls else "end_turn")
    if dialect.tells_usage:
        assert message.usage.output_tokens == said.completion
        assert message.usage.input_tokens == said.prompt - said.cached
        assert message.usage.cache_read_input_tokens == said.cached
    assert server.last.target == "/v1/chat/completions"
    assert server.last.model == "qwen3-coder:30b"
    assert server.last.fields.get("stream_options") == ({"include_usage": True} if stream else None)


@each_dialect
def test_the_stream_is_one_that_anthropic_could_send(gateway: Gateway, server: Provider, dialect: Dialect) -> None:
    server.always(answers(CALLING, dialect))
    with gateway.stream(MODEL, tools=TOOLS) as answer:
        answer.read()
    content = content_of(check(answer.raw))
    said = dialect.can_say(CALLING)
    kinds = [block["type"] for block in content if block["type"] != "redacted_thinking"]
    assert kinds == [
        *["thinking"] * bool(said.thinking),
        *["text"],
        *["tool_use"] * len(said.calls),
    ]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-gateway-provider"] == "chat"
    assert answer.headers["x-gateway-model"] == "qwen3-coder:30b"


@either_way
@pytest.mark.parametrize(
    "dialect", [dialect for dialect in DIALECTS.values() if dialect.calls], ids=lambda dialect: dialect.name
)
def test_a_tool_loop(client: sdk.Anthropic, server: Provider, dialect: Dialect, stream: bool) -> None:
    """The SDK's own helper: the model calls, the SDK runs, the model gets the results and says what came of it."""
    said, done = dialect.can_say(CALLING), dialect.can_say(DONE)
    server.script(answers(said, dialect), answers(done, dialect))
    loop: Any = client.beta.messages.tool_runner(
        model=MODEL,
        max_tokens=40,
        tools=[bash, read],
        messages=[{"role": "user", "content": "go"}],
        stream=stream,
    )
    finals = [step.get_final_message() if stream else step for step in loop]
    assert [calls_of(final) for final in finals] == [called(said), []]
    assert text_of(finals[-1]) == done.text
    user, assistant, *results = server.last.messages
    assert user == {"role": "user", "content": "go"}
    ids = [call["id"] for call in assistant["tool_calls"]]
    outputs = ["ran it", "read it"][: len(said.calls)]
    assert results == [
        {"role": "tool", "tool_call_id": call_id, "content": output}
        for call_id, output in zip(ids, outputs, strict=True)
    ]
    sent = [call["function"] for call in assistant["tool_calls"]]
    assert [(call["name"], json.loads(call["arguments"])) for call in sent] == called(said)
    if said.thinking:
        assert said.thinking in json.dumps(assistant)


@sdk.beta_tool(name="Bash")
def bash(command: str) -> str:
    """Runs a command."""
    assert command == COMMAND
    return "ran it"


@sdk.beta_tool(name="Read")
def read(file_path: str) -> str:
    """Reads a file."""
    assert file_path == "/a"
    return "read it"


def turn_after(message: Any) -> list[Any]:
    """The messages of the next request, as clients make them: the answer verbatim, then the results."""
    content = [block.model_dump(exclude_none=True) for block in message.content]
    results = [{"type": "tool_result", "tool_use_id": block.id, "content": "ok"} for block in message.content[-2:]]
    return [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": content},
        {"role": "user", "content": results},
    ]


DETAILS = [
    {
        "type": "reasoning.text",
        "text": CALLING.thinking,
        "signature": "SIG/+==",
        "index": 0,
        "format": "anthropic-claude-v1",
    }
]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("deepseek", {"reasoning_content": CALLING.thinking, "content": CALLING.text}),
        ("groq", {"reasoning": CALLING.thinking}),
        ("openrouter", {"reasoning_details": DETAILS}),
        ("minimax", {"content": f"<think>\n{CALLING.thinking}\n</think>\n\n{CALLING.text}"}),
        (
            "mistral",
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": CALLING.thinking}]},
                    {"type": "text", "text": CALLING.text},
                ]
            },
        ),
    ],
)
def test_thinking_goes_back_the_way_it_came_and_to_nobody_else(
    client: sdk.Anthropic, server: Provider, openrouter: Provider, name: str, fields: Any
) -> None:
    server.always(answers(CALLING, DIALECTS[name]))
    messages = turn_after(asked(client, True))
    asked(client, False, messages)
    assistant = server.last.messages[1]
    assert {key: assistant.get(key) for key in fields} == fields
    openrouter.always(answers(DONE))
    asked(client, False, messages, model="second")
    assert CALLING.thinking not in openrouter.last.body.decode()
    assert set(openrouter.last.messages[1]) == {"role", "content", "tool_calls"}


def test_ids_that_no_client_would_take_come_back_as_they_were(client: sdk.Anthropic, server: Provider) -> None:
    server.always(answers(CALLING, DIALECTS["kimi"]))
    messages = turn_after(asked(client, True))
    assert all(block["id"].startswith("gw1-chat-") for block in messages[1]["content"][-2:])
    asked(client, True, messages)
    _, assistant, *results = server.last.messages
    assert [call["id"] for call in assistant["tool_calls"]] == ["functions.Bash:0", "functions.Read:1"]
    assert [result["tool_call_id"] for result in results] == ["functions.Bash:0", "functions.Read:1"]


@either_way
def test_thinking_that_is_stripped_never_comes(client: sdk.Anthropic, server: Provider, stream: bool) -> None:
    server.always(answers(CALLING, DIALECTS["deepseek"]))
    message = asked(client, stream, model="hidden")
    assert [block.type for block in message.content] == ["text", "tool_use", "tool_use"]


def test_images_and_documents(client: sdk.Anthropic, server: Provider) -> None:
    picture = base64.b64encode(b"\x89PNG\r\n").decode()
    source = {"type": "base64", "media_type": "image/png", "data": picture}
    plain = {"type": "text", "media_type": "text/plain", "data": "the document"}
    call = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": "/a"}}
    shown: list[Any] = [
        {"type": "text", "text": "Here:"},
        {"type": "image", "source": source},
        {"type": "image", "source": {"type": "url", "url": "https://a.test/b.png"}},
        {"type": "document", "source": plain},
    ]
    result: list[Any] = [{"type": "text", "text": "a picture"}, {"type": "image", "source": source}]
    messages = [
        {"role": "user", "content": shown},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": result}]},
    ]
    server.always(answers(DONE))
    asked(client, True, messages)
    user, _, tool, after = server.last.messages
    url = f"data:image/png;base64,{picture}"
    images = [part["image_url"]["url"] for part in user["content"] if part["type"] == "image_url"]
    assert images == [url, "https://a.test/b.png"]
    assert "the document" in json.dumps(user)
    assert (tool["role"], tool["tool_call_id"]) == ("tool", "toolu_1")
    assert "a picture" in tool["content"]
    assert [part["image_url"]["url"] for part in after["content"] if part["type"] == "image_url"] == [url]


def test_tool_names_that_chat_does_not_take(client: sdk.Anthropic, server: Provider) -> None:
    name = "mcp__" + "long.name_" * 9
    server.always(
        lambda request: answers(Said(calls=(Called(request.json["tools"][0]["function"]["name"], {"a": 1}),)))
    )
    message = asked(client, True, tools=[{"name": name, "input_schema": {"type": "object"}}])
    assert calls_of(message) == [(name, {"a": 1})]
    assert server.last.json["tools"][0]["function"]["name"] != name


def test_what_the_client_asks_for(client: sdk.Anthropic, server: Provider) -> None:
    server.always(answers(DONE))
    asked(
        client,
        True,
        max_tokens=32000,
        system=[
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1;"},
            {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
        ],
        tools=[*TOOLS, {"type": "web_search_20250305", "name": "web_search"}],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        stop_sequences=["END"],
        extra_body={"temperature": 0.5},
        metadata={"user_id": "somebody"},
        thinking={"type": "enabled", "budget_tokens": 2000},
    )
    body = server.last.json
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert [tool["function"]["name"] for tool in body["tools"]] == ["Bash", "Read"]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)
    assert (body["max_tokens"], body["stop"], body["temperature"]) == (50, ["END"], 0.5)
    assert {"user", "metadata", "thinking", "reasoning_effort"}.isdisjoint(body)


def test_the_headers_are_no_anthropic_headers(client: sdk.Anthropic, server: Provider) -> None:
    server.always(answers(DONE))
    client.beta.messages.create(
        model=MODEL,
        max_tokens=5,
        messages=[{"role": "user", "content": "hi"}],
        betas=["interleaved-thinking-2025-05-14"],
        extra_headers={"x-claude-code-session-id": "s", "cookie": "a=b"},
    )
    headers = server.last.headers
    assert headers["authorization"] == f"Bearer {CHAT_KEY}"
    assert headers["content-type"] == "application/json"
    assert set(headers) <= {
        *("host", "content-type", "content-length", "accept", "accept-encoding", "user-agent", "authorization"),
    }
    assert server.last.target == "/v1/chat/completions"


@pytest.mark.parametrize("model", [MODEL, "hidden"])
def test_tokens_are_counted_here(client: sdk.Anthropic, gateway: Gateway, server: Provider, model: str) -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 100  # about 1000 tokens
    counted = client.messages.count_tokens(model=model, messages=[{"role": "user", "content": text}])
    assert 850 < counted.input_tokens < 1150
    answer = gateway.post(model, path="/v1/messages/count_tokens", text=text)
    assert answer.headers["x-gateway-estimate"] == "true"
    assert server.requests == []
