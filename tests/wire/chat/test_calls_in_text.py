"""Calls in the text of servers that have no parser for them."""

import json

import pytest

from addons.wire.chat.calls_in_text import read_calls
from tests.wire.chat.dialects import chunk
from tests.wire.chat.translated import blocks, calls, chat_stream, delta, joined, read

ONE = json.dumps({"name": "Bash", "arguments": {"command": "ls </tool>"}})
TWO = json.dumps({"name": "Read", "arguments": {"file_path": "/a"}})
EXPECTED = [("Bash", {"command": "ls </tool>"}), ("Read", {"file_path": "/a"})]


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize(
    ("form", "text", "shown"),
    [
        ("hermes", f"I look.\n<tool_call>\n{ONE}\n</tool_call>\n<tool_call>{TWO}</tool_call>", "I look.\n\n"),
        ("hermes", f"<tool_call>{ONE}</tool_call><tool_call>{TWO}", ""),
        ("mistral", f"I look.[TOOL_CALLS] [{ONE}, {TWO}]", "I look."),
        ("mistral", '[TOOL_CALLS]Bash[ARGS]{"command": "ls </tool>"}[TOOL_CALLS]Read[ARGS]{"file_path": "/a"}', ""),
    ],
)
def test_calls_in_text_in_any_split(form: str, text: str, shown: str, size: int):
    stream = chat_stream(*[delta(content=text[at : at + size]) for at in range(0, len(text), size)], chunk({}, "stop"))
    content = blocks(stream, calls_in_text=form)
    assert calls(content) == EXPECTED
    assert joined(content, "text") == shown
    assert read(stream, calls_in_text=form)[0].stop_reason == "tool_use"
    assert calls(blocks(stream)) == []


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>no call</tool_call> and more",
        "<tool_call>[1]</tool_call>",
        "a <tool_cal",
        "<tool_call>",
        "<tool_call>{}",
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_what_is_no_call_stays_text(text: str, size: int):
    stream = chat_stream(*[delta(content=text[at : at + size]) for at in range(0, len(text), size)], chunk({}, "stop"))
    assert joined(blocks(stream, calls_in_text="hermes"), "text") == text


def test_many_calls_are_read_in_one_pass():
    assert len(read_calls("[" + ",".join([ONE] * 2000) + "]")) == 2000
