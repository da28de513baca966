"""Keys of users: what they look like, what is kept of them, and what is shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from addons.team.keys import LENGTH, digest, make_id, make_key, public_id
from addons.wire.masking import mask, mask_text

ID = "abcdefgh"


def test_a_key_has_its_id_and_256_random_bits() -> None:
    first, second = make_key(ID), make_key(ID)
    assert first != second
    assert len(first) == LENGTH
    assert first.startswith("gw-abcdefgh-")
    assert public_id(first) == public_id(second) == ID
    assert len({make_id() for _ in range(100)}) == 100
    assert public_id(make_key(make_id()))


@given(st.text(max_size=80) | st.from_regex(r"gw-[a-z2-7]{7,9}-[A-Za-z0-9_-]{42,44}", fullmatch=True))
def test_only_a_key_has_an_id(text: str) -> None:
    found = public_id(text)
    parts = text.split("-", 2)
    is_key = len(text) == LENGTH and len(parts) == 3 and (parts[0], len(parts[1])) == ("gw", 8) and "\n" not in text
    assert found is None or (is_key and found == parts[1])
    assert public_id(f"{make_key(ID)}\n") is None


def test_the_digest_is_of_the_whole_key() -> None:
    key = make_key(ID)
    assert digest(key) == digest(str(key))
    assert len(digest(key)) == 32
    assert digest(key) != digest(make_key(ID)) != digest(key.replace("abcdefgh", "abcdefgi"))


def test_what_is_shown_of_a_key() -> None:
    key = "gw-k3f7abcd-" + "S" * 39 + "3f2a"
    assert mask(key) == "gw-k3f7…3f2a"
    assert mask(f"Bearer {key}") == "Bearer gw-k3f7…3f2a"
    for text in (key, f'"{key}"', f"the key {key}, which", f"x-litellm-api-key: {key}", f"b'{key}'", f"?k={key}&b=1"):
        assert "SSS" not in mask_text(text, ())
        assert "gw-k3f7…3f2a" in mask_text(text, ())
        assert mask_text(mask_text(text, ()), ()) == mask_text(text, ())
    assert mask_text("gw-short is no key, nor is a gw-1", ()) == "gw-short is no key, nor is a gw-1"
