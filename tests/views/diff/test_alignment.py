"""Aligning two sequences: complete, in order, and with a sense for what belongs together."""

import time

from hypothesis import given
from hypothesis import strategies as st

from addons.views.diff.alignment import align

FEW = st.lists(st.integers(0, 3), max_size=30)
MANY = st.lists(st.integers(0, 1000), max_size=30)


@given(FEW | MANY, FEW | MANY)
def test_every_item_is_there_once_and_in_order(old, new):
    pairs = align(old, new)
    assert [i for i, _ in pairs if i is not None] == list(range(len(old)))
    assert [j for _, j in pairs if j is not None] == list(range(len(new)))
    assert all(old[i] == new[j] for i, j in pairs if i is not None and j is not None)
    assert (None, None) not in pairs


@given(FEW | MANY)
def test_equal_sequences_match_in_whole(items):
    assert align(items, items) == [(n, n) for n in range(len(items))]


@given(st.lists(st.integers(), unique=True, max_size=30), st.data())
def test_what_is_left_of_a_sequence_matches_in_whole(old, data):
    gone = data.draw(st.sets(st.sampled_from(range(len(old))))) if old else set()
    new = [item for n, item in enumerate(old) if n not in gone]
    assert sum(i is not None and j is not None for i, j in align(old, new)) == len(new)


def test_a_repeated_item_does_not_pull_apart_what_is_unique():
    old, new = "a}b}c}", "a}x}b}c}"
    pairs = align(old, new)
    assert all(i is not None for i, j in pairs if j is None or new[j] in "abc")
    assert sum(i is None for i, _ in pairs) == 2
    assert sum(j is None for _, j in pairs) == 0


def test_a_moved_item_is_taken_out_and_put_in():
    pairs = align("abcdef", "bcdefa")
    assert pairs[0] == (0, None)
    assert pairs[-1] == (None, 5)


def test_long_gaps_are_matched_by_what_is_unique():
    old = [*["}"] * 300, *range(300)]
    new = [*range(300), *["}", "{"] * 300]
    assert sum(i is not None and j is not None for i, j in align(old, new)) >= 300


def test_long_sequences_of_the_same_few_items_take_no_time():
    before = time.process_time()
    align([1, 2] * 20_000, [2, 1] * 20_000 + [3])
    assert time.process_time() - before < 5
