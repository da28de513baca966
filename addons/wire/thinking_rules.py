"""What a provider wants and refuses about thinking, for both wire formats, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
"""The words that clients have for how much to think."""

BUDGETS: Final = {"low": 4_096, "medium": 16_384, "high": 31_999, "xhigh": 31_999, "max": 31_999}
"""Tokens of thinking that stand for a word; the last is what Claude Code asks for where it gives a budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingRules:
    """The defaults suit a provider about whose thinking nothing is known."""

    calls_need_it: bool = False
    """While it thinks, every assistant message with tool calls must carry thinking (Kimi, DeepSeek). Where another
    provider's was dropped, `placeholder` stands in for it."""
    placeholder: str = "(not recorded)"
    """What stands for thinking that is missing. DeepSeek V4 and Kimi refuse an empty text."""
    can_be_off: bool = True
    """False: the model always thinks and refuses `disabled` (Kimi's thinking models)."""
    by_default: bool = False
    """It thinks unless it is told not to (GLM, DeepSeek, Qwen). A call for so few tokens that thinking leaves none of
    them is then told so; with `can_be_off: false` it gets more tokens, whatever this says."""
    forced_tool_excludes: bool = False
    """A tool can't be forced while it thinks (DeepSeek, Kimi, Qwen): thinking is turned off for that request, or the
    force is left out where thinking can't be off."""
    efforts: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The provider's word for each of EFFORTS. Empty: `reasoning_effort` knows low, medium and high."""
    on: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Fields of a Chat Completions request that ask for thinking."""
    off: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Fields of a Chat Completions request that ask for none. Empty: nothing is known that does."""
    budget: str = ""
    """The field of a Chat Completions request that takes tokens of thinking at most (Qwen: `thinking_budget`). Empty:
    none does. It is sent where `on` asks for thinking, and to models that can't be told not to think."""
    form: Literal["enabled", "adaptive", "switch"] = "enabled"
    """How a request in Anthropic's format asks for it: with a budget, `adaptive`, or `enabled` without a budget."""

    def tokens(self, thinking: Any, output_config: Any) -> int | None:
        """The tokens of thinking that the client wants at most; None when it has no wish."""
        budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
        if isinstance(budget, int) and not isinstance(budget, bool):
            return budget
        effort = output_config.get("effort") if isinstance(output_config, dict) else None
        return BUDGETS.get(effort) if isinstance(effort, str) else None

    def effort(self, word: str) -> str:
        """The provider's word for a client's."""
        word = "low" if word == "minimal" else word
        return self.efforts.get(word, "high" if word in ("xhigh", "max") else word)
