"""The mark that asks for a long context, behind the name of a model."""

import pytest

from addons.wire.model_name import without_mark


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("claude-opus-4-8[1m]", "claude-opus-4-8"),
        ("claude-opus-4-8[1M]", "claude-opus-4-8"),
        ("claude-opus-4-8[1M][1m]", "claude-opus-4-8"),
        ("glm[1m] ", "glm"),
        ("glm [1m]", "glm"),
        ("anthropic/claude-opus-4-8[1m]", "anthropic/claude-opus-4-8"),
        ("[1m]", ""),
    ],
)
def test_a_marked_name(name: str, plain: str) -> None:
    assert without_mark(name) == (plain, True)


@pytest.mark.parametrize("name", ["", "glm", "glm[1m", "glm[2m]", "[1m]glm", "glm[1m]-x", "qwen:free", "glm "])
def test_any_other_name_is_left_as_it_is(name: str) -> None:
    assert without_mark(name) == (name, False)


def test_many_marks_take_linear_time() -> None:
    assert without_mark("glm" + 50_000 * "[1m]") == ("glm", True)
