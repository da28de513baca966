import pytest

from addons.wire.claude_models import Claude, claude_of


@pytest.mark.parametrize(
    ("name", "claude"),
    [
        ("claude-opus-4-8", ("opus", (4, 8))),
        ("anthropic/claude-sonnet-4.6", ("sonnet", (4, 6))),
        ("claude-sonnet-4-20250514", ("sonnet", (4, 0))),
        ("claude-haiku-4-5-20251001", ("haiku", (4, 5))),
        ("us.anthropic.claude-opus-4-1-20250805-v1:0", ("opus", (4, 1))),
        ("claude-3-7-sonnet-20250219", ("sonnet", (3, 7))),
        ("claude-3-opus-20240229", ("opus", (3, 0))),
        ("anthropic/claude-4.7-opus", ("opus", (4, 7))),
        ("claude-sonnet-5", ("sonnet", (5, 0))),
        ("claude-fable-5-2", ("fable", (5, 2))),
    ],
)
def test_names(name: str, claude: tuple[str, tuple[int, int]]) -> None:
    assert claude_of(name) == Claude(*claude)


@pytest.mark.parametrize("name", ["glm-5", "claude", "claude-opus", "claude-nope", "claude-opus-20250101", "gpt-5"])
def test_other_names(name: str) -> None:
    assert claude_of(name) is None


def test_system_messages() -> None:
    takes = ["claude-opus-4-8", "claude-opus-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-fable-5"]
    refuse = ["claude-opus-4-7", "claude-opus-4-6", "claude-sonnet-5", "claude-haiku-4-5", "claude-3-7-sonnet"]
    for name, expected in [*((name, True) for name in takes), *((name, False) for name in refuse)]:
        claude = claude_of(name)
        assert claude is not None
        assert claude.takes_system_messages is expected, name
