from addons.wire.messages.memory import Memory

FIRST, SECOND = b'{"a":1}' * 100, b'{"b":2}' * 100


def test_a_stretch_is_known_where_it_stood():
    memory = Memory[str](2)
    memory.add(b"[" + FIRST + b"]", 1, 701, "first")
    found = memory.find(b"{" + FIRST + b"... and more")
    assert found is not None
    assert (found.start, found.stop, found.stretch.found) == (1, 701, "first")
    assert memory.find(b"[ " + FIRST + b"]") is None
    assert memory.find(b"[" + FIRST[:-1] + b" ]") is None
    assert memory.find(b"[" + FIRST[:-1]) is None
    assert memory.find(b"[" + b" " + FIRST[1:] + b"]") is None, "its end is the same"
    assert memory.find(b"") is None


def test_places_may_be_counted_from_the_end():
    memory = Memory[str](2)
    memory.add(b"..." + FIRST + b"123", 3, 703, "first", from_end=True)
    found = memory.find(b"much longer before it" + FIRST + b"456")
    assert found is not None
    assert (found.start, found.stop) == (21, 721)
    assert memory.find(FIRST + b"1234") is None
    assert memory.find(FIRST[9:] + b"123") is None


def test_the_longest_is_found():
    memory = Memory[str](3)
    text = FIRST + SECOND
    memory.add(text, 0, 700, "one")
    memory.add(text, 0, 1400, "both")
    memory.add(text, 0, 350, "half")
    found = memory.find(text)
    assert found is not None
    assert found.stretch.found == "both"
    memory.forget(found)
    found = memory.find(text)
    assert found is not None
    assert found.stretch.found == "one"


def test_what_was_not_seen_for_longest_is_forgotten():
    memory = Memory[int](2)
    texts = [bytes([letter]) * 100 for letter in b"abc"]
    memory.add(texts[0], 0, 100, 0)
    memory.add(texts[1], 0, 100, 1)
    assert memory.find(texts[0])
    memory.add(texts[2], 0, 100, 2)
    assert [memory.find(text) is not None for text in texts] == [True, False, True]


def test_texts_of_one_shape_are_told_apart():
    memory = Memory[int](4)
    ending = b"." * 100
    texts = [bytes([letter]) * 100 + ending for letter in b"abc"]
    for number, text in enumerate(texts):
        memory.add(text, 0, 200, number)
    found = [memory.find(text) for text in texts]
    assert [known and known.stretch.found for known in found] == [0, 1, 2]
    assert found[1] is not None
    memory.forget(found[1])
    assert [memory.find(text) is not None for text in texts] == [True, False, True]


def test_what_is_added_again_counts_once():
    memory = Memory[str](2)
    texts = [bytes([letter]) * 100 for letter in b"ab"]
    memory.add(texts[0], 0, 100, "earlier")
    memory.add(texts[1], 0, 100, "other")
    memory.add(texts[0], 0, 100, "later")
    assert len(memory) == 2
    found = [memory.find(text) for text in texts]
    assert [known and known.stretch.found for known in found] == ["later", "other"]


def test_nobody_knows_what_stands_in():
    first, second = Memory[str](1), Memory[str](1)
    assert first.stand_in != second.stand_in
    assert len(first.stand_in) == len(second.stand_in) > 32
