"""What each generation of Claude takes, by the name of the model.

By Anthropic's documentation (thinking, effort, mid-conversation system messages, compaction, migration guides) and by
what its API was reported to refuse. Where these don't agree, what none of them refuses is taken: Opus 4.5 gets no
effort, as the other 4.5 models.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

_NEW_NAME: Final = re.compile(r"claude-([a-z]+)-(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
"""`claude-opus-4-8`, `claude-sonnet-4-20250514`"""
_OLD_NAME: Final = re.compile(r"claude-(\d{1,2})(?:[-.](\d{1,2}))?-([a-z]+)")
"""`claude-3-7-sonnet-20250219`, and OpenRouter's `claude-4.7-opus`"""

EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")


class Claude(NamedTuple):
    """A family and its version."""

    family: str
    version: tuple[int, int]

    @property
    def thinks(self) -> bool:
        return self.version >= (3, 7)

    @property
    def takes_adaptive(self) -> bool:
        """`thinking: {type: adaptive}`"""
        return self.version >= (4, 6)

    @property
    def takes_budget(self) -> bool:
        """`thinking: {type: enabled, budget_tokens: …}`"""
        return self.thinks and self.version < (4, 7)

    @property
    def efforts(self) -> tuple[str, ...]:
        """The values of `output_config.effort`; none when it is refused."""
        if self.version < (4, 6):
            return ()
        return EFFORTS if self.version >= (4, 7) else tuple(effort for effort in EFFORTS if effort != "xhigh")

    @property
    def takes_task_budget(self) -> bool:
        return self.version >= (4, 7)

    @property
    def takes_sampling(self) -> bool:
        """`temperature`, `top_p`, `top_k`"""
        return self.version < (4, 7)

    @property
    def takes_system_messages(self) -> bool:
        """Messages with `role: system`, and in them changes of tools."""
        first = {"opus": (4, 8), "fable": (5, 0), "mythos": (5, 0)}
        return self.version >= first.get(self.family, (5, 5))

    @property
    def takes_compaction(self) -> bool:
        return self.version >= (4, 6)

    @property
    def max_output_tokens(self) -> int | None:
        """None: as much as clients ask for."""
        if self.version >= (5, 0) or (self.family == "opus" and self.version >= (4, 6)):
            return None
        if self.family == "opus" and (4, 0) <= self.version <= (4, 1):
            return 32_000
        if self.version >= (3, 7):
            return 64_000
        return 8_192 if self.version >= (3, 5) else 4_096


@lru_cache(256)
def claude_of(model: str) -> Claude | None:
    """The Claude that a model's name means, whatever stands around it; None when it tells none."""
    name = model.lower()
    if found := _NEW_NAME.search(name):
        return Claude(found[1], (int(found[2]), int(found[3] or 0)))
    if found := _OLD_NAME.search(name):
        return Claude(found[3], (int(found[1]), int(found[2] or 0)))
    return None
