"""The diff of two JSON bodies: by meaning, with what stayed folded."""

import json

from hypothesis import given
from hypothesis import strategies as st

from addons.views.diff.json_changes import json_changes
from tests.client_messages import assistant, system, text, thinking, tool_use, user
from tests.wire.bodies import request

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b\nc", "ü", "x" * 900, 1.5]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


def diff(old, new):
    return json_changes(json.dumps(old).encode(), json.dumps(new).encode())


def test_equal_bodies_have_no_diff():
    assert diff({"a": [1]}, {"a": [1]}) == []


def test_another_spelling_is_no_change():
    one = '{"a": "\\u00fc", "n": 1.0, "b": [1, {"c": null}]}'
    other = '{"b":[1,{"c":null}],"n":1,"a":"ü"}'
    assert json_changes(one.encode(), other.encode()) == []


def test_true_is_not_one():
    assert diff({"a": True}, {"a": 1}) == ["  {", '-   "a": true', '+   "a": 1', "  }"]


def test_a_model_was_changed():
    old = request("hi", max_tokens=10, stream=True)
    assert diff(old, old | {"model": "glm-5"}) == [
        "  {",
        '-   "model": "glm"',
        '+   "model": "glm-5"',
        "    … unchanged: messages, max_tokens, stream",
        "  }",
    ]


def test_a_block_was_dropped():
    before = [user(text(f"question {n}")) for n in range(5)]
    old = request(*before, assistant(thinking("sig"), text("answer"), tool_use()))
    new = request(*before, assistant(text("answer"), tool_use()))
    assert diff(old, new) == [
        "  {",
        "    … unchanged: model",
        '    "messages": [',
        "      … 5 unchanged: [0–4]",
        "      [5] {",
        '        "role": "assistant"',
        '        "content": [',
        "-         [0] {",
        '-           "type": "thinking",',
        '-           "thinking": "hm",',
        '-           "signature": "sig"',
        "-         }",
        "          … 2 unchanged: [1–2]",
        "        ]",
        "      }",
        "    ]",
        "  }",
    ]


def test_a_message_moved_into_another():
    old = request(user(text("a question of some length")), system("a note of some length"), assistant(text("yes")))
    new = request(user(text("a question of some length"), text("a note of some length")), assistant(text("yes")))
    shown = diff(old, new)
    assert "      [0] {" in shown
    assert "-     [1] {" in shown
    assert "      … 1 unchanged: [2]" in shown


def test_items_are_known_by_what_they_say():
    blocks = [
        text("a header that changes"),
        text("You are Claude Code", cache_control={"type": "ephemeral", "ttl": "1h"}),
    ]
    plain = [text("You are Claude Code", cache_control={"type": "ephemeral"})]
    assert diff({"system": blocks}, {"system": plain}) == [
        "  {",
        '    "system": [',
        "-     [0] {",
        '-       "type": "text",',
        '-       "text": "a header that changes"',
        "-     }",
        "      [1] {",
        '        "type": "text"',
        "        … unchanged: text",
        '        "cache_control": {',
        '          "type": "ephemeral"',
        '-         "ttl": "1h"',
        "        }",
        "      }",
        "    ]",
        "  }",
    ]


def test_items_are_known_by_their_names():
    old = [{"name": "Bash", "strict": True, "x": 1}, {"name": "Read", "strict": True, "x": 2}]
    shown = diff(old, [{"name": "Read", "x": 2}])
    assert shown[1] == "-   [0] {"
    assert shown[-5:] == ['      "name": "Read"', '-     "strict": true', "      … unchanged: x", "    }", "  ]"]


def test_a_text_of_several_lines_is_compared_by_lines():
    old = "\n".join(f"line {n}" for n in range(20))
    assert diff({"text": old}, {"text": old.replace("line 9", "LINE 9")}) == [
        "  {",
        '    "text": text, line by line',
        "      … 7 unchanged lines",
        "      line 7",
        "      line 8",
        "-     line 9",
        "+     LINE 9",
        "      line 10",
        "      line 11",
        "      … 8 unchanged lines",
        "  }",
    ]


def test_large_additions_are_folded():
    shown = diff({}, {"big": {str(n): "x" * 1000 for n in range(500)}})
    assert len(shown) < 80
    assert shown[-2] == "+   … 43 more lines"


def test_too_many_items_are_not_compared_one_by_one():
    shown = diff(list(range(20_000)), list(range(1, 20_001)))
    assert shown[0] == "- ["
    assert "+ [" in shown
    assert len(shown) < 130


def test_what_is_no_json():
    assert json_changes(b"{", b"{}") is None
    assert json_changes(b"{}", b"0.5\n0.6") is None
    assert json_changes(b"{}", b"\xff") is None


def test_values_that_python_has_not():
    shown = json_changes(b'{"a": 1e999, "b": %b}' % (b"[" * 500 + b"]" * 500), b'{"a": 2e999, "b": []}')
    assert shown
    assert '-   "a": "1e999"' in shown


@given(JSON, JSON)
def test_a_diff_is_empty_when_the_values_are_equal_and_only_then(old, new):
    shown = diff(old, new)
    assert (shown == []) == (json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True))
    assert all(line[:2] in ("- ", "+ ", "  ") for line in shown)


@given(JSON, st.sampled_from([None, 1, 3]))
def test_indentation_is_no_change(value, indent):
    assert json_changes(json.dumps(value).encode(), json.dumps(value, indent=indent).encode()) == []


@given(st.binary(), st.binary())
def test_any_bytes_at_all(old, new):
    json_changes(old, new)


def test_a_long_string_keeps_its_place_and_its_quotes():
    for old, new, indent in (
        ({"a": [{"b": "x"}]}, {"a": [{"b": "x", "c": "word " * 200}]}, 6),
        ({}, {"a": '"\\ü\n' * 500}, 2),
    ):
        (line,) = [line for line in diff(old, new) or [] if line.startswith("+")]
        assert line.startswith("+ " + " " * indent + '"')
        assert line.endswith('more characters"')
