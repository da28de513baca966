"""Gemini 3: what it signs comes back to it, whoever keeps or drops thinking, and what others said is marked as such.

`google` is a server that refuses what Google's refuses.
"""

import json
from typing import Any

import pytest

from addons.wire.chat.options import ChatOptions
from addons.wire.chat.turns import NO_SIGNATURE
from addons.wire.messages.assembler import Assembler
from addons.wire.provenance import valid_tool_id
from tests.client_messages import assistant, tool_result, tool_use, user
from tests.wire.bodies import request
from tests.wire.chat.dialects import chunk
from tests.wire.chat.test_request import sent
from tests.wire.chat.translated import chat_stream, delta, new_answer
from tests.wire.request_checker import Refused

Json = dict[str, Any]
GOOGLE = ChatOptions(call_signatures="google")
OPENROUTER = ChatOptions(call_signatures="openrouter")
LONG = "function-call-" + "7" * 60


def google(body: Json, made: dict[str, str]) -> None:
    """Refuses as Google does: the first call of each step needs the signature that was made for it, under its id, or
    the word that says that another model made the call. `made`: call id → signature."""
    for message in body["messages"]:
        if calls := message.get("tool_calls"):
            extra = calls[0].get("extra_content")
            if not extra:
                raise Refused("Function call is missing a thought_signature in functionCall parts")
            signature = extra["google"]["thought_signature"]
            if signature not in (made.get(calls[0]["id"]), NO_SIGNATURE):
                raise Refused("Corrupted thought signature")
            if any("extra_content" in call and call["id"] not in made for call in calls[1:]):
                raise Refused("Corrupted thought signature")


def signed(call_id: str, index: int = 0, signature: str | None = "SIG+/=") -> Json:
    call: Json = {"index": index, "id": call_id, "function": {"name": "Bash", "arguments": '{"command":"ls"}'}}
    return call | ({"extra_content": {"google": {"thought_signature": signature}}} if signature else {})


def content(stream: bytes, **more: Any) -> list[Json]:
    answer = new_answer(**more)
    assembler = Assembler()
    assembler.feed(answer.feed(stream) + answer.end())
    assert answer.finished, answer.error
    found: list[Json] = assembler.message()["content"]
    return found


def next_turn(said: list[Json], options: ChatOptions) -> Json:
    results = [tool_result(block["id"]) for block in said if block["type"] == "tool_use"]
    found: Json = json.loads(sent(request("go", assistant(*said), user(*results)), options).body)
    return found


@pytest.mark.parametrize("call_id", ["call_1", LONG, "functions.Bash:0", ""])
@pytest.mark.parametrize("strip", [True, False], ids=["strip", "keep"])
@pytest.mark.parametrize("drops", [True, False], ids=["client drops thinking", "client keeps it"])
@pytest.mark.parametrize("ids", ["keep", "short"])
def test_signatures_come_back(call_id: str, strip: bool, drops: bool, ids: Any):
    stream = chat_stream(
        delta(reasoning_content="hm"), delta(tool_calls=[signed(call_id), signed("b", 1, None)]), chunk({}, "stop")
    )
    said = content(stream, strip_thinking=strip, short_ids=ids == "short")
    assert all(valid_tool_id(block["id"]) for block in said if block["type"] == "tool_use")
    kept = [block for block in said if not (drops and "thinking" in block["type"])]
    assert not (strip and any("thinking" in block["type"] for block in said))
    body = next_turn(kept, ChatOptions(call_signatures="google", tool_ids=ids))
    sent_id = body["messages"][1]["tool_calls"][0]["id"]
    assert sent_id == call_id or not call_id
    google(body, {sent_id: "SIG+/="})
    assert body["messages"][1]["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "SIG+/="}}
    assert "extra_content" not in body["messages"][1]["tool_calls"][1]


@pytest.mark.parametrize("strip", [True, False], ids=["strip", "keep"])
def test_a_signature_that_comes_after_its_call(strip: bool):
    late = {"index": 0, "extra_content": {"google": {"thought_signature": "LATE"}}}
    stream = chat_stream(delta(tool_calls=[signed("call_1", 0, None)]), delta(tool_calls=[late]), chunk({}, "stop"))
    body = next_turn(content(stream, strip_thinking=strip), GOOGLE)
    google(body, {"call_1": "LATE"})
    assert "LATE" in json.dumps(body)


def test_a_conversation_that_another_model_began():
    body = json.loads(
        sent(
            request("go", assistant(tool_use(), tool_use("toolu_2")), user(tool_result(), tool_result("toolu_2"))),
            GOOGLE,
        ).body
    )
    google(body, {})
    with pytest.raises(Refused, match="missing a thought_signature"):
        google(json.loads(sent(request("go", assistant(tool_use()), user(tool_result()))).body), {})


@pytest.mark.parametrize("strip", [True, False], ids=["strip", "keep"])
@pytest.mark.parametrize("drops", [True, False], ids=["client drops thinking", "client keeps it"])
@pytest.mark.parametrize("call_id", ["tool_Bash_1", LONG])
def test_openrouters_signatures_come_back(strip: bool, drops: bool, call_id: str):
    secret = {"type": "reasoning.encrypted", "data": "SECRET", "id": call_id, "format": "google-gemini-v1", "index": 0}
    call = signed(call_id, 0, None)
    stream = chat_stream(
        delta(reasoning="hm", reasoning_details=[{"type": "reasoning.text", "text": "hm", "index": 0}]),
        delta(reasoning_details=[secret], tool_calls=[call]),
        chunk({}, "tool_calls"),
    )
    said = content(stream, strip_thinking=strip)
    kept = [block for block in said if not (drops and "thinking" in block["type"])]
    message = next_turn(kept, OPENROUTER)["messages"][1]
    assert message["tool_calls"][0]["id"] == call_id
    assert [entry for entry in message["reasoning_details"] if entry["type"] == "reasoning.encrypted"] == [secret]


def test_openrouter_is_told_that_another_model_called():
    message = json.loads(sent(request("go", assistant(tool_use()), user(tool_result())), OPENROUTER).body)["messages"][
        1
    ]
    assert message["reasoning_details"] == [
        {
            "type": "reasoning.encrypted",
            "data": NO_SIGNATURE,
            "id": message["tool_calls"][0]["id"],
            "index": 0,
            "format": "google-gemini-v1",
        }
    ]


# Signed reasoning in other fields


def test_litellms_thinking_blocks_come_back():
    blocks: list[Json] = [
        {"type": "thinking", "thinking": "h", "signature": None},
        {"type": "thinking", "thinking": "m"},
    ]
    end = {"type": "thinking", "thinking": "", "signature": "S1"}
    stream = chat_stream(
        *[delta(reasoning_content=block["thinking"], thinking_blocks=[block]) for block in blocks],
        delta(thinking_blocks=[end]),
        delta(tool_calls=[signed("c", 0, None)]),
        chunk({}, "tool_calls"),
    )
    said = content(stream)
    assert said[0]["thinking"] == "hm" and "hm" not in said[0]["signature"]
    message = next_turn(said, ChatOptions())["messages"][1]
    assert message["thinking_blocks"] == [{"type": "thinking", "thinking": "hm", "signature": "S1"}]
    message = next_turn(said, ChatOptions(reasoning_field="reasoning_content"))["messages"][1]
    assert "thinking_blocks" not in message and message["reasoning_content"] == "hm"


def test_copilots_opaque_reasoning_comes_back():
    stream = chat_stream(
        delta(reasoning_text="hm"),
        delta(reasoning_opaque="XYZ"),
        delta(tool_calls=[signed("c", 0, None)]),
        chunk({}, "tool_calls"),
    )
    for strip in (False, True):
        message = next_turn(content(stream, strip_thinking=strip), ChatOptions())["messages"][1]
        assert message["reasoning_opaque"] == "XYZ"
        assert message.get("reasoning_text") == (None if strip else "hm")
