"""There and back: what a provider said comes back to it as it said it, and what a client said survives the detour."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.wire.chat.options import ChatOptions
from addons.wire.chat.request import ChatRequest, to_chat
from addons.wire.chat.whole_answer import message_from_chat
from addons.wire.messages.body import Draft, RequestBody
from tests.client_messages import assistant, text, tool_result, tool_use, user
from tests.wire.bodies import request
from tests.wire.chat.chat_checker import check as check_chat
from tests.wire.chat.dialects import DIALECTS, Called, Dialect, Said
from tests.wire.chat.translated import chat_stream, new_answer
from tests.wire.checker import check, content_of

SAID = Said(
    "Here it is.", "Let me see. It is here.", [Called("Bash", {"command": "ls"}), Called("mcp__a.b", {"n": [1]})]
)
TOOLS = [{"name": name, "input_schema": {"type": "object"}} for name in ("Bash", "mcp__a.b")]


def to_provider(content: list[dict[str, Any]], provider: str = "prov") -> ChatRequest:
    """The next request of a client that got this content."""
    results = [tool_result(block["id"]) for block in content if block["type"] == "tool_use"]
    body = request("go", assistant(*content), user(*results, text("and?")), tools=TOOLS)
    draft = Draft(RequestBody.parse(json.dumps(body).encode()))
    return to_chat(draft, provider=provider, model="m", stream=True, options=ChatOptions())


def streamed(dialect: Dialect, said: Said) -> list[dict[str, Any]]:
    answer = new_answer()
    return content_of(check(answer.feed(dialect.stream(said)) + answer.end()))


def told(message: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """What an assistant message says, and where it says it."""
    found = {key: message[key] for key in ("reasoning", "reasoning_content", "reasoning_details") if message.get(key)}
    if "reasoning_details" in found:
        found.pop("reasoning", None)  # the same once more
    content = message["content"] or ""
    if isinstance(content, list):
        content = [part for part in content if part != {"type": "text", "text": ""}]
    calls = [
        (call.get("id"), names.get(call["function"]["name"], call["function"]["name"]), call["function"]["arguments"])
        for call in message.get("tool_calls", [])
    ]
    return found | {"content": content, "calls": [(id_, name, json.loads(args)) for id_, name, args in calls]}


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize(
    "said", [SAID, Said("", SAID.thinking, SAID.calls), Said("Hi", "hm")], ids=["all", "no text", "no calls"]
)
def test_a_json_answer_comes_back_as_it_was(dialect: Dialect, said: Said):
    said = dialect.can_say(said)
    read = message_from_chat(dialect.body(said), new_answer(), "prov")
    assert isinstance(read, tuple)
    made = to_provider(json.loads(read[0])["content"])
    sent = check_chat(json.loads(made.body))["messages"][1]
    assert told(sent, dict(made.asked.tool_names)) == told(dialect.message(said), {})


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_a_stream_comes_back_as_the_json_would(dialect: Dialect):
    """The same form for the same reasoning; ids and the finer parts of details are the stream's own."""
    said = dialect.can_say(SAID)
    made = to_provider(streamed(dialect, said))
    sent = told(check_chat(json.loads(made.body))["messages"][1], dict(made.asked.tool_names))
    expected = told(dialect.message(said), {})
    if dialect.name == "minimax":
        expected["content"] = f"<think>\n{said.thinking}\n</think>\n\n{said.text}"
    if dialect.name == "gemini":
        expected["content"] = expected["content"].replace("think>", "thought>")
    assert [call[1:] for call in sent.pop("calls")] == [call[1:] for call in expected.pop("calls")]
    details, other = sent.pop("reasoning_details", []), expected.pop("reasoning_details", [])
    assert [entry.get("text") or entry.get("summary") for entry in details][: len(other)] == [e["text"] for e in other]
    if dialect.name == "vllm":
        sent = {"content": sent["content"], "reasoning_content": sent["reasoning_content"]}
    assert sent == expected


def test_details_come_back_whole_and_in_order():
    content = streamed(DIALECTS["openrouter"], SAID)
    assert SAID.thinking not in content[0]["signature"], "the text travels once"
    made = to_provider(content)
    (entry,) = json.loads(made.body)["messages"][1]["reasoning_details"]
    assert entry == {
        "type": "reasoning.text",
        "text": SAID.thinking,
        "signature": "SIG/+==",
        "index": 0,
        "format": "anthropic-claude-v1",
    }
    made = to_provider(streamed(DIALECTS["openrouter-encrypted"], SAID))
    summary, hidden = json.loads(made.body)["messages"][1]["reasoning_details"]
    assert (summary["type"], summary["summary"]) == ("reasoning.summary", SAID.thinking)
    assert (hidden["type"], hidden["data"], hidden["id"]) == ("reasoning.encrypted", "gAAAA=", "rs_1")


def test_a_signature_that_came_late_joins_its_text():
    details = [
        {"type": "reasoning.text", "text": "hm", "index": 0},
        {"type": "reasoning.text", "signature": "S", "index": 0},
    ]
    deltas: list[dict[str, Any]] = [
        {"reasoning_details": details[:1]},
        {"content": "x"},
        {"reasoning_details": details[1:]},
    ]
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    content = content_of(check(new_answer().feed(chat_stream(*chunks))))
    assert [block["type"] for block in content] == ["thinking", "text", "redacted_thinking"]
    sent = json.loads(to_provider(content).body)["messages"][1]
    assert sent["reasoning_details"] == [{"type": "reasoning.text", "text": "hm", "index": 0, "signature": "S"}]


def test_what_gemini_signs_comes_back_on_its_call():
    """Its models refuse a tool loop without."""
    calls = [
        {
            "id": f"c{n}",
            "function": {"name": "Bash", "arguments": "{}"},
            "extra_content": {"google": {"thought_signature": s}},
        }
        for n, s in enumerate("AB")
    ]
    message = {"content": None, "reasoning": "hm", "tool_calls": calls}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    read = message_from_chat(json.dumps({"choices": [choice]}).encode(), new_answer(), "prov")
    assert isinstance(read, tuple)
    sent = json.loads(to_provider(json.loads(read[0])["content"]).body)["messages"][1]
    assert [call["extra_content"]["google"]["thought_signature"] for call in sent["tool_calls"]] == ["A", "B"]
    assert sent["reasoning"] == "hm"
    assert not {"reasoning_content", "reasoning_details"} & sent.keys()


def test_nothing_of_it_reaches_another_provider():
    for dialect in DIALECTS.values():
        made = to_provider(streamed(dialect, dialect.can_say(SAID)), provider="other")
        sent = check_chat(json.loads(made.body))
        assert "Let me see" not in json.dumps(sent) and "gw1" not in json.dumps(sent)


WORDS = st.text(max_size=20).filter(lambda words: words.strip() and not words.lstrip().startswith("<"))
USES = st.lists(
    st.tuples(
        st.sampled_from(["Bash", "mcp__a.b"]), st.dictionaries(st.text(max_size=5), WORDS | st.integers(), max_size=2)
    ),
    max_size=3,
)


@given(WORDS | st.none(), USES)
def test_an_anthropic_answer_survives_the_detour(words: str | None, uses: list[tuple[str, Any]]):
    """Anthropic → chat → a model that says the same → Anthropic."""
    content = [text(words)] if words else []
    content += [tool_use(f"toolu_{n}", name=name, input=value) for n, (name, value) in enumerate(uses)]
    if not content:
        return
    made = to_provider(content)
    echo = json.loads(made.body)["messages"][1]
    choice = {"index": 0, "message": echo, "finish_reason": "stop"}
    read = message_from_chat(
        json.dumps({"choices": [choice]}).encode(), new_answer(tool_names=dict(made.asked.tool_names)), "prov"
    )
    assert isinstance(read, tuple)
    assert json.loads(read[0])["content"] == content
