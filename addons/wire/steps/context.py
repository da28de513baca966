"""Where an attempt's body goes, as far as its steps have to know."""

from __future__ import annotations

from typing import Final, NamedTuple

from addons.wire.claude_models import Claude
from addons.wire.thinking_rules import ThinkingRules

NO_RULES: Final = ThinkingRules()


class Context(NamedTuple):
    """What the steps know of their target."""

    provider: str
    """The provider's name in the configuration: the one in signatures and tool ids."""
    is_anthropic: bool
    """The API at api.anthropic.com: what carries no provider's name is its own."""
    claude: Claude | None = None
    """The Claude that it is sent to; at Anthropic only where that is another than the client asked for."""
    max_output_tokens: int | None = None
    """The most that the model may be asked for; None: as much as the client asks for."""
    rules: ThinkingRules = NO_RULES
    """What the target's model wants and refuses about thinking."""
    output_config: frozenset[str] = frozenset()
    """The parts of `output_config` that the target's model takes."""
    web_search: bool = False
    """The provider runs Anthropic's `web_search` tool itself."""
    drop_all_thinking: bool = False
    """No thinking block may travel: the second try after the target refused one."""


def counted(number: int, noun: str) -> str:
    """The number and the noun: `1 block`, `2 blocks`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
