"""Calls in the text of servers that have no parser for them.

written_calls.py is tested here too.
"""

import json
import re
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.wire import limits
from addons.wire.chat.options import ChatOptions
from addons.wire.chat.written_calls import FORMS, Tools, read_objects
from addons.wire.provenance import decode_tool_id
from tests.wire.chat.dialects import chunk
from tests.wire.chat.translated import blocks, calls, chat_stream, delta, joined, new_answer, read

TRICKY = "ls </tool>"
ONE = json.dumps({"name": "Bash", "arguments": {"command": TRICKY}})
TWO = json.dumps({"name": "Read", "arguments": {"file_path": "/a", "limit": 20}})
EXPECTED = [("Bash", {"command": TRICKY}), ("Read", {"file_path": "/a", "limit": 20})]
PARAMETERS = {
    "Bash": {"type": "object", "properties": {"command": {"type": "string"}, "background": {"type": "boolean"}}},
    "Read": {
        "type": "object",
        "properties": {"file_path": {"type": "string"}, "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
    },
}
XML_ONE = f"<function=Bash>\n<parameter=command>\n{TRICKY}\n</parameter>\n</function>"
XML_TWO = "<function=Read>\n<parameter=file_path>\n/a\n</parameter>\n<parameter=limit>\n20\n</parameter>\n</function>"
INVOKED = (
    f'<invoke name="Bash">\n<parameter name="command">{TRICKY}</parameter>\n</invoke>\n'
    '<invoke name="Read">\n<parameter name="file_path">/a</parameter>\n'
    '<parameter name="limit">20</parameter>\n</invoke>'
)
DSML = (
    f'<｜DSML｜invoke name="Bash">\n<｜DSML｜parameter name="command" string="true">{TRICKY}</｜DSML｜parameter>\n'
    '</｜DSML｜invoke>\n<｜DSML｜invoke name="Read">\n'
    '<｜DSML｜parameter name="file_path" string="true">/a</｜DSML｜parameter>\n'
    '<｜DSML｜parameter name="limit" string="false">20</｜DSML｜parameter>\n</｜DSML｜invoke>\n'
)
ARGUMENTS = [json.dumps(arguments) for _, arguments in EXPECTED]
WRITTEN = [
    ("hermes", f"I look.\n<tool_call>\n{ONE}\n</tool_call>\n<tool_call>{TWO}</tool_call>", "I look.\n"),
    ("hermes", f"<tool_call>{ONE}</tool_call><tool_call>{TWO}", ""),
    ("hermes", f"<tool_call>\n{ONE}\n{TWO}\n</tool_call>\nDone.", "Done."),
    ("qwen", f"I look.\n<tool_call>\n{XML_ONE}\n</tool_call>\n<tool_call>\n{XML_TWO}\n</tool_call>", "I look.\n"),
    ("qwen", f"I look.\n{XML_ONE}\n</tool_call>\n<tool_call>\n{XML_TWO}", "I look.\n"),
    ("qwen", f"<tool_call>{XML_ONE}{XML_TWO}</tool_call>", ""),
    (
        "glm",
        f"<tool_call>Bash\n<arg_key>command</arg_key>\n<arg_value>{TRICKY}</arg_value>\n</tool_call>\n<tool_call>Read"
        "<arg_key>file_path</arg_key><arg_value>/a</arg_value><arg_key>limit</arg_key><arg_value>20</arg_value>"
        "</tool_call>",
        "",
    ),
    ("mistral", f"I look.[TOOL_CALLS] [{ONE}, {TWO}]", "I look."),
    ("mistral", f"[TOOL_CALLS]Bash[ARGS]{ARGUMENTS[0]}[TOOL_CALLS]Read[CALL_ID]abcdefghi[ARGS]{ARGUMENTS[1]}", ""),
    ("llama", f"<|python_tag|>{ONE.replace('arguments', 'parameters')}; {TWO}<|eom_id|>", ""),
    ("llama", f"<function=Bash>{ARGUMENTS[0]}</function>\n<function=Read>{ARGUMENTS[1]}</function>", ""),
    (
        "kimi",
        "I look.<|tool_calls_section_begin|><|tool_call_begin|>functions.Bash:0<|tool_call_argument_begin|>"
        f"{ARGUMENTS[0]}<|tool_call_end|><|tool_call_begin|>functions.Read:1<|tool_call_argument_begin|>{ARGUMENTS[1]}"
        "<|tool_call_end|><|tool_calls_section_end|>",
        "I look.",
    ),
    (
        "deepseek",
        f"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>Bash\n```json\n{ARGUMENTS[0]}\n```"
        f"<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>Read<｜tool▁sep｜>{ARGUMENTS[1]}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "",
    ),
    ("deepseek", f"I look.\n<｜DSML｜function_calls>\n{DSML}</｜DSML｜function_calls>", "I look.\n"),
    ("deepseek", f"<｜DSML｜tool_calls>{DSML}</｜DSML｜tool_calls>", ""),
    ("minimax", f"<minimax:tool_call>\n{INVOKED}\n</minimax:tool_call>\n", ""),
]


def asked(form: str) -> dict[str, Any]:
    return {"calls_in_text": form, "tools": tuple(PARAMETERS), "parameters": PARAMETERS}


def stream_of(text: str, *sizes: int) -> bytes:
    """The text in deltas of these sizes, over and over."""
    deltas: list[Any] = []
    at = 0
    while at < len(text):
        size = sizes[len(deltas) % len(sizes)]
        deltas.append(delta(content=text[at : at + size]))
        at += size
    return chat_stream(*deltas, chunk({}, "stop"))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.sampled_from(WRITTEN), st.booleans())
def test_calls_in_text_in_any_split(sizes: list[int], written: tuple[str, str, str], any_form: bool):
    form, text, shown = written
    content = blocks(stream_of(text, *sizes), **asked("any" if any_form else form))
    assert calls(content) == EXPECTED
    assert joined(content, "text") == shown


@pytest.mark.parametrize("written", WRITTEN, ids=[f"{form}{at}" for at, (form, _, _) in enumerate(WRITTEN)])
def test_only_tools_of_the_request_are_called(written: tuple[str, str, str]):
    form, text, _ = written
    stream = stream_of(text, 7)
    assert read(stream, **asked(form))[0].stop_reason == "tool_use"
    for without in ({}, {"tools": ("Write",)}):
        content = blocks(stream, **asked(form) | {"tools": ()} | without)
        assert (calls(content), joined(content, "text")) == ([], text)
    assert calls(blocks(stream)) == []


def test_every_form_has_its_option():
    assert {*FORMS, "none"} == set(get_args(get_type_hints(ChatOptions)["calls_in_text"]))
    assert {form for form, _, _ in WRITTEN} == FORMS.keys() - {"any"}


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>no call</tool_call> and more",
        "<tool_call>[1]</tool_call>",
        "a <tool_cal",
        "<tool_call>",
        "<tool_call>{}",
        "</tool_call> was missing",
        "The tag <function=Nothing> and <function=",
        "<tool_call>\n<function=Bash>\n<parameter=command>\nls",
        "<tool_call>Bash is a shell</tool_call>",
        '<tool_call>{"name": "Bash", "arguments": ["ls"]}</tool_call>',
        '<tool_call>{"name": ["Bash"], "arguments": {}}</tool_call>',
        "[TOOL_CALLS] are what Mistral writes",
        "<｜tool▁calls▁begin｜><｜tool▁calls▁end｜>",
        "<|tool_calls_section_begin|>nothing<|tool_calls_section_end|>",
        '<minimax:tool_call><invoke name="Bash"><parameter name="command">ls</minimax:tool_call>',
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_what_is_no_call_stays_text(text: str, size: int):
    content = blocks(stream_of(text, size), **asked("any"))
    assert (joined(content, "text"), calls(content)) == (text, [])


def test_json_that_is_nested_too_deeply_is_no_call():
    text = "<tool_call>" + "[" * 100_000 + "</tool_call>"
    assert joined(blocks(stream_of(text, 5000), **asked("hermes")), "text") == text


def test_what_is_no_call_does_not_wait():
    """A tag that somebody talks about holds nothing back."""
    said = "The `<tool_call>` tag is what Qwen writes"
    out = new_answer(**asked("qwen")).feed(chat_stream(*(delta(content=letter) for letter in said), done=False))
    assert "".join(json.loads(f'"{text}"') for text in re.findall(r'"text":"([^"]+)"', out.decode())) == said


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("hermes", '<tool_call>{"name": "Bash", "arguments": {"command": "echo </tool_call> x"}}</tool_call>'),
        ("qwen", "<tool_call><function=Bash><parameter=command>echo </tool_call> x</parameter></function></tool_call>"),
        ("glm", "<tool_call>Bash<arg_key>command</arg_key><arg_value>echo </tool_call> x</arg_value></tool_call>"),
    ],
)
def test_a_closing_mark_within_a_value_closes_nothing(form: str, written: str):
    assert calls(blocks(stream_of(written, 3), **asked(form))) == [("Bash", {"command": "echo </tool_call> x"})]


def test_a_value_keeps_its_lines_and_tags():
    value = "cat > a.xml <<E\n  <parameter>x</parameter> y\n\nE\n"
    written = f"<tool_call>\n<function=Bash>\n<parameter=command>\n{value}\n</parameter>\n</function>\n</tool_call>"
    assert calls(blocks(stream_of(written, 4), **asked("qwen"))) == [("Bash", {"command": value})]


@pytest.mark.parametrize(
    ("key", "written", "meant"),
    [
        ("command", "20", "20"),
        ("command", '{"a": 1}', '{"a": 1}'),
        ("background", "true", True),
        ("background", "True", True),
        ("background", "maybe", "maybe"),
        ("limit", "20", 20),
        ("limit", "null", None),
        ("unknown", "20", "20"),
    ],
)
def test_values_have_the_types_of_the_schema(key: str, written: str, meant: Any):
    tool = "Read" if key == "limit" else "Bash"
    text = f"<tool_call><function={tool}><parameter={key}>{written}</parameter></function></tool_call>"
    assert calls(blocks(stream_of(text, 9), **asked("qwen"))) == [(tool, {key: meant})]


def test_names_with_something_around_them_are_the_tools():
    text = '<tool_call>{"name": "functions.Bash", "arguments": "{\\"command\\": \\"ls\\"}"}</tool_call>'
    assert calls(blocks(stream_of(text, 5), **asked("hermes"))) == [("Bash", {"command": "ls"})]


def test_what_is_longer_than_any_call_is_text(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "WRITTEN_CALLS", 100)
    text = f'<tool_call>{{"name": "Bash", "arguments": {{"command": "{"x" * 200}"}}}}</tool_call> and <tool_call>{ONE}'
    content = blocks(stream_of(text, 30), **asked("hermes"))
    assert joined(content, "text") == text[: -len(f"<tool_call>{ONE}")]
    assert calls(content) == EXPECTED[:1]


def test_many_calls_are_read_in_one_pass():
    tools = Tools(("Bash",), {})
    assert len(read_objects("[" + ",".join([ONE] * 2000) + "]", tools)) == 2000


def test_a_call_of_kimi_keeps_its_id():
    text = WRITTEN[[form for form, _, _ in WRITTEN].index("kimi")][1]
    content = blocks(stream_of(text, 11), **asked("kimi"))
    ids = [block["id"] for block in content if block["type"] == "tool_use"]
    assert [decode_tool_id(tool_id) for tool_id in ids] == [("prov", "functions.Bash:0"), ("prov", "functions.Read:1")]
