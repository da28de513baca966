import json

import pytest
from msgspec import Raw

from addons.wire.messages.stamps import kind_of, stamp, stamp_all
from addons.wire.provenance import encode_tool_id
from addons.wire.sse import read_object


def stamped(block):
    """(changed, the block afterwards)."""
    read = read_object(json.dumps(block).encode())
    assert read is not None
    changed = stamp(read, "zai")
    return changed, {key: json.loads(bytes(value)) for key, value in read.items()}


@pytest.mark.parametrize(
    "block",
    [
        {"type": "text", "text": "a", "id": "not:valid"},
        {"type": "tool_use", "id": "toolu_1-A", "name": "x", "input": {"id": "a:b"}},
        {"type": "tool_use", "name": "x"},
        {"type": "tool_use", "id": 7},
        {"type": "tool_use", "id": None},
        {"type": "server_tool_use"},
        {"type": "tool_result", "tool_use_id": "a:b"},
        {"type": "server_tool_use", "id": encode_tool_id("kimi", "x")},
        {"type": None, "signature": "a"},
        {"signature": "a"},
        {},
    ],
)
def test_what_stays(block):
    assert stamped(block) == (False, block)


@pytest.mark.parametrize(
    ("block", "change"),
    [
        ({"type": "thinking", "thinking": "a", "signature": "b"}, {"signature": "gw1.zai.b"}),
        ({"type": "thinking", "thinking": "a", "signature": ""}, {"signature": "gw1.zai."}),
        ({"type": "thinking", "thinking": "a", "signature": None}, {"signature": "gw1.zai."}),
        ({"type": "thinking", "thinking": "a"}, {"signature": "gw1.zai."}),
        ({"type": "redacted_thinking", "data": "b"}, {"data": "gw1.zai.b"}),
        ({"type": "tool_use", "id": "a:b"}, {"id": encode_tool_id("zai", "a:b")}),
        ({"type": "tool_use", "id": ""}, {"id": encode_tool_id("zai", "")}),
        ({"type": "server_tool_use", "id": "a"}, {"id": encode_tool_id("zai", "a")}),
        ({"type": "mcp_tool_use", "id": "a"}, {"id": encode_tool_id("zai", "a")}),
        ({"type": "mcp_tool_result", "tool_use_id": "a"}, {"tool_use_id": encode_tool_id("zai", "a")}),
        ({"type": "web_search_tool_result", "tool_use_id": "a"}, {"tool_use_id": encode_tool_id("zai", "a")}),
    ],
)
def test_what_is_stamped(block, change):
    assert stamped(block) == (True, block | change)


def test_an_escaped_spelling_is_the_same_type():
    read = read_object(rb'{"typ\u0065":"think\u0069ng","signature":"\u0061"}')
    assert read
    assert kind_of(read) == "thinking"
    assert stamp(read, "zai")
    assert read["signature"] == Raw(b'"gw1.zai.a"')


def test_items_that_are_no_objects_pass():
    odd = [Raw(b"1"), Raw(b"[]"), Raw(b'{"type":5}')]
    thought = Raw(b'{"type":"thinking"}')
    assert stamp_all(odd, "zai", strip_thinking=True) is None
    assert stamp_all([*odd, thought], "zai", strip_thinking=True) == odd
    assert stamp_all([thought], "zai", strip_thinking=True) == [Raw(b'{"type":"text","text":""}')]
    assert stamp_all([], "zai", strip_thinking=True) is None
