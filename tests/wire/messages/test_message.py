"""Single messages of a request, edited block by block.

schema.py is tested here too.
"""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from addons.wire import raw_json
from addons.wire.messages.body import Draft, RequestBody
from addons.wire.messages.message import DROP, KEEP, edit_blocks, new_message
from addons.wire.messages.schema import decode_blocks
from tests.wire.any_body import spelled

CONTENT = (
    b'[ {"type":"text", "text":"a\\u00e9 \\/"},'
    b'{"id":"t\\u0031","ty\\u0070e":"tool_us\\u0065","input":{"n":1.10, "n":2}, "type":"tool_use"} ]'
)
BODY = (
    b'{"model":"m","messages":[{"extra":1.0,"content":'
    + CONTENT
    + b',"role":"assistant"},{"role":"user","content":"h\\u0069"}]}'
)


@pytest.fixture
def draft():
    return Draft(RequestBody.parse(BODY))


def test_no_spelling_hides_a_block(draft):
    first, second = draft.messages[0].blocks
    assert (first.type, second.type) == ("text", "tool_use")
    assert raw_json.string(second.id) == "t1"
    assert second.text is UNSET
    assert draft.messages[0].has("tool_use", "x")
    assert not draft.messages[0].has("x")


def test_untouched_blocks_keep_their_bytes(draft):
    message = draft.messages[0].edit(lambda block: DROP if block.type == "text" else KEEP)
    assert bytes(message.raw) == (
        b'{"extra":1.0,"content":[{"id":"t\\u0031","ty\\u0070e":"tool_us\\u0065","input":{"n":1.10, "n":2}, '
        b'"type":"tool_use"}],"role":"assistant"}'
    )
    draft.messages[0] = message
    assert draft.encode() == (
        b'{"model":"m","messages":[' + bytes(message.raw) + b',{"role":"user","content":"h\\u0069"}]}'
    )


def test_changed_fields_leave_the_others_of_the_block(draft):
    def edit(block):
        return KEEP if block.type == "text" else {"id": raw_json.dump("x"), "caller": raw_json.dump(1), "type": UNSET}

    message = draft.messages[0].edit(edit)
    assert bytes(message.pieces[0]) == b'{"type":"text", "text":"a\\u00e9 \\/"}'
    assert bytes(message.pieces[1]) == b'{"id":"x","input":{"n":1.10, "n":2},"caller":1}'
    assert (message.blocks[1].type, bytes(message.blocks[1].caller)) == ("", b"1")


def test_keeping_everything_is_the_same_message(draft):
    for message in draft.messages:
        assert message.edit(lambda block: KEEP) is message


def test_edits_follow_each_other(draft):
    first = draft.messages[0].edit(lambda block: DROP if block.type == "text" else KEEP)
    second = first.edit(lambda block: {"id": raw_json.dump("y")})
    assert json.loads(bytes(second.raw))["content"] == [{"id": "y", "input": {"n": 2}, "type": "tool_use"}]
    assert json.loads(bytes(first.raw))["content"][0]["id"] == "t1"


def test_a_string_is_one_text_block(draft):
    message = draft.messages[1]
    assert message.text == "hi"
    assert [bytes(piece) for piece in message.pieces] == [b'{"type":"text","text":"h\\u0069"}']
    joined = message.with_pieces([*message.pieces, raw_json.dump({"type": "image"})])
    assert [block.type for block in joined.blocks] == ["text", "image"]
    assert bytes(joined.raw) == b'{"role":"user","content":[{"type":"text","text":"h\\u0069"},{"type":"image"}]}'


def test_an_empty_string_is_no_block():
    body = RequestBody.parse(b'{"model":"m","messages":[{"role":"user","content":""},{"role":"system"}]}')
    assert [message.pieces for message in body.messages] == [[], []]
    assert [message.text for message in body.messages] == ["", None]


def test_a_new_message():
    message = new_message("user", [raw_json.dump({"type": "text", "text": "x"})])
    assert message.blocks[0].type == "text"
    assert bytes(message.raw) == b'{"role":"user","content":[{"type":"text","text":"x"}]}'


def test_arrays_of_blocks_elsewhere():
    array = Raw(CONTENT)
    assert edit_blocks(array, lambda block: KEEP) is None
    edited = edit_blocks(array, lambda block: DROP if block.type == "tool_use" else KEEP)
    assert edited is not None
    assert bytes(edited) == b'[{"type":"text", "text":"a\\u00e9 \\/"}]'


@pytest.mark.parametrize("data", [b'"text"', b"{}", b"null", b"3", b'["x"]', b'[{"type":3}]', b"[]"])
def test_other_shapes_are_left_alone(data):
    assert edit_blocks(Raw(data), lambda block: DROP) is None
    assert edit_blocks(UNSET, lambda block: DROP) is None


def heads(blocks):
    """Without the spelling of their fields."""
    fields = [msgspec.structs.asdict(block) for block in blocks]
    return [
        {key: raw_json.load(value) if isinstance(value, Raw) else value for key, value in f.items()} for f in fields
    ]


VALUES = st.sampled_from(["a", "b", '":"', '"', "é", "", ":", ",", {"a": "b"}, ["a"], 1, None])


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.dictionaries(st.sampled_from(["id", "signature", "text", "x", "a"]), VALUES), min_size=1, max_size=3),
    st.lists(st.none() | st.dictionaries(st.sampled_from(["id", "signature", "text"]), VALUES, min_size=1), max_size=3),
    st.data(),
)
def test_new_values_stand_where_the_old_ones_stood(blocks, changes, data):
    said = {"role": "user", "content": blocks, "a": data.draw(VALUES)}
    raw = data.draw(spelled({"model": "m", "messages": [data.draw(st.permutations(list(said.items())).map(dict))]}))
    if data.draw(st.booleans()):
        raw = raw.replace(b'"a"', b'"id"')  # which may stand twice in a block, where the last one counts
    before = json.loads(raw)["messages"][0]
    waiting = iter([*changes, *[None] * len(blocks)])
    expected: list[dict[str, Any]] = []

    def edit(block):
        change = next(waiting)
        expected.append(before["content"][len(expected)] | (change or {}))
        return KEEP if change is None else {name: raw_json.dump(value) for name, value in change.items()}

    message = RequestBody.parse(raw).messages[0].edit(edit)
    assert json.loads(bytes(message.raw)) == before | {"content": expected}
    assert heads(message.blocks) == heads(decode_blocks(raw_json.dump(expected)))
    assert [json.loads(bytes(piece)) for piece in message.pieces] == expected


def test_what_stands_once_is_replaced_without_taking_anything_apart():
    raw = (
        b'{"model":"m","messages":[{ "role":"assistant","content":[ {"type":"tool_use" ,"id":"t1"} , {"id":"t2"} ] }]}'
    )
    message = RequestBody.parse(raw).messages[0].edit(lambda block: {"id": Raw(b'"new"')} if block.type else KEEP)
    assert bytes(message.raw) == (b'{ "role":"assistant","content":[ {"type":"tool_use" ,"id":"new"} , {"id":"t2"} ] }')


def test_a_value_that_overlaps_another_place():
    raw = b'{"model":"m","messages":[{"role": "user", "content": [{"type": "tool_use","id":":"}]}]}'
    message = RequestBody.parse(raw).messages[0].edit(lambda block: {"id": Raw(b'"x"')})
    assert json.loads(bytes(message.raw))["content"] == [{"type": "tool_use", "id": "x"}]
