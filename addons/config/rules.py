"""`routes:` as values: rules that send a request elsewhere by what kind of request it is, and how they are matched.

Rules of this file: pure; a rule never changes and says nothing about how it was written (`rules_file`). Facts that cost
something (tokens, images, tools) are asked for only by a rule whose other conditions hold.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal, Protocol, get_args

import msgspec

from addons.wire.errands import Purpose

RequestClass = Literal["main", "subagent", "workflow", "compaction", "auxiliary", "side_reply"]
"""What Claude Code says in `x-claude-code-request-class`."""
CLASSES: tuple[RequestClass, ...] = get_args(RequestClass)
OWN_CLASSES: tuple[Purpose, ...] = get_args(Purpose)
"""The classes of the gateway's own requests: no client's header can say them."""

Comparison = Literal[">", ">=", "<", "<="]
COMPARISONS: tuple[Comparison, ...] = get_args(Comparison)


class Facts(Protocol):
    """What rules ask of a request."""

    @property
    def model(self) -> str:
        """The name that the client asked for, bare."""

    @property
    def request_class(self) -> str:
        """One of `CLASSES`, or of `OWN_CLASSES`."""

    @property
    def agent(self) -> str:
        """The type of the subagent that asks; empty for anybody else."""

    @property
    def user(self) -> str:
        """Who asks."""

    @property
    def tools(self) -> Collection[str]:
        """The names of the tools that the model may call, and the types of those that the provider runs."""

    @property
    def image(self) -> bool:
        """Whether an image is anywhere in the request."""

    def header(self, name: str) -> str:
        """A header by its lower-case name; empty when the client didn't send it."""

    @property
    def budget(self) -> float:
        """How much of the fullest budget of who asks is used, in percent; 0 without a budget."""

    def exceeds(self, tokens: int) -> bool:
        """Whether the input is larger than this, as the gateway estimates it."""


class Bound(msgspec.Struct, frozen=True):
    """A limit on the input's tokens: `> 150000`."""

    comparison: Comparison
    tokens: int

    def holds(self, facts: Facts) -> bool:
        """Whether the request's input is within it."""
        return facts.exceeds(self.edge - 1) if self.is_lower else not facts.exceeds(self.edge)

    @property
    def is_lower(self) -> bool:
        """Whether it asks for a large request. A conversation only grows, so what it decided may be held on to."""
        return self.comparison in (">", ">=")

    def covers(self, other: Bound) -> bool:
        """Whether every number within the other bound is within this one."""
        if self.is_lower != other.is_lower:
            return False
        return self.edge <= other.edge if self.is_lower else self.edge >= other.edge

    @property
    def edge(self) -> int:
        """The last whole number that is within it."""
        return self.tokens + {">": 1, "<": -1}.get(self.comparison, 0)

    def __str__(self) -> str:
        return f"{self.comparison}{self.tokens}"


class Share(msgspec.Struct, frozen=True):
    """A limit on how much of a budget is used: `> 90%`."""

    comparison: Comparison
    percent: float

    def holds(self, facts: Facts) -> bool:
        """Whether what is used is within it."""
        used = facts.budget
        return (used > self.percent, used >= self.percent, used < self.percent, used <= self.percent)[
            COMPARISONS.index(self.comparison)
        ]

    @property
    def is_lower(self) -> bool:
        """Whether it asks for much. What it decided may be held on to, as with a large request."""
        return self.comparison in (">", ">=")

    def covers(self, other: Share) -> bool:
        """Whether every share within the other one is within this one."""
        if self.is_lower != other.is_lower:
            return False
        if self.percent == other.percent:
            return "=" in self.comparison or self.comparison == other.comparison
        return (self.percent < other.percent) is self.is_lower

    def __str__(self) -> str:
        return f"{self.comparison}{self.percent:g}%"


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """The conditions of a rule: all that are set must hold. An empty one is not set."""

    classes: frozenset[str] = frozenset()
    """`class`: the request is of one of these kinds. Without the client's word (`x-claude-code-request-class`): an
    agent's id makes it a subagent's, a lone web_search tool auxiliary, anything else is main."""
    agent: tuple[str, ...] = ()
    """Patterns for the type of the subagent (`x-claude-code-agent-type`): `Explore`; upper or lower case."""
    model: tuple[str, ...] = ()
    """Patterns for what the client asked for."""
    tools: tuple[str, ...] = ()
    """Patterns for the name of a tool that the request has; a tool of the provider's is known by its type too."""
    tokens: Bound | None = None
    """A bound on the input, as the gateway estimates it. A lower one, once it has decided, holds for the conversation
    until that is compacted."""
    image: bool | None = None
    """Whether there is an image anywhere in the request."""
    user: tuple[str, ...] = ()
    """Patterns for the name of who asks; `shared` is who has PROXY_STATIC_TOKEN."""
    budget: Share | None = None
    """`">90%"`: how much of the fullest budget of who asks is used. Held on to like a lower bound on tokens."""
    header: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Patterns for the values of headers, by lower-case name; credentials can't be asked for."""

    def holds(self, facts: Facts, *, large: bool = False) -> bool:
        """Whether all conditions hold; what costs least is asked first. `large`: a lower bound on tokens or on a budget
        does."""
        return (
            (not self.classes or facts.request_class in self.classes)
            and (not self.model or matches(self.model, facts.model))
            and (not self.agent or matches(self.agent, facts.agent.lower()))
            and (not self.user or matches(self.user, facts.user))
            and all(matches(patterns, facts.header(name)) for name, patterns in self.header.items())
            and (self.budget is None or (large and self.budget.is_lower) or self.budget.holds(facts))
            and (not self.tools or any(matches(self.tools, name) for name in facts.tools))
            and (self.image is None or facts.image == self.image)
            and (self.tokens is None or (large and self.tokens.is_lower) or self.tokens.holds(facts))
        )

    def covers(self, other: When) -> bool:
        """Whether these conditions hold for every request for which the other ones do."""
        return (
            (not self.classes or (bool(other.classes) and other.classes <= self.classes))
            and within(self.model, other.model)
            and within(self.agent, other.agent)
            and within(self.user, other.user)
            and all(within(patterns, other.header.get(name, ())) for name, patterns in self.header.items())
            and within(self.tools, other.tools)
            and (self.image is None or self.image == other.image)
            and (self.tokens is None or (other.tokens is not None and self.tokens.covers(other.tokens)))
            and (self.budget is None or (other.budget is not None and self.budget.covers(other.budget)))
        )

    def __str__(self) -> str:
        parts = [f"class {' or '.join(sorted(self.classes))}"] if self.classes else []
        parts += [
            f"{name} {' or '.join(patterns)}"
            for name, patterns in [
                ("agent", self.agent),
                ("model", self.model),
                ("tools", self.tools),
                ("user", self.user),
                *((f"header {name}", patterns) for name, patterns in self.header.items()),
            ]
            if patterns
        ]
        parts += [f"tokens {self.tokens}"] if self.tokens else []
        parts += [f"budget {self.budget}"] if self.budget else []
        parts += [] if self.image is None else ["image" if self.image else "no image"]
        return ", ".join(parts) or "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One item of `routes:`: the first whose conditions hold decides."""

    when: When
    to: str
    """The name of a model: it is asked for instead, with its own fallbacks; rules are not asked again."""
    number: int = field(default=1, compare=False)
    """Its place in the file, from 1: how people name it."""

    @property
    def measures(self) -> bool:
        """Whether it asks for a large request, or a budget of which much is used."""
        return any(bound is not None and bound.is_lower for bound in (self.when.tokens, self.when.budget))

    @property
    def fingerprint(self) -> str:
        """A digest of what it says, by which the next process knows it again."""
        return sha256(f"{self.when}\0{self.to}".encode()).hexdigest()[:32]

    def __str__(self) -> str:
        return f"rule {self.number} ({self.when})"


def first_rule(rules: Sequence[Rule], facts: Facts, held: Collection[Rule] = ()) -> Rule | None:
    """The rule that decides; None: the request goes where its model goes. `held`: rules that have decided in this
    conversation because it was large, and so go on doing it."""
    return next((rule for rule in rules if rule.when.holds(facts, large=rule in held)), None)


def covered(rules: Sequence[Rule]) -> list[tuple[Rule, Rule]]:
    """Each rule that can never decide, with the earlier one that is the reason."""
    found = []
    for index, rule in enumerate(rules):
        earlier = next((other for other in rules[:index] if other.when.covers(rule.when)), None)
        if earlier:
            found.append((rule, earlier))
    return found


def matches(patterns: Sequence[str], text: str) -> bool:
    """Whether a pattern is the text; one `*` in it stands for any text."""
    return any(is_like(pattern, text) for pattern in patterns)


def is_like(pattern: str, text: str) -> bool:
    """Whether the pattern is the text."""
    before, star, after = pattern.partition("*")
    if not star:
        return pattern == text
    return len(text) >= len(before) + len(after) and text.startswith(before) and text.endswith(after)


def within(wide: Sequence[str], narrow: Sequence[str]) -> bool:
    """Whether every text that is like one of `narrow` is like one of `wide`; an empty `wide` takes any."""
    return not wide or (bool(narrow) and all(any(contains(one, pattern) for one in wide) for pattern in narrow))


def contains(wide: str, narrow: str) -> bool:
    """Whether every text that is like the pattern `narrow` is like the pattern `wide`."""
    if "*" not in narrow:
        return is_like(wide, narrow)
    before, star, after = wide.partition("*")
    narrow_before, _, narrow_after = narrow.partition("*")
    return bool(star) and narrow_before.startswith(before) and narrow_after.endswith(after)
