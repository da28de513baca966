import pytest

from addons.wire.words import in_a_line, listed


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("glm", "glm"),
        ("a\nb\x1b[2J\x9b", "a\ufffdb\ufffd[2J\ufffd"),
        ("\ud83d\u2028\u202e", "\ufffd\ufffd\ufffd"),
        ("a" * 11, "a" * 9 + "…"),
        ("", ""),
    ],
)
def test_words_of_others_in_a_line(text, shown):
    assert in_a_line(text, 10) == shown


def test_many_names_in_a_few_words():
    assert listed(["a", "b", "a"]) == "a, b"
    assert listed([str(number) for number in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 2 more"
    assert listed(["x" * 200]) == "x" * 99 + "…"
