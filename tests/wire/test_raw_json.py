import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from addons.wire import raw_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def spelled(value, indent, ascii_only) -> bytes:
    return json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()


@given(st.dictionaries(st.text(), JSON, max_size=5), st.sampled_from([None, 0, 2]), st.booleans())
def test_every_piece_keeps_its_bytes(value, indent, ascii_only):
    data = spelled(value, indent, ascii_only)
    raw, fields, replaced = raw_json.checked(data)
    assert (raw, replaced) == (data, 0)
    assert fields is not None
    assert all(bytes(piece) in data for piece in fields.values())
    assert {name: raw_json.load(piece) for name, piece in fields.items()} == value
    assert json.loads(bytes(raw_json.join_object(fields))) == value


@given(st.lists(JSON, max_size=5), st.sampled_from([None, 2]))
def test_arrays_come_apart_and_together(value, indent):
    items = raw_json.split_array(Raw(spelled(value, indent, True)))
    assert items is not None
    assert [raw_json.load(item) for item in items] == value
    assert raw_json.load(raw_json.join_array(items)) == value


@given(st.text() | st.text(" \t\n\r\f\u00a0\u3000\u2028", max_size=4), st.booleans())
def test_blank_is_what_python_calls_white_space(words, ascii_only):
    assert raw_json.blank(Raw(spelled(words, None, ascii_only))) == (not words.strip())


def test_what_is_no_string_is_neither_blank_nor_a_string():
    for data in (b"{}", b"[]", b"3", b"null", b"true"):
        assert not raw_json.blank(Raw(data))
        assert raw_json.string(Raw(data)) is None


def test_what_is_no_object_or_array_does_not_come_apart():
    assert raw_json.split_object(Raw(b"[1]")) is None
    assert raw_json.split_array(Raw(b'{"a":1}')) is None
    assert raw_json.split_array(Raw(b'"[1]"')) is None


@pytest.mark.parametrize(
    ("sent", "repaired"),
    [
        (rb'{"a":"cut \ud83d"}', rb'{"a":"cut \ufffd"}'),
        (rb'{"a":"\ude00 low"}', rb'{"a":"\ufffd low"}'),
        (rb'{"a":"\uD83D\ud83d\uDE00"}', rb'{"a":"\ufffd\ud83d\uDE00"}'),
        (rb'{"a":"\ud83d\n"}', rb'{"a":"\ufffd\n"}'),
        (rb'{"\ud83d":1}', rb'{"\ufffd":1}'),
        (rb'{"a":"\\ud83d \\\ud83d"}', rb'{"a":"\\ud83d \\\ufffd"}'),
        (rb'{"a":["\ud83d",{"b":"\ud83d"}]}', rb'{"a":["\ufffd",{"b":"\ufffd"}]}'),
    ],
)
def test_half_a_surrogate_pair_is_replaced(sent, repaired):
    raw, fields, replaced = raw_json.checked(sent)
    assert raw == repaired
    assert fields is not None
    assert replaced == repaired.count(rb"\ufffd")


def test_whole_pairs_and_escaped_backslashes_stay():
    data = rb'{"a":"\ud83d\ude00","b":"\\ud83d","c":"\\\\ud83d\"\\"}'
    assert raw_json.checked(data)[0] is data
    assert raw_json.without_lone_surrogates(data) == (data, 0)


@given(st.lists(st.integers(0xD7F0, 0xE010).map(chr) | st.sampled_from('\\"/\n a'), max_size=12).map("".join))
def test_repairing_gives_what_replacing_the_characters_gives(words):
    raw, fields, _ = raw_json.checked(json.dumps({"a": words}).encode())
    pairs = words.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert fields is not None
    assert raw_json.load(fields["a"]) == pairs
    assert b"\\ufffd" not in raw or "\ufffd" in pairs


@pytest.mark.parametrize("data", [b'{"a":"\xff"}', b'{"a":"\xc3"}', b'{"a":"\xed\xa0\xbd"}', b"\xff\xfe{}"])
def test_what_is_not_utf8_is_refused(data):
    with pytest.raises(raw_json.NotJson, match="UTF-8"):
        raw_json.checked(data)


def test_half_a_character_at_the_end_is_not_utf8():
    assert not raw_json.is_utf8(b"x\xc3")


@settings(deadline=None)
@given(st.binary(max_size=40), st.integers(65500, 65540))
def test_utf8_is_checked_across_windows(data, start):
    data = b" " * start + data + "é".encode()
    try:
        data.decode()
    except UnicodeDecodeError:
        assert not raw_json.is_utf8(data)
    else:
        assert raw_json.is_utf8(data)


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"a":1} x', b'{"a":NaN}', b'{"a":Infinity}', b"{'a':1}", b'{"a":01}', b'{"a":"\n"}']
)
def test_what_is_not_json_is_refused(data):
    with pytest.raises(raw_json.NotJson):
        raw_json.checked(data)


def test_the_place_of_the_mistake_is_said():
    with pytest.raises(raw_json.NotJson, match="byte 5"):
        raw_json.checked(b'{"a":NaN}')


def test_deep_nesting_is_refused_and_does_not_crash():
    with pytest.raises(raw_json.NotJson, match="nested too deeply"):
        raw_json.checked(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


@pytest.mark.parametrize("data", [b"[1]", b'"x"', b"3", b"null"])
def test_other_json_than_an_object_has_no_fields(data):
    assert raw_json.checked(data) == (data, None, 0)


def test_huge_numbers_and_repeated_keys_survive():
    _, fields, _ = raw_json.checked(b'{"a":1,"n":123456789012345678901234567890,"f":1.10,"a":2}')
    assert fields is not None
    assert {name: bytes(piece) for name, piece in fields.items()} == {
        "a": b"2",
        "n": b"123456789012345678901234567890",
        "f": b"1.10",
    }


def test_dump_takes_lone_surrogates():
    assert bytes(raw_json.dump({"a": "x\ud83d"})) == b'{"a": "x\\ufffd"}'


def test_numbers_beyond_python_are_nothing():
    assert raw_json.load(Raw(b'{"a":1e999}')) is None
    assert raw_json.load(Raw(b"[" + b"1" * 5000 + b"]")) is None
